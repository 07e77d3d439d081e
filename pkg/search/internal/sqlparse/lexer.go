package sqlparse

import (
	"strings"
	"unicode/utf8"

	"github.com/mlflow/mlflow-go/pkg/pyfmt"
)

// lexer walks over a text. Each of its methods tries one family of tokens at an offset and
// returns the offset behind the token, or no token (an end of 0). The order in which next asks
// them is the library's order of patterns and matters: the first that fits wins, even where a
// later one would take more.
type lexer struct {
	text string
}

// Tokenize splits a text into tokens that together are the text.
func tokenize(text string) []*Token {
	l := lexer{text}
	// One allocation for most filters; a pointer into it stays valid since it never grows.
	pool := make([]Token, 0, len(text)/3+4) //nolint:mnd // tokens of three bytes are short ones
	tokens := make([]*Token, 0, cap(pool))

	for at := 0; at < len(text); {
		t, end := l.next(at)
		token := Token{Type: t, Text: text[at:end]}

		if t.isKeyword() {
			token.upper = strings.ToUpper(token.Text)
		}

		if len(pool) == cap(pool) {
			pool = make([]Token, 0, cap(pool))
		}

		pool = append(pool, token)
		tokens = append(tokens, &pool[len(pool)-1])
		at = end
	}

	return tokens
}

func (l lexer) next(at int) (Type, int) {
	for _, attempt := range [...]func(lexer, int) (Type, int){
		lexer.delimited, lexer.comment, lexer.blank, lexer.sign, lexer.quotedName, lexer.placeholder,
		lexer.name, lexer.number, lexer.quotedString, lexer.bracketedName, lexer.word, lexer.operator,
	} {
		if t, end := attempt(l, at); end != 0 {
			return t, end
		}
	}

	_, size := runeAt(l.text, at)

	return Error, at + size
}

// before returns the character in front of an offset, or 0.
func (l lexer) before(at int) rune {
	if at == 0 {
		return 0
	}

	r, _ := utf8.DecodeLastRuneInString(l.text[:at])

	return r
}

// delimited takes /* comments */ and $tag$ literals $tag$ that are closed.
func (l lexer) delimited(at int) (Type, int) {
	rest := l.text[at:]

	switch {
	case strings.HasPrefix(rest, "/*"):
		opener := 2
		if strings.HasPrefix(rest, "/*+") {
			opener = 3
		}

		if closer := strings.Index(rest[opener:], "*/"); closer >= 0 {
			return CommentMultiline, at + opener + closer + 2
		}
	case rest[0] == '$':
		if previous := l.before(at); isWord(previous) || previous == '"' || previous == '$' {
			return NoType, 0
		}

		end := at + 1
		if r, _ := runeAt(l.text, end); r == '_' || startsName(r) {
			end = span(l.text, end, isWord)
		}

		if r, _ := runeAt(l.text, end); r != '$' {
			return NoType, 0
		}

		tag := l.text[at : end+1]
		if closer := strings.Index(l.text[end+1:], tag); closer >= 0 {
			return Literal, end + 1 + closer + len(tag)
		}
	}

	return NoType, 0
}

// comment takes "-- …" and "# …" up to and with the line's end.
func (l lexer) comment(at int) (Type, int) {
	rest := l.text[at:]
	if !strings.HasPrefix(rest, "--") && !strings.HasPrefix(rest, "# ") {
		return NoType, 0
	}

	end := strings.IndexAny(rest[2:], "\r\n")
	if end < 0 {
		return CommentSingle, len(l.text)
	}

	return CommentSingle, at + 2 + end + lineEnd(rest[2+end:])
}

func lineEnd(text string) int {
	if strings.HasPrefix(text, "\r\n") {
		return len("\r\n")
	}

	return 1
}

// blank takes one line's end or one space: runs of them are as many tokens.
func (l lexer) blank(at int) (Type, int) {
	r, size := runeAt(l.text, at)

	switch {
	case r == '\r' || r == '\n':
		return Newline, at + lineEnd(l.text[at:])
	case pyfmt.IsSpace(r):
		return Whitespace, at + size
	}

	return NoType, 0
}

func (l lexer) sign(at int) (Type, int) {
	switch rest := l.text[at:]; {
	case strings.HasPrefix(rest, ":="):
		return Assign, at + 2
	case strings.HasPrefix(rest, "::"):
		return Punctuation, at + 2
	case rest[0] == '*':
		return Wildcard, at + 1
	}

	return NoType, 0
}

