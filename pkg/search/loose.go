package search

import (
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
	"github.com/mlflow/mlflow-go/pkg/search/internal/python"
	"github.com/mlflow/mlflow-go/pkg/search/internal/sqlparse"
)

// LooseGrammar is the language of filters of logged models
// (mlflow.utils.search_logged_model_utils). It has the tokens and the comparisons of a Grammar's
// language, but texts needn't be quoted, double quotes are part of a text, keys lose all of their
// backquotes, and kinds have one spelling each.
type LooseGrammar struct {
	// kinds are the spellings of kinds before a point, in MLflow's order.
	kinds []looseKind
	// aliases maps other names of attributes to their own, where they stand without a kind.
	aliases map[string]string
	// attributes are the ones that exist, each with the form of its values.
	attributes map[string]valueForm
}

type looseKind struct {
	spelling string
	kind     Kind
}

var (
	looseNumericComparators = []Comparator{Less, LessOrEqual, Greater, GreaterOrEqual, Equal, NotEqual}
	looseTextComparators    = []Comparator{Equal, NotEqual, Like, ILike, In, NotIn}

	// qualifiedName is a kind and a key; Python's point isn't a line's end, and its end may be
	// before one.
	qualifiedName = regexp.MustCompile(`^([a-z]+)\.([^\n]+)\n?$`)
)

// LoggedModels is the grammar of SearchLoggedModels.
//
//nolint:goconst // a table: each line says all
var LoggedModels = LooseGrammar{
	kinds: []looseKind{{"attributes", Attribute}, {"metrics", Metric}, {"params", Param}, {"tags", Tag}},
	aliases: map[string]string{
		"creation_time":          "creation_timestamp_ms",
		"creation_timestamp":     "creation_timestamp_ms",
		"last_updated_timestamp": "last_updated_timestamp_ms",
	},
	attributes: map[string]valueForm{
		"model_id": quotedText, "experiment_id": quotedText, "name": quotedText, "artifact_location": quotedText,
		"creation_timestamp_ms": numeral, "last_updated_timestamp_ms": numeral, "status": quotedText,
		"lifecycle_stage": quotedText, "model_type": quotedText, "source_run_id": quotedText,
		"status_message": quotedText,
	},
}

// Attribute returns an attribute's own name and whether there is one of that name or alias.
func (g *LooseGrammar) Attribute(name string) (own string, known bool) {
	own = name
	if alias, ok := g.aliases[name]; ok {
		own = alias
	}

	_, known = g.attributes[own]

	return own, known
}

// ParseFilter returns the comparisons of a filter, none for an empty one. What it refuses is
// INVALID_PARAMETER_VALUE.
func (g *LooseGrammar) ParseFilter(filter string) ([]Comparison, error) {
	if filter == "" {
		return nil, nil
	}

	statements, err := sqlparse.Parse(filter)

	switch {
	case err != nil:
		return nil, contract.InvalidParameter("Invalid filter string: %s. SQLParseError(%s)", pyfmt.Repr(filter),
			pyfmt.Repr(err.Error()))
	case len(statements) != 1:
		return nil, contract.InvalidParameter("Invalid filter string: %s. Expected a single SQL expression.",
			pyfmt.Repr(filter))
	}

	var conditions []looseCondition

	for _, token := range joinWordComparisons(statements[0].Significant()) {
		switch {
		case token.Group == sqlparse.Comparison:
			condition, err := g.condition(token)
			if err != nil {
				return nil, err
			}

			conditions = append(conditions, condition)
		case !strings.EqualFold(strings.TrimFunc(token.Text, pyfmt.IsSpace), "AND"):
			return nil, contract.InvalidParameter("Invalid filter string: %s. Expected a list of comparisons separated by "+
				"'AND' (e.g. 'metrics.loss > 0.1 AND params.lr = 0.01').", pyfmt.Repr(filter))
		}
	}

	comparisons := make([]Comparison, len(conditions))

	for i, c := range conditions {
		if c.unfit != nil {
			return nil, c.unfit
		}

		comparisons[i] = c.Comparison
	}

	return comparisons, nil
}

// looseCondition is a comparison and what is wrong with it that MLflow notices only when it builds
// the query.
type looseCondition struct {
	Comparison

	unfit error
}

