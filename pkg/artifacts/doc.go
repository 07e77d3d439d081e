// Package artifacts reads artifacts that are files of this machine, as MLflow's server does with its
// LocalArtifactRepository: where the location of a run, a logged model or a model version is a local
// directory, or one that this server serves out of a local --artifacts-destination.
//
// Paths come from clients. Only those are taken that mean the same however often they are decoded and
// made normal, and they are opened through os.Root, which no symbolic link leads out of. All else is
// contract.ErrLeftToPython: other storage, escaped or absolute paths, links that leave the directory,
// names that aren't UTF-8, what may not be read. MLflow decides about those.
package artifacts
