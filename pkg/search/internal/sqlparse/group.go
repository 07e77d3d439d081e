package sqlparse

import (
	"fmt"
	"slices"
)

// group finds the groups of a statement, one kind after the other. The order is the library's
// and decides what a token ends up in.
func group(statement *Token) error {
	g := grouper{}

	for _, pass := range [...]func(*grouper, *Token){
		(*grouper).comments,
		bracketed(SquareBrackets, Punctuation, "[", "]"),
		bracketed(Parenthesis, Punctuation, "(", ")"),
		bracketed(Case, Keyword, "CASE", "END"),
		bracketed(If, Keyword, "IF", "END IF"),
		bracketed(For, Keyword, "FOR", "END LOOP", "FOREACH"),
		bracketed(Begin, Keyword, "BEGIN", "END"),
		(*grouper).windows,
		(*grouper).functions,
		(*grouper).conditions,
		joined(periods),
		joined(arrays),
		(*grouper).identifiers,
		(*grouper).orders,
		joined(typecasts),
		joined(zoneCasts),
		joined(typedLiterals),
		joined(typedIntervals),
		joined(operations),
		joined(comparisons),
		joined(aliases),
		(*grouper).juxtaposedAliases,
		joined(assignments),
		(*grouper).trailingComments,
		joined(lists),
		(*grouper).values,
	} {
		if pass(&g, statement); g.err != nil {
			return g.err
		}
	}

	return nil
}

// grouper remembers that a limit was exceeded, which ends grouping.
type grouper struct {
	err error
}

// exceeds checks the library's limits on entering a list of tokens.
func (g *grouper) exceeds(list *Token, depth int) bool {
	switch {
	case depth > maxDepth:
		g.err = &TooComplexError{fmt.Sprintf("Maximum grouping depth exceeded (%d).", maxDepth)}
	case len(list.Children) > maxTokens:
		g.err = &TooComplexError{fmt.Sprintf("Maximum number of tokens exceeded (%d).", maxTokens)}
	}

	return g.err != nil
}

// enclose replaces the children from one index to another, both included, by a group of them.
// With extend, a group of that kind at the first index takes in the others instead.
func (t *Token) enclose(kind Group, from, to int, extend bool) *Token {
	first := t.Children[from]

	if extend && first.Group == kind {
		rest := t.Children[from+1 : to+1]
		first.Text += join(rest)
		first.Children = append(first.Children, rest...)
		t.Children = slices.Delete(t.Children, from+1, to+1)

		return first
	}

	inner := slices.Clone(t.Children[from : to+1])
	enclosing := &Token{Group: kind, Children: inner, Text: join(inner)}
	t.Children[from] = enclosing
	t.Children = slices.Delete(t.Children, from+1, to+1)

	return enclosing
}

// after returns the next child behind an index that isn't whitespace, or -1 and nil.
func (t *Token) after(index int) (int, *Token) {
	return t.find(index, func(token *Token) bool { return !token.IsWhitespace() })
}

// before returns the previous child in front of an index that isn't whitespace, or -1 and nil.
func (t *Token) before(index int) (int, *Token) {
	for i := index - 1; i >= 0; i-- {
		if token := t.Children[i]; !token.IsWhitespace() {
			return i, token
		}
	}

	return -1, nil
}

// find returns the first child behind an index that is wanted, or -1 and nil.
func (t *Token) find(index int, wanted func(*Token) bool) (int, *Token) {
	for i := index + 1; i < len(t.Children); i++ {
		if token := t.Children[i]; wanted(token) {
			return i, token
		}
	}

	return -1, nil
}

// walk applies a pass to each group inside a list and then to the list; groups of the given kind
// aren't entered.
func walk(list *Token, except Group, pass func(*Token)) {
	for _, child := range list.Children {
		if child.Group != Leaf && (child.Group != except || except == Leaf) {
			walk(child, except, pass)
		}
	}

	pass(list)
}