func (l lexer) quotedName(at int) (Type, int) {
	for _, quote := range [...]string{"`", "´"} {
		if strings.HasPrefix(l.text[at:], quote) {
			return Name, l.quoted(at, quote, false)
		}
	}

	return NoType, 0
}

func (l lexer) quotedString(at int) (Type, int) {
	switch l.text[at] {
	case '\'':
		return StringSingle, l.quoted(at, "'", true)
	case '"':
		return StringSymbol, l.quoted(at, `"`, true)
	}

	return NoType, 0
}

// quoted finds the end of a quoted text. A doubled quote, and an escaped one where escapes
// count, belong to the text; but when the text then has no end, the last such pair ends it after
// all, as a pattern that backtracks has it.
func (l lexer) quoted(at int, quote string, escapes bool) int {
	fallback := 0

	for i := at + len(quote); i < len(l.text); {
		rest := l.text[i:]

		switch {
		case strings.HasPrefix(rest, quote):
			i += len(quote)
			if !strings.HasPrefix(l.text[i:], quote) {
				return i
			}

			fallback = i
			i += len(quote)
		case escapes && rest[0] == '\\' && strings.HasPrefix(rest[1:], quote):
			i += 1 + len(quote)
			fallback = i
		default:
			i++
		}
	}

	return fallback
}

// placeholder takes ?, %s, %(name)s, $1, :name, and the \command that the library also knows.
func (l lexer) placeholder(at int) (Type, int) {
	switch l.text[at] {
	case '?':
		return Placeholder, at + 1
	case '%':
		end := at + 1
		if r, _ := runeAt(l.text, end); r == '(' {
			inner := span(l.text, end+1, isWord)
			if r, _ := runeAt(l.text, inner); r == ')' && inner > end+1 {
				end = inner + 1
			}
		}

		if r, size := runeAt(l.text, end); fold(r) == 'S' {
			return Placeholder, end + size
		}
	case '$', ':':
		if end := span(l.text, at+1, isWord); end > at+1 && !isWord(l.before(at)) {
			return Placeholder, end
		}
	case '\\':
		if end := span(l.text, at+1, isWord); end > at+1 {
			return Command, end
		}
	}

	return NoType, 0
}

// name takes the words whose surroundings make them names, or that are keywords in any.
func (l lexer) name(at int) (Type, int) {
	r, _ := runeAt(l.text, at)
	if r == '@' || r == '#' {
		return Name, l.sigilName(at)
	}

	if !startsName(r) {
		return NoType, 0
	}

	end := span(l.text, at, isWord)

	switch foldWord(l.text[at:end]) {
	case "CASE", "IN", "VALUES", "USING", "FROM", "AS":
		return Keyword, end
	}

	if l.before(at) == '.' {
		return Name, end
	}

	next, _ := runeAt(l.text, end)
	if next == '(' {
		return Name, end
	}

	dot := span(l.text, end, pyfmt.IsSpace)
	if next, _ := runeAt(l.text, dot); next == '.' {
		if digit, _ := runeAt(l.text, dot+1); !isDigit(digit) {
			return Name, end
		}
	}

	return NoType, 0
}

// sigilName is @name, #name or ##name, of two letters at least.
func (l lexer) sigilName(at int) int {
	start := at + 1
	if strings.HasPrefix(l.text[at:], "##") {
		start++
	}

	r, size := runeAt(l.text, start)
	if !startsName(r) {
		return 0
	}

	end := span(l.text, start, isWord)
	if end == start+size {
		return 0
	}

	return end
}

// number takes hexadecimal, floating-point and whole numbers. Digits run into a letter aren't
// one; but all of them save the last are, which is the library's backtracking.
func (l lexer) number(at int) (Type, int) {
	start := at
	if l.text[at] == '-' {
		start++
	}

	if r, size := runeAt(l.text, start); r == '0' {
		if x, xSize := runeAt(l.text, start+size); fold(x) == 'X' {
			digits := start + size + xSize
			if end := span(l.text, digits, isHexDigit); end > digits {
				return Hexadecimal, end
			}
		}
	}

	whole := span(l.text, start, isDigit)
	fraction := whole

	if r, _ := runeAt(l.text, whole); r == '.' {
		fraction = span(l.text, whole+1, isDigit)
	}

	if whole > start {
		if end := l.exponent(whole, fraction); end != 0 {
			return Float, end
		}
	}

	least := whole + 1 // "1." is a number
	if whole == start {
		_, size := runeAt(l.text, least)
		least += max(size, 1) // and "." is none
	}

	if end := l.unlettered(least, fraction); fraction > whole && end != 0 {
		return Float, end
	}

	if whole > start {
		_, size := runeAt(l.text, start)

		return Integer, l.unlettered(start+size, whole)
	}

	return NoType, 0
}

