package codec

import (
	"encoding/json"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/pyfmt"
)

// pythonType names a value's type as Python's type(value).__name__ does.
func pythonType(value any) string {
	switch value := value.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case json.Number:
		if isFloat(value) {
			return "float"
		}

		return "int"
	case string:
		return "str"
	case []any:
		return "list"
	default:
		return "dict"
	}
}

// Str is Python's str(value) of a value that Raw may hold.
func Str(value any) string { return str(value) }

// str is Python's str(value), as error messages show values.
func str(value any) string {
	if text, ok := value.(string); ok {
		return text
	}

	return repr(value)
}

// repr is Python's repr(value).
func repr(value any) string {
	switch value := value.(type) {
	case nil:
		return "None"
	case bool:
		if value {
			return "True"
		}

		return "False"
	case json.Number:
		if !isFloat(value) {
			return intDigits(value)
		}

		number, _ := numberFloat(value)

		return string(AppendFloat(nil, number))
	case string:
		return pyfmt.Repr(value)
	case []any:
		items := make([]string, len(value))
		for i, item := range value {
			items[i] = repr(item)
		}

		return "[" + strings.Join(items, ", ") + "]"
	case *Raw:
		items := make([]string, 0, value.Len())
		for name, item := range value.All() {
			items = append(items, repr(name)+": "+repr(item))
		}

		return "{" + strings.Join(items, ", ") + "}"
	default:
		return ""
	}
}
