package sqlparse

import "strings"

// The library refuses more than this, since grouping takes time that grows faster than the text.
const (
	maxTokens = 10_000
	maxDepth  = 100
)

// TooComplexError says, in the library's words, that a text has too many tokens or too deeply
// nested groups.
type TooComplexError struct{ limit string }

func (e *TooComplexError) Error() string { return e.limit }

// Parse splits a text into statements and groups each one's tokens. A text of nothing but
// whitespace has no statement.
func Parse(text string) ([]*Token, error) {
	var statements []*Token

	for _, tokens := range split(tokenize(text)) {
		statement := &Token{Group: Statement, Children: tokens, Text: join(tokens)}
		if err := group(statement); err != nil {
			return nil, err
		}

		statements = append(statements, statement)
	}

	return statements, nil
}

func join(tokens []*Token) string {
	var text strings.Builder
	for _, token := range tokens {
		text.WriteString(token.Text)
	}

	return text.String()
}

// split cuts tokens into statements: behind a semicolon outside of parentheses and behind GO,
// together with the blanks and comments that follow on the same line.
func split(tokens []*Token) [][]*Token {
	var statements [][]*Token

	start, level, complete := 0, 0, false

	for i, token := range tokens {
		if complete && token.Type != Whitespace && token.Type != CommentSingle {
			statements = append(statements, tokens[start:i:i])
			start, level, complete = i, 0, false
		}

		switch {
		case token.matches(Punctuation, "("):
			level++
		case token.matches(Punctuation, ")"), token.Type.isKeyword() && token.upper == "END":
			level--
		case token.matches(Punctuation, ";"):
			complete = complete || level <= 0
		case token.Type == Keyword && strings.Fields(token.Text)[0] == "GO":
			complete = true
		}
	}

	for _, token := range tokens[start:] {
		if !token.IsWhitespace() {
			return append(statements, tokens[start:])
		}
	}

	return statements
}
