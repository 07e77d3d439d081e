package tracking

import (
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
	"github.com/mlflow/mlflow-go/pkg/rules"
)

// Limits of mlflow.utils.validation, in code points or items.
const (
	maxMetricsPerBatch        = 1000
	maxParamsTagsPerBatch     = 100
	maxEntitiesPerBatch       = 1000
	maxKeyLength              = 250
	maxParamValueLength       = 6000
	maxTagValueLength         = 8000
	maxExperimentNameLength   = 500
	maxExperimentTagKeyLength = 250
	maxExperimentTagLength    = 20000
	maxRetentionLength        = 32
	// defaultMaxArtifactLocationLength is MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH's default.
	defaultMaxArtifactLocationLength = 2048
)

// Tags that configure trace archival (mlflow.tracing.constant.TraceExperimentTagKey).
const (
	archivalRetentionTag = "mlflow.trace.archivalRetention"
	archiveNowTag        = "mlflow.trace.archiveNow"
)

// maxRunIDLength is in characters.
const maxRunIDLength = 256

// Python's $ also matches before a last line feed.
var (
	// Its {0,255} of Python's is counted beside it: Go would copy the two classes so often, 20 ms at
	// each start.
	runIDPattern     = regexp.MustCompile(`^[a-zA-Z0-9][\pL\pN_\-]*\n?$`)
	retentionPattern = regexp.MustCompile(`^[1-9][0-9]*[mhd]$`)
)

// below appends a member to a JSON path (validation.append_to_json_path).
func below(path, member string) string {
	if path == "" {
		return member
	}

	return path + "." + member
}

// checkRunID is _validate_run_id.
func checkRunID(id string) error {
	length := utf8.RuneCountInString(strings.TrimSuffix(id, "\n"))
	if length > maxRunIDLength || !runIDPattern.MatchString(id) {
		return rules.InvalidValue("run_id", rules.QuoteJSON(id), "")
	}

	return nil
}

// checkMetric is _validate_metric; path is the metric's place in a batch, "" for a single one.
func checkMetric(m *protos.Metric, path string) error {
	key := m.GetKey()
	if err := rules.Name(key, below(path, "name")); err != nil {
		return err
	}

	if m.GetTimestamp() < 0 {
		return rules.InvalidValue(below(path, "timestamp"), strconv.FormatInt(m.GetTimestamp(), 10), fmt.Sprintf(
			"metric '%s' (value=%s). Timestamp must be a nonnegative long (64-bit integer) ",
			key, codec.AppendFloat(nil, m.GetValue())))
	}

	if pyfmt.Len(key) > maxKeyLength {
		return rules.TooLong("Metric name", maxKeyLength)
	}

	return nil
}

// checkMetricDataset is the rule of mlflow.entities.Metric: a dataset has a name and a digest.
func checkMetricDataset(name, digest string) error {
	if (name == "") != (digest == "") {
		return contract.InvalidParameter("Both dataset_name and dataset_digest must be provided if one is provided")
	}

	return nil
}

// param is a validated param.
type param struct{ key, value string }

// tag is a validated tag of a run.
type tag struct{ key, value string }

// checkParam is _validate_param: it gives the param that will be stored, whose value may be cut.
func (s *Store) checkParam(key, value, path string) (param, error) {
	if err := rules.Name(key, below(path, "key")); err != nil {
		return param{}, err
	}

	if pyfmt.Len(key) > maxKeyLength {
		return param{}, rules.TooLong("Param key", maxKeyLength)
	}

	value, err := s.fit("Param value", maxParamValueLength, value)

	return param{key: key, value: value}, err
}

// checkTag is _validate_tag: it gives the tag that will be stored, whose value may be cut.
func (s *Store) checkTag(key, value, path string) (tag, error) {
	if err := rules.Name(key, below(path, "key")); err != nil {
		return tag{}, err
	}

	if pyfmt.Len(key) > maxKeyLength {
		return tag{}, rules.TooLong(below(path, "key"), maxKeyLength)
	}

	value, err := s.fit(below(path, "value"), maxTagValueLength, value)

	return tag{key: key, value: value}, err
}

// fit cuts a value to its limit, or refuses it when the store is told to
// (_validate_length_limit with truncate).
func (s *Store) fit(name string, limit int, value string) (string, error) {
	if len(value) <= limit { // bytes: no more characters than those
		return value, nil
	}

	length := pyfmt.Len(value)
	if length <= limit {
		return value, nil
	}

	if s.options.RefuseLongValues {
		return "", rules.TooLong(name, limit)
	}

	slog.Warn("value truncated to its length limit", "name", name, "length", length, "limit", limit)

	return pyfmt.Prefix(value, limit), nil
}