// bracketed makes the pass that groups what lies between an opening and a closing token.
func bracketed(kind Group, t Type, opener, closer string, moreOpeners ...string) func(*grouper, *Token) {
	openers := append([]string{opener}, moreOpeners...)

	var pass func(g *grouper, list *Token, depth int)
	pass = func(g *grouper, list *Token, depth int) {
		if g.exceeds(list, depth) {
			return
		}

		var open []int

		removed := 0

		for i, token := range slices.Clone(list.Children) {
			switch at := i - removed; {
			case token.IsWhitespace():
			case token.Group != Leaf && token.Group != kind:
				pass(g, token, depth+1)
			case token.matches(t, openers...):
				open = append(open, at)
			case token.matches(t, closer) && len(open) > 0:
				from := open[len(open)-1]
				open = open[:len(open)-1]
				list.enclose(kind, from, at, false)
				removed += at - from
			}
		}
	}

	return func(g *grouper, list *Token) { pass(g, list, 0) }
}

// rule says which tokens a middle token joins into a group.
type rule struct {
	kind   Group
	middle func(*Token) bool
	// left and right judge the neighbours; the right one may be missing (nil).
	left, right func(*Token) bool
	// reach returns the group's first and last index from those of the left neighbour, the
	// middle and the right neighbour (-1 when missing).
	reach func(list *Token, left, middle, right int) (from, to int)
	// extend lets a left neighbour of the same kind grow instead of being enclosed.
	extend bool
	// shallow rules don't look into groups.
	shallow bool
}

func neighbours(_ *Token, left, _, right int) (from, to int) { return left, right }

// joined makes the pass that applies a rule.
func joined(r rule) func(*grouper, *Token) {
	return func(g *grouper, list *Token) { g.join(r, list, 0) }
}

func (g *grouper) join(r rule, list *Token, depth int) {
	if g.exceeds(list, depth) {
		return
	}

	var previous *Token

	previousAt, removed := -1, 0

	for i, token := range slices.Clone(list.Children) {
		at := i - removed
		if at < 0 || token.IsWhitespace() {
			continue
		}

		if !r.shallow && token.Group != Leaf && token.Group != r.kind {
			g.join(r, token, depth+1)
		}

		if r.middle(token) {
			nextAt, next := list.after(at)

			if previous != nil && r.left(previous) && r.right(next) &&
				!list.delimits(previous) && !list.delimits(next) {
				from, to := r.reach(list, previousAt, at, nextAt)
				previousAt, previous = from, list.enclose(r.kind, from, to, r.extend)
				removed += to - from

				continue
			}
		}

		previousAt, previous = at, token
	}
}

var delimitedGroups = groupsOf(Parenthesis, SquareBrackets, Case, If, For, Begin)

// delimits tells whether a child opens or closes the group: it can't be an operand in it.
func (t *Token) delimits(child *Token) bool {
	return child != nil && delimitedGroups&(1<<t.Group) != 0 &&
		(child == t.Children[0] || child == t.Children[len(t.Children)-1])
}

// The sets below are exact: a placeholder isn't a Name in them, a hexadecimal isn't a number.
var (
	namesAndSymbols = typesOf(Name, StringSymbol)
	operandTypes    = typesOf(Integer, Float, StringSingle, StringSymbol, Name, Placeholder)
	operandGroups   = groupsOf(Parenthesis, Function, Identifier, Operation, TypedLiteral)
)

func present(token *Token) bool { return token != nil }

func always(*Token) bool { return true }

var periods = rule{
	kind: Identifier,
	middle: func(t *Token) bool {
		return t.matches(Punctuation, ".") || t.matches(Operator, "->", "->>")
	},
	left:  func(t *Token) bool { return t.in(groupsOf(SquareBrackets, Identifier), namesAndSymbols) },
	right: always,
	reach: func(list *Token, left, middle, right int) (from, to int) {
		if right >= 0 && list.Children[right].in(groupsOf(SquareBrackets, Function),
			namesAndSymbols|typesOf(Wildcard, StringSingle)) {
			return left, right
		}

		return left, middle
	},
	extend: true,
}

var arrays = rule{
	kind:    Identifier,
	middle:  func(t *Token) bool { return t.Group == SquareBrackets },
	left:    func(t *Token) bool { return t.in(groupsOf(SquareBrackets, Identifier, Function), namesAndSymbols) },
	right:   always,
	reach:   func(_ *Token, left, middle, _ int) (from, to int) { return left, middle },
	extend:  true,
	shallow: true,
}

var typecasts = rule{
	kind:   Identifier,
	middle: func(t *Token) bool { return t.matches(Punctuation, "::") },
	left:   always, right: present, reach: neighbours, extend: true,
}

