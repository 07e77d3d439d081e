package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"gorm.io/gorm"

	"github.com/mlflow/mlflow-go/pkg/contract"
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
	values     int // that statements were given (not on PostgreSQL)
	// pending are statements that are still to be sent (PostgreSQL).
	pending []step
	// broken says that a statement failed and left nothing that could be committed (PostgreSQL).
	broken bool
	// lost is why pending statements failed, when they had to be sent before others.
	lost error
	// ended says that nothing may follow, committed that not even the commit has to.
	ended, committed bool
	// interruptible is false in SQLite's writer: an interrupted statement would roll back the
	// transaction that others share.
	interruptible bool
}

// Context is the caller's context; a transaction can't be begun with it.
func (tx *Tx) Context() context.Context { return tx.ctx }

// Caller is on whose behalf the transaction runs.
func (tx *Tx) Caller() contract.Caller { return contract.CallerFrom(tx.ctx) }

// Workspace is where the caller's rows live (SqlAlchemyStore._get_active_workspace).
func (tx *Tx) Workspace() string { return tx.Caller().ActiveWorkspace() }

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

// Statement is a statement with "?" placeholders and their values.
type Statement struct {
	Query string
	Args  []any
}

// step is one of the statements that are sent together. Its results go to those of the rest that
// aren't nil; with row, it is a query.
type step struct {
	Statement

	row      func(scan func(dest ...any) error) error
	affected *int64
	tag      *string // what was done; PostgreSQL only
}

// Selection is a query for [Tx.Select].
type Selection struct {
	Statement

	// Row is called for each row with its Scan. It can't use the transaction. Without it, what the
	// statement answers is dropped.
	Row func(scan func(dest ...any) error) error
}

// Select runs queries in order, up to the first that fails. On PostgreSQL they cost one round
// trip together.
func (tx *Tx) Select(selections ...Selection) error { return tx.run(steps(selections)) }

// SelectLast is Select for the last that a read transaction does: it saves PostgreSQL the round
// trip of the commit. The transaction can't be used after it.
func (tx *Tx) SelectLast(selections ...Selection) error {
	if tx.ended {
		return ErrEnded
	}

	err := tx.db.driver.last(tx.ctx, tx, steps(selections))
	tx.ended = true

	return err
}

// Exec runs a statement with "?" placeholders and says how many rows it changed. On MySQL a row that
// an UPDATE finds as it should be isn't changed.
func (tx *Tx) Exec(query string, args ...any) (rowsAffected int64, err error) {
	err = tx.run([]step{{Statement: Statement{Query: query, Args: args}, affected: &rowsAffected}})

	return rowsAffected, err
}

// Later is Exec for a statement whose result nobody waits for: it runs before the transaction's
// next statement or its commit. On PostgreSQL it costs no round trip, and what it fails with, that
// statement or the commit fails with; so nothing may hang on the kind of the error. The arguments
// must stay as they are.
func (tx *Tx) Later(query string, args ...any) error {
	if tx.ended {
		return ErrEnded
	}

	return tx.db.driver.later(tx, step{Statement: Statement{Query: query, Args: args}})
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
	err := tx.Select(Selection{
		Statement{insert.Query, args}, func(scan func(...any) error) error { return scan(&id) },
	})

	return id, err
}

// Savepoint runs statements that may fail without spoiling the transaction: an error of fn undoes
// what fn did, and is returned. Hooks that fn registered are dropped with it.
func (tx *Tx) Savepoint(fn func() error) error {
	hooks := len(tx.hooks)
	name := "inner_" + strconv.Itoa(tx.savepoints+1)
	savepoint := tx.db.dialect.Savepoint(name)
	if _, err := tx.Exec(savepoint.Set); err != nil {
		return fmt.Errorf("setting a savepoint: %w", err)
	}
	tx.savepoints++
	defer func() { tx.savepoints-- }()
	err := fn()
	if err == nil {
		err = tx.flush() // what fn left for later belongs to it
	}
	if err != nil {
		tx.pending = nil
		tx.lost = nil
		tx.hooks = tx.hooks[:hooks]
		_, undo := tx.Exec(savepoint.Undo)
		if undo == nil && savepoint.Release != "" {
			_, undo = tx.Exec(savepoint.Release)
		}
		if undo != nil {
			return errors.Join(err, undo)
		}

		return err
	}
	if savepoint.Release == "" {
		return nil
	}
	if _, err := tx.Exec(savepoint.Release); err != nil {
		return fmt.Errorf("releasing a savepoint: %w", err)
	}

	return nil
}

// AfterCommit registers what is to happen once the transaction is durable. Hooks run in order, on
// the caller's goroutine, before Write returns; never when the transaction fails.
func (tx *Tx) AfterCommit(hook func()) { tx.hooks = append(tx.hooks, hook) }

func (tx *Tx) run(steps []step) error {
	if tx.ended {
		return ErrEnded
	}

	return tx.db.driver.run(tx.ctx, tx, steps)
}

// flush sends what is pending.
func (tx *Tx) flush() error {
	if tx.ended {
		return ErrEnded
	}
	if len(tx.pending) == 0 && !tx.broken {
		return nil
	}
	err := tx.run(nil)
	tx.lost = err

	return err
}

func steps(selections []Selection) []step {
	list := make([]step, len(selections), len(selections)+1) // a commit may follow
	for i, s := range selections {
		list[i] = step{Statement: s.Statement, row: s.Row}
	}

	return list
}

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
	if args, err = c.bound(args); err != nil {
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
	if args, err = c.bound(args); err != nil {
		return nil, err
	}
	c.echo(query)

	return c.tx.conn.QueryContext(ctx, query, args...)
}

// QueryRowContext runs a query for one row.
func (c connection) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	statementContext, err := c.statementContext(ctx)
	if err == nil {
		args, err = c.bound(args)
		c.tx.lost = errors.Join(c.tx.lost, err)
	}
	if err != nil {
		gone, cancel := context.WithCancel(ctx) // the row carries an error; flush's is told by the transaction
		cancel()
		statementContext = gone
	}
	c.echo(query)

	return c.tx.conn.QueryRowContext(statementContext, query, args...)
}

// statementContext is the context that a statement runs in: none, in a transaction that others
// share, once it was seen that the caller is still there.
func (c connection) statementContext(ctx context.Context) (context.Context, error) {
	if err := c.tx.flush(); err != nil {
		return ctx, err
	}
	if c.tx.interruptible {
		return ctx, nil
	}

	return context.Background(), ctx.Err()
}

// bound gives values the types that the driver should send them as.
func (c connection) bound(args []any) ([]any, error) {
	if c.tx.db.bind == nil {
		return args, nil
	}

	return c.tx.db.bind(args)
}

func (c connection) echo(query string) {
	if c.tx.db.options.Echo {
		c.tx.db.options.Logger.InfoContext(c.tx.ctx, "SQL", "statement", query)
	}
}
