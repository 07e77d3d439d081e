// Package python holds what shows through of Python's own behaviour in MLflow's search: values
// written out by repr in error messages, lists read by ast.literal_eval, order_by clauses split
// by shlex, page tokens decoded leniently by base64 and json.
package python

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mlflow/mlflow-go/pkg/pyfmt"
)

// Value is a Python value: nil (None), bool, *big.Int, float64, string, Bytes, Tuple, List or
// Dict.
type Value any

type (
	// Bytes is a bytes object.
	Bytes []byte
	// Tuple is a tuple.
	Tuple []Value
	// List is a list.
	List []Value
	// Dict is a dict with keys of type str, in their order.
	Dict []Item
)

// Item is a member of a Dict.
type Item struct {
	Key   string
	Value Value
}

// Get returns a member, or None when there is no such key.
func (d Dict) Get(key string) Value {
	for _, item := range d {
		if item.Key == key {
			return item.Value
		}
	}

	return nil
}

// Truth tells whether a value counts as true.
func Truth(value Value) bool {
	switch v := value.(type) {
	case bool:
		return v
	case *big.Int:
		return v.Sign() != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case Bytes:
		return len(v) > 0
	case Tuple:
		return len(v) > 0
	case List:
		return len(v) > 0
	case Dict:
		return len(v) > 0
	}

	return false
}

// Repr writes a value as Python's repr does.
func Repr(value Value) string {
	switch v := value.(type) {
	case bool:
		if v {
			return "True"
		}

		return "False"
	case *big.Int:
		return v.String()
	case float64:
		return ReprFloat(v)
	case string:
		return pyfmt.Repr(v)
	case Bytes:
		return reprBytes(v)
	case Tuple:
		if len(v) == 1 {
			return "(" + Repr(v[0]) + ",)"
		}

		return "(" + reprAll(v) + ")"
	case List:
		return "[" + reprAll(v) + "]"
	case Dict:
		members := make([]string, len(v))
		for i, item := range v {
			members[i] = pyfmt.Repr(item.Key) + ": " + Repr(item.Value)
		}

		return "{" + strings.Join(members, ", ") + "}"
	}

	return "None"
}

func reprAll(values []Value) string {
	members := make([]string, len(values))
	for i, value := range values {
		members[i] = Repr(value)
	}

	return strings.Join(members, ", ")
}

// ReprSet writes a set of strings. Python's order is random from one process to the next; this
// one keeps the given order.
func ReprSet(texts []string) string {
	list := pyfmt.ReprList(texts)

	return "{" + list[1:len(list)-1] + "}"
}

func reprBytes(data []byte) string {
	quote := byte('\'')
	if bytes.Contains(data, []byte{'\''}) && !bytes.Contains(data, []byte{'"'}) {
		quote = '"'
	}

	var out strings.Builder

	out.WriteByte('b')
	out.WriteByte(quote)

	for _, b := range data {
		switch {
		case b == quote || b == '\\':
			out.WriteByte('\\')
			out.WriteByte(b)
		case b == '\n':
			out.WriteString(`\n`)
		case b == '\r':
			out.WriteString(`\r`)
		case b == '\t':
			out.WriteString(`\t`)
		case b < ' ' || b >= utf8.RuneSelf-1:
			fmt.Fprintf(&out, `\x%02x`, b)
		default:
			out.WriteByte(b)
		}
	}

	out.WriteByte(quote)

	return out.String()
}

// ReprFloat writes a float: the shortest digits that read back the same, with an exponent below
// 1e-4 and from 1e16 on.
func ReprFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}

	const smallest, largest = 1e-4, 1e16
	if size := math.Abs(f); size != 0 && (size < smallest || size >= largest) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}

	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}

	return text
}

// Str writes a value as Python's str does: a string as it is, all else by repr.
func Str(value Value) string {
	if text, ok := value.(string); ok {
		return text
	}

	return Repr(value)
}