// exponent returns the end of a number whose exponent follows the fraction, or the whole part if
// there is no fraction. A plus sign isn't part of an exponent.
func (l lexer) exponent(whole, fraction int) int {
	if fraction == whole+1 { // "1.e5": a fraction needs a digit
		return 0
	}

	r, size := runeAt(l.text, fraction)
	if fold(r) != 'E' {
		return 0
	}

	digits := fraction + size
	if r, _ := runeAt(l.text, digits); r == '-' {
		digits++
	}

	if end := span(l.text, digits, isDigit); end > digits {
		return end
	}

	return 0
}

// unlettered shortens digits that end at an offset until no letter follows, down to the least
// end that makes a number.
func (l lexer) unlettered(least, end int) int {
	if end < least {
		return 0
	}

	if r, _ := runeAt(l.text, end); !extendsNumber(r) {
		return end
	}

	_, size := utf8.DecodeLastRuneInString(l.text[:end])
	if end-size < least {
		return 0
	}

	return end - size
}

// bracketedName is [a name], unless it can be an index of what stands before it.
func (l lexer) bracketedName(at int) (Type, int) {
	if l.text[at] != '[' {
		return NoType, 0
	}

	if previous := l.before(at); isWord(previous) || previous == ']' || previous == ')' {
		return NoType, 0
	}

	inner := strings.IndexAny(l.text[at+1:], "[]")
	if inner < 1 || l.text[at+1+inner] != ']' {
		return NoType, 0
	}

	return Name, at + 1 + inner + 1
}

// word takes a phrase of keywords, one keyword, or a name.
func (l lexer) word(at int) (Type, int) {
	r, size := runeAt(l.text, at)
	if !isWord(r) {
		return NoType, 0
	}

	if t, end := l.phrase(at); end != 0 {
		return t, end
	}

	end := span(l.text, at+size, func(r rune) bool { return r == '$' || r == '#' || isWord(r) })

	if t, ok := keywords[strings.ToUpper(l.text[at:end])]; ok {
		return t, end
	}

	return Name, end
}

func (l lexer) phrase(at int) (Type, int) {
	first := span(l.text, at, isWord)

	for _, phrase := range phrases[foldWord(l.text[at:first])] {
		end := first

		for _, word := range phrase.rest {
			start := span(l.text, end, pyfmt.IsSpace)
			stop := span(l.text, start, isWord)

			if start == end || foldWord(l.text[start:stop]) != word {
				end = 0

				break
			}

			end = stop
		}

		if end != 0 && phrase.accepts != nil {
			end = phrase.accepts(l, end)
		}

		if end != 0 {
			return phrase.t, end
		}
	}

	return NoType, 0
}

// zone takes the quoted zone behind AT TIME ZONE.
func (l lexer) zone(at int) int {
	start := span(l.text, at, pyfmt.IsSpace)
	if r, _ := runeAt(l.text, start); start == at || r != '\'' {
		return 0
	}

	inner := strings.IndexByte(l.text[start+1:], '\'')
	if inner < 1 {
		return 0
	}

	return start + 1 + inner + 1
}

// repetitions takes the number behind GO.
func (l lexer) repetitions(at int) int {
	r, size := runeAt(l.text, at)
	start := at + size
	end := span(l.text, start, isWord)

	if !pyfmt.IsSpace(r) || end == start || span(l.text, start, isDigit) != end {
		return 0
	}

	return end
}

func (l lexer) operator(at int) (Type, int) {
	rest := l.text[at:]

	if strings.IndexByte(";:()[],.", rest[0]) >= 0 {
		return Punctuation, at + 1
	}

	for _, operator := range [...]string{"->>", "->", "#>>", "#>", "@>", "<@", "-", "#-"} {
		if strings.HasPrefix(rest, operator) {
			return Operator, at + len(operator)
		}
	}

	if end := span(l.text, at, func(r rune) bool { return strings.ContainsRune("<>=~!", r) }); end > at {
		return Comparator, end
	}

	if end := span(l.text, at, func(r rune) bool { return strings.ContainsRune("+/@#%^&|-", r) }); end > at {
		return Operator, end
	}

	return NoType, 0
}
