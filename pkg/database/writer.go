package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mlflow/mlflow-go/pkg/contract"
)

// maxGroup is how many writes share a commit.
const maxGroup = 64

// longGroup is how many values a group may have given to statements when it takes another write. What they change stays
// in memory until the commit, which takes a hundredth of their time: groups of sixteen log-batches of 500 needed 8 MiB
// more than those of three or four, and were no faster.
const longGroup = 10_000

// keepInMemory has a statement's undo log stay out of files: a log-batch of ten made and filled one each time.
const keepInMemory = "PRAGMA temp_store = MEMORY"

// keepUnwritten has a transaction write nothing before its commit, as package journals asks for: else an
// error in writing what doesn't fit into the page cache could leave the transaction half there.
const keepUnwritten = "PRAGMA cache_spill = OFF"

// gap is what part of the time that a group had the file the next leaves it alone, when it waits already.
// Other processes look for the lock now and then, at most every 100 ms: without a gap they find it by luck
// only. The next group grows meanwhile, so that hardly anything is lost.
const gap = 16

// straggle is what part of the time that the last group took the next waits for as many as were in that one:
// clients that were just answered come back one after the other, and the first of them would have a commit of
// its own.
const straggle = 8

// writer shares SQLite's one writing connection. Who finds it free leads: opens a transaction, runs
// its function, then gives each who came meanwhile a turn in a savepoint, commits, and only then lets
// them know. The first of those who wait leads next. Everyone's function runs on their own goroutine,
// so that one caller alone waits for nobody: in the shared library goroutines are bound to their
// callers' threads, and to hand work over costs more than to do it.
type writer struct {
	db   *DB
	conn *sql.Conn // the leader's
	// close disconnects the writer once nobody uses it any more.
	close       func() error
	checkpoints *checkpoints // nil where there is no write-ahead log

	// arrival has a token when somebody has come since the leader looked.
	arrival chan struct{}
	// What follows is the leader's: how many the last group was and how long it took, and what says that it is too
	// late to wait for more.
	size int
	took time.Duration
	late <-chan time.Time
	// values is how many values the group has given to statements.
	values int

	mu    sync.Mutex // guards what follows
	led   bool
	queue []*member
}

// member is one caller's write.
type member struct {
	ctx    context.Context //nolint:containedctx // a member lives inside one call
	fn     func(*Tx) error
	since  time.Time
	state  atomic.Int32
	orders chan order // capacity 1: the leader never waits for a caller to read
	report chan error
	leads  bool

	result  error // of its function
	outcome error // what it is told in the end
	hooks   []func()
	gone    bool // its goroutine ended in the function: nobody will follow orders
}

// A member waits until either the leader or its context takes it.
const (
	waiting int32 = iota
	taken
	left
)

// order is what the leader tells a member: lead after a pause, run your function in tx, or, without either,
// you are done.
type order struct {
	lead  bool
	pause time.Duration
	tx    *Tx
	err   error
	hooks []func()
}

// errAbandoned is the outcome of a member whose leader didn't come to an end, which is a bug.
var errAbandoned = errors.New("the transaction was abandoned by whom it was shared with")

// startWriter connects the writer, unless it was before.
func (db *DB) startWriter(ctx context.Context) error {
	conn, err := db.writing.Conn(ctx)
	if err != nil {
		return fmt.Errorf("opening the SQLite file: %w", err)
	}
	journal := writeAheadLog
	if db.options.KeepJournal {
		journal = lastingJournal
	}
	if err := journal(ctx, conn, db.options); err != nil {
		return errors.Join(err, conn.Close())
	}
	// Only now: what was asked of the file before may wait for another process as readers do.
	patience := "PRAGMA busy_timeout = " + strconv.FormatInt(writerBusyTimeout.Milliseconds(), 10)
	if err := execAllOn(ctx, conn, []string{leaveCheckpoints, keepInMemory, keepUnwritten, patience}); err != nil {
		return errors.Join(fmt.Errorf("setting up the SQLite writer: %w", err), conn.Close())
	}
	ctx = context.WithoutCancel(ctx) // what is opened is closed, whoever has left
	mode, err := journalMode(ctx, conn)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	var copying *checkpoints
	if mode == "wal" {
		copying = startCheckpoints(ctx, db)
	}
	db.writer = &writer{db: db, conn: conn, checkpoints: copying, arrival: make(chan struct{}, 1), close: func() error {
		if copying != nil {
			copying.close()
		}

		return errors.Join(removeJournal(ctx, conn), conn.Close())
	}}

	return nil
}

// write is the caller's side.
func (w *writer) write(ctx context.Context, fn func(*Tx) error) ([]func(), error) {
	m := &member{ctx: ctx, fn: fn, since: time.Now()}
	if w.join(m) {
		return w.lead(m) //nolint:contextcheck // the transaction is not the caller's alone
	}
	leave := ctx.Done()
	for {
		select {
		case o := <-m.orders:
			switch {
			case o.lead:
				time.Sleep(o.pause)

				return w.lead(m) //nolint:contextcheck // as above
			case o.tx != nil:
				m.follow(o.tx)
			default:
				return o.hooks, o.err
			}
		case <-leave:
			if m.state.CompareAndSwap(waiting, left) {
				return nil, ctx.Err()
			}
			leave = nil // its work has begun: the answer depends on the commit
		}
	}
}

// join makes a member the leader where there is none, and has it wait otherwise.
func (w *writer) join(m *member) (leads bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.led {
		w.led = true

		return true
	}
	m.orders, m.report = make(chan order, 1), make(chan error, 1)
	w.queue = append(w.queue, m)

	select {
	case w.arrival <- struct{}{}:
	default:
	}

	return false
}

