package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/mlflow/mlflow-go/pkg/contract"
)

// maxGroup is how many writes share a commit.
const maxGroup = 64

// checkpoint is how many pages the write-ahead log takes before they are copied into the file, four
// times SQLite's own number: what is written over and over meanwhile is copied once. At 1,000 the
// copying was a sixth of the time of a log-batch of ten.
const checkpoint = "PRAGMA wal_autocheckpoint = 4000"

// gap is what part of the time that a group had the file the writer leaves it alone afterwards, when the
// next group waits already. Other processes look for the lock now and then, at most every 100 ms: without a
// gap they find it by luck only. The next group grows meanwhile, so that hardly anything is lost.
const gap = 16

// writer is SQLite's one writer. Its goroutine opens a transaction, gives each waiting caller its
// turn in a savepoint, commits, and only then lets the callers know. The callers' functions run
// on the callers' goroutines.
type writer struct {
	db    *DB
	conn  *sql.Conn
	queue chan *member
	group []*member // whom the goroutine serves; its own
	done  chan struct{}
}

// member is one caller's write.
type member struct {
	ctx    context.Context //nolint:containedctx // a member lives inside one call
	since  time.Time
	state  atomic.Int32
	orders chan order // capacity 1: the writer never waits for a caller to read
	report chan error
	err    error // of its function, to be told after the commit
	hooks  []func()
	done   bool // it follows no more orders: it was dismissed, or its goroutine ended in the function
}

// A member waits until either its writer or its context takes it.
const (
	waiting int32 = iota
	taken
	left
)

// order is what the writer tells a member: run your function in tx, or, without one, you are done.
type order struct {
	tx    *Tx
	err   error
	hooks []func()
}

// startWriter connects the writer, unless it was before.
func (db *DB) startWriter(ctx context.Context) error {
	conn, err := db.writing.Conn(ctx)
	if err != nil {
		return fmt.Errorf("opening the SQLite file: %w", err)
	}
	if !db.options.KeepJournal {
		if err := writeAheadLog(ctx, conn, db.options); err != nil {
			return errors.Join(err, conn.Close())
		}
	}
	if err := execOn(ctx, conn, checkpoint); err != nil {
		return errors.Join(fmt.Errorf("setting up the SQLite writer: %w", err), conn.Close())
	}
	db.writer = &writer{db: db, conn: conn, queue: make(chan *member, maxGroup), done: make(chan struct{})}
	go db.writer.run() //nolint:contextcheck // it outlives whoever opened the database

	return nil
}

// close ends the writer when its last member is done: nobody may come any more.
func (w *writer) close() error {
	close(w.queue)
	<-w.done

	return w.conn.Close()
}

