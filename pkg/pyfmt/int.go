package pyfmt

import (
	"math/big"
	"strings"
	"unicode"
)

// ParseInt is int(s) of a str: white space around, a sign, underscores between digits and the
// decimal digits of every script. ok is false where Python raises ValueError.
func ParseInt(s string) (value *big.Int, ok bool) {
	s = strings.TrimFunc(s, IsSpace)

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
// ten digits together, so the value is the distance from the start of the run.
func decimal(char rune) (digit byte, ok bool) {
	if '0' <= char && char <= '9' {
		return byte(char), true
	}

	if char <= unicode.MaxASCII || !unicode.Is(unicode.Nd, char) {
		return 0, false
	}

	for _, r := range unicode.Nd.R16 {
		if rune(r.Lo) <= char && char <= rune(r.Hi) {
			return byte('0' + (char-rune(r.Lo))%10), true
		}
	}

	for _, r := range unicode.Nd.R32 {
		if rune(r.Lo) <= char && char <= rune(r.Hi) {
			return byte('0' + (char-rune(r.Lo))%10), true
		}
	}

	return 0, false
}
