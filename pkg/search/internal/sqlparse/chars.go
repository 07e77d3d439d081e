package sqlparse

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The classes below are those of Python's re module on text: what \s, \w, \d and a letter range
// mean there differs from Go's regexp, which is why the lexer is written by hand.

func isDigit(r rune) bool {
	return unicode.IsDigit(r)
}

func isWord(r rune) bool {
	if r < utf8.RuneSelf {
		return r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	}

	return unicode.IsLetter(r) || unicode.IsNumber(r)
}

// fold maps a character to the upper-case one that a case-insensitive pattern finds equal.
func fold(r rune) rune {
	if r < utf8.RuneSelf {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}

		return r
	}

	return unicode.ToUpper(unicode.ToLower(r))
}

// startsName is the letter range A-Z and À-Ü, in either case, that begins a bare name.
func startsName(r rune) bool {
	upper := fold(r)

	return upper >= 'A' && upper <= 'Z' || upper >= 'À' && upper <= 'Ü'
}

// extendsNumber tells whether a character keeps the digits before it from being a number.
func extendsNumber(r rune) bool { return r == '_' || startsName(r) }

func isHexDigit(r rune) bool {
	upper := fold(r)

	return isDigit(r) || upper >= 'A' && upper <= 'F'
}

// runeAt returns the character at an offset, or 0 behind the text's end.
func runeAt(text string, at int) (r rune, size int) {
	if at >= len(text) {
		return 0, 0
	}

	if b := text[at]; b < utf8.RuneSelf {
		return rune(b), 1
	}

	return utf8.DecodeRuneInString(text[at:])
}

// span returns the offset behind the longest run of a class from an offset on.
func span(text string, at int, class func(rune) bool) int {
	for at < len(text) {
		r, size := runeAt(text, at)
		if !class(r) {
			break
		}

		at += size
	}

	return at
}

// foldWord is a word as patterns compare it. Nearly all words are ASCII.
func foldWord(word string) string {
	return strings.Map(fold, word)
}
