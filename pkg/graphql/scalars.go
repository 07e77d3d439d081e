package graphql

import (
	"encoding/json"
	"math"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/mlflow/mlflow-go/pkg/codec"
)

// scalar is what graphql-core and MLflow make of a type's values on their way in; "" says that nothing
// is wrong.
type scalar struct {
	// judge looks at a literal.
	judge func(value *ast.Value) string
	// coerce reads a variable's value.
	coerce func(value any) (coerced any, wrong string)
}

// scalars are those of MLflow's schema. A LongString of other than whole numbers is null in a literal;
// no native method takes one.
var scalars = map[string]scalar{
	"String": {
		judge: func(value *ast.Value) string {
			if value.Kind == ast.StringValue || value.Kind == ast.BlockValue {
				return ""
			}

			return "String cannot represent a non string value: " + printLiteral(value)
		},
		coerce: func(value any) (any, string) {
			if text, ok := value.(string); ok {
				return text, ""
			}

			return nil, "String cannot represent a non string value: " + inspect(value)
		},
	},
	"Int": {judge: judgeInt, coerce: coerceInt},
	"Float": {
		judge: func(value *ast.Value) string {
			if value.Kind == ast.FloatValue || value.Kind == ast.IntValue {
				return ""
			}

			return "Float cannot represent non numeric value: " + printLiteral(value)
		},
		coerce: func(value any) (any, string) {
			number, isNumber := value.(json.Number)
			if float, err := strconv.ParseFloat(number.String(), 64); isNumber && err == nil && !math.IsInf(float, 0) {
				return float, ""
			}

			return nil, "Float cannot represent non numeric value: " + inspect(value)
		},
	},
	"Boolean": {
		judge: func(value *ast.Value) string {
			if value.Kind == ast.BooleanValue {
				return ""
			}

			return "Boolean cannot represent a non boolean value: " + printLiteral(value)
		},
		coerce: func(value any) (any, string) {
			if boolean, ok := value.(bool); ok {
				return boolean, ""
			}

			return nil, "Boolean cannot represent a non boolean value: " + inspect(value)
		},
	},
	"LongString": {
		judge:  func(*ast.Value) string { return "" },
		coerce: func(value any) (any, string) { return value, "" },
	},
}

const (
	notInteger = "Int cannot represent non-integer value: "
	not32Bits  = "Int cannot represent non 32-bit signed integer value: "
)

func judgeInt(value *ast.Value) string {
	if value.Kind != ast.IntValue {
		return notInteger + printLiteral(value)
	}

	if _, err := strconv.ParseInt(value.Raw, 10, 32); err != nil {
		return not32Bits + printLiteral(value)
	}

	return ""
}

// coerceInt takes floats that are whole, as graphql-core does.
func coerceInt(value any) (coerced any, wrong string) {
	number, isNumber := value.(json.Number)

	float, err := strconv.ParseFloat(number.String(), 64)
	if !isNumber || err != nil && !math.IsInf(float, 0) || float != math.Trunc(float) || math.IsNaN(float) {
		return nil, notInteger + inspect(value)
	}

	if math.IsInf(float, 0) && isSpelledInfinite(number) {
		return nil, notInteger + inspect(value)
	}

	if float < math.MinInt32 || float > math.MaxInt32 {
		return nil, not32Bits + inspect(value)
	}

	return json.Number(strconv.FormatInt(int64(float), 10)), ""
}

// isSpelledInfinite tells a float that is too large, or Infinity, from a whole number of many digits.
func isSpelledInfinite(number json.Number) bool {
	for _, c := range number.String() {
		if (c < '0' || c > '9') && c != '-' {
			return true
		}
	}

	return false
}

// serialize is a scalar on its way out, by the name of its type.
func serialize(typeName string, value any) (serialized any, wrong string) {
	switch value := value.(type) {
	case float64:
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return nil, "Float cannot represent non numeric value: " + string(codec.AppendFloat(nil, value))
		}

		return value, ""
	case int64:
		if typeName == "LongString" {
			return strconv.FormatInt(value, 10), ""
		}

		return json.Number(strconv.FormatInt(value, 10)), ""
	default:
		return value, ""
	}
}