// checkParamKeysUnique is _validate_param_keys_unique.
func checkParamKeysUnique(params []param) error {
	seen := make(map[string]bool, len(params))

	var twice []string

	for _, p := range params {
		if seen[p.key] {
			twice = append(twice, p.key)
		}

		seen[p.key] = true
	}

	if twice == nil {
		return nil
	}

	return contract.InvalidParameter("Duplicate parameter keys have been submitted: %s. Please ensure the request "+
		"contains only one param value per param key.", pyfmt.ReprList(twice))
}

// checkBatchLimits is _validate_batch_log_limits.
func checkBatchLimits(metrics, params, tags int) error {
	for _, group := range []struct {
		entities      string
		limit, length int
	}{
		{"metrics", maxMetricsPerBatch, metrics},
		{"params", maxParamsTagsPerBatch, params},
		{"tags", maxParamsTagsPerBatch, tags},
		{"metrics, params, and tags", maxEntitiesPerBatch, metrics + params + tags},
	} {
		if group.length > group.limit {
			return contract.InvalidParameter("A batch logging request can contain at most %[1]d %[2]s. Got %[3]d %[2]s. "+
				"Please split up %[2]s across multiple requests and try again.", group.limit, group.entities, group.length)
		}
	}

	return nil
}

// checkExperimentName is _validate_experiment_name.
func checkExperimentName(name string) error {
	if name == "" {
		return contract.InvalidParameter("Invalid experiment name: ''")
	}

	if pyfmt.Len(name) > maxExperimentNameLength {
		return rules.TooLong("name", maxExperimentNameLength)
	}

	return nil
}

// checkExperimentTag is _validate_experiment_tag.
func checkExperimentTag(key, value string) error {
	if err := rules.Name(key, "key"); err != nil {
		return err
	}

	if pyfmt.Len(key) > maxExperimentTagKeyLength {
		return rules.TooLong("key", maxExperimentTagKeyLength)
	}

	if pyfmt.Len(value) > maxExperimentTagLength {
		return rules.TooLong("value", maxExperimentTagLength)
	}

	switch key {
	case archivalRetentionTag:
		return checkArchivalConfig(value, "value", "duration")
	case archiveNowTag:
		return checkArchivalConfig(value, "older_than", "")
	default:
		return nil
	}
}

// checkArchivalConfig is _parse_trace_archival_duration_config: a JSON object with a duration in
// one member, which may be missing unless the object must be of a type.
func checkArchivalConfig(value, member, wantType string) error {
	object, ok := parseJSON(value).(*codec.Raw)
	if !ok {
		return contract.InvalidParameter("Trace archival config must be encoded as a JSON object.")
	}

	if found, _ := object.Get("type"); wantType != "" && found != wantType {
		return contract.InvalidParameter("Trace archival config must use type '%s'.", wantType)
	}

	duration, _ := object.Get(member)
	if duration == nil && wantType == "" {
		return nil
	}

	text, isText := duration.(string)
	text = strings.TrimSpace(text)

	switch {
	case isText && pyfmt.Len(text) > maxRetentionLength:
		return contract.InvalidParameter("Trace archival duration must be at most %d characters.", maxRetentionLength)
	case !isText || !retentionPattern.MatchString(text):
		return contract.InvalidParameter("Trace archival retention must be in the form `<int><unit>`, " +
			"where unit is one of 'm', 'h', or 'd'.")
	default:
		return nil
	}
}

// checkArtifactLocationLength is _validate_experiment_artifact_location_length.
func (s *Store) checkArtifactLocationLength(location string) error {
	if limit := s.options.MaxArtifactLocationLength; pyfmt.Len(location) > limit {
		return contract.InvalidParameter("Invalid artifact path length. The length of the artifact path cannot be "+
			"greater than %d characters. To configure this limit, please set the "+
			"MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH environment variable.", limit)
	}

	return nil
}

// checkStoredID refuses an ID, one that rules.ExperimentID takes, that no database takes for a number:
// where MLflow stores an experiment's ID with something else, it is as it was given. An empty one,
// which stands for the default experiment until then, is none either.
func checkStoredID(text string) error {
	if text != "" && strings.Trim(text, "+-0123456789 \t\n\v\f\r") == "" {
		return nil
	}

	return contract.Errorf(protos.ErrorCode_BAD_REQUEST, "To databases, experiment_id is no number: '%s'", text)
}
