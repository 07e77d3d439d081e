// Package config reads what the launcher decided: MLflow's own options and the keys of --go-opts,
// handed over as JSON in one environment variable, since they hold passwords that must not show in
// a process list.
package config
