package search

import (
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
	"github.com/mlflow/mlflow-go/pkg/search/internal/python"
)

// Attributes of runs that have other names as well.
const (
	startTime = "start_time"
	runName   = "run_name"
)

// Attributes of registered models and their versions.
const (
	creationTime  = "creation_timestamp"
	lastUpdated   = "last_updated_timestamp"
	versionNumber = "version_number"
	timestamp     = "timestamp"
)

var (
	numericComparators = []Comparator{Greater, GreaterOrEqual, NotEqual, Equal, Less, LessOrEqual}
	textComparators    = []Comparator{NotEqual, Equal, Like, ILike}
	listComparators    = []Comparator{NotEqual, Equal, Like, ILike, In, NotIn}
	nullComparators    = []Comparator{NotEqual, Equal, Like, ILike, IsNull, IsNotNull}
)

// The first sentences below lack a closing quote, as MLflow's do.
var (
	numericAttribute = &operand{
		form:            numeral,
		wrongValue:      "Expected numeric value type for numeric attribute: {key}. Found {value}",
		comparators:     numericComparators,
		wrongComparator: "Invalid comparator '{comparator}' not one of '" + setOf(listComparators...),
	}
	metricOperand = &operand{
		form:            numeral,
		wrongValue:      "Expected numeric value type for metric. Found {value}",
		comparators:     numericComparators,
		wrongComparator: "Invalid comparator '{comparator}' not one of '" + setOf(numericComparators...),
	}
	tagOperand = &operand{
		wrongValue:      "Expected a quoted string value for tag (e.g. 'my-value'). Got value {value}",
		comparators:     nullComparators,
		wrongComparator: "Invalid comparator '{comparator}' not one of '" + setOf(nullComparators...),
	}
	datasetOperand = &operand{
		wrongValue:      "Expected a quoted string value for dataset attributes. Got value {value}",
		lists:           true,
		comparators:     listComparators,
		wrongComparator: "Invalid comparator '{comparator}' not one of '" + setOf(listComparators...),
	}
	paramOperand = &operand{
		wrongValue:      "Expected a quoted string value for parameter (e.g. 'my-value'). Got value {value}",
		comparators:     nullComparators,
		wrongComparator: "Invalid comparator '{comparator}' not one of '" + setOf(nullComparators...) + "'",
	}
)

// textAttribute is an attribute that holds a string; listed are the attributes of the entity
// that take lists.
func textAttribute(lists bool, listed ...string) *operand {
	return &operand{
		wrongValue: "Expected a quoted string value for attributes. Got value {value}",
		lists:      lists,
		wrongList: "Only " + pyfmt.ReprList(listed) +
			" attributes support comparison with a list of quoted string values.",
		comparators:     listComparators,
		wrongComparator: "Invalid comparator '{comparator}' not one of '" + setOf(listComparators...) + "'",
	}
}

func unknownAttribute(keys ...string) string {
	return "Invalid attribute key '{key}' specified. Valid keys are '" + python.ReprSet(keys) + "'"
}

// Runs is the grammar of SearchRuns (mlflow.utils.search_utils.SearchUtils).
//
//nolint:goconst // a table: each line says all
var Runs = Grammar{
	identifiers: []identifier{
		{kind: Metric, spellings: []string{"metric", "metrics"}, operand: metricOperand},
		{
			kind: Param, spellings: []string{"parameter", "parameters", "param", "params"},
			operand: paramOperand, nullable: true,
		},
		{kind: Tag, spellings: []string{"tag", "tags"}, operand: tagOperand, nullable: true},
		{
			kind: Attribute, spellings: []string{"attribute", "attributes", "attr", "run"},
			keys: merged(
				keyed(numericAttribute, startTime, "end_time", "created", "Created"),
				keyed(textAttribute(false, "run_id"), "artifact_uri", runName, "status", "user_id",
					"run name", "Run name", "Run Name"),
				keyed(textAttribute(true), "run_id"),
			),
			unknownKey: unknownAttribute("artifact_uri", "end_time", "run_id", runName, startTime,
				"status", "user_id", "created", "Created", "run name", "Run name", "Run Name"),
		},
		{
			kind: Dataset, spellings: []string{"dataset", "datasets"},
			keys: keyed(datasetOperand, "name", "digest", "context"),
			unknownKey: "Invalid dataset key '{key}' specified. Valid keys are '" +
				python.ReprSet([]string{"name", "digest", "context"}) + "'",
		},
	},
	unknownKind: "Invalid entity type '{kind}'. Valid values are " +
		"['metric', 'parameter', 'tag', 'attribute', 'dataset']",
	quotedKinds: true,
	aliases: map[string]string{
		"created": startTime, "Created": startTime,
		"run name": runName, "Run name": runName, "Run Name": runName,
	},
	anyCase:       true,
	quotedClauses: true,
	notNullable:   "IS NULL / IS NOT NULL is only supported for tags and params, not for '{kind}' '{key}'",
	order: orderRules{
		attributes: []string{
			"artifact_uri", "end_time", "run_id", runName, startTime, "status", "user_id",
			"created", "Created",
		},
		kinds:       []Kind{Attribute, Metric, Tag, Param},
		unknownKind: "Invalid identifier type '{kind}'",
		unique:      true,
		first:       true,
	},
}

