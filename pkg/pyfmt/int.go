package pyfmt

import (
	"math/big"
	"strings"
	"unicode"
)

// ParseInt is int(s) of a str: white space around, a sign, underscores between digits and the
// decimal digits of every script. ok is false where Python raises ValueError.
func ParseInt(s string) (value *big.Int, ok bool) {
	s = strings.TrimSpace(s) // without the separators that str.isspace() knows

	digits := make([]byte, 0, len(s))
	if s != "" && (s[0] == '+' || s[0] == '-') {
		digits, s = append(digits, s[0]), s[1:]
	}

	afterDigit := false

	for _, char := range s {
		if char == '_' {
			if !afterDigit {
				return nil, false
			}

			afterDigit = false

			continue
		}

		digit, isDigit := decimal(char)
		if !isDigit {
			return nil, false
		}

		digits, afterDigit = append(digits, digit), true
	}

	if !afterDigit {
		return nil, false
	}

	return new(big.Int).SetString(string(digits), 10)
}

// ASCIIDigits replaces the decimal digits of every script, which Python's numbers may be written in.
func ASCIIDigits(s string) string {
	return strings.Map(func(char rune) rune {
		if digit, ok := decimal(char); ok {
			return rune(digit)
		}

		return char
	}, s)
}

// IsSpace is str.isspace() of one character: Go's white space and the four ASCII separators.
func IsSpace(char rune) bool {
	return unicode.IsSpace(char) || '\x1c' <= char && char <= '\x1f'
}

// decimal gives the ASCII digit for a decimal digit of any script. Unicode keeps each script's
// digits in runs of ten from zero up, so it counts back to the start of the run.
func decimal(char rune) (digit byte, ok bool) {
	if !unicode.Is(unicode.Nd, char) {
		return 0, false
	}

	zero := char
	for unicode.Is(unicode.Nd, zero-1) {
		zero--
	}

	return "0123456789"[(char-zero)%10], true
}
