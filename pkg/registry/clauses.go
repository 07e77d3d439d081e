package registry

import (
	"slices"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/search"
)

// clauses are the parts of a search in a table named m.
type clauses struct{ database.Clauses }

func newClauses(dialect database.Dialect) *clauses {
	return &clauses{database.Clauses{Dialect: dialect}}
}

// compare adds the condition that a column of text is as a comparison says.
func (c *clauses) compare(column string, comparison search.Comparison) {
	condition, args := c.text(column, comparison.Comparator, comparison.Value)
	c.Where(condition, args...)
}

// joinTags adds a table of tags, in which one row at most has the comparison's key. Its rows belong to
// those of m by their names, and by another column that m's have as well.
func (c *clauses) joinTags(table, alias, column string, comparison search.Comparison) {
	key, keyArgs := c.text(alias+"."+c.Dialect.Quote(keyColumn), search.Equal, search.Text(comparison.Key))
	value, args := c.text(alias+".value", comparison.Comparator, comparison.Value)

	c.Join("JOIN "+table+" "+alias+" ON "+alias+".workspace = m.workspace AND "+alias+".name = m.name AND "+alias+"."+
		column+" = m."+column+" AND "+key+" AND "+value, slices.Concat(keyArgs, args)...)
}

// prompts adds the condition that rows of a table of tags exist, or don't, that say of something,
// by its name, that it is a prompt. Of versions, each has its own; that one of them has it makes a
// prompt of the model.
func (c *clauses) prompts(exist, table, of string, comparison search.Comparison) {
	key, keyArgs := c.text("p."+c.Dialect.Quote(keyColumn), search.Equal, search.Text(comparison.Key))
	value, args := c.text("p.value", comparison.Comparator, comparison.Value)

	belongs := "p.workspace = " + of + ".workspace AND p.name = " + of + ".name"
	if table == "model_version_tags" && of == "m" {
		belongs += " AND p.version = m.version"
	}

	c.Where(exist+" (SELECT 1 FROM "+table+" p WHERE "+belongs+" AND "+key+" AND "+value+")",
		slices.Concat(keyArgs, args)...)
}

// text is a comparison of a column of text.
func (c *clauses) text(column string, comparator search.Comparator, value search.Value) (condition string, args []any) {
	return c.CompareText(column, string(comparator), search.Texts(value))
}
