//go:build mage

package main

// Generate writes the Go code that follows from MLflow's protobufs; -check only compares.
func Generate(check *bool) error {
	if err := checkClone(); err != nil {
		return err
	}
	arguments := []string{"run", "./pkg/cmd/generate"}
	if check != nil && *check {
		arguments = append(arguments, "-check")
	}

	return run("go", arguments...)
}
