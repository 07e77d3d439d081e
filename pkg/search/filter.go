package search

import (
	"slices"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
	"github.com/mlflow/mlflow-go/pkg/search/internal/python"
	"github.com/mlflow/mlflow-go/pkg/search/internal/sqlparse"
)

// condition is a comparison of which it isn't known yet whether its comparator suits.
type condition struct {
	Comparison

	operand *operand
}

// ParseFilter returns the comparisons of a filter, none for an empty one. What it refuses is
// INVALID_PARAMETER_VALUE.
func (g *Grammar) ParseFilter(filter string) ([]Comparison, error) {
	conditions, err := g.parseFilter(filter)
	if err != nil {
		return nil, err
	}

	return g.judge(conditions)
}

// parseFilter mirrors SearchUtils.parse_search_filter.
func (g *Grammar) parseFilter(filter string) ([]condition, error) {
	if filter == "" {
		return nil, nil
	}

	tokens, err := oneStatement(filter)
	if err != nil {
		return nil, err
	}

	tokens = joinWordComparisons(tokens)
	if err := g.refuseOtherClauses(tokens); err != nil {
		return nil, err
	}

	var conditions []condition

	for _, token := range tokens {
		if token.Group != sqlparse.Comparison {
			continue
		}

		c, err := g.condition(token.Significant())
		if err != nil {
			return nil, err
		}

		conditions = append(conditions, c)
	}

	return conditions, nil
}

// oneStatement is what a filter is made of, spaces apart.
func oneStatement(filter string) ([]*sqlparse.Token, error) {
	statements, err := sqlparse.Parse(filter)

	switch {
	case err != nil:
		return nil, contract.InvalidParameter("Error on parsing filter '%s'", filter)
	case len(statements) == 0:
		return nil, contract.InvalidParameter("Invalid filter '%s'. Could not be parsed.", filter)
	case len(statements) > 1:
		return nil, contract.InvalidParameter("Search filter contained multiple expression %s. "+
			"Provide AND-ed expression list.", pyfmt.Repr(filter))
	}

	return statements[0].Significant(), nil
}

// refuseOtherClauses refuses all but comparisons and AND. Where an AND stands doesn't matter to
// MLflow, nor whether there is one.
func (g *Grammar) refuseOtherClauses(tokens []*sqlparse.Token) error {
	var others []string

	for _, token := range tokens {
		switch {
		case token.Group == sqlparse.Comparison, token.IsKeyword("AND"):
		case g.quotedClauses:
			others = append(others, "'"+token.Text+"'")
		default:
			others = append(others, token.Text)
		}
	}

	if others == nil {
		return nil
	}

	return contract.InvalidParameter("Invalid clause(s) in filter string: %s", strings.Join(others, ", "))
}

// joinWordComparisons makes comparisons of IN, NOT IN, IS NULL and IS NOT NULL, which are
// separate tokens until then. As in MLflow (_join_in_comparison_tokens), an identifier takes the
// three tokens behind it along when none of these fits: what begins among them isn't found.
func joinWordComparisons(tokens []*sqlparse.Token) []*sqlparse.Token {
	joined := make([]*sqlparse.Token, 0, len(tokens))

	for len(tokens) >= 3 {
		taken := 1

		if tokens[0].Group == sqlparse.Identifier {
			var comparison *sqlparse.Token
			if comparison, taken = wordComparison(tokens); comparison != nil {
				joined = append(joined, comparison)
				tokens = tokens[taken:]

				continue
			}
		}

		joined = append(joined, tokens[:taken]...)
		tokens = tokens[taken:]
	}

	return append(joined, tokens...)
}

// wordComparison looks for a comparison by words at the beginning of three tokens or more. It
// returns it, or nil, and the number of tokens that are done with.
func wordComparison(tokens []*sqlparse.Token) (comparison *sqlparse.Token, taken int) {
	const threeWords, fourWords = 3, 4

	left, second, third := tokens[0], tokens[1], tokens[2]

	switch {
	case second.IsKeyword("IN") && third.Group == sqlparse.Parenthesis:
		return comparisonOf(left, second, third), threeWords
	case second.IsKeyword("IS") && third.IsKeyword("NULL"):
		return comparisonOf(left, &sqlparse.Token{Text: string(IsNull)}), threeWords
	case second.IsKeyword("IS") && third.IsKeyword("NOT NULL"):
		return comparisonOf(left, &sqlparse.Token{Text: string(IsNotNull)}), threeWords
	case len(tokens) < fourWords:
		return nil, threeWords
	case second.IsKeyword("NOT") && third.IsKeyword("IN") && tokens[3].Group == sqlparse.Parenthesis:
		return comparisonOf(left, &sqlparse.Token{Text: string(NotIn)}, tokens[3]), fourWords
	}

	return nil, fourWords
}

