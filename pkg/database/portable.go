package database

import "strconv"

// portable is what dialects do alike unless they know better.
type portable struct{}

// NullsLast sorts by whether there is a value first.
func (portable) NullsLast(expression string, descending bool) string {
	text := "CASE WHEN " + expression + " IS NULL THEN 1 ELSE 0 END, " + expression
	if descending {
		text += " DESC"
	}

	return text
}

// AnyOf is IN.
func (portable) AnyOf(column string, values []string) (condition string, args []any) {
	args = make([]any, len(values))
	for i, value := range values {
		args[i] = value
	}

	return compare(column, in, len(values)), args
}

// PlanLookUps needs nothing.
func (portable) PlanLookUps() string { return "" }

// PlanJoins needs nothing.
func (portable) PlanJoins(...string) string { return "" }

// Analyze isn't needed.
func (portable) Analyze(...string) string { return "" }

// Quotient is the division of whole numbers.
func (portable) Quotient(dividend string, divisor int64) string {
	return "(" + dividend + ") / " + strconv.FormatInt(divisor, 10)
}

// Double is how numbers are read anyway.
func (portable) Double(expression string) string { return expression }

// Materialize isn't needed.
func (portable) Materialize(string, string) string { return "" }

// FoldsKeys is what most collations do.
func (portable) FoldsKeys() bool { return true }

// Remote is every database but SQLite.
func (portable) Remote() bool { return true }

// Many isn't faster.
func (portable) Many(string, [][]any) (many string, args []any, ok bool) { return "", nil, false }
