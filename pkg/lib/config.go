package main

import (
	"bytes"
	"encoding/json"

	"github.com/mlflow/mlflow-go/pkg/contract"
)

// config is what MlflowOpen takes, as JSON. The names are those of MLflow's server options.
type config struct {
	// BackendStoreURI is a database as SQLAlchemy spells it. The relative path of a SQLite file is taken
	// from the working directory of now.
	BackendStoreURI string `json:"backend_store_uri"`
	// DefaultArtifactRoot is an absolute path or URI: a relative one would be resolved in a working
	// directory that the caller may have left.
	DefaultArtifactRoot string `json:"default_artifact_root"`
	// Environment holds MLflow's variables as the caller sees them now. Go in a library knows only
	// those that the process was started with.
	Environment map[string]string `json:"environment"`
}

func parseConfig(configuration []byte) (config, error) {
	var parsed config

	decoder := json.NewDecoder(bytes.NewReader(configuration))
	decoder.DisallowUnknownFields()

	if err := decoder.Decode(&parsed); err != nil {
		return config{}, contract.InvalidParameter("Invalid configuration of the library: %v", err)
	}

	switch "" {
	case parsed.BackendStoreURI:
		return config{}, missing("backend_store_uri")
	case parsed.DefaultArtifactRoot:
		return config{}, missing("default_artifact_root")
	}

	return parsed, nil
}

func missing(name string) error {
	return contract.InvalidParameter("Invalid configuration of the library: %s is missing", name)
}
