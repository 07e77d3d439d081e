package python

import (
	"errors"
	"strings"
)

// ErrUnclosed says that a quotation or an escape has no end.
var ErrUnclosed = errors.New("no closing quotation or escaped character")

// SplitShell splits a text into words as shlex.split does: quotes join and disappear, a
// backslash escapes outside of single quotes.
func SplitShell(text string) ([]string, error) {
	var (
		words  []string
		word   strings.Builder
		inWord bool
	)

	const blanks = " \t\r\n"

	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case strings.IndexByte(blanks, c) >= 0:
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}

			inWord = false
		case c == '\\':
			i++
			if i == len(text) {
				return nil, ErrUnclosed
			}

			word.WriteByte(text[i])

			inWord = true
		case c == '\'' || c == '"':
			length, ok := unquoteShell(&word, text[i:])
			if !ok {
				return nil, ErrUnclosed
			}

			i += length - 1
			inWord = true
		default:
			word.WriteByte(c)

			inWord = true
		}
	}

	if inWord {
		words = append(words, word.String())
	}

	return words, nil
}

// unquoteShell appends what is between the quotes that a text begins with, and returns the
// length of it all.
func unquoteShell(word *strings.Builder, text string) (length int, ok bool) {
	quote := text[0]

	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == quote:
			return i + 1, true
		case c == '\\' && quote == '"' && i+1 < len(text) && (text[i+1] == quote || text[i+1] == '\\'):
			i++
			word.WriteByte(text[i])
		default:
			word.WriteByte(c)
		}
	}

	return 0, false
}