// write is the caller's side.
func (w *writer) write(ctx context.Context, fn func(*Tx) error) ([]func(), error) {
	m := &member{ctx: ctx, since: time.Now(), orders: make(chan order, 1), report: make(chan error, 1)}
	select {
	case w.queue <- m:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	leave := ctx.Done()
	for {
		select {
		case o := <-m.orders:
			if o.tx == nil {
				return o.hooks, o.err
			}
			m.follow(o.tx, fn)
		case <-leave:
			if m.state.CompareAndSwap(waiting, left) {
				return nil, ctx.Err()
			}
			leave = nil // its work has begun: the answer depends on the commit
		}
	}
}

// follow runs fn and reports, even when fn ends the goroutine.
func (m *member) follow(tx *Tx, fn func(*Tx) error) {
	err := ErrExited
	defer func() { m.report <- err }()
	err = call(tx, fn)
}

// turn gives a member its turn and waits for its report.
func (w *writer) turn(m *member) {
	tx := w.db.begun(m.ctx, w.conn)
	tx.interruptible = false
	m.orders <- order{tx: tx}
	m.err = <-m.report
	m.hooks = tx.hooks
	m.done = errors.Is(m.err, ErrExited)
}

// dismiss tells a member how it ended.
func (m *member) dismiss(err error) {
	if m.done {
		return
	}
	if err != nil {
		m.hooks = nil
	}
	m.done = true
	m.orders <- order{err: err, hooks: m.hooks}
}

func (w *writer) run() {
	defer close(w.done)
	w.group = make([]*member, 0, maxGroup)
	for first := range w.queue {
		w.group = append(w.group, first)
		if err := w.serve(); err != nil {
			w.fail(err)
		}
		clear(w.group)
		w.group = w.group[:0]
	}
}

// serve answers the group. Only a panic is an error: the members have been told of any other.
func (w *writer) serve() (err error) {
	defer contract.Recover(&err)
	// The members' contexts end their own part only.
	if w.begin(); len(w.group) > 0 {
		locked := time.Now()
		w.share()
		if len(w.queue) > 0 {
			time.Sleep(time.Since(locked) / gap)
		}
	}

	return nil
}

// fail tells the members who still wait of a panic.
func (w *writer) fail(cause error) {
	undo := func() (err error) {
		defer contract.Recover(&err)
		w.rollback()

		return nil
	}
	cause = errors.Join(cause, undo())
	for _, m := range w.group {
		if m.state.CompareAndSwap(waiting, taken) || m.state.Load() == taken {
			m.dismiss(cause)
		}
	}
}

// begin opens a transaction for the members that are left once the file could be locked. While
// another process holds it, it answers those who left or have waited long enough.
func (w *writer) begin() {
	for len(w.group) > 0 {
		err := execOn(context.Background(), w.conn, "BEGIN IMMEDIATE")
		if err == nil {
			return
		}
		w.gather()
		kept := w.group[:0]
		for _, m := range w.group {
			switch expired := !isSQLiteBusy(err) || time.Since(m.since) >= w.db.patience; {
			case !expired && m.state.Load() == waiting:
				kept = append(kept, m)
			case m.state.CompareAndSwap(waiting, taken):
				m.dismiss(fmt.Errorf("beginning a transaction: %w", err))
			}
		}
		w.group = kept
	}
}

// gather adds the members that wait, up to the group's size.
func (w *writer) gather() {
	for len(w.group) < maxGroup {
		select {
		case m, ok := <-w.queue:
			if !ok {
				return
			}
			w.group = append(w.group, m)
		default:
			return
		}
	}
}

// share runs the members in the open transaction, and those who come meanwhile, commits and
// dismisses them. When the transaction as a whole is lost, each gets one of its own.
func (w *writer) share() {
	var broken error
	for i := 0; i < len(w.group) && broken == nil; i++ {
		if m := w.group[i]; m.state.CompareAndSwap(waiting, taken) {
			broken = w.inSavepoint(m)
		}
		w.gather()
	}
	if broken == nil {
		broken = w.commit()
	}
	if broken == nil {
		for _, m := range w.group {
			if m.state.Load() == taken {
				m.dismiss(m.err)
			}
		}

		return
	}
	w.rollback()
	for _, m := range w.group {
		if m.state.CompareAndSwap(waiting, taken) || (m.state.Load() == taken && !m.done) {
			m.dismiss(w.alone(m))
		}
	}
}

// inSavepoint runs one member. An error means that the transaction is lost; the member's own is
// kept in the member.
func (w *writer) inSavepoint(m *member) error {
	ctx := context.Background()
	if err := execOn(ctx, w.conn, "SAVEPOINT member"); err != nil {
		return err
	}
	w.turn(m)
	if m.err != nil {
		if err := execOn(ctx, w.conn, "ROLLBACK TO member"); err != nil {
			return err
		}
	}

	return execOn(ctx, w.conn, "RELEASE member")
}

// commit waits for readers in other processes, which a rollback journal makes it do.
func (w *writer) commit() error {
	deadline := time.Now().Add(w.db.patience)
	for {
		err := execOn(context.Background(), w.conn, "COMMIT")
		if err == nil || !isSQLiteBusy(err) || time.Now().After(deadline) {
			return err
		}
	}
}

// rollback ends the transaction if SQLite hasn't: it says so by an error that means nothing.
func (w *writer) rollback() { _ = execOn(context.Background(), w.conn, rollback) }

// alone runs a taken member in a transaction of its own.
func (w *writer) alone(m *member) error {
	m.hooks = nil
	deadline := time.Now().Add(w.db.patience)
	for {
		err := execOn(context.Background(), w.conn, "BEGIN IMMEDIATE")
		if err == nil {
			break
		}
		if !isSQLiteBusy(err) || time.Now().After(deadline) {
			return fmt.Errorf("beginning a transaction: %w", err)
		}
	}
	w.turn(m)
	if m.err != nil {
		w.rollback()

		return m.err
	}
	if err := w.commit(); err != nil {
		w.rollback()

		return fmt.Errorf("committing: %w", err)
	}

	return nil
}