func (g *LooseGrammar) condition(token *sqlparse.Token) (looseCondition, error) {
	parts := token.Significant()
	if len(parts) != 3 { //nolint:mnd // as the sentence says
		return looseCondition{}, contract.InvalidParameter("Invalid comparison: %s. Expected a comparison with 3 tokens.",
			token.Joined())
	}

	named, display, err := g.identifier(parts[0].Text)
	if err != nil {
		return looseCondition{}, err
	}

	c := looseCondition{Comparison: named}

	c.Comparator = Comparator(strings.ToUpper(parts[1].Text))

	own, known := c.Key, true
	if c.Kind == Attribute {
		own, known = g.Attribute(c.Key)
	}

	numeric := c.Kind == Metric || c.Kind == Attribute && g.attributes[own] == numeral

	comparators := looseTextComparators
	if numeric {
		comparators = looseNumericComparators
	}

	if !slices.Contains(comparators, c.Comparator) {
		return looseCondition{}, contract.InvalidParameter("Invalid comparison operator for %s: %s. Expected one of %s.",
			display, pyfmt.Repr(string(c.Comparator)), tupleOf(comparators))
	}

	if numeric {
		c.Value, err = looseNumber(parts[2].Text)
	} else {
		c.Value, c.unfit = looseText(c.Comparator, parts[2].Text)
	}

	if !known || own != c.Key {
		c.unfit = contract.InvalidParameter("Logged models have no attribute %s", pyfmt.Repr(c.Key))
	}

	return c, err
}

// identifier reads what is compared; display is MLflow's way of writing it.
func (g *LooseGrammar) identifier(text string) (c Comparison, display string, err error) {
	match := qualifiedName.FindStringSubmatch(text)
	if match == nil {
		key := text
		if own, ok := g.aliases[text]; ok {
			key = own
		}

		key = strings.Trim(key, "`")

		return Comparison{Kind: Attribute, Key: key}, g.kinds[0].spelling + "." + key, nil
	}

	i := slices.IndexFunc(g.kinds, func(k looseKind) bool { return k.spelling == match[1] })
	if i < 0 {
		spellings := make([]string, len(g.kinds))
		for i, k := range g.kinds {
			spellings[i] = k.spelling
		}

		return Comparison{}, "", contract.InvalidParameter("Invalid entity type: %s. Expected one of %s.",
			pyfmt.Repr(match[1]), pyfmt.ReprList(spellings))
	}

	key := strings.Trim(match[2], "`")

	return Comparison{Kind: g.kinds[i].kind, Key: key}, match[1] + "." + key, nil
}

// tupleOf writes comparators as the tuple that MLflow's sentences show.
func tupleOf(comparators []Comparator) string {
	names := make([]string, len(comparators))
	for i, comparator := range comparators {
		names[i] = string(comparator)
	}

	return "(" + strings.Trim(pyfmt.ReprList(names), "[]") + ")"
}

func looseNumber(text string) (Value, error) {
	number, ok := pyfmt.ParseFloat(text)
	if !ok {
		return nil, contract.InvalidParameter("Expected a number in the filter, found %s", pyfmt.Repr(text))
	}

	return numberOf(number), nil
}

// looseText reads a text, or a list of texts for IN and NOT IN. It is unfit when the database would
// refuse it.
func looseText(comparator Comparator, text string) (value Value, unfit error) {
	if !strings.HasPrefix(text, "(") || !strings.HasSuffix(text, ")") {
		return Text(strings.Trim(text, "'")), nil
	}

	parsed, err := python.ParseLiteral(text)
	if err != nil {
		return nil, contract.InvalidParameter("Ill-formed list in the filter: %s", text)
	}

	if comparator != In && comparator != NotIn {
		return nil, contract.InvalidParameter("Comparator '%s' can't be used with a list of values; use IN or NOT IN",
			comparator)
	}

	var members []python.Value

	switch parsed := parsed.(type) {
	case python.Tuple:
		members = parsed
	case python.List:
		members = parsed
	case string:
		members = []python.Value{parsed}
	default:
		return nil, contract.InvalidParameter("Expected a list of texts in the filter, found %s", text)
	}

	list := make(List, len(members))

	for i, member := range members {
		switch member := member.(type) {
		case string:
			list[i] = member
		case *big.Int: // to SQLite, text columns compare with numbers as with texts
			list[i] = member.String()
		default:
			return nil, contract.InvalidParameter("Expected a list of texts in the filter, found %s", text)
		}
	}

	return list, nil
}
