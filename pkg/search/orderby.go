package search

import (
	"slices"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
	"github.com/mlflow/mlflow-go/pkg/search/internal/python"
	"github.com/mlflow/mlflow-go/pkg/search/internal/sqlparse"
)

// Order is one thing to sort by.
type Order struct {
	Kind Kind
	// Key is the attribute's own name, or a metric's, param's or tag's key.
	Key       string
	Ascending bool
}

// ParseOrderBy reads order_by clauses. What it refuses is INVALID_PARAMETER_VALUE; sorting twice
// by the same thing is INTERNAL_ERROR, as MLflow has it.
func (g *Grammar) ParseOrderBy(clauses []string) ([]Order, error) {
	orders := make([]Order, 0, len(clauses))

	for _, clause := range clauses {
		order, err := g.parseOrder(clause)
		if err != nil {
			return nil, err
		}

		if g.order.anyKind && slices.Contains(g.order.attributes, order.Key) {
			order.Kind = Attribute
		}

		if !slices.Contains(g.order.kinds, order.Kind) {
			return nil, contract.InvalidParameter("%s", fill(g.order.unknownKind, "{kind}", string(order.Kind),
				"{key}", order.Key))
		}

		if g.order.unique && slices.ContainsFunc(orders, func(other Order) bool {
			return other.Kind == order.Kind && other.Key == order.Key
		}) {
			return nil, contract.Errorf(protos.ErrorCode_INTERNAL_ERROR,
				"`order_by` contains duplicate fields: %s", pyfmt.ReprList(clauses))
		}

		orders = append(orders, order)
	}

	return orders, nil
}

// parseOrder mirrors SearchUtils._parse_order_by_string and the identifier's checks.
func (g *Grammar) parseOrder(clause string) (Order, error) {
	text, ok := orderText(clause)
	if !ok {
		return Order{}, errUnparsedOrder(clause)
	}

	words, err := python.SplitShell(strings.ReplaceAll(text, "`", `"`))
	if err != nil || len(words) > 2 {
		return Order{}, errUnparsedOrder(clause)
	}

	ascending := true

	if len(words) == 2 {
		direction := strings.ToLower(words[1])
		if direction != "asc" && direction != "desc" {
			return Order{}, contract.InvalidParameter("Invalid ordering key in order_by clause '%s'.", clause)
		}

		text, ascending = words[0], direction == "asc"
	}

	text = strings.TrimFunc(text, pyfmt.IsSpace)

	if g.order.bare {
		return g.bareOrder(text, ascending)
	}

	name, key, err := g.identifier(text)
	if err != nil {
		return Order{}, err
	}

	if name.kind == Attribute && !slices.Contains(g.order.attributes, key) {
		return Order{}, contract.InvalidParameter("%s", fill(unknownAttribute(g.order.attributes...), "{key}", key))
	}

	if name.kind != Attribute && name.operandOf(key) == nil {
		return Order{}, contract.InvalidParameter("%s", fill(name.unknownKey, "{key}", key))
	}

	return Order{Kind: name.kind, Key: g.resolve(key), Ascending: ascending}, nil
}

func (g *Grammar) bareOrder(key string, ascending bool) (Order, error) {
	if !slices.Contains(g.order.attributes, key) {
		return Order{}, contract.InvalidParameter("%s", fill(g.order.unknownKey, "{key}", key))
	}

	if own, ok := g.order.aliases[key]; ok {
		key = own
	}

	return Order{Kind: Attribute, Key: key, Ascending: ascending}, nil
}

func errUnparsedOrder(clause string) error {
	return contract.InvalidParameter("Invalid order_by clause '%s'. Could not be parsed.", clause)
}

// orderText returns the part of a clause that says what to sort by and in which direction. It
// must be a single identifier, save for the word timestamp, which is none to the tokenizer.
func orderText(clause string) (text string, ok bool) {
	statements, err := sqlparse.Parse(clause)
	if err != nil || len(statements) != 1 {
		return "", false
	}

	tokens := statements[0].Children
	first, last := tokens[0], tokens[len(tokens)-1]
	isTimestamp := first.Type == sqlparse.NameBuiltin && first.Text == timestamp

	switch {
	case len(tokens) == 1 && first.Group == sqlparse.Identifier:
		return first.Text, true
	case len(tokens) == 1 && isTimestamp:
		return timestamp, true
	case isTimestamp && len(statements[0].Significant()) == 2 && last.Type == sqlparse.KeywordOrder:
		return timestamp + " " + last.Text, true
	}

	return "", false
}
