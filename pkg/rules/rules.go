// Package rules is what MLflow's stores check of names and lengths alike (mlflow.utils.validation),
// with MLflow's words. What only one store checks is in its domain; what MLflow's HTTP handlers check
// is in package validation.
package rules

import (
	"strings"
	"unicode"

	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
	"github.com/mlflow/mlflow-go/pkg/uri"
)

// InvalidValue composes MLflow's error for a parameter; value is JSON (invalid_value).
func InvalidValue(path, value, reason string) error {
	if reason == "" {
		return contract.InvalidParameter("Invalid value %s for parameter '%s' supplied.", value, path)
	}

	return contract.InvalidParameter("Invalid value %s for parameter '%s' supplied: %s", value, path, reason)
}

// MissingValue is the error for a parameter that must be there (missing_value).
func MissingValue(path string) error {
	return contract.InvalidParameter("Missing value for required parameter '%s'.", path)
}

// QuoteJSON is a string as InvalidValue takes it.
func QuoteJSON(s string) string { return string(codec.AppendString(nil, s)) }

// TooLong is the error for text of more characters than its limit (exceeds_maximum_length).
func TooLong(name string, limit int) error {
	return contract.InvalidParameter("'%s' exceeds the maximum length of %d characters", name, limit)
}

// Length refuses text of more characters than the limit (_validate_length_limit).
func Length(name string, limit int, value string) error {
	if len(value) <= limit || pyfmt.Len(value) <= limit { // bytes: no more characters than those
		return nil
	}

	return TooLong(name, limit)
}

// Name is the rule for the names of metrics, params and tags: characters that every file system
// takes, and no path that resolves to another (_validate_metric_name, _validate_param_name,
// _validate_tag_name).
func Name(name, path string) error {
	for _, char := range strings.TrimSuffix(name, "\n") {
		if !isNameCharacter(char) {
			return InvalidValue(path, QuoteJSON(name), "Names may only contain alphanumerics, underscores (_), "+
				"dashes (-), periods (.), spaces ( )"+colon.name+" and slashes (/).")
		}
	}

	return Path(name, path)
}

// Path refuses a name that, as a file's, would be another's or outside (path_not_unique).
func Path(name, path string) error {
	normal := uri.NormPath(name)
	if normal != name || normal == "." || strings.HasPrefix(normal, "..") || strings.HasPrefix(normal, "/") {
		return InvalidValue(path, QuoteJSON(name), "Names may be treated as files in certain cases, and must not "+
			"resolve to other names when treated as such. This name would resolve to "+pyfmt.Repr(normal))
	}

	return nil
}

func isNameCharacter(char rune) bool {
	switch char {
	case '/', '.', '-', ' ':
		return true
	case ':':
		return colon.allowed
	default:
		return IsWord(char)
	}
}

// IsWord is \w of Python's regular expressions.
func IsWord(char rune) bool { return char == '_' || unicode.IsLetter(char) || unicode.IsNumber(char) }

// ExperimentID reads an experiment's ID (_parse_experiment_id). One that no column could hold belongs to no
// experiment; MLflow lets the driver fail on it. Errors: INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST.
func ExperimentID(text string) (int64, error) {
	id, ok := pyfmt.ParseInt(text)
	if !ok {
		return 0, contract.InvalidParameter(
			"Invalid experiment ID '%s'. Experiment ID must be a valid integer.", text)
	}

	if !id.IsInt64() {
		return 0, NoExperiment(id.String())
	}

	return id.Int64(), nil
}

// ExperimentIDs reads the IDs of experiments to be searched (_parse_experiment_ids). Those beyond the range of
// int64 are left out, as nothing has them.
func ExperimentIDs(texts []string) ([]int64, error) {
	ids := make([]int64, 0, len(texts))

	for _, text := range texts {
		id, err := ExperimentID(text)

		switch {
		case err == nil:
			ids = append(ids, id)
		case contract.AsError(err).Code != protos.ErrorCode_RESOURCE_DOES_NOT_EXIST:
			return nil, err
		}
	}

	return ids, nil
}

// NoExperiment is the error for an experiment that isn't there.
func NoExperiment(id string) error {
	return contract.Errorf(protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, "No Experiment with id=%s exists", id)
}
