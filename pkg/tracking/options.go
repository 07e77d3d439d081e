package tracking

import (
	"fmt"
	"math"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
)

// Options are what a store needs to know besides its database.
type Options struct {
	// ArtifactRoot is the location below which experiments without one of their own keep their
	// artifacts (--default-artifact-root). A relative path is made absolute at once.
	ArtifactRoot string
	// MaxArtifactLocationLength is MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH; 0 means MLflow's default.
	MaxArtifactLocationLength int
	// RefuseLongValues is MLFLOW_TRUNCATE_LONG_VALUES=false: a param's or tag's value that is too
	// long is an error and not cut.
	RefuseLongValues bool
}

// OptionsFromEnvironment reads the variables that change what MLflow's store takes. It refuses,
// with database.ErrInvalid, what MLflow would fail on later, and lengths that leave room for no
// location at all.
func OptionsFromEnvironment(getenv func(string) string) (Options, error) {
	var options Options

	switch text := getenv("MLFLOW_TRUNCATE_LONG_VALUES"); strings.ToLower(text) {
	case "", "true", "1":
	case "false", "0":
		options.RefuseLongValues = true
	default:
		return Options{}, fmt.Errorf("MLFLOW_TRUNCATE_LONG_VALUES %w: %q is none of true, false, 1, 0",
			database.ErrInvalid, text)
	}

	if text := getenv("MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH"); text != "" {
		length, ok := pyfmt.ParseInt(text)
		if !ok || length.Sign() <= 0 || !length.IsInt64() || length.Int64() > math.MaxInt32 {
			return Options{}, fmt.Errorf("MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH %w: %q is no length",
				database.ErrInvalid, text)
		}

		options.MaxArtifactLocationLength = int(length.Int64())
	}

	return options, nil
}
