package pyfmt

import (
	"math"
	"strconv"
	"strings"
	"unicode"
)

// NaN is float("nan"), whose bits differ from Go's.
func NaN() float64 {
	const bits = 0x7ff8000000000000

	return math.Float64frombits(bits)
}

// ParseFloat reads text as Python's float() does: spaces around, a sign, underscores between
// digits, digits of any script, decimals, exponents, infinities and NaN in any case. What is too
// large is an infinity.
func ParseFloat(text string) (value float64, ok bool) {
	text, ok = Numeral(text)
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
	case "nan":
		return math.Copysign(NaN(), sign), true
	}

	// What else strconv accepts: hexadecimal, names, a second sign.
	if unsigned == "" || (unsigned[0] != '.' && !isASCIIDigit(unsigned[0])) ||
		strings.Trim(unsigned, "0123456789.eE+-") != "" {
		return 0, false
	}

	value, err := strconv.ParseFloat(text, 64)

	return value, err == nil || math.IsInf(value, 0)
}

// Numeral does what int() and float() share: other scripts' digits become ASCII, spaces around are
// cut, and underscores between digits dropped. Only in text that isn't all ASCII is every space of
// Unicode's a space.
func Numeral(text string) (numeral string, ok bool) {
	if strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII }) {
		text = strings.TrimFunc(ASCIIDigits(text), IsSpace)
	}

	text = strings.Trim(text, " \t\n\v\f\r")
	if !strings.Contains(text, "_") {
		return text, true
	}

	for i := range len(text) {
		if text[i] == '_' && (i == 0 || i == len(text)-1 || !isASCIIDigit(text[i-1]) || !isASCIIDigit(text[i+1])) {
			return "", false
		}
	}

	return strings.ReplaceAll(text, "_", ""), true
}

func isASCIIDigit(c byte) bool { return '0' <= c && c <= '9' }
