package database

import (
	"slices"
	"strconv"
	"strings"
)

// Conditions are what rows must meet, all of them. Values are bound in the order of the text.
type Conditions struct {
	texts []string
	args  []any
}

// Where adds a condition.
func (c *Conditions) Where(condition string, args ...any) {
	c.texts = append(c.texts, condition)
	c.args = append(c.args, args...)
}

// And is both.
func (c *Conditions) And(others *Conditions) *Conditions {
	return &Conditions{slices.Concat(c.texts, others.texts), slices.Concat(c.args, others.args)}
}

// String is what follows WHERE; there must be one condition at least.
func (c *Conditions) String() string { return strings.Join(c.texts, " AND ") }

// Args are the values.
func (c *Conditions) Args() []any { return c.args }

// Clauses collects the parts of a SELECT. Values are bound in the order of the text: those of the
// joins, then those of the conditions.
type Clauses struct {
	Conditions

	Dialect Dialect

	joins    strings.Builder
	joinArgs []any
	orders   []string
}

// Join adds a join.
func (c *Clauses) Join(text string, args ...any) {
	c.joins.WriteString("\n" + text)
	c.joinArgs = append(c.joinArgs, args...)
}

// HasJoins says whether there is a join.
func (c *Clauses) HasJoins() bool { return c.joins.Len() > 0 }

// OrderBy adds what to sort by, in the words of an ORDER BY.
func (c *Clauses) OrderBy(keys ...string) { c.orders = append(c.orders, keys...) }

// NumberList writes numbers as an IN clause has them; there may be more of them than a statement takes values.
func NumberList(numbers []int64) string {
	texts := make([]string, len(numbers))
	for i, number := range numbers {
		texts[i] = strconv.FormatInt(number, 10)
	}

	return strings.Join(texts, ", ")
}

// Direction is a sort key of a column.
func Direction(column string, ascending bool) string {
	if ascending {
		return column
	}

	return column + " DESC"
}

// CompareText is a comparison of a column of text, and what is to be bound to it.
func (c *Clauses) CompareText(column, operator string, values []string) (condition string, args []any) {
	condition, repeats := c.Dialect.Compare(column, operator, true, len(values))
	args = make([]any, 0, repeats*len(values))
	for range repeats {
		for _, value := range values {
			args = append(args, value)
		}
	}

	return condition, args
}

// Statement puts the parts together. A filter has far fewer values than the native databases take
// parameters, since the parser takes 10,000 tokens at most.
func (c *Clauses) Statement(columns, from string, limit, offset int64) (text string, args []any) {
	text = "SELECT " + columns + " FROM " + from + c.joins.String() +
		"\nWHERE " + c.String() +
		"\nORDER BY " + c.order() + c.Dialect.Limit(int(limit), int(offset))

	return text, slices.Concat(c.joinArgs, c.args)
}

// order is what to sort by: no column twice, which SQL Server refuses.
func (c *Clauses) order() string {
	var (
		orders []string
		seen   = make(map[string]bool, len(c.orders))
	)
	for _, order := range c.orders {
		if column := strings.TrimSuffix(order, " DESC"); !seen[column] {
			seen[column] = true
			orders = append(orders, order)
		}
	}

	return strings.Join(orders, ", ")
}
