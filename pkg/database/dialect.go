package database

import (
	"strconv"
	"strings"
)

// Dialect is what differs between databases: the text of statements, named by what a caller wants
// to do. Methods that take column names quote them; conditions and comparisons return SQL with
// "?" placeholders.
type Dialect interface { //nolint:interfacebloat // each method is one difference between databases
	// Name is MLflow's word: sqlite, postgresql, mysql or mssql.
	Name() string
	// Quote makes a table's or column's name safe to use ("key" is a reserved word in MySQL).
	Quote(identifier string) string
	// Rebind turns "?" placeholders into the driver's.
	Rebind(query string) string
	// MaxParameters is how many placeholders one statement may have.
	MaxParameters() int
	// Boolean is a truth value as SQL text.
	Boolean(value bool) string

	// Insert adds rows and fails when one exists.
	Insert(table string, columns []string, rows int) string
	// InsertIgnore adds those rows whose key isn't there yet.
	InsertIgnore(table string, columns, key []string, rows int) string
	// Upsert adds rows and changes those whose key is there already.
	Upsert(u Upsert) string
	// Many turns an Insert, InsertIgnore or Upsert of one row into one statement for any number of
	// rows. It is false where that is no faster than a statement with as many placeholders.
	Many(one string, rows [][]any) (many string, args []any, ok bool)
	// InsertReturning adds one row and says how its generated column is read.
	InsertReturning(table string, columns []string, generated string) InsertReturning
	// ExplicitID gives the statements that must surround an insert of 0 into a generated column,
	// on the same connection; "" where there is no need.
	ExplicitID(table string) (before, after string)

	// Savepoint gives the statements of a savepoint.
	Savepoint(name string) Savepoint

	// LockRows makes a SELECT take the rows for update: hint follows the table's name, suffix the
	// whole statement. Both are empty where a writer is alone anyway.
	LockRows() (hint, suffix string)
	// Limit ends a SELECT that has an ORDER BY. Negative limits mean none.
	Limit(limit, offset int) string
	// NullsLast is an ORDER BY of an expression in which NULL follows everything, in either
	// direction.
	NullsLast(expression string, descending bool) string
	// AnyOf is the condition that a column of text holds one of at least one values, and what is
	// to be bound to it.
	AnyOf(column string, values []string) (condition string, args []any)
	// PlanLookUps is a statement that has the rest of a read transaction look rows up by their
	// keys where it could read whole tables; "" where there is no need.
	PlanLookUps() string
	// PlanJoins is a query that has the rest of a read transaction join some tables in a way
	// that is good for many rows, where one of them has rows but no statistics, and has a row
	// there; "" where there is no need.
	PlanJoins(tables ...string) string
	// Analyze is a statement that gathers the statistics of tables; "" where nothing lacks them.
	Analyze(tables ...string) string

	// Compare is a comparison of a column with placeholders as MLflow's
	// SearchUtils.get_sql_comparison_func builds it: text compares case-sensitively, but for
	// ILIKE. The operator is one of =, !=, <, <=, >, >=, LIKE, ILIKE, IN, NOT IN; values is the
	// number of values (1 but for IN and NOT IN). Repeats says how many times the values are to
	// be bound, all of them in order each time.
	Compare(column, operator string, text bool, values int) (condition string, repeats int)
	// TimeBucket is where the span of so many seconds that a time lies in begins, in milliseconds since
	// 1970; perMillisecond says how many of the column's units make a millisecond: 1, or a million.
	TimeBucket(column string, perMillisecond, seconds int64) string
	// Quotient divides whole numbers to a whole number.
	Quotient(dividend string, divisor int64) string
	// Double is a number of any type as one that drivers read into a float64.
	Double(expression string) string
	// Percentiles are percentiles of an expression, by fractions between 0 and 1, of rows that are grouped
	// by others.
	Percentiles(fractions []float64, expression string, groups []string) Percentiles
	// Materialize is what stands in front of a query to have what is joined to it found first; "" where
	// a join is as good.
	Materialize(name, query string) string
	// FoldsKeys says that a unique key may find texts the same that differ in case, accents or spaces
	// at the end.
	FoldsKeys() bool
	// Remote says that statements go to a server: to read much at once is worth what it costs here.
	Remote() bool
	// Index gives the statements for an index.
	Index(index Index) IndexStatements
	// CurrentMillis is the database clock, in milliseconds since 1970
	// (get_current_time_millis_expression).
	CurrentMillis() string
	// Tables is a query of the names of the tables that a plain name finds.
	Tables() string
}

const (
	in    = "IN"
	notIn = "NOT IN"
)

// Upsert describes an insert that changes rows which exist already.
type Upsert struct {
	Table   string
	Columns []string // of the new rows, in the order of the values
	Key     []string // the unique columns that decide whether a row exists
	Update  []string // columns that take the new row's value
	Rows    int
	// When, if set, gives the condition under which an existing row is changed; stored and given
	// name a column's value in the row that exists and in the new one.
	When func(stored, given func(column string) string) string
}

