package database

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/mlflow/mlflow-go/pkg/contract"
)

const (
	// longLog is how many pages SQLite's write-ahead log takes before they are copied into the file, sixteen times
	// SQLite's own number: what is written over and over meanwhile is copied once. At 1,000 the copying was a sixth
	// of the time of a log-batch of ten. At 4,000 one create_run in thirty found the disk busy with the copies of all
	// the leaves that random IDs go to, and took five times as long as most.
	longLog = 16_000
	// restOfLog is how many pages there must be to copy. The log begins anew only where nobody reads it at the
	// time: else it grows, and is looked after again before long.
	restOfLog = longLog / 4

	// checkpointInterval is how often the log is looked at while somebody writes.
	checkpointInterval = 20 * time.Millisecond
	// checkpointRetry is how long that waits after an error.
	checkpointRetry = 10 * time.Second
)

// leaveCheckpoints has a connection copy the log only when it is far longer than it should be.
const leaveCheckpoints = "PRAGMA wal_autocheckpoint = 64000"

// checkpoints copies SQLite's write-ahead log into the file while others write. SQLite does so within the commit
// that finds the log long, which has all who wait for the writer wait for the disk. The writer copies only what
// was written meanwhile: the log begins anew when nothing is left to be copied.
type checkpoints struct {
	db *DB

	written chan struct{} // has a token when something was written since the log was looked at
	// rest says that the writer is to copy what is left.
	rest    atomic.Bool
	stop    context.CancelFunc
	stopped chan struct{}
}

// startCheckpoints has the log looked after until close.
func startCheckpoints(ctx context.Context, db *DB) *checkpoints {
	ctx, stop := context.WithCancel(ctx)
	c := &checkpoints{db: db, written: make(chan struct{}, 1), stop: stop, stopped: make(chan struct{})}

	go func() {
		defer close(c.stopped)

		for c.awaitWrite(ctx) {
			wait := checkpointInterval
			if err := c.copyLog(ctx); err != nil && ctx.Err() == nil {
				db.options.Logger.WarnContext(ctx, "SQLite's write-ahead log isn't copied into the file", "error", err)

				wait = checkpointRetry
			}

			_ = pause(ctx, wait) // awaitWrite sees its end
		}
	}()

	return c
}

func (c *checkpoints) close() {
	c.stop()
	<-c.stopped
}

func (c *checkpoints) awaitWrite(ctx context.Context) bool {
	select {
	case <-c.written:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// wrote says that the writer has committed.
func (c *checkpoints) wrote() {
	select {
	case c.written <- struct{}{}:
	default:
	}
}

// copyLog copies what of the log the readers of the moment leave to be copied, if it is long.
func (c *checkpoints) copyLog(ctx context.Context) (err error) {
	defer contract.Recover(&err)

	pages, copied, err := c.checkpoint(ctx, "NOOP")
	if err != nil || pages < longLog || pages-copied < restOfLog {
		return err
	}

	if _, _, err := c.checkpoint(ctx, "PASSIVE"); err != nil {
		return err
	}

	c.rest.Store(true)

	return nil
}

// checkpoint gives the log's length and how much of it is in the file, both in pages; -1 for a file without one.
func (c *checkpoints) checkpoint(ctx context.Context, mode string) (pages, copied int, err error) {
	var busy int // another process copies

	statement := "PRAGMA wal_checkpoint(" + mode + ")"
	if err := c.db.pool.QueryRowContext(ctx, statement).Scan(&busy, &pages, &copied); err != nil {
		return 0, 0, fmt.Errorf("running %q: %w", statement, err)
	}

	return pages, copied, nil
}
