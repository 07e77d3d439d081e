package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/mlflow/mlflow-go/pkg/contract"
)

// DB is one database. It is safe for concurrent use.
type DB struct {
	dialect   Dialect
	options   Options
	uri       *URI
	driver    transactions
	dialector func(gorm.ConnPool) gorm.Dialector
	gorm      *gorm.DB                        // the template of every Tx.Gorm
	rebound   *rebound                        // nil where placeholders stay as they are
	bind      func(args []any) ([]any, error) // nil where values stay as they are

	pool     *sql.DB
	turns    chan struct{} // who may take a connection of the pool, first come, first served; nil for all
	writing  *sql.DB       // SQLite: holds the writer's one connection
	writer   *writer       // SQLite
	patience time.Duration // SQLite: how long a write waits for another process

	statistics statistics

	mu     sync.RWMutex // guards closed, and users against Close
	closed bool
	users  sync.WaitGroup
}

// transactions is how a database begins and ends them on a connection.
type transactions interface {
	beginRead(ctx context.Context, tx *Tx) error
	beginWrite(ctx context.Context, tx *Tx) error
	commit(ctx context.Context, tx *Tx) error
	rollback(ctx context.Context, conn *sql.Conn) error
	// spoiled says whether a connection that gave this error must not be used again.
	spoiled(err error) bool
	// run takes steps in order, up to the first that fails; where tx has pending ones, those first.
	run(ctx context.Context, tx *Tx, steps []step) error
	// later takes a step with the next ones, or at once where that is no dearer.
	later(tx *Tx, s step) error
	// last runs queries and ends a read transaction, if that saves a round trip.
	last(ctx context.Context, tx *Tx, queries []step) error
}

const (
	// retries is how often a deadlocked transaction is run again.
	retries = 10
	// rollbackTimeout bounds the clean-up after a caller has left.
	rollbackTimeout = 5 * time.Second
)

