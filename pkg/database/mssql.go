package database

import (
	"strconv"
	"strings"
)

// MSSQL is the dialect of Microsoft SQL Server.
type MSSQL struct{ portable }

// caseSensitive is the collation that MLflow compares text by.
const caseSensitive = "Japanese_Bushu_Kakusu_100_CS_AS_KS_WS"

// maxMSSQLParameters is the server's 2100 without the two that the protocol takes for itself.
const maxMSSQLParameters = 2098

// Name is MLflow's word for the database.
func (MSSQL) Name() string { return "mssql" }

// Quote makes an identifier safe to use.
func (MSSQL) Quote(identifier string) string {
	return "[" + strings.ReplaceAll(identifier, "]", "]]") + "]"
}

// Rebind names the placeholders: @p1, @p2, ….
func (MSSQL) Rebind(query string) string { return numbered(query, "@p") }

// MaxParameters is the server's 2100 without the two that the protocol takes for itself.
func (MSSQL) MaxParameters() int { return maxMSSQLParameters }

// Boolean is 1 or 0: the columns are of type bit.
func (MSSQL) Boolean(value bool) string { return bit(value) }

// Insert adds rows, at most 1000 of them.
func (d MSSQL) Insert(table string, columns []string, rows int) string {
	return insert(d, table, columns, rows)
}

// InsertIgnore adds the rows that are new.
func (d MSSQL) InsertIgnore(table string, columns, key []string, rows int) string {
	return d.merge(Upsert{Table: table, Columns: columns, Key: key, Rows: rows})
}

// Upsert adds or changes rows.
func (d MSSQL) Upsert(u Upsert) string { return d.merge(u) }

// InsertReturning adds one row and answers with its generated column.
func (d MSSQL) InsertReturning(table string, columns []string, generated string) InsertReturning {
	return InsertReturning{Query: "INSERT INTO " + d.Quote(table) + " (" + quoteAll(d, columns) + ") OUTPUT INSERTED." +
		d.Quote(generated) + " VALUES " + placeholders(len(columns), 1)}
}

// ExplicitID lets a value be given to an identity column.
func (d MSSQL) ExplicitID(table string) (before, after string) {
	return "SET IDENTITY_INSERT " + d.Quote(table) + " ON", "SET IDENTITY_INSERT " + d.Quote(table) + " OFF"
}

// Savepoint is SQL Server's; it has no word for forgetting one.
func (MSSQL) Savepoint(name string) Savepoint {
	return Savepoint{Set: "SAVE TRANSACTION " + name, Undo: "ROLLBACK TRANSACTION " + name}
}

// LockRows is a table hint.
func (MSSQL) LockRows() (hint, suffix string) { return " WITH (UPDLOCK, ROWLOCK)", "" }

// Limit ends a SELECT.
func (MSSQL) Limit(limit, offset int) string {
	if limit < 0 && offset <= 0 {
		return ""
	}
	text := " OFFSET " + strconv.Itoa(max(offset, 0)) + " ROWS"
	if limit >= 0 {
		text += " FETCH NEXT " + strconv.Itoa(limit) + " ROWS ONLY"
	}

	return text
}

// Compare gives text a case-sensitive collation.
func (MSSQL) Compare(column, operator string, text bool, values int) (condition string, repeats int) {
	if text {
		column += " COLLATE " + caseSensitive
	}

	return compare(column, operator, values), 1
}

// Index is made in one go.
func (d MSSQL) Index(i Index) IndexStatements {
	return IndexStatements{
		Exists: "SELECT 1 FROM sys.indexes WHERE name = '" + i.Name + "'",
		Create: []string{"CREATE INDEX " + d.Quote(i.Name) + i.columns(d, " DESC")},
		Drop:   "DROP INDEX IF EXISTS " + d.Quote(i.Name) + " ON " + d.Quote(i.Table),
	}
}

// TimeBucket divides whole numbers.
func (MSSQL) TimeBucket(column string, perMillisecond, seconds int64) string {
	if perMillisecond != 1 {
		column += " / " + strconv.FormatInt(perMillisecond, 10)
	}

	return "FLOOR(" + column + " / " + millis(seconds) + ") * " + millis(seconds)
}

// Percentiles are the same for all rows of a group: SQL Server has them over windows only.
func (MSSQL) Percentiles(fractions []float64, expression string, groups []string) Percentiles {
	columns, aggregates := make([]string, len(fractions)), make([]string, len(fractions))
	for i, fraction := range fractions {
		name := "percentile_" + strconv.Itoa(i)
		columns[i] = "PERCENTILE_CONT(" + double(fraction) + ") WITHIN GROUP (ORDER BY " + expression + ") OVER (" +
			strings.TrimSpace(partition(groups)) + ") AS " + name
		aggregates[i] = "MAX(" + name + ")"
	}

	return Percentiles{Columns: strings.Join(columns, ", "), Aggregates: aggregates}
}

// CurrentMillis is the clock of the server.
func (MSSQL) CurrentMillis() string {
	return "DATEDIFF_BIG(MILLISECOND, '1970-01-01', SYSUTCDATETIME())"
}

// Tables lists the tables of the user's schema.
func (MSSQL) Tables() string { return "SELECT name FROM sys.tables WHERE schema_id = SCHEMA_ID()" }

// merge holds a range lock: without it, two of them could add the same row.
func (d MSSQL) merge(u Upsert) string {
	stored := func(column string) string { return "stored." + d.Quote(column) }
	given := func(column string) string { return "given." + d.Quote(column) }
	var b strings.Builder
	b.WriteString("MERGE INTO " + d.Quote(u.Table) + " WITH (HOLDLOCK) AS stored USING " + d.source(u) + " ON ")
	for i, column := range u.Key {
		if i > 0 {
			b.WriteString(" AND ")
		}
		b.WriteString(stored(column) + " = " + given(column))
	}
	if len(u.Update) > 0 {
		b.WriteString(" WHEN MATCHED")
		if u.When != nil {
			b.WriteString(" AND (" + u.When(stored, given) + ")")
		}
		b.WriteString(" THEN UPDATE SET ")
		for i, column := range u.Update {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(d.Quote(column) + " = " + given(column))
		}
	}
	b.WriteString(" WHEN NOT MATCHED THEN INSERT (" + quoteAll(d, u.Columns) + ") VALUES (")
	for i, column := range u.Columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(given(column))
	}
	b.WriteString(");")

	return b.String()
}

// source is the rows of a merge, named given. Of rows that are to be left out when they exist, one of
// each key: the statement would add them all, seeing only what was there before it.
func (d MSSQL) source(u Upsert) string {
	columns := quoteAll(d, u.Columns)
	values := "(VALUES " + placeholders(len(u.Columns), u.Rows) + ") AS "
	if u.Rows == 1 || len(u.Update) > 0 {
		return values + "given (" + columns + ")"
	}

	return "(SELECT " + columns + " FROM (SELECT " + columns + ", ROW_NUMBER() OVER (PARTITION BY " + quoteAll(d, u.Key) +
		" ORDER BY (SELECT NULL)) AS place FROM " + values + "listed (" + columns + ")) AS numbered WHERE place = 1) AS given"
}