func comparisonOf(tokens ...*sqlparse.Token) *sqlparse.Token {
	return &sqlparse.Token{Group: sqlparse.Comparison, Children: tokens}
}

// condition reads the parts of one comparison.
func (g *Grammar) condition(parts []*sqlparse.Token) (condition, error) {
	var comparator Comparator
	if len(parts) > 1 {
		comparator = Comparator(parts[1].Text)
	}

	forNull := len(parts) == 2 && (comparator == IsNull || comparator == IsNotNull) && g.notNullable != ""

	if err := checkComparison(parts, forNull); err != nil {
		return condition{}, err
	}

	name, key, err := g.identifier(parts[0].Text)
	if err != nil {
		return condition{}, err
	}

	if g.literalKeys && name.kind == Attribute {
		key = written(parts[0].Text)
	}

	c := condition{operand: name.operandOf(key)}
	if c.operand == nil {
		return condition{}, contract.InvalidParameter("%s", fill(name.unknownKey, "{key}", key))
	}

	if g.anyCase {
		comparator = Comparator(strings.ToUpper(string(comparator)))
	}

	c.Comparison = Comparison{Kind: name.kind, Key: g.resolve(key), Comparator: comparator}

	switch {
	case !forNull:
		c.Value, err = c.operand.value(key, parts[2])
	case !name.nullable:
		err = contract.InvalidParameter("%s", fill(g.notNullable, "{kind}", string(name.kind), "{key}", key))
	}

	return c, err
}

// checkComparison refuses what isn't an identifier, a comparator and a value; for NULL it may lack the value
// (SearchUtils._validate_comparison).
func checkComparison(parts []*sqlparse.Token, forNull bool) error {
	switch {
	case !forNull && len(parts) != 3:
		return contract.InvalidParameter("Invalid comparison clause. Expected 3 tokens found %d", len(parts))
	case parts[0].Group != sqlparse.Identifier:
		return contract.InvalidParameter("Invalid comparison clause. Expected 'Identifier' found '%s'", parts[0].Text)
	default:
		return nil
	}
}

// written is an identifier's key with its quotes.
func written(text string) string {
	if _, key, qualified := strings.Cut(text, "."); qualified {
		return key
	}

	return text
}

// identifier splits an identifier into its kind and key, without their quotes.
func (g *Grammar) identifier(text string) (*identifier, string, error) {
	spelling, key, qualified := strings.Cut(text, ".")
	if !qualified {
		spelling, key = string(Attribute), text
	}

	if g.quotedKinds {
		spelling = unquote(spelling, "`")
	}

	name := g.find(spelling)
	if name == nil {
		return nil, "", contract.InvalidParameter("%s", fill(g.unknownKind, "{kind}", spelling))
	}

	return name, unquote(unquote(key, "'", `"`), "`"), nil
}

func (g *Grammar) resolve(key string) string {
	if own, ok := g.aliases[key]; ok {
		return own
	}

	return key
}

// isQuoted tells whether a text stands in one of the quotes.
func isQuoted(text string, quotes ...string) bool {
	for _, quote := range quotes {
		if len(text) >= 2 && strings.HasPrefix(text, quote) && strings.HasSuffix(text, quote) {
			return true
		}
	}

	return false
}

func unquote(text string, quotes ...string) string {
	if isQuoted(text, quotes...) {
		return text[1 : len(text)-1]
	}

	return text
}

// value reads what stands to the right of a comparator (SearchUtils._get_value).
func (o *operand) value(key string, token *sqlparse.Token) (Value, error) {
	isText := token.Type == sqlparse.StringSingle || token.Group == sqlparse.Identifier
	isNumber := token.Type == sqlparse.Integer || token.Type == sqlparse.Float

	switch {
	case o.form != quotedText && isNumber:
		return newNumber(token.Text, token.Type == sqlparse.Integer), nil
	case o.form != numeral && isText:
		return quoted(token.Text)
	case o.lists && token.Group == sqlparse.Parenthesis:
		return parseList(token.Text)
	case o.wrongList != "" && token.Group == sqlparse.Parenthesis:
		return nil, contract.InvalidParameter("%s", o.wrongList)
	case o.wrongNumber != "" && isNumber:
		return nil, contract.InvalidParameter("%s", o.wrongNumber)
	}

	return nil, contract.InvalidParameter("%s", fill(o.wrongValue, "{key}", key, "{value}", token.Text))
}