// Savepoint is the statements that set a savepoint, go back to it, and forget it; the last one is ""
// where there is none.
type Savepoint struct {
	Set, Undo, Release string
}

// Percentiles are parts of a query that groups rows.
type Percentiles struct {
	// Columns are what the rows need first: then the query is one of a derived table that has them beside
	// the expression, under the name of PercentileValue. "" where there is no need.
	Columns string
	// Aggregates are the percentiles, in the order of the fractions.
	Aggregates []string
	// Values stands for the aggregates, if it is set: it makes a JSON list of the group's numbers, in any order,
	// among which the percentiles are to be found.
	Values string
}

// PercentileValue is the name that the expression of Percentiles has in a derived table.
const PercentileValue = "percentile_value"

// partition is an OVER clause's.
func partition(groups []string) string {
	if len(groups) == 0 {
		return ""
	}

	return "PARTITION BY " + strings.Join(groups, ", ") + " "
}

// double is a number as SQL text that every database takes for one of 64 bits.
func double(number float64) string { return strconv.FormatFloat(number, 'e', -1, 64) }

// millis is a number of seconds in milliseconds, as SQL text: it may have more than 64 bits.
func millis(seconds int64) string {
	if seconds == 0 {
		return "0"
	}

	return strconv.FormatInt(seconds, 10) + "000"
}

// standardSavepoint is everybody's but SQL Server's.
func standardSavepoint(name string) Savepoint {
	return Savepoint{
		Set: "SAVEPOINT " + name, Undo: "ROLLBACK TO SAVEPOINT " + name, Release: "RELEASE SAVEPOINT " + name,
	}
}

// InsertReturning is an insert of one row with a generated column.
type InsertReturning struct {
	Query string
	// LastInsertID means that the driver reports the value; otherwise the query answers with it.
	LastInsertID bool
}

func quoteAll(d Dialect, identifiers []string) string {
	quoted := make([]string, len(identifiers))
	for i, identifier := range identifiers {
		quoted[i] = d.Quote(identifier)
	}

	return strings.Join(quoted, ", ")
}

// placeholders is "(?, ?), (?, ?)".
func placeholders(columns, rows int) string {
	row := "(" + repeat("?", columns) + ")"

	return repeat(row, rows)
}

func repeat(item string, n int) string {
	if n < 1 {
		return ""
	}

	return item + strings.Repeat(", "+item, n-1)
}

func insert(d Dialect, table string, columns []string, rows int) string {
	return "INSERT INTO " + d.Quote(table) + " (" + quoteAll(d, columns) + ") VALUES " + placeholders(len(columns), rows)
}

// compare is the comparison that every database but MySQL understands.
func compare(column, operator string, values int) string {
	switch {
	case values == 0 && operator == in:
		return "1 = 0"
	case values == 0 && operator == notIn:
		return "1 = 1"
	}
	switch operator {
	case in:
		return column + " IN (" + repeat("?", values) + ")"
	case notIn:
		return column + " NOT IN (" + repeat("?", values) + ")"
	case "ILIKE":
		return "lower(" + column + ") LIKE lower(?)"
	default:
		return column + " " + operator + " ?"
	}
}

// onConflict is the upsert of SQLite and PostgreSQL.
func onConflict(d Dialect, u Upsert) string {
	var b strings.Builder
	b.WriteString(insert(d, u.Table, u.Columns, u.Rows))
	b.WriteString(" ON CONFLICT (" + quoteAll(d, u.Key) + ") DO UPDATE SET ")
	for i, column := range u.Update {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(d.Quote(column) + " = excluded." + d.Quote(column))
	}
	if u.When != nil {
		b.WriteString(" WHERE " + u.When(
			func(column string) string { return d.Quote(u.Table) + "." + d.Quote(column) },
			func(column string) string { return "excluded." + d.Quote(column) },
		))
	}

	return b.String()
}

func limitOffset(limit, offset int) string {
	text := ""
	if limit >= 0 {
		text = " LIMIT " + strconv.Itoa(limit)
	}
	if offset > 0 {
		text += " OFFSET " + strconv.Itoa(offset)
	}

	return text
}

// numbered replaces each "?" outside quotes by prefix1, prefix2, ….
func numbered(query, prefix string) string {
	if !strings.Contains(query, "?") {
		return query
	}
	var b strings.Builder
	b.Grow(len(query) + 16)
	n := 0
	for i := 0; i < len(query); i++ {
		switch c := query[i]; c {
		case '?':
			n++
			b.WriteString(prefix)
			b.WriteString(strconv.Itoa(n))
		case '\'', '"':
			end := strings.IndexByte(query[i+1:], c)
			if end < 0 {
				b.WriteString(query[i:])

				return b.String()
			}
			b.WriteString(query[i : i+end+2])
			i += end + 1
		default:
			b.WriteByte(c)
		}
	}

	return b.String()
}