// Experiments is the grammar of SearchExperiments (SearchExperimentsUtils, and the checks that
// SqlAlchemyStore makes of what it parsed).
var Experiments = Grammar{
	identifiers: []identifier{
		{
			kind: Attribute, spellings: []string{"attribute"},
			keys: merged(
				keyed(&operand{
					form: numeral, wrongValue: numericAttribute.wrongValue,
					comparators: numericComparators, wrongComparator: numericAttribute.wrongComparator,
					wholeNumbers: "Invalid value for numeric attribute '{key}': {value}",
				}, "creation_time", "last_update_time"),
				keyed(textAttribute(false, "experiment_id"), "name"),
				keyed(&operand{
					wrongValue: textAttribute(true).wrongValue, lists: true,
					comparators:     []Comparator{Equal, NotEqual, In, NotIn},
					wrongComparator: "Invalid comparator for experiment_id: {comparator}",
					wholeNumbers:    "Invalid experiment ID '{value}'. Experiment ID must be a valid integer.",
				}, "experiment_id"),
			),
			unknownKey: unknownAttribute("name", "experiment_id", "creation_time", "last_update_time"),
		},
		{
			kind: Tag, spellings: []string{"tag", "tags"}, nullable: true,
			operand: &operand{
				wrongValue:      tagOperand.wrongValue,
				comparators:     textComparators,
				wrongComparator: "Invalid comparator for tag: {comparator}",
			},
		},
	},
	unknownKind: "Invalid entity type '{kind}'. Valid entity types are ('attribute', 'tag', 'tags')",
	notNullable: "IS NULL / IS NOT NULL is only supported for tags, not for attribute '{key}'",
	order: orderRules{
		attributes:  []string{"name", "experiment_id", "creation_time", "last_update_time"},
		kinds:       []Kind{Attribute},
		unknownKind: "Invalid order_by entity: {kind}",
	},
}

// registryValue refuses what isn't a text or a list of texts.
const registryValue = "Expected a quoted string value or a list of quoted string values for attributes. " +
	"Got value {value}"

const unknownRegistryKind = "Invalid entity type '{kind}'. Valid entity types are ('attribute', 'tag', 'tags')"

// registryTag is the identifier of tags of registered models and their versions.
var registryTag = identifier{
	kind: Tag, spellings: []string{"tag", "tags"},
	operand: &operand{
		wrongValue:      tagOperand.wrongValue,
		comparators:     textComparators,
		wrongComparator: "Invalid comparator for tag: {comparator}",
	},
}

// registryText is an attribute that holds a string; listed are the attributes of the entity that
// take lists.
func registryText(lists bool, wrongNumber string, listed ...string) *operand {
	return &operand{
		wrongValue: registryValue,
		lists:      lists,
		wrongList: "Only " + pyfmt.ReprList(listed) +
			" attributes support comparison with a list of quoted string values.",
		wrongNumber:     wrongNumber,
		comparators:     listComparators,
		wrongComparator: "Invalid comparator for attribute: {comparator}",
	}
}

// RegisteredModels is the grammar of SearchRegisteredModels (SearchModelUtils, and the checks that
// the registry's SqlAlchemyStore makes of what it parsed).
var RegisteredModels = Grammar{
	identifiers: []identifier{
		{
			kind: Attribute, spellings: []string{"attribute"},
			keys:       keyed(registryText(true, ""), "name"),
			unknownKey: unknownAttribute("name"),
		},
		registryTag,
	},
	unknownKind: unknownRegistryKind,
	anyCase:     true,
	literalKeys: true,
	judgedLast:  true,
	order: orderRules{
		attributes: []string{"name", timestamp, lastUpdated},
		kinds:      []Kind{Attribute},
		bare:       true,
		aliases:    map[string]string{timestamp: lastUpdated},
		unknownKey: "Invalid order by key '{key}' specified. Valid keys are '" +
			python.ReprSet([]string{"name", timestamp}) + "'",
		unique: true,
	},
}

// onlyNumeric refuses to compare other attributes of model versions with numbers.
var onlyNumeric = "Only the '" +
	python.ReprSet([]string{versionNumber, creationTime, lastUpdated}) +
	"' attributes support comparison with numeric values."

// ModelVersions is the grammar of SearchModelVersions (SearchModelVersionUtils, and the checks that
// the registry's SqlAlchemyStore makes of what it parsed).
var ModelVersions = Grammar{
	identifiers: []identifier{
		{
			kind: Attribute, spellings: []string{"attribute"},
			keys: merged(
				keyed(registryText(true, onlyNumeric), "name", "run_id"),
				keyed(registryText(false, onlyNumeric, "name", "run_id"), "source_path"),
				keyed(&operand{
					form: either, wrongValue: registryValue,
					wrongList:       registryText(false, "", "name", "run_id").wrongList,
					comparators:     numericComparators,
					wrongComparator: "Invalid comparator for attribute {key}: {comparator}",
					wholeOnly:       "Invalid value for numeric attribute '{key}': {value}",
				}, versionNumber),
			),
			unknownKey: unknownAttribute("name", versionNumber, "run_id", "source_path"),
		},
		registryTag,
	},
	unknownKind: unknownRegistryKind,
	anyCase:     true,
	literalKeys: true,
	order: orderRules{
		attributes: []string{"name", versionNumber, creationTime, lastUpdated},
		kinds:      []Kind{Attribute},
		unknownKind: "Invalid order by key '{key}' specified. Valid keys are " +
			python.ReprSet([]string{"name", versionNumber, creationTime, lastUpdated}),
		anyKind: true,
		unique:  true,
	},
}
