package validation

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-playground/validator/v10"

	"github.com/mlflow/mlflow-go/pkg/pyfmt"
)

// A checkFunc judges one value. Values of raw requests are nil, bool, json.Number, string, []any
// and map[string]any; values of messages are what the pointers in their fields point to.
type checkFunc func(value reflect.Value, argument string) bool

// checks are the custom validators by their tag; each mirrors an _assert_… of
// mlflow/server/handlers.py. A nil never gets here: go-playground/validator fails it for every
// one of these tags.
var checks = map[string]checkFunc{
	presentTag:      isPresent,
	"string":        isString,
	"intlike":       isIntlike,
	"floatlike":     isFloatlike,
	boolTag:         isBool,
	"array":         isArray,
	"strings":       holdsStrings,
	"at_most":       isAtMost,
	betweenTag:      isBetween,
	runsAtMostTag:   areAtMost,
	elementsHaveTag: elementsHave,
}

// Tags of checks with sentences of their own.
const (
	betweenTag    = "between"
	runsAtMostTag = "runs_at_most"
)

const boolTag = "bool"

// elementsHaveTag marks the check whose message names the element at fault instead of the parameter.
const elementsHaveTag = "elements_have"

// typeTags are skipped when the request could be parsed (_TYPE_VALIDATORS).
var typeTags = map[string]bool{
	"string": true, "intlike": true, "floatlike": true, boolTag: true, "array": true, "strings": true,
}

// newValidator makes a validator that knows the custom checks.
func newValidator() *validator.Validate {
	validate := validator.New()
	for tag, check := range checks {
		err := validate.RegisterValidation(tag, func(field validator.FieldLevel) bool {
			return check(field.Field(), field.Param())
		})
		if err != nil {
			panic(err) // the tag is empty or reserved, whatever the request
		}
	}

	return validate
}

// isPresent mirrors _assert_required: absent strings arrive empty, absent lists of a message nil.
func isPresent(value reflect.Value, _ string) bool {
	switch value.Kind() { //nolint:exhaustive // everything else can't be absent
	case reflect.String:
		return value.Len() > 0
	case reflect.Slice:
		return !value.IsNil()
	default:
		return true
	}
}

// isString mirrors _assert_string.
func isString(value reflect.Value, _ string) bool {
	_, ok := reflect.TypeAssert[string](value)

	return ok
}

// isBool mirrors _assert_bool.
func isBool(value reflect.Value, _ string) bool { return value.Kind() == reflect.Bool }

// isIntlike mirrors _assert_intlike: int(x) works.
func isIntlike(value reflect.Value, _ string) bool {
	_, ok := toInt(value)

	return ok
}

// toInt is Python's int(x) of a JSON value or a message's number, a float cut off at its point.
func toInt(value reflect.Value) (*big.Int, bool) {
	switch v := value.Interface().(type) {
	case bool:
		if v {
			return big.NewInt(1), true
		}

		return new(big.Int), true
	case string:
		return pyfmt.ParseInt(v)
	case json.Number:
		if i, ok := new(big.Int).SetString(string(v), 10); ok {
			return i, true
		}
		f, _ := strconv.ParseFloat(string(v), 64) // out of range is infinite, in Python too
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, false
		}
		i, _ := big.NewFloat(f).Int(nil)

		return i, true
	default:
		if value.CanInt() {
			return big.NewInt(value.Int()), true
		}

		return nil, false
	}
}

// isFloatlike mirrors _assert_floatlike: float(x) works.
func isFloatlike(value reflect.Value, _ string) bool {
	switch v := value.Interface().(type) {
	case bool, json.Number:
		return true
	case string:
		return isPythonFloat(v)
	default:
		return false
	}
}

// isPythonFloat tells whether float(s) of a str works: decimal digits with single underscores
// between them, white space around, or a name of infinity or NaN; no hexadecimal, unlike Go.
func isPythonFloat(s string) bool {
	s = strings.TrimSpace(s)
	if strings.ContainsAny(s, "xXpP") {
		return false
	}
	for i, char := range s {
		if char == '_' && (i == 0 || i == len(s)-1 || !isDigit(s[i-1]) || !isDigit(s[i+1])) {
			return false
		}
	}
	_, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)

	return err == nil || errors.Is(err, strconv.ErrRange) // too large is infinite
}

func isDigit(char byte) bool { return '0' <= char && char <= '9' }

// isArray mirrors _assert_array.
func isArray(value reflect.Value, _ string) bool {
	_, ok := reflect.TypeAssert[[]any](value)

	return ok
}

// holdsStrings mirrors _assert_item_type_string: every item is a string. Python goes over the
// characters of a string and the keys of an object, which are strings all.
func holdsStrings(value reflect.Value, _ string) bool {
	switch v := value.Interface().(type) {
	case string, map[string]any:
		return true
	case []any:
		for _, item := range v {
			if _, ok := item.(string); !ok {
				return false
			}
		}

		return true
	default:
		return false
	}
}

// isAtMost mirrors _assert_less_than_or_equal(int(x), argument).
func isAtMost(value reflect.Value, argument string) bool {
	number, ok := toInt(value)
	limit, valid := new(big.Int).SetString(argument, 10)

	return ok && valid && number.Cmp(limit) <= 0
}

// isBetween mirrors _assert_intlike_within_range(int(x), …); the bounds are separated by a space.
func isBetween(value reflect.Value, argument string) bool {
	least, most, _ := strings.Cut(argument, " ")
	number, ok := toInt(value)
	lower, valid := new(big.Int).SetString(least, 10)

	return ok && valid && number.Cmp(lower) >= 0 && isAtMost(value, most)
}

// areAtMost mirrors _assert_less_than_or_equal(len(x), argument).
func areAtMost(value reflect.Value, argument string) bool {
	limit, err := strconv.Atoi(argument)

	return err == nil && (value.Kind() != reflect.Slice || value.Len() <= limit)
}

// elementsHave mirrors log-batch's _assert_…_fields_present.
func elementsHave(value reflect.Value, argument string) bool {
	_, _, found := firstLack(value.Interface(), argument)

	return !found
}

// firstLack finds the first element of a raw array that lacks one of the members, or has it null
// or empty. An element that is no object lacks the first.
func firstLack(value any, members string) (index int, member string, found bool) {
	elements, _ := value.([]any)
	for i, element := range elements {
		object, _ := element.(map[string]any)
		for member := range strings.FieldsSeq(members) {
			if value := object[member]; value == nil || value == "" {
				return i, member, true
			}
		}
	}

	return 0, "", false
}
