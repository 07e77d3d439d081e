package validation

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/codec"
)

// missingValue mirrors mlflow.utils.validation.missing_value.
func missingValue(path string) string {
	return fmt.Sprintf("Missing value for required parameter '%s'.", path)
}

// invalidValue mirrors mlflow.utils.validation.invalid_value with the hint that the handlers add,
// whose leading space doubles the one before it.
func invalidValue(path string, value any) string {
	return fmt.Sprintf("Invalid value %s for parameter '%s' supplied:  Hint: Value was of type '%s'.",
		codec.AppendCompact(nil, value), path, typeName(value))
}

// typeName is the name of the Python type that json.loads makes of a value.
func typeName(value any) string {
	switch v := value.(type) {
	case nil:
		return "NoneType"
	case bool:
		return boolTag // Python's name is the tag's
	case string:
		return "str"
	case []any:
		return "list"
	case json.Number:
		if strings.ContainsAny(string(v), ".eEIN") { // Infinity and NaN are floats
			return "float"
		}

		return "int"
	default:
		return "dict"
	}
}

// plain turns the objects in a raw value into maps, which validator sees as values and not as
// structs to walk.
func plain(value any) any {
	switch v := value.(type) {
	case []any:
		items := make([]any, len(v))
		for i, item := range v {
			items[i] = plain(item)
		}

		return items
	case *codec.Raw:
		members := make(map[string]any, v.Len())
		for name, member := range v.All() {
			members[name] = plain(member)
		}

		return members
	default:
		return value
	}
}
