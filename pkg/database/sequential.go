package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

const (
	rollback      = "ROLLBACK"
	readCommitted = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
)

// sequential runs transactions one statement after another, which every driver can do. A database is
// described by the statements that begin and end its transactions, and by what runs a statement.
type sequential struct {
	read, write         []string
	commitment, undoing string
	step                func(ctx context.Context, tx *Tx, s step) error
}

func (d sequential) beginRead(ctx context.Context, tx *Tx) error {
	return execAllOn(ctx, tx.conn, d.read)
}

func (d sequential) beginWrite(ctx context.Context, tx *Tx) error {
	return execAllOn(ctx, tx.conn, d.write)
}

func (d sequential) commit(ctx context.Context, tx *Tx) error {
	return execOn(ctx, tx.conn, d.commitment)
}

func (d sequential) rollback(ctx context.Context, conn *sql.Conn) error {
	return execOn(ctx, conn, d.undoing)
}

func (sequential) spoiled(error) bool { return false }

func (d sequential) run(ctx context.Context, tx *Tx, steps []step) error {
	for _, s := range steps {
		tx.values += len(s.Args)
		if err := d.step(ctx, tx, s); err != nil {
			return err
		}
	}

	return nil
}

func (d sequential) later(tx *Tx, s step) error { return d.run(tx.ctx, tx, []step{s}) }

func (d sequential) last(ctx context.Context, tx *Tx, queries []step) error {
	return d.run(ctx, tx, queries)
}

// runPooled runs a step through database/sql.
func runPooled(ctx context.Context, tx *Tx, s step) (err error) {
	c := connection{tx}
	query := tx.db.rebind(s.Query)
	if s.row == nil {
		result, err := c.ExecContext(ctx, query, s.Args...)
		if err == nil && s.affected != nil {
			*s.affected, err = result.RowsAffected()
		}

		return err
	}
	rows, err := c.QueryContext(ctx, query, s.Args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := s.row(rows.Scan); err != nil {
			return err
		}
	}

	return rows.Err()
}

func execOn(ctx context.Context, conn *sql.Conn, statement string) error {
	_, err := conn.ExecContext(ctx, statement)

	return err
}

func execAllOn(ctx context.Context, conn *sql.Conn, statements []string) error {
	for _, statement := range statements {
		if err := execOn(ctx, conn, statement); err != nil {
			return err
		}
	}

	return nil
}

// sessions prepares each new connection by statements.
type sessions struct {
	driver.Connector

	statements []string
}

// Connect opens a connection.
func (c sessions) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	for _, statement := range c.statements {
		if err := execute(ctx, conn, statement); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", statement, err), conn.Close())
		}
	}

	return conn, nil
}

func execute(ctx context.Context, conn driver.Conn, statement string) error {
	execer, ok := conn.(driver.ExecerContext)
	if !ok {
		return driver.ErrSkip
	}
	_, err := execer.ExecContext(ctx, statement, nil)

	return err
}
