package registry

import (
	"regexp"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
	"github.com/mlflow/mlflow-go/pkg/rules"
)

// Limits of mlflow.utils.validation, in code points.
const (
	maxTagKeyLength   = 250
	maxTagValueLength = 100_000
	maxAliasLength    = 255
)

const (
	promptTextTag = "mlflow.prompt.text"
	latestAlias   = "latest"
)

// checkModelName is _validate_model_name.
func checkModelName(name string) error {
	if isBlank(name) {
		return rules.MissingValue("name")
	}

	if strings.ContainsAny(name, "/:") {
		return contract.InvalidParameter("Invalid model name '%s'. Names cannot contain '/' or ':'.", name)
	}

	return rules.Path(name, "name")
}

func isBlank(text string) bool { return strings.TrimFunc(text, pyfmt.IsSpace) == "" }

// checkNewName is _validate_model_renaming.
func checkNewName(name string) error {
	if isBlank(name) {
		return rules.MissingValue("new_name")
	}

	return checkModelName(name)
}

// checkVersion checks the name and the version that name a model version (_validate_model_name,
// _validate_model_version).
func checkVersion(name, text string) (int64, error) {
	if err := checkModelName(name); err != nil {
		return 0, err
	}

	return parseVersion(name, text)
}

func parseVersion(name, text string) (int64, error) {
	version, ok := pyfmt.ParseInt(text)
	if !ok {
		return 0, contract.InvalidParameter("Parameter 'version' must be an integer, got '%s'.", text)
	}

	if !version.IsInt64() { // MLflow lets the driver fail on it
		return 0, contract.Errorf(protos.ErrorCode_RESOURCE_DOES_NOT_EXIST,
			"Model Version (name=%s, version=%s) not found", name, version)
	}

	return version.Int64(), nil
}

// checkModelTag is _validate_registered_model_tag.
func checkModelTag(key, value string) error {
	if err := rules.Name(key, "key"); err != nil {
		return err
	}

	if err := rules.Length("key", maxTagKeyLength, key); err != nil {
		return err
	}

	return rules.Length("value", maxTagValueLength, value)
}

// checkVersionTag is _validate_model_version_tag.
func checkVersionTag(key, value string) error {
	if err := rules.Name(key, "key"); err != nil {
		return err
	}

	if err := rules.Length("key", maxTagKeyLength, key); err != nil {
		return err
	}

	err := rules.Length("value", maxTagValueLength, value)
	if err != nil && key == promptTextTag {
		return contract.InvalidParameter("Prompt text exceeds max length of %d characters.", maxTagValueLength)
	}

	return err
}

// versionAlias is _REGISTERED_MODEL_ALIAS_VERSION_REGEX; Python's $ also matches before a last line
// feed.
var versionAlias = regexp.MustCompile(`^[vV]\p{Nd}+\n?$`)

// checkAlias is _validate_model_alias_name.
func checkAlias(alias string) error {
	if alias == "" {
		return contract.InvalidParameter("Registered model alias name cannot be empty.")
	}

	if strings.ContainsFunc(strings.TrimSuffix(alias, "\n"), func(char rune) bool {
		return char != '-' && !rules.IsWord(char)
	}) {
		return contract.InvalidParameter("Invalid alias name: '%s'. Names may only contain alphanumerics, underscores (_), "+
			"and dashes (-).", alias)
	}

	return rules.Length("Registered model alias name", maxAliasLength, alias)
}

// checkFreeAlias is _validate_model_alias_name_reserved.
func checkFreeAlias(alias string) error {
	if strings.ToLower(alias) == latestAlias {
		return contract.InvalidParameter("'latest' alias name (case insensitive) is reserved.")
	}

	if versionAlias.MatchString(alias) {
		return contract.InvalidParameter("Version alias name '%s' is reserved.", alias)
	}

	return nil
}
