// Package sqlparse splits a filter into tokens and groups them as the Python library of that
// name does (release 0.6.1, the newest that MLflow 3.17.2 installs). MLflow hands every filter
// and every order_by clause to that library and then looks at the groups it gets, so what is
// accepted, and what an error message quotes, is decided by the library's rules and not by a
// grammar of MLflow's own.
//
// Only what can be observed through MLflow is here: the tokens of the default dialect and the
// grouping of one statement. Statements that hold a semicolon inside a BEGIN or DECLARE block
// are split at it, where the library would not; either way MLflow refuses the filter.
package sqlparse

import "slices"

// Type is a token's type. The zero Type is that of a group.
type Type uint8

// The token types that grouping or MLflow tell apart.
const (
	NoType Type = iota
	Whitespace
	Newline
	CommentSingle
	CommentMultiline
	Name
	NameBuiltin
	Placeholder
	Keyword
	KeywordDML
	KeywordDDL
	KeywordDCL
	KeywordCTE
	KeywordOrder
	KeywordTZCast
	Integer
	Float
	Hexadecimal
	StringSingle
	StringSymbol
	Literal
	Punctuation
	Operator
	Comparator
	Wildcard
	Assign
	Command
	Error
)

func (t Type) isComment() bool    { return t == CommentSingle || t == CommentMultiline }
func (t Type) isName() bool       { return t >= Name && t <= Placeholder }
func (t Type) isKeyword() bool    { return t >= Keyword && t <= KeywordTZCast }
func (t Type) isNumber() bool     { return t >= Integer && t <= Hexadecimal }
func (t Type) isWhitespace() bool { return t == Whitespace || t == Newline }

// Group is what a token with children stands for. The zero Group is a token without any.
type Group uint8

// The groups, by the library's class names.
const (
	Leaf Group = iota
	Statement
	Identifier
	Comparison
	Parenthesis
	SquareBrackets
	Case
	If
	For
	Begin
	Over
	Function
	Where
	Comment
	TypedLiteral
	Operation
	Assignment
	IdentifierList
	Values
)

// Token is a lexical token, or a group of tokens.
type Token struct {
	Type     Type
	Group    Group
	Text     string
	Children []*Token
	// upper is the text in upper case where the library compares it so: in keywords.
	upper string
}

// IsKeyword tells whether the token is one of the given keywords (in upper case) of the plain
// type; the word itself may have any case.
func (t *Token) IsKeyword(words ...string) bool {
	return t.matches(Keyword, words...)
}

// IsWhitespace tells whether the token is a blank or a line's end.
func (t *Token) IsWhitespace() bool { return t.Type.isWhitespace() }

// Joined is the text of a group as its children give it: one that was made of tokens that stood apart
// has no text of its own.
func (t *Token) Joined() string {
	if t.Text != "" || len(t.Children) == 0 {
		return t.Text
	}

	return join(t.Children)
}

// Significant returns the children that aren't whitespace.
func (t *Token) Significant() []*Token {
	kept := make([]*Token, 0, len(t.Children))

	for _, child := range t.Children {
		if !child.IsWhitespace() {
			kept = append(kept, child)
		}
	}

	return kept
}

// matches is the library's Token.match: exactly this type, and one of the texts if any is given.
func (t *Token) matches(wanted Type, texts ...string) bool {
	if t.Type != wanted {
		return false
	}

	if len(texts) == 0 {
		return true
	}

	own := t.Text
	if wanted.isKeyword() {
		own = t.upper
	}

	return slices.Contains(texts, own)
}

func (t *Token) in(groups groupSet, types typeSet) bool {
	return groups&(1<<t.Group) != 0 && t.Group != Leaf || types&(1<<t.Type) != 0 && t.Type != NoType
}

type (
	groupSet uint32
	typeSet  uint32
)

func groupsOf(groups ...Group) groupSet {
	var set groupSet
	for _, group := range groups {
		set |= 1 << group
	}

	return set
}

func typesOf(types ...Type) typeSet {
	var set typeSet
	for _, t := range types {
		set |= 1 << t
	}

	return set
}
