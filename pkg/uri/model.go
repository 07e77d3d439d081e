package uri

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
)

// Model is what a models:/ URI refers to: a logged model by its ID, or the model registered under a
// name, of which Version, Stage and Alias say the version; none of them means the latest.
type Model struct {
	ID                    string
	Name                  string
	Version, Stage, Alias string
}

// ParseModel reads a models:/ URI (_parse_model_uri). Error: INTERNAL_ERROR, as MLflow has it.
func ParseModel(raw string) (Model, error) {
	rest, found := modelPath(raw)
	if !found {
		return Model{}, errImproperModel(raw)
	}

	name, suffix, qualified := strings.Cut(rest, "/")

	switch {
	case isBlank(name), strings.Contains(suffix, "/"), qualified && isBlank(suffix):
		return Model{}, errImproperModel(raw)
	case qualified && isDigits(suffix):
		return Model{Name: name, Version: suffix}, nil
	case qualified && strings.EqualFold(suffix, "latest"):
		return Model{Name: name}, nil
	case qualified:
		return Model{Name: name, Stage: suffix}, nil
	case strings.Contains(name, "@"):
		at := strings.LastIndexByte(name, '@')
		if isBlank(name[at+1:]) {
			return Model{}, errImproperModel(raw)
		}

		return Model{Name: name[:at], Alias: name[at+1:]}, nil
	default:
		return Model{ID: name}, nil
	}
}

// modelPath is the path of a models:/ URI without the slashes that it begins with. A fragment is
// part of it.
func modelPath(raw string) (rest string, found bool) {
	parts, err := Parse(strings.ReplaceAll(raw, "#", "%23"))
	if err != nil || parts.Scheme != "models" {
		return "", false
	}

	path := parts.Path
	if strings.Contains(raw, "#") {
		path = strings.ReplaceAll(path, "%23", "#")
	}

	if !strings.HasPrefix(path, "/") || len(path) == 1 {
		return "", false
	}

	return strings.TrimLeft(path, "/"), true
}

func isBlank(text string) bool { return strings.TrimFunc(text, pyfmt.IsSpace) == "" }

func isDigits(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(char rune) bool { return !unicode.IsDigit(char) })
}

func errImproperModel(raw string) error {
	return contract.Errorf(protos.ErrorCode_INTERNAL_ERROR, "%s", fmt.Sprintf("Not a proper models:/ URI: %s. "+
		"Models URIs must be of the form 'models:/name/suffix' or 'models:/name@alias' where suffix is a version, stage, "+
		"or the string 'latest' and where alias is a registered model alias. Only one of suffix or alias can be defined "+
		"at a time.", raw))
}
