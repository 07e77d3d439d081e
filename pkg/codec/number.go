package codec

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/mlflow/mlflow-go/pkg/pyfmt"
)

// pythonNotANumber is how Python's repr spells NaN.
const pythonNotANumber = "nan"

// pythonInt reads text as Python's int() does: spaces around, a sign, underscores between digits,
// any script's decimal digits. The result is canonical: no plus, no leading zeros, no "-0".
func pythonInt(text string) (string, bool) {
	text, ok := pythonNumber(text)
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

// pythonFloat reads text as Python's float() does: as pythonInt, and decimals, exponents,
// infinities and NaN in any case. What is too large is an infinity.
func pythonFloat(text string) (float64, bool) {
	text, ok := pythonNumber(text)
	if !ok {
		return 0, false
	}

	unsigned := strings.TrimPrefix(text, "-")
	if unsigned == text {
		unsigned = strings.TrimPrefix(text, "+")
	}

	sign := 1.0
	if strings.HasPrefix(text, "-") {
		sign = -1
	}

	switch strings.ToLower(unsigned) {
	case "inf", "infinity":
		return math.Inf(int(sign)), true
	case pythonNotANumber:
		return math.Copysign(pythonNaN(), sign), true
	}

	// What else strconv accepts: hexadecimal, names, a second sign.
	if unsigned == "" || (unsigned[0] != '.' && !isDigit(unsigned[0])) ||
		strings.Trim(unsigned, "0123456789.eE+-") != "" {
		return 0, false
	}

	return parseFloat(text)
}

// parseFloat is strconv.ParseFloat with infinities for what is too large.
func parseFloat(text string) (float64, bool) {
	value, err := strconv.ParseFloat(text, 64)

	return value, err == nil || math.IsInf(value, 0)
}

// pythonNaN is float("nan"), whose bits differ from Go's.
func pythonNaN() float64 {
	const bits = 0x7ff8000000000000

	return math.Float64frombits(bits)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// pythonNumber does what int() and float() share: other scripts' digits become ASCII, spaces around
// are cut, and underscores between digits dropped. Only in text that isn't all ASCII is every
// space of Unicode's a space.
func pythonNumber(text string) (string, bool) {
	if strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII }) {
		text = strings.TrimFunc(pyfmt.ASCIIDigits(text), pyfmt.IsSpace)
	}

	text = strings.Trim(text, " \t\n\v\f\r")
	if !strings.Contains(text, "_") {
		return text, true
	}

	for i := range len(text) {
		if text[i] == '_' && (i == 0 || i == len(text)-1 || !isDigit(text[i-1]) || !isDigit(text[i+1])) {
			return "", false
		}
	}

	return strings.ReplaceAll(text, "_", ""), true
}

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