// quoted reads a text in quotes.
func quoted(text string) (Value, error) {
	if !isQuoted(text, "'", `"`) {
		return nil, contract.InvalidParameter("Parameter value is either not quoted or unidentified quote types "+
			"used for string value %s. Use either single or double quotes.", text)
	}

	return Text(unquote(text, "'", `"`)), nil
}

// parseList reads a parenthesised list, which MLflow takes for a Python expression.
func parseList(text string) (Value, error) {
	parsed, err := python.ParseLiteral(text)
	if err != nil {
		return nil, contract.InvalidParameter("While parsing a list in the query," +
			" expected a non-empty list of string values, but got ill-formed list.")
	}

	members, ok := parsed.(python.Tuple)
	if !ok {
		members = python.Tuple{parsed}
	}

	if len(members) == 0 {
		return nil, contract.InvalidParameter("While parsing a list in the query," +
			" expected a non-empty list of string values, but got empty list")
	}

	list := make(List, len(members))

	for i, member := range members {
		text, ok := member.(string)
		if !ok {
			return nil, contract.InvalidParameter("While parsing a list in the query, expected string value, punctuation, "+
				"or whitespace, but got different type in list: %s", python.Repr(members))
		}

		list[i] = text
	}

	return list, nil
}

// judge checks that each comparator suits its operands. In MLflow that is part of building the
// query.
func (g *Grammar) judge(conditions []condition) ([]Comparison, error) {
	comparisons := make([]Comparison, len(conditions))

	for i, c := range conditions {
		if c.Value != nil || c.Comparator != IsNull && c.Comparator != IsNotNull {
			if err := c.judge(); err != nil {
				return nil, err
			}
		}

		comparisons[i] = c.Comparison
	}

	return comparisons, nil
}

func (c *condition) judge() error {
	if !slices.Contains(c.operand.comparators, c.Comparator) {
		return contract.InvalidParameter("%s", fill(c.operand.wrongComparator, "{comparator}", string(c.Comparator),
			"{key}", c.Key))
	}

	if sentence := c.operand.wholeNumbers; sentence != "" {
		if err := c.wholeNumbers(sentence); err != nil {
			return err
		}
	}

	if sentence := c.operand.wholeOnly; sentence != "" {
		if err := c.wholeOnly(sentence); err != nil {
			return err
		}
	}

	_, isList := c.Value.(List)
	if isList && c.Comparator != In && c.Comparator != NotIn {
		return contract.InvalidParameter("Comparator '%s' can't be used with a list of values; use IN or NOT IN",
			c.Comparator)
	}

	return nil
}

// wholeOnly makes a whole number of the value.
func (c *condition) wholeOnly(sentence string) error {
	switch v := c.Value.(type) {
	case Number:
		if !v.Whole() {
			return contract.InvalidParameter("%s", fill(sentence, "{key}", c.Key, "{value}", python.ReprFloat(v.Float64())))
		}
	case Text:
		number, ok := pyfmt.ParseInt(string(v))
		if !ok {
			return contract.InvalidParameter("%s", fill(sentence, "{key}", c.Key, "{value}", pyfmt.Repr(string(v))))
		}

		c.Value = newNumber(number.String(), true)
	}

	return nil
}

// wholeNumbers checks that the value consists of whole numbers, and brings those written as text
// into plain decimal digits.
func (c *condition) wholeNumbers(sentence string) error {
	switch v := c.Value.(type) {
	case Number:
		if !v.Whole() {
			value := pyfmt.Repr(python.ReprFloat(v.Float64()))

			return contract.InvalidParameter("%s", fill(sentence, "{key}", c.Key, "{value}", value))
		}
	case Text:
		number, ok := pyfmt.ParseInt(string(v))
		if !ok {
			return contract.InvalidParameter("%s", fill(sentence, "{value}", string(v)))
		}

		c.Value = Text(number.String())
	case List:
		numbers := make(List, len(v))

		for i, text := range v {
			number, ok := pyfmt.ParseInt(text)
			if !ok {
				return contract.InvalidParameter("%s", fill(sentence, "{value}", text))
			}

			numbers[i] = number.String()
		}

		c.Value = numbers
	}

	return nil
}
