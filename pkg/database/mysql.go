package database

import (
	"slices"
	"strconv"
	"strings"
)

// MySQL is the dialect of MySQL and MariaDB.
type MySQL struct{ portable }

// maxMySQLParameters is what a prepared statement can count.
const maxMySQLParameters = 65535

// Name is MLflow's word for the database.
func (MySQL) Name() string { return "mysql" }

// Quote makes an identifier safe to use.
func (MySQL) Quote(identifier string) string {
	return "`" + strings.ReplaceAll(identifier, "`", "``") + "`"
}

// Rebind returns the query as it is.
func (MySQL) Rebind(query string) string { return query }

// MaxParameters is what a prepared statement can count.
func (MySQL) MaxParameters() int { return maxMySQLParameters }

// Boolean is 1 or 0: the columns are of type tinyint.
func (MySQL) Boolean(value bool) string { return bit(value) }

// Insert adds rows.
func (d MySQL) Insert(table string, columns []string, rows int) string {
	return insert(d, table, columns, rows)
}

// InsertIgnore adds the rows that are new. INSERT IGNORE would hide other faults as well.
func (d MySQL) InsertIgnore(table string, columns, key []string, rows int) string {
	same := d.Quote(key[0])

	return d.Insert(table, columns, rows) + " ON DUPLICATE KEY UPDATE " + same + " = " + same
}

// Upsert adds or changes rows. MySQL assigns from left to right, and a condition would see what
// was assigned before it: it is kept from the first column on in a variable.
func (d MySQL) Upsert(u Upsert) string {
	var b strings.Builder
	b.WriteString(d.Insert(u.Table, u.Columns, u.Rows))
	b.WriteString(" ON DUPLICATE KEY UPDATE ")
	given := func(column string) string { return "VALUES(" + d.Quote(column) + ")" }
	update := u.Update
	if u.When == nil {
		update = slices.Concat(u.Key, u.Update) // a key that is spelled otherwise is the same key
	}
	for i, column := range update {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(d.Quote(column) + " = ")
		if u.When == nil {
			b.WriteString(given(column))

			continue
		}
		condition := "@mlflow_changes"
		if i == 0 {
			condition += " := (" + u.When(
				func(column string) string { return d.Quote(u.Table) + "." + d.Quote(column) }, given) + ")"
		}
		b.WriteString("IF(" + condition + ", " + given(column) + ", " + d.Quote(u.Table) + "." + d.Quote(column) + ")")
	}

	return b.String()
}

// InsertReturning adds one row; LAST_INSERT_ID has its id.
func (d MySQL) InsertReturning(table string, columns []string, _ string) InsertReturning {
	return InsertReturning{Query: d.Insert(table, columns, 1), LastInsertID: true}
}

// ExplicitID keeps 0 from meaning the next id. MLflow leaves the session without any SQL mode
// afterwards; here the mode comes back.
func (MySQL) ExplicitID(string) (before, after string) {
	return "SET @mlflow_sql_mode = @@SESSION.sql_mode, " +
			"SESSION sql_mode = CONCAT_WS(',', @@SESSION.sql_mode, 'NO_AUTO_VALUE_ON_ZERO')",
		"SET SESSION sql_mode = @mlflow_sql_mode"
}

// Savepoint is the standard's.
func (MySQL) Savepoint(name string) Savepoint { return standardSavepoint(name) }

// LockRows is FOR UPDATE.
func (MySQL) LockRows() (hint, suffix string) { return "", " FOR UPDATE" }

// Limit ends a SELECT. There is no OFFSET without a LIMIT: MySQL's manual says to take this number.
func (MySQL) Limit(limit, offset int) string {
	if limit < 0 && offset > 0 {
		return " LIMIT 18446744073709551615 OFFSET " + strconv.Itoa(offset)
	}

	return limitOffset(limit, offset)
}

// Compare makes text case-sensitive, which MySQL isn't by default: the plain comparison lets an
// index help, the binary one decides.
func (MySQL) Compare(column, operator string, text bool, values int) (condition string, repeats int) {
	if !text {
		return compare(column, operator, values), 1
	}
	switch operator {
	case "=", "LIKE":
		return "(" + column + " " + operator + " ? AND BINARY " + column + " " + operator + " ?)", 2
	case "!=":
		return "(" + column + " != ? OR BINARY " + column + " != ?)", 2
	case in, notIn:
		if values > 0 {
			return "(BINARY " + compare(column, operator, values) + ")", 1
		}
	}

	return compare(column, operator, values), 1
}

// Index is made while others write. MySQL has no DROP INDEX IF EXISTS.
func (d MySQL) Index(i Index) IndexStatements {
	return IndexStatements{
		Exists: "SELECT 1 FROM information_schema.statistics WHERE table_schema = DATABASE() AND index_name = '" +
			i.Name + "' AND seq_in_index = 1",
		Create: []string{"CREATE INDEX " + d.Quote(i.Name) + i.columns(d, " DESC")},
		Drop:   "DROP INDEX " + d.Quote(i.Name) + " ON " + d.Quote(i.Table),
	}
}

// TimeBucket divides decimals, of which MySQL keeps four more digits than a column has.
func (MySQL) TimeBucket(column string, perMillisecond, seconds int64) string {
	if perMillisecond != 1 {
		column = "(" + column + " / " + strconv.FormatInt(perMillisecond, 10) + ")"
	}

	return "FLOOR(" + column + " / " + millis(seconds) + ") * " + millis(seconds)
}

// Quotient is rounded down.
func (MySQL) Quotient(dividend string, divisor int64) string {
	return "FLOOR((" + dividend + ") / " + strconv.FormatInt(divisor, 10) + ")"
}

// Percentiles are interpolated between the values whose ranks are nearest.
func (MySQL) Percentiles(fractions []float64, expression string, groups []string) Percentiles {
	const rank = "percentile_rank"

	percentiles := Percentiles{
		Columns:    "PERCENT_RANK() OVER (" + partition(groups) + "ORDER BY " + expression + ") AS " + rank,
		Aggregates: make([]string, len(fractions)),
	}
	for i, fraction := range fractions {
		wanted := double(fraction)
		low := func(column string) string {
			return "MAX(CASE WHEN " + rank + " <= " + wanted + " THEN " + column + " END)"
		}
		high := func(column string) string {
			return "MIN(CASE WHEN " + rank + " >= " + wanted + " THEN " + column + " END)"
		}
		value := low(PercentileValue)
		percentiles.Aggregates[i] = "COALESCE(" + value + " + ((" + high(PercentileValue) + " - " + value + ") * (" + wanted +
			" - " + low(rank) + ")) / NULLIF(" + high(rank) + " - " + low(rank) + ", 0), " + value + ")"
	}

	return percentiles
}

// CurrentMillis is the clock of the server.
func (MySQL) CurrentMillis() string {
	return "FLOOR(TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(3)) / 1000)"
}

// Tables lists the database's tables.
func (MySQL) Tables() string {
	return "SELECT table_name FROM information_schema.tables " +
		"WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'"
}
