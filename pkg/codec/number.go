package codec

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/pyfmt"
)

// pythonNotANumber is how Python's repr spells NaN.
const pythonNotANumber = "nan"

// pythonInt reads text as Python's int() does: spaces around, a sign, underscores between digits,
// any script's decimal digits. The result is canonical: no plus, no leading zeros, no "-0".
func pythonInt(text string) (string, bool) {
	text, ok := pyfmt.Numeral(text)
	if !ok {
		return "", false
	}

	negative := strings.HasPrefix(text, "-")
	if negative || strings.HasPrefix(text, "+") {
		text = text[1:]
	}

	if text == "" || len(text) > maxIntDigits || strings.Trim(text, "0123456789") != "" {
		return "", false
	}

	return canonicalInt(text, negative), true
}

// canonicalInt spells an integer, given as digits, as Python's str() does.
func canonicalInt(digits string, negative bool) string {
	digits = strings.TrimLeft(digits, "0")

	switch {
	case digits == "":
		return "0"
	case negative:
		return "-" + digits
	default:
		return digits
	}
}

// pythonFloat reads text as Python's float() does.
func pythonFloat(text string) (float64, bool) { return pyfmt.ParseFloat(text) }

// parseFloat is strconv.ParseFloat, of a number, with infinities for what is too large.
func parseFloat(text string) float64 {
	value, _ := strconv.ParseFloat(text, 64) // out of range it returns ±Inf

	return value
}

// pythonNaN is float("nan"), whose bits differ from Go's.
func pythonNaN() float64 { return pyfmt.NaN() }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// AppendFloat appends a float as Python's repr spells it: the shortest digits that read back the
// same, an exponent of at least two digits below 1e-4 and from 1e16, otherwise a point. Not a
// number and infinities are nan, inf and -inf.
func AppendFloat(dst []byte, f float64) []byte {
	const smallest, largest = 1e-4, 1e16

	switch magnitude := math.Abs(f); {
	case math.IsNaN(f):
		return append(dst, pythonNotANumber...)
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case magnitude >= largest, magnitude < smallest && magnitude != 0:
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	default:
		start := len(dst)
		dst = strconv.AppendFloat(dst, f, 'f', -1, 64)

		if slices.Contains(dst[start:], '.') {
			return dst
		}

		return append(dst, ".0"...)
	}
}

// shortestFloat widens a 32-bit float to the shortest decimal of at least six digits that reads
// back the same (google.protobuf.internal.type_checkers.ToShortestFloat).
func shortestFloat(f float32) float64 {
	const fewest, most = 6, 17

	for precision := fewest; precision < most; precision++ {
		text := strconv.FormatFloat(float64(f), 'g', precision, 64)
		if rounded, err := strconv.ParseFloat(text, 64); err == nil && float32(rounded) == f {
			return rounded
		}
	}

	return float64(f)
}