// next takes the first who still waits, nil for nobody.
func (w *writer) next() *member {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.take()
}

func (w *writer) take() *member {
	for len(w.queue) > 0 {
		first := w.queue[0]
		w.queue[0] = nil
		if w.queue = w.queue[1:]; first.state.CompareAndSwap(waiting, taken) {
			return first
		}
	}

	return nil
}

// nextFor takes the next for a group of a size. It waits a while for who was in the last group.
func (w *writer) nextFor(size int) *member {
	for {
		m := w.next()
		if m != nil || size >= w.size {
			return m
		}
		if w.late == nil {
			w.late = time.After(w.took / straggle)
		}
		select {
		case <-w.arrival:
		case <-w.late:
			return nil
		}
	}
}

// resign has the next one lead, after a pause.
func (w *writer) resign(pause time.Duration) {
	w.late = nil
	w.mu.Lock()
	defer w.mu.Unlock()
	if m := w.take(); m != nil {
		m.orders <- order{lead: true, pause: pause}
	} else {
		w.led = false
	}
}

// lead runs the leader's function and those of its followers, commits, and resigns.
func (w *writer) lead(leader *member) (hooks []func(), err error) {
	leader.leads = true
	var followers []*member
	var locked time.Time
	defer func() { // even when the leader's function ends its goroutine
		var pause time.Duration
		if !locked.IsZero() {
			pause = time.Since(locked) / gap
		}
		for _, m := range followers {
			m.dismiss()
		}
		w.copyRest()
		w.resign(pause)
	}()
	defer contract.Recover(&err)
	if err := w.begin(leader); err != nil {
		return nil, err
	}
	locked = time.Now()
	open := true
	defer func() {
		if open {
			w.rollback()
		}
	}()
	w.values = 0
	if w.run(leader); leader.result != nil {
		return nil, leader.result
	}
	var broken error
	for broken == nil && len(followers) < maxGroup-1 && w.values < longGroup {
		m := w.nextFor(len(followers) + 1)
		if m == nil {
			break
		}
		m.outcome = errAbandoned
		followers = append(followers, m)
		broken = w.inSavepoint(m)
	}
	if broken == nil {
		broken = w.commit()
	}
	if broken != nil {
		// The transaction as a whole is lost: each gets one of its own.
		w.rollback()
		for _, m := range append(followers, leader) {
			m.outcome = w.alone(m)
		}
	} else {
		for _, m := range followers {
			m.outcome = m.result
		}
	}
	open = false
	w.size, w.took = len(followers)+1, time.Since(locked)

	return leader.hooks, leader.outcome
}

// copyRest does the writer's part of copying the write-ahead log. Where it can't, there is another time.
func (w *writer) copyRest() {
	if w.checkpoints == nil {
		return
	}
	w.checkpoints.wrote()
	if w.checkpoints.rest.CompareAndSwap(true, false) {
		_ = execOn(context.Background(), w.conn, "PRAGMA wal_checkpoint(PASSIVE)")
	}
}

// begin opens a transaction once the file could be locked. While another process holds it, those who
// leave or have waited long enough are let go, the leader among them.
func (w *writer) begin(leader *member) error {
	for {
		err := execOn(context.Background(), w.conn, "BEGIN IMMEDIATE")
		if err == nil {
			return nil
		}
		gone := leader.ctx.Err()
		switch err = fmt.Errorf("beginning a transaction: %w", err); {
		case !isSQLiteBusy(err) || time.Since(leader.since) >= w.db.patience:
			return err
		case gone != nil:
			return gone
		}
		w.expire(err)
	}
}

// expire lets those go who have waited long enough.
func (w *writer) expire(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = slices.DeleteFunc(w.queue, func(m *member) bool {
		if time.Since(m.since) >= w.db.patience && m.state.CompareAndSwap(waiting, taken) {
			m.outcome = cause
			m.dismiss()
		}

		return m.state.Load() != waiting
	})
}

// run runs a member's function, and waits for one on another goroutine.
func (w *writer) run(m *member) {
	tx := w.db.begun(m.ctx, w.conn)
	tx.interruptible = false
	if m.leads {
		m.result = call(tx, m.fn)
	} else {
		m.orders <- order{tx: tx}
		m.result = <-m.report
		m.gone = errors.Is(m.result, ErrExited)
	}
	m.hooks = tx.hooks
	w.values += tx.values
}

// follow runs the function and reports, even when the function ends the goroutine.
func (m *member) follow(tx *Tx) {
	err := ErrExited
	defer func() { m.report <- err }()
	err = call(tx, m.fn)
}

// dismiss tells a follower how it ended.
func (m *member) dismiss() {
	if m.gone {
		return
	}
	if m.outcome != nil {
		m.hooks = nil
	}
	m.orders <- order{err: m.outcome, hooks: m.hooks}
}

// inSavepoint runs a follower. An error means that the transaction is lost; the follower's own is
// kept with it.
func (w *writer) inSavepoint(m *member) error {
	ctx := context.Background()
	if err := execOn(ctx, w.conn, "SAVEPOINT member"); err != nil {
		return err
	}
	w.run(m)
	if m.result != nil {
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

// alone runs a member in a transaction of its own.
func (w *writer) alone(m *member) error {
	if m.gone {
		return m.result
	}
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
	if w.run(m); m.result != nil {
		w.rollback()

		return m.result
	}
	if err := w.commit(); err != nil {
		w.rollback()

		return fmt.Errorf("committing: %w", err)
	}

	return nil
}
