package handlers

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/uri"
)

// Locations is the policy for artifact locations that clients choose (mlflow.store.artifact
// .host_policy). Some schemes make the server connect to the host that the location names; only
// hosts that the server was configured with are connected to.
type Locations struct {
	// Trusted are the server's own locations: --default-artifact-root and
	// --artifacts-destination.
	Trusted []string
	// AllowedSchemes may name any host (MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES).
	AllowedSchemes []string
	// MaxLength is MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH; 0 means MLflow's default.
	MaxLength int
}

const defaultMaxLocationLength = 2048

// SplitSchemes reads a list of schemes as MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES has it,
// with commas.
func SplitSchemes(list string) []string {
	schemes := strings.Split(list, ",")
	for i, scheme := range schemes {
		schemes[i] = strings.TrimSpace(scheme)
	}

	return schemes
}

// artifactsScheme is of artifacts that a tracking server hands out.
const artifactsScheme = "mlflow-artifacts"

// hostSchemes address a host. Schemes of one family reach the same service; without a port, a
// location means any of the well-known ones, and Hadoop's is known to its own configuration only.
var hostSchemes = map[string]struct {
	family string
	ports  []string
}{
	"ftp":           {"ftp", []string{"21"}},
	"sftp":          {"sftp", []string{"22"}},
	"hdfs":          {hadoop, []string{""}},
	"viewfs":        {hadoop, []string{""}},
	"http":          {web, []string{"80"}},
	"https":         {web, []string{"443"}},
	artifactsScheme: {web, []string{"80", "443"}},
	"r2":            {"r2", []string{"443"}},
	"b2":            {"b2", []string{"443"}},
	"abfss":         {"abfss", []string{"443"}},
}

// target is a host that a location makes the server connect to.
type target struct{ family, host, port string }

// Families of schemes that reach the same service, and one of no service at all.
const (
	hadoop    = "hadoop"
	web       = "web"
	malformed = "malformed"
)

// Check refuses a location for the named field of a request
// (handlers._validate_storage_location_uri). Error: INVALID_PARAMETER_VALUE.
func (l Locations) Check(location, field string) error {
	parts, err := uri.Parse(location)
	if err != nil {
		return fmt.Errorf("reading %s: %w", field, err)
	}

	if parts.Fragment != "" || parts.Params != "" {
		return contract.InvalidParameter("'%s' URL can't include fragments or params.", field)
	}

	if err := uri.CheckQuery(parts.Query); err != nil {
		return err
	}

	if err := l.checkScheme(location, field); err != nil {
		return err
	}

	if strings.HasPrefix(location, "runs:") {
		return contract.InvalidParameter("Artifact location cannot be a runs:/ URI. Given: '%s'", location)
	}

	limit := l.MaxLength
	if limit == 0 {
		limit = defaultMaxLocationLength
	}

	if utf8.RuneCountInString(location) > limit {
		return contract.InvalidParameter("Invalid artifact path length. The length of the artifact path cannot be "+
			"greater than %d characters. To configure this limit, please set the "+
			"MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH environment variable.", limit)
	}

	return nil
}

// checkScheme refuses a location that the server mustn't connect to
// (handlers._validate_artifact_uri_scheme).
func (l Locations) checkScheme(location, field string) error {
	scheme, err := l.rejectedScheme(location)
	if err != nil || scheme == "" {
		return err
	}

	return contract.InvalidParameter("'%s' cannot use the '%s' scheme: the '%s' scheme addresses a host other than "+
		"the tracking server's configured artifact storage, so the server would connect to the host named in the URI. "+
		"Set the MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES environment variable on the server to allow it.",
		field, scheme, scheme)
}

// rejectedScheme is the scheme of a location that the server mustn't connect to; "" if it may.
func (l Locations) rejectedScheme(location string) (string, error) {
	wanted, scheme, err := targets(location)
	if err != nil || len(wanted) == 0 {
		return "", err
	}

	if slices.ContainsFunc(l.AllowedSchemes, func(allowed string) bool { return strings.ToLower(allowed) == scheme }) {
		return "", nil
	}

	for _, own := range l.Trusted {
		trusted, _, err := targets(own)
		if err != nil {
			return "", fmt.Errorf("reading the server's artifact location: %w", err)
		}

		for t := range maps.Keys(trusted) {
			if wanted[t] {
				return "", nil
			}
		}
	}

	return scheme, nil
}

// targets are the hosts that a location may make the server connect to, and its scheme; none when
// it selects no host. There are several only when its port can't be known
// (host_policy.host_addressed_uri_targets).
func targets(location string) (map[target]bool, string, error) {
	parts, err := uri.Parse(location)
	if err != nil {
		return nil, "", fmt.Errorf("reading artifact location: %w", err)
	}

	known, addressesHost := hostSchemes[parts.Scheme]
	if !addressesHost || parts.Scheme == artifactsScheme && parts.Netloc == "" {
		return nil, parts.Scheme, nil
	}

	// HTTP clients end the authority at a backslash, so the host would be another one.
	if strings.Contains(parts.Netloc, `\`) || strings.ContainsFunc(parts.Netloc, unicode.IsSpace) {
		return map[target]bool{{malformed, parts.Netloc, ""}: true}, parts.Scheme, nil
	}

	ports := known.ports

	if port := parts.Port(); port != "" {
		if number, err := strconv.ParseUint(port, 10, 16); err == nil {
			ports = []string{strconv.FormatUint(number, 10)}
		} else {
			return map[target]bool{{malformed, parts.Netloc, ""}: true}, parts.Scheme, nil
		}
	}

	found := make(map[target]bool, len(ports))
	for _, port := range ports {
		found[target{known.family, parts.Hostname(), port}] = true
	}

	return found, parts.Scheme, nil
}