var zoneCasts = rule{
	kind:   Identifier,
	middle: func(t *Token) bool { return t.Type == KeywordTZCast },
	left:   always,
	right: func(t *Token) bool {
		return t != nil && (t.IsKeyword("AS") || t.Type == StringSingle)
	},
	reach: neighbours, extend: true,
}

var typedLiterals = rule{
	kind:   TypedLiteral,
	middle: func(t *Token) bool { return t.Type == NameBuiltin || t.IsKeyword("TIMESTAMP") },
	left:   always,
	right:  func(t *Token) bool { return t != nil && t.Type == StringSingle },
	reach:  func(_ *Token, _, middle, right int) (from, to int) { return middle, right },
}

var typedIntervals = rule{
	kind:   TypedLiteral,
	middle: func(t *Token) bool { return t.Group == TypedLiteral },
	left:   always,
	right: func(t *Token) bool {
		return t != nil && t.IsKeyword("DAY", "HOUR", "MINUTE", "MONTH", "SECOND", "YEAR")
	},
	reach:  func(_ *Token, _, middle, right int) (from, to int) { return middle, right },
	extend: true,
}

func isOperationOperand(t *Token) bool {
	return t != nil && (t.in(operandGroups|groupsOf(SquareBrackets), operandTypes) ||
		t.IsKeyword("CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP"))
}

var operations = rule{
	kind:   Operation,
	middle: func(t *Token) bool { return t.Type == Operator || t.Type == Wildcard },
	left:   isOperationOperand,
	right:  isOperationOperand,
	reach: func(list *Token, left, middle, right int) (from, to int) {
		list.Children[middle].Type = Operator

		return left, right
	},
}

func isComparisonOperand(t *Token) bool {
	return t != nil && (t.in(operandGroups, operandTypes) || t.Type.isKeyword() && t.upper == "NULL")
}

var comparisons = rule{
	kind:   Comparison,
	middle: func(t *Token) bool { return t.Type == Comparator },
	left:   isComparisonOperand, right: isComparisonOperand, reach: neighbours,
}

var aliases = rule{
	kind:   Identifier,
	middle: func(t *Token) bool { return t.Type.isKeyword() && t.upper == "AS" },
	left:   func(t *Token) bool { return !t.Type.isKeyword() || t.upper == "NULL" },
	right: func(t *Token) bool {
		return t != nil && t.Type != KeywordDML && t.Type != KeywordDDL && t.Type != KeywordCTE
	},
	reach: neighbours, extend: true,
}

func isAssignable(t *Token) bool { return t != nil && t.Type != Keyword }

var assignments = rule{
	kind:   Assignment,
	middle: func(t *Token) bool { return t.Type == Assign },
	left:   isAssignable, right: isAssignable,
	reach: func(list *Token, left, _, right int) (from, to int) {
		end, _ := list.find(right, func(t *Token) bool { return t.matches(Punctuation, ";") })

		return left, max(right, end)
	},
	extend: true,
}

func isListMember(t *Token) bool {
	return t != nil && t.in(
		groupsOf(Function, Case, Identifier, Comparison, IdentifierList, Operation),
		operandTypes|typesOf(Keyword, Wildcard),
	)
}

var lists = rule{
	kind:   IdentifierList,
	middle: func(t *Token) bool { return t.matches(Punctuation, ",") },
	left:   isListMember, right: isListMember, reach: neighbours, extend: true,
}

// comments groups adjacent comments, unless nothing follows them.
func (g *grouper) comments(statement *Token) {
	isComment := func(t *Token) bool { return t.Type.isComment() }

	for at, token := statement.find(-1, isComment); token != nil; at, token = statement.find(at, isComment) {
		end, _ := statement.find(at, func(t *Token) bool { return !t.Type.isComment() && t.Type != Newline })
		if end < 0 {
			return
		}

		statement.enclose(Comment, at, end-1, false)
	}
}

// windows groups OVER with the parenthesis or name behind it.
func (g *grouper) windows(statement *Token) {
	isOver := func(t *Token) bool { return t.IsKeyword("OVER") }

	walk(statement, Over, func(list *Token) {
		for at, token := list.find(-1, isOver); token != nil; at, token = list.find(at, isOver) {
			if end, next := list.after(at); next != nil && (next.Group == Parenthesis || next.Type.isName()) {
				list.enclose(Over, at, end, false)
			}
		}
	})
}

