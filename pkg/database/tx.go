package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"gorm.io/gorm"
)

// Tx is one transaction, for the time of the function that it was given to and for that
// function's goroutine.
type Tx struct {
	ctx        context.Context //nolint:containedctx // a transaction lives inside one call
	db         *DB
	conn       *sql.Conn
	gorm       *gorm.DB
	hooks      []func()
	savepoints int
	// interruptible is false in SQLite's writer: an interrupted statement would roll back the
	// transaction that others share.
	interruptible bool
}

// Context is the caller's context; a transaction can't be begun with it.
func (tx *Tx) Context() context.Context { return tx.ctx }

// Dialect is the database's.
func (tx *Tx) Dialect() Dialect { return tx.db.dialect }

// Gorm is gorm on this transaction's connection. It opens no transaction of its own.
func (tx *Tx) Gorm() *gorm.DB {
	if tx.gorm == nil {
		session := tx.db.gorm.Session(&gorm.Session{NewDB: true, Context: tx.ctx})
		session.Statement.ConnPool = connection{tx}
		tx.gorm = session
	}

	return tx.gorm
}

// Exec runs a statement with "?" placeholders and says how many rows it changed.
func (tx *Tx) Exec(query string, args ...any) (rowsAffected int64, err error) {
	result, err := connection{tx}.ExecContext(tx.ctx, tx.db.rebind(query), args...)
	if err != nil {
		return 0, err
	}

	return result.RowsAffected()
}

// Query runs a query with "?" placeholders. The caller closes the rows.
func (tx *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	return connection{tx}.QueryContext(tx.ctx, tx.db.rebind(query), args...)
}

// QueryRow runs a query with "?" placeholders for its first row; Scan says sql.ErrNoRows without
// one.
func (tx *Tx) QueryRow(query string, args ...any) *sql.Row {
	return connection{tx}.QueryRowContext(tx.ctx, tx.db.rebind(query), args...)
}

// Statement is one of many for [Tx.ExecAll].
type Statement struct {
	Query string // with "?" placeholders
	Args  []any
}

// ExecAll runs statements in order, up to the first that fails. On PostgreSQL they cost one round
// trip together.
func (tx *Tx) ExecAll(statements ...Statement) error {
	if len(statements) == 0 {
		return nil
	}

	return tx.db.driver.execAll(tx.ctx, tx, statements)
}

// Insert adds one row and returns its generated column.
func (tx *Tx) Insert(table string, columns []string, generated string, args ...any) (int64, error) {
	insert := tx.db.dialect.InsertReturning(table, columns, generated)
	if insert.LastInsertID {
		result, err := connection{tx}.ExecContext(tx.ctx, tx.db.rebind(insert.Query), args...)
		if err != nil {
			return 0, err
		}

		return result.LastInsertId()
	}
	var id int64
	if err := tx.QueryRow(insert.Query, args...).Scan(&id); err != nil {
		return 0, err
	}

	return id, nil
}

// Savepoint runs statements that may fail without spoiling the transaction: an error of fn undoes
// what fn did, and is returned. Hooks that fn registered are dropped with it.
func (tx *Tx) Savepoint(fn func() error) error {
	tx.savepoints++
	hooks := len(tx.hooks)
	name := "inner_" + strconv.Itoa(tx.savepoints)
	defer func() { tx.savepoints-- }()
	if _, err := tx.Exec("SAVEPOINT " + name); err != nil {
		return fmt.Errorf("setting a savepoint: %w", err)
	}
	if err := fn(); err != nil {
		tx.hooks = tx.hooks[:hooks]
		_, undo := tx.Exec("ROLLBACK TO SAVEPOINT " + name)
		if undo == nil {
			_, undo = tx.Exec("RELEASE SAVEPOINT " + name)
		}
		if undo != nil {
			return errors.Join(err, undo)
		}

		return err
	}
	if _, err := tx.Exec("RELEASE SAVEPOINT " + name); err != nil {
		return fmt.Errorf("releasing a savepoint: %w", err)
	}

	return nil
}

// AfterCommit registers what is to happen once the transaction is durable. Hooks run in order, on
// the caller's goroutine, before Write returns; never when the transaction fails.
func (tx *Tx) AfterCommit(hook func()) { tx.hooks = append(tx.hooks, hook) }

// connection runs statements on a transaction's connection; gorm's ConnPool.
type connection struct{ tx *Tx }

// PrepareContext is gorm's, which never asks for it: prepared statements are the driver's affair.
func (c connection) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	ctx, err := c.statementContext(ctx)
	if err != nil {
		return nil, err
	}

	return c.tx.conn.PrepareContext(ctx, query)
}

// ExecContext runs a statement.
func (c connection) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	ctx, err := c.statementContext(ctx)
	if err != nil {
		return nil, err
	}
	c.echo(query)

	return c.tx.conn.ExecContext(ctx, query, args...)
}

// QueryContext runs a query.
func (c connection) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	ctx, err := c.statementContext(ctx)
	if err != nil {
		return nil, err
	}
	c.echo(query)

	return c.tx.conn.QueryContext(ctx, query, args...)
}

// QueryRowContext runs a query for one row.
func (c connection) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	statementContext, err := c.statementContext(ctx)
	if err != nil {
		statementContext = ctx // done: the row carries its error
	}
	c.echo(query)

	return c.tx.conn.QueryRowContext(statementContext, query, args...)
}

// statementContext is the context that a statement runs in: none, in a transaction that others
// share, once it was seen that the caller is still there.
func (c connection) statementContext(ctx context.Context) (context.Context, error) {
	if c.tx.interruptible {
		return ctx, nil
	}

	return context.Background(), ctx.Err()
}

func (c connection) echo(query string) {
	if c.tx.db.options.Echo {
		c.tx.db.options.Logger.InfoContext(c.tx.ctx, "SQL", "statement", query)
	}
}
