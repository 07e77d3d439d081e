package database

import (
	"context"
	"database/sql"
	"slices"
	"sync"
)

// Read runs a read transaction that gives a result.
func Read[T any](ctx context.Context, db *DB, fn func(tx *Tx) (T, error)) (result T, err error) {
	err = db.Read(ctx, func(tx *Tx) error {
		result, err = fn(tx)

		return err
	})

	return result, err
}

// Write runs a write transaction that gives a result.
func Write[T any](ctx context.Context, db *DB, fn func(tx *Tx) (T, error)) (result T, err error) {
	err = db.Write(ctx, func(tx *Tx) error {
		result, err = fn(tx)

		return err
	})

	return result, err
}

// Collect is a query whose rows are appended to items; scan is given each row's Scan.
func Collect[T any](
	items *[]T, scan func(scan func(...any) error) (T, error), query string, args ...any,
) Selection {
	return Selection{
		Statement: Statement{Query: query, Args: args},
		Row: func(row func(...any) error) error {
			item, err := scan(row)
			*items = append(*items, item)

			return err
		},
	}
}

// PlannedLookUps is [Dialect.PlanLookUps], to be put in front of other selections.
func PlannedLookUps(tx *Tx) []Selection { return planned(tx.Dialect().PlanLookUps(), nil) }

// PlannedJoins is [Dialect.PlanJoins], to be put in front of other selections. Statistics that are missing are
// gathered, for the searches to come.
func PlannedJoins(tx *Tx, tables ...string) []Selection {
	return planned(tx.Dialect().PlanJoins(tables...), func(func(...any) error) error {
		tx.db.analyze(tx.ctx, tx.Dialect().Analyze(tables...))

		return nil
	})
}

func planned(query string, row func(scan func(dest ...any) error) error) []Selection {
	if query == "" {
		return nil
	}

	return []Selection{{Statement: Statement{Query: query}, Row: row}}
}

// Value reads a row of one column.
func Value[T any](scan func(...any) error) (value T, err error) {
	err = scan(&value)

	return value, err
}

// Query collects the rows of a query.
func Query[T any](
	tx *Tx, scan func(scan func(...any) error) (T, error), query string, args ...any,
) (items []T, err error) {
	err = tx.Select(Collect(&items, scan, query, args...))

	return items, err
}

// QueryRow is the first row of a query; without one, the error is sql.ErrNoRows.
func QueryRow[T any](
	tx *Tx, scan func(scan func(...any) error) (T, error), query string, args ...any,
) (item T, err error) {
	items, err := Query(tx, scan, query, args...)

	switch {
	case err != nil:
		return item, err
	case len(items) == 0:
		return item, sql.ErrNoRows
	default:
		return items[0], nil
	}
}

// maxRowsPerStatement keeps statements of a size that every database takes (SQL Server's limit).
const maxRowsPerStatement = 1000

// maxRowsKept is up to how many rows a statement's text is kept: to make one of ten rows takes as long as to
// run it does for three.
const maxRowsKept = 100

// RowStatement is a statement for a number of rows, which [ExecRows] runs. It belongs into a variable of a package,
// since it remembers its texts.
type RowStatement struct {
	text func(d Dialect, rows int) string
	kept sync.Map // textKey → string
}

type textKey struct {
	dialect Dialect
	rows    int
}

// InsertRows adds rows.
func InsertRows(table string, columns []string) *RowStatement {
	return &RowStatement{text: func(d Dialect, rows int) string { return d.Insert(table, columns, rows) }}
}

// InsertNewRows adds the rows whose key isn't there.
func InsertNewRows(table string, columns, key []string) *RowStatement {
	return &RowStatement{text: func(d Dialect, rows int) string { return d.InsertIgnore(table, columns, key, rows) }}
}

// UpsertRows adds or changes rows; how many doesn't come from u.
func UpsertRows(u Upsert) *RowStatement {
	return &RowStatement{text: func(d Dialect, rows int) string {
		u := u
		u.Rows = rows

		return d.Upsert(u)
	}}
}

func (s *RowStatement) of(d Dialect, rows int) string {
	if rows > maxRowsKept {
		return s.text(d, rows)
	}

	key := textKey{d, rows}
	if text, ok := s.kept.Load(key); ok {
		return text.(string) //nolint:forcetypeassert // only strings are stored
	}

	text := s.text(d, rows)
	s.kept.Store(key, text)

	return text
}

// ExecRows runs a statement of many rows, in as many pieces as the database's limit on parameters
// asks for. Each row has the same number of values; it says how many rows were changed.
func ExecRows(tx *Tx, statement *RowStatement, rows [][]any) (changed int64, err error) {
	err = inPieces(tx, statement, rows, func(text string, args ...any) error {
		n, err := tx.Exec(text, args...)
		changed += n

		return err
	})

	return changed, err
}

// ExecRowsLater is ExecRows for rows whose number nobody waits for ([Tx.Later]).
func ExecRowsLater(tx *Tx, statement *RowStatement, rows [][]any) error {
	return inPieces(tx, statement, rows, tx.Later)
}

func inPieces(tx *Tx, statement *RowStatement, rows [][]any, exec func(text string, args ...any) error) error {
	if len(rows) == 0 {
		return nil
	}

	dialect := tx.Dialect()
	size := min(dialect.MaxParameters()/len(rows[0]), maxRowsPerStatement)

	for piece := range slices.Chunk(rows, size) {
		if len(piece) > 1 {
			if many, args, ok := dialect.Many(statement.of(dialect, 1), piece); ok {
				if err := exec(many, args...); err != nil {
					return err
				}

				continue
			}
		}

		args := make([]any, 0, len(piece)*len(piece[0]))
		for _, row := range piece {
			args = append(args, row...)
		}

		if err := exec(statement.of(dialect, len(piece)), args...); err != nil {
			return err
		}
	}

	return nil
}
