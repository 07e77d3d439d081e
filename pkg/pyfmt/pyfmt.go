// Package pyfmt reads and writes strings the way Python does. MLflow puts the repr() of what a
// client sent into its error messages, and the messages are part of the contract.
package pyfmt

import (
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Repr is repr(s) of a str: single quotes unless the text has them and no double ones, escapes
// for what str.isprintable() denies.
func Repr(s string) string {
	quote := '\''
	if strings.ContainsRune(s, '\'') && !strings.ContainsRune(s, '"') {
		quote = '"'
	}

	var out strings.Builder

	out.Grow(len(s) + len(`''`))
	out.WriteRune(quote)

	for _, char := range s {
		switch {
		case char == quote || char == '\\':
			out.WriteByte('\\')
			out.WriteRune(char)
		case char == '\t':
			out.WriteString(`\t`)
		case char == '\n':
			out.WriteString(`\n`)
		case char == '\r':
			out.WriteString(`\r`)
		case unicode.IsPrint(char):
			out.WriteRune(char)
		case char <= unicode.MaxLatin1:
			fmt.Fprintf(&out, `\x%02x`, char)
		case char <= math.MaxUint16:
			fmt.Fprintf(&out, `\u%04x`, char)
		default:
			fmt.Fprintf(&out, `\U%08x`, char)
		}
	}

	out.WriteRune(quote)

	return out.String()
}

// ReprList is repr() of a list of str.
func ReprList(items []string) string {
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = Repr(item)
	}

	return "[" + strings.Join(quoted, ", ") + "]"
}

// Len is len(s) of a str: code points.
func Len(s string) int { return utf8.RuneCountInString(s) }

// Prefix is s[:n] of a str: its first n code points.
func Prefix(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}

		n--
	}

	return s
}
