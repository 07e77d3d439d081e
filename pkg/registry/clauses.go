package registry

import (
	"slices"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/search"
)

// clauses collects the parts of a SELECT from a table named m. Values are bound in the order of the
// text: those of the joins, then those of the conditions.
type clauses struct {
	dialect database.Dialect

	joins      strings.Builder
	joinArgs   []any
	conditions []string
	args       []any
	orders     []string
}

// where adds a condition.
func (c *clauses) where(condition string, args ...any) {
	c.conditions = append(c.conditions, condition)
	c.args = append(c.args, args...)
}

// compare adds the condition that a column of text is as a comparison says.
func (c *clauses) compare(column string, comparison search.Comparison) {
	condition, args := c.text(column, comparison.Comparator, comparison.Value)
	c.where(condition, args...)
}

func (c *clauses) order(column string, ascending bool) {
	if !ascending {
		column += " DESC"
	}

	c.orders = append(c.orders, column)
}

// join adds a table of tags, in which one row at most has the comparison's key. Its rows belong to
// those of m by their names, and by another column that m's have as well.
func (c *clauses) join(table, alias, column string, comparison search.Comparison) {
	key, keyArgs := c.text(alias+"."+c.dialect.Quote(keyColumn), search.Equal, search.Text(comparison.Key))
	value, args := c.text(alias+".value", comparison.Comparator, comparison.Value)

	c.joins.WriteString("\nJOIN " + table + " " + alias + " ON " + alias + ".workspace = m.workspace AND " + alias +
		".name = m.name AND " + alias + "." + column + " = m." + column + " AND " + key + " AND " + value)
	c.joinArgs = slices.Concat(c.joinArgs, keyArgs, args)
}

// prompts adds the condition that rows of a table of tags exist, or don't, that say of something,
// by its name, that it is a prompt. Of versions, each has its own; that one of them has it makes a
// prompt of the model.
func (c *clauses) prompts(exist, table, of string, comparison search.Comparison) {
	key, keyArgs := c.text("p."+c.dialect.Quote(keyColumn), search.Equal, search.Text(comparison.Key))
	value, args := c.text("p.value", comparison.Comparator, comparison.Value)

	belongs := "p.workspace = " + of + ".workspace AND p.name = " + of + ".name"
	if table == "model_version_tags" && of == "m" {
		belongs += " AND p.version = m.version"
	}

	c.where(exist+" (SELECT 1 FROM "+table+" p WHERE "+belongs+" AND "+key+" AND "+value+")",
		slices.Concat(keyArgs, args)...)
}

// text is a comparison of a column of text.
func (c *clauses) text(column string, comparator search.Comparator, value search.Value) (condition string, args []any) {
	texts, ok := value.(search.List)
	if text, isText := value.(search.Text); !ok && isText {
		texts = search.List{string(text)}
	}

	condition, repeats := c.dialect.Compare(column, string(comparator), true, len(texts))
	args = make([]any, 0, repeats*len(texts))

	for range repeats {
		for _, text := range texts {
			args = append(args, text)
		}
	}

	return condition, args
}

// statement puts the parts together.
func (c *clauses) statement(columns, from string, limit, offset int64) (text string, args []any) {
	text = "SELECT " + columns + " FROM " + from + c.joins.String() +
		"\nWHERE " + strings.Join(c.conditions, " AND ") +
		"\nORDER BY " + strings.Join(c.orders, ", ") + c.dialect.Limit(int(limit), int(offset))

	return text, slices.Concat(c.joinArgs, c.args)
}
