package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Variable is the environment variable that holds the configuration. Take removes it, so that no
// child inherits it.
const Variable = "_MLFLOW_GO_SERVER_CONFIG"

var errMissing = errors.New("this program is started by the mlflow-go command, which passes its " +
	"configuration in " + Variable + "; run `mlflow-go server --help`")

// Config is the whole configuration of one server.
type Config struct {
	// Version is mlflow-go's, MLflowVersion that of the MLflow installed beside it.
	Version       string `json:"version"`
	MLflowVersion string `json:"mlflow_version"`
	// StaticDir is the directory of the UI's built files (mlflow/server/js/build).
	StaticDir string `json:"mlflow_static_dir"`

	Host         string `json:"host"`
	Port         int    `json:"port"`
	StaticPrefix string `json:"static_prefix"`
	Workers      int    `json:"workers"`

	BackendStoreURI     string `json:"backend_store_uri"`
	ReadReplicaURI      string `json:"read_replica_backend_store_uri"`
	RegistryStoreURI    string `json:"registry_store_uri"`
	DefaultArtifactRoot string `json:"default_artifact_root"`
	ServeArtifacts      bool   `json:"serve_artifacts"`
	ArtifactsOnly       bool   `json:"artifacts_only"`
	ArtifactsDest       string `json:"artifacts_destination"`

	AppName          string `json:"app_name"`
	EnableWorkspaces bool   `json:"enable_workspaces"`
	Dev              bool   `json:"dev"`
	ExposePrometheus string `json:"expose_prometheus"`
	TraceArchival    string `json:"trace_archival_config"`

	Security   Security `json:"security"`
	TLS        TLS      `json:"tls"`
	Go         Options  `json:"go"`
	Fallback   Command  `json:"fallback"`
	Initialize Command  `json:"initialize"`
}

// Security holds the options of MLflow's security middleware; a nil or empty value means MLflow's
// default.
type Security struct {
	Disabled           bool     `json:"disabled"`
	AllowedHosts       []string `json:"allowed_hosts"`
	CORSAllowedOrigins []string `json:"cors_allowed_origins"`
	XFrameOptions      *string  `json:"x_frame_options"`
}

// TLS holds what --uvicorn-opts or --gunicorn-opts said about certificates: file names, the key's
// password, and CertReqs as a number of Python's ssl module (0 none, 1 optional, 2 required).
type TLS struct {
	CertFile string `json:"certfile"`
	KeyFile  string `json:"keyfile"`
	Password string `json:"keyfile_password"`
	CACerts  string `json:"ca_certs"`
	CertReqs int    `json:"cert_reqs"`
}

// Command is a child process: its arguments, and what is added to our environment for it.
type Command struct {
	Arguments   []string          `json:"command"`
	Environment map[string]string `json:"environment"`
}

// Take reads the configuration from the environment and removes it from there.
func Take() (*Config, error) {
	text, present := os.LookupEnv(Variable)
	if !present {
		return nil, errMissing
	}

	if err := os.Unsetenv(Variable); err != nil {
		return nil, fmt.Errorf("removing the configuration from the environment: %w", err)
	}

	return Parse([]byte(text))
}

// Parse reads a configuration. Its errors never quote it: it has passwords.
func Parse(text []byte) (*Config, error) {
	config := &Config{Go: DefaultOptions()}

	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()

	if err := decoder.Decode(config); err != nil {
		return nil, fmt.Errorf("the launcher's configuration: %w", err)
	}

	config.StaticPrefix = strings.TrimRight(config.StaticPrefix, "/")

	return config, nil
}

// PublicURL is where clients on this machine reach the server; the fallback's jobs call back here.
func (c *Config) PublicURL() string {
	scheme := "http"
	if c.TLS.CertFile != "" {
		scheme = "https"
	}

	host := c.Host
	switch {
	case slices.Contains([]string{"", "0.0.0.0"}, host):
		host = "127.0.0.1"
	case host == "::" || host == "[::]":
		host = "[::1]"
	case strings.Contains(host, ":") && !strings.HasPrefix(host, "["):
		host = "[" + host + "]"
	}

	return fmt.Sprintf("%s://%s:%d", scheme, host, c.Port)
}
