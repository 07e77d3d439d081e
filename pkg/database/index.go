package database

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Index is an index of a table.
type Index struct {
	Name    string
	Table   string
	Columns []IndexColumn
}

// IndexColumn is a column of an index. Where a descending order has NULL first, the index is told
// to have it last, as [Dialect.NullsLast].
type IndexColumn struct {
	Name       string
	Descending bool
}

// IndexStatements make and remove an index.
type IndexStatements struct {
	// Exists is a query that answers with a row if the index is there and whole.
	Exists string
	// Create makes it, whatever is left of one that wasn't finished; no one waits meanwhile where
	// the database can do that.
	Create []string
	// Drop removes it; it must be there.
	Drop string
}

// columns writes an index's columns.
func (i Index) columns(d Dialect, descending string) string {
	texts := make([]string, len(i.Columns))
	for at, column := range i.Columns {
		texts[at] = d.Quote(column.Name)
		if column.Descending {
			texts[at] += descending
		}
	}

	return " ON " + d.Quote(i.Table) + " (" + strings.Join(texts, ", ") + ")"
}

// HasIndex says whether an index is there.
func (db *DB) HasIndex(ctx context.Context, index Index) (found bool, err error) {
	err = db.Read(ctx, func(tx *Tx) error {
		found = false

		return tx.Select(Selection{
			Statement{Query: db.dialect.Index(index).Exists},
			func(func(...any) error) error {
				found = true

				return nil
			},
		})
	})

	return found, err
}

// AddIndex makes an index.
func (db *DB) AddIndex(ctx context.Context, index Index) error {
	if err := db.maintain(ctx, db.dialect.Index(index).Create...); err != nil {
		return fmt.Errorf("adding the index %s: %w", index.Name, err)
	}

	return nil
}

// DropIndex removes an index.
func (db *DB) DropIndex(ctx context.Context, index Index) error {
	if err := db.maintain(ctx, db.dialect.Index(index).Drop); err != nil {
		return fmt.Errorf("dropping the index %s: %w", index.Name, err)
	}

	return nil
}

// maintain runs statements that change the schema: each on its own where the database has a server,
// which may refuse them in a transaction, and all together on SQLite.
func (db *DB) maintain(ctx context.Context, statements ...string) (err error) {
	if db.writer != nil {
		return db.Write(ctx, func(tx *Tx) error {
			for _, statement := range statements {
				if _, err := tx.Exec(statement); err != nil {
					return err
				}
			}

			return nil
		})
	}
	if err := db.enter(ctx); err != nil {
		return err
	}
	defer db.users.Done()
	conn, err := db.pool.Conn(ctx)
	if err != nil {
		return translate(err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	for _, statement := range statements {
		if err := execOn(ctx, conn, statement); err != nil {
			return translate(err)
		}
	}

	return nil
}