// Open connects to the database of a SQLAlchemy URI. It tries again while the database can't be
// reached, as MLflow does at start-up; ctx ends that. A SQLite file and its folder are made when
// they are missing. The schema isn't looked at: see package schema.
//
// The error is MLflow's INVALID_PARAMETER_VALUE for a URI that MLflow refuses, wraps
// ErrUnsupported for one that MLflow takes and this package doesn't, and never shows a password.
func Open(ctx context.Context, uri string, o Options) (*DB, error) {
	parsed, err := ParseURI(uri)
	if err != nil {
		return nil, err
	}
	o = o.withDefaults()
	var db *DB
	switch parsed.Dialect {
	case SQLite{}.Name():
		db, err = openSQLite(ctx, parsed, o)
	case PostgreSQL{}.Name():
		db, err = openPostgreSQL(ctx, parsed, o)
	case MySQL{}.Name():
		db, err = openMySQL(ctx, parsed, o)
	case MSSQL{}.Name():
		db, err = openMSSQL(ctx, parsed, o)
	default:
		return nil, unsupported("the database %q", parsed.Dialect)
	}
	if err != nil {
		return nil, err
	}
	db.gorm, err = gorm.Open(db.dialector(db.pool), &gorm.Config{
		SkipDefaultTransaction: true,
		DisableAutomaticPing:   true,
		Logger:                 logger.Discard,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the database: %w", err), db.Close())
	}

	return db, nil
}

// configure sizes a pool as SQLAlchemy's QueuePool, and says how many connections that are at most,
// 0 for no limit. What it opens beyond the pool's size it keeps: to open a connection costs
// PostgreSQL five times what a small transaction does, and SQLAlchemy's workers, four by default,
// keep more between them.
func (o Options) configure(pool *sql.DB) (most int) {
	pool.SetConnMaxLifetime(o.PoolRecycle)
	switch {
	case o.Unpooled:
		pool.SetMaxIdleConns(-1)
	case o.MaxOverflow < 0:
		pool.SetMaxIdleConns(o.PoolSize + defaultMaxOverflow)
	default:
		most = o.PoolSize + o.MaxOverflow
		pool.SetMaxOpenConns(most)
		pool.SetMaxIdleConns(most)
	}

	return most
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Dialect is the database's.
func (db *DB) Dialect() Dialect { return db.dialect }

// URI is the database's address; its String shows no password.
func (db *DB) URI() *URI { return db.uri }

// Close waits for the transactions under way and closes the connections. Transactions that come
// later get ErrClosed.
func (db *DB) Close() error {
	db.mu.Lock()
	again := db.closed
	db.closed = true
	db.mu.Unlock()
	if again {
		return nil
	}
	db.statistics.interrupt()
	db.users.Wait()
	var errs []error
	if db.writer != nil {
		errs = append(errs, db.writer.close())
	}
	errs = append(errs, db.pool.Close())
	if db.writing != nil {
		errs = append(errs, db.writing.Close())
	}

	return errors.Join(errs...)
}

// txKey marks the context of a transaction with its database.
type txKey struct{}

// Read runs fn in a transaction that sees one snapshot and can't write; SQL Server shows each statement
// what is committed and would let it write. fn may run again. Drivers' errors come back with MLflow's codes.
func (db *DB) Read(ctx context.Context, fn func(tx *Tx) error) error {
	if err := db.enter(ctx); err != nil {
		return err
	}
	defer db.users.Done()
	_, err := db.retry(ctx, db.driver.beginRead, fn)

	return translate(err)
}

// Write runs fn in a transaction and returns once it is durable. fn may run again, so it has no
// effects but on the database and on variables that each run sets anew; what is to follow a
// commit goes to [Tx.AfterCommit]. It always runs on the caller's goroutine.
//
// When fn fails, what it wrote is undone and its error comes back: on SQLite after the commit of
// the group that it was in, since the error may rest on what a neighbour wrote. A caller whose ctx
// ends before fn has begun gets ctx's error, within a fifth of a second where another process holds the file.
func (db *DB) Write(ctx context.Context, fn func(tx *Tx) error) error {
	if err := db.enter(ctx); err != nil {
		return err
	}
	defer db.users.Done()
	var hooks []func()
	var err error
	if db.writer != nil {
		hooks, err = db.writer.write(ctx, fn)
	} else {
		hooks, err = db.retry(ctx, db.driver.beginWrite, fn)
	}
	if err != nil {
		return translate(err)
	}
	for _, hook := range hooks {
		hook()
	}

	return nil
}

// queued has those who wait for one of a number of connections served in the order in which they
// came. Of those who wait for itself, database/sql serves any: some would wait for long.
func (db *DB) queued(connections int) {
	if connections > 0 {
		db.turns = make(chan struct{}, connections)
	}
}

// connect calls ping until it succeeds, with MLflow's delays (create_sqlalchemy_engine_with_retry). A
// database that answers with a refusal is believed at once, where MLflow asks it for 100 seconds.
func (db *DB) connect(ctx context.Context, ping func(context.Context) error) error {
	for attempt := 1; ; attempt++ {
		err := ping(ctx)
		if err == nil {
			return nil
		}
		if attempt >= db.options.ConnectAttempts || ctx.Err() != nil || isRefusal(err) {
			return fmt.Errorf("%w %s: %w", ErrUnreachable, db.uri, err)
		}
		delay := 100 * time.Millisecond * (1<<attempt - 1)
		db.options.Logger.WarnContext(ctx, "the database can't be reached, will try again",
			"database", db.uri.String(), "error", err, "delay", delay)
		if pause(ctx, delay) != nil {
			return fmt.Errorf("%w %s: %w", ErrUnreachable, db.uri, err)
		}
	}
}

// enter counts a transaction in; the caller leaves by db.users.Done.
func (db *DB) enter(ctx context.Context) error {
	if inside, _ := ctx.Value(txKey{}).(*DB); inside == db {
		return ErrNested
	}
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.closed {
		return ErrClosed
	}
	db.users.Add(1)

	return nil
}

func (db *DB) begun(ctx context.Context, conn *sql.Conn) *Tx {
	return &Tx{ctx: context.WithValue(ctx, txKey{}, db), db: db, conn: conn, interruptible: true}
}

// retry runs fn in a transaction of its own, again when the database asks for it.
func (db *DB) retry(ctx context.Context, begin beginner, fn func(*Tx) error) ([]func(), error) {
	for attempt := 1; ; attempt++ {
		hooks, err := db.alone(ctx, begin, fn)
		if err == nil {
			return hooks, nil
		}
		if gone := ctx.Err(); gone != nil {
			return nil, fmt.Errorf("%w: %w", gone, err) // what the driver says of it is a lost connection
		}
		f, ok := classify(err)
		if !ok || !f.retry || attempt > retries {
			return nil, err
		}
		// Those who deadlocked should not meet again at once.
		delay := time.Duration(rand.Int64N(int64(attempt) * int64(10*time.Millisecond))) //nolint:gosec // no secret
		db.options.Logger.InfoContext(ctx, "a transaction is run again", "attempt", attempt, "reason", f.message,
			"delay", delay)
		if pause(ctx, delay) != nil {
			return nil, err
		}
	}
}

type beginner func(ctx context.Context, tx *Tx) error

// alone runs fn once, in a transaction of its own on a connection of the pool.
func (db *DB) alone(ctx context.Context, begin beginner, fn func(*Tx) error) (hooks []func(), err error) {
	if db.turns != nil {
		select {
		case db.turns <- struct{}{}:
			defer func() { <-db.turns }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	conn, err := db.pool.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("getting a connection: %w", err)
	}
	committed := false
	defer func() {
		if !committed {
			db.cleanUp(ctx, conn, err)
		}
		_ = conn.Close() // says only that the connection was dropped; a commit stays one
	}()
	tx := db.begun(ctx, conn)
	if err := begin(ctx, tx); err != nil {
		return nil, fmt.Errorf("beginning a transaction: %w", err)
	}
	if err := call(tx, fn); err != nil {
		return nil, errors.Join(tx.lost, err)
	}
	if tx.committed {
		committed = true

		return tx.hooks, nil
	}
	if err := db.driver.commit(ctx, tx); err != nil {
		return nil, fmt.Errorf("committing: %w", err)
	}
	committed = true

	return tx.hooks, nil
}

// cleanUp ends a transaction that failed, or drops the connection.
func (db *DB) cleanUp(ctx context.Context, conn *sql.Conn, cause error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	if err := db.driver.rollback(ctx, conn); err != nil || db.driver.spoiled(cause) {
		// database/sql has no other word for it. That it is gone already is no news.
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
}

// call runs fn and makes an error of a panic.
func call(tx *Tx, fn func(*Tx) error) (err error) {
	defer contract.Recover(&err)

	return fn(tx)
}

func (db *DB) rebind(query string) string {
	if db.rebound == nil {
		return query
	}

	return db.rebound.query(query)
}

// maxRebound bounds the cache of rewritten queries: filters make texts without end.
const maxRebound = 2048

// rebound remembers rewritten queries.
type rebound struct {
	dialect Dialect
	queries sync.Map // string → string
	size    atomic.Int64
}

func newRebound(d Dialect) *rebound { return &rebound{dialect: d} }

func (r *rebound) query(text string) string {
	if found, ok := r.queries.Load(text); ok {
		return found.(string) //nolint:forcetypeassert // only strings are stored
	}
	rewritten := r.dialect.Rebind(text)
	if r.size.Load() < maxRebound {
		r.size.Add(1)
		r.queries.Store(text, rewritten)
	}

	return rewritten
}