// functions groups a name with the parenthesis behind it.
func (g *grouper) functions(statement *Token) {
	isName := func(t *Token) bool { return t.Type.isName() }

	walk(statement, Function, func(list *Token) {
		if definesTable(list) {
			return
		}

		for at, token := list.find(-1, isName); token != nil; at, token = list.find(at, isName) {
			end, next := list.after(at)
			if next == nil || next.Group != Parenthesis {
				continue
			}

			if over, window := list.after(end); window != nil && window.Group == Over {
				end = over
			}

			list.enclose(Function, at, end, false)
		}
	})
}

// definesTable recognises CREATE TABLE name (…), whose name isn't a function.
func definesTable(list *Token) bool {
	has := func(word string) bool {
		return slices.ContainsFunc(list.Children, func(t *Token) bool {
			return len(t.Text) == len(word) && foldWord(t.Text) == word
		})
	}

	return has("CREATE") && has("TABLE") && !has("AS")
}

// conditions groups WHERE with what follows it up to the next clause.
func (g *grouper) conditions(statement *Token) {
	isWhere := func(t *Token) bool { return t.IsKeyword("WHERE") }
	endsWhere := func(t *Token) bool {
		return t.IsKeyword("ORDER BY", "GROUP BY", "LIMIT", "UNION", "UNION ALL", "EXCEPT",
			"INTERSECT", "HAVING", "RETURNING", "INTO")
	}

	walk(statement, Where, func(list *Token) {
		for at, token := list.find(-1, isWhere); token != nil; at, token = list.find(at, isWhere) {
			end, clause := list.find(at, endsWhere)
			if clause == nil {
				end = len(list.Children)
				if list.Group == Parenthesis || list.Group == SquareBrackets {
					end-- // the closing bracket stays outside
				}
			}

			list.enclose(Where, at, end-1, false)
		}
	})
}

// identifiers makes each bare name an Identifier.
func (g *grouper) identifiers(statement *Token) {
	isIdentifier := func(t *Token) bool { return t.Type == StringSymbol || t.Type == Name }

	walk(statement, Identifier, func(list *Token) {
		for at, token := list.find(-1, isIdentifier); token != nil; at, token = list.find(at, isIdentifier) {
			list.enclose(Identifier, at, at, false)
		}
	})
}

// orders groups an identifier or number with the ASC or DESC behind it.
func (g *grouper) orders(statement *Token) {
	isOrder := func(t *Token) bool { return t.Type == KeywordOrder }

	walk(statement, Identifier, func(list *Token) {
		for at, token := list.find(-1, isOrder); token != nil; at, token = list.find(at, isOrder) {
			if from, previous := list.before(at); previous != nil &&
				(previous.Group == Identifier || previous.Type.isNumber()) {
				list.enclose(Identifier, from, at, false)
				at = from
			}
		}
	})
}

// juxtaposedAliases groups a value with the identifier that directly follows it.
func (g *grouper) juxtaposedAliases(statement *Token) {
	aliased := groupsOf(Parenthesis, Function, Case, Identifier, Operation, Comparison)
	isAliased := func(t *Token) bool { return t.in(aliased, 0) || t.Type.isNumber() }

	walk(statement, Leaf, func(list *Token) {
		for at, token := list.find(-1, isAliased); token != nil; at, token = list.find(at, isAliased) {
			if end, next := list.after(at); next != nil && next.Group == Identifier {
				list.enclose(Identifier, at, end, true)
			}
		}
	})
}

// trailingComments moves a comment into the group in front of it.
func (g *grouper) trailingComments(statement *Token) {
	isComment := func(t *Token) bool { return t.Group == Comment }

	walk(statement, Leaf, func(list *Token) {
		for at, token := list.find(-1, isComment); token != nil; at, token = list.find(at, isComment) {
			if from, previous := list.before(at); previous != nil && previous.Group != Leaf {
				list.enclose(previous.Group, from, at, true)
				at = from
			}
		}
	})
}

// values groups VALUES with the parentheses behind it.
func (g *grouper) values(statement *Token) {
	from, token := statement.find(-1, func(t *Token) bool { return t.IsKeyword("VALUES") })
	if token == nil {
		return
	}

	last := -1

	for at := from; token != nil; at, token = statement.after(at) {
		if token.Group == Parenthesis {
			last = at
		}
	}

	if last >= 0 {
		statement.enclose(Values, from, last, true)
	}
}
