package database

import (
	"context"
	"sync"
	"time"

	"github.com/mlflow/mlflow-go/pkg/contract"
)

// analysisPause is between two times that the same statistics are gathered, and how long that may take.
const analysisPause = time.Minute

// statistics gathers what a database doesn't know of its tables, one statement at a time. PostgreSQL looks after
// that by itself, but only a minute after the first rows have come: until then it planned the searches of a
// registry of 5,000 versions for one that is empty, and each took four times as long.
type statistics struct {
	mu    sync.Mutex // guards what follows
	begun map[string]time.Time
	stop  context.CancelFunc // what runs; nil for nothing
}

// begin says whether a statement is to be run, and until when.
func (s *statistics) begin(ctx context.Context, statement string) (limited context.Context, isDue bool) {
	s.mu.Lock()
	defer s.mu.Unlock()

	if begun, ok := s.begun[statement]; s.stop != nil || ok && time.Since(begun) < analysisPause {
		return nil, false
	}

	if s.begun == nil {
		s.begun = map[string]time.Time{}
	}

	s.begun[statement] = time.Now()
	limited, s.stop = context.WithTimeout(ctx, analysisPause)

	return limited, true
}

// end lets the next begin.
func (s *statistics) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
	s.stop = nil
}

// interrupt stops what runs.
func (s *statistics) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.stop != nil {
		s.stop()
	}
}

// analyze runs a statement in the background, unless that was begun not long ago. Nothing hangs on it: a database
// that can only be read, or that belongs to somebody else, stays as it is. ctx may be a transaction's.
func (db *DB) analyze(ctx context.Context, statement string) {
	ctx = context.WithValue(context.WithoutCancel(ctx), txKey{}, nil)

	ctx, isDue := db.statistics.begin(ctx, statement)
	if !isDue {
		return
	}

	if db.enter(ctx) != nil { // it is being closed
		db.statistics.end()

		return
	}

	go func() {
		defer db.users.Done()
		defer db.statistics.end()

		if err := db.runAnalysis(ctx, statement); err != nil {
			db.options.Logger.DebugContext(ctx, "no statistics of the database's tables", "error", err)
		}
	}()
}

func (db *DB) runAnalysis(ctx context.Context, statement string) (err error) {
	defer contract.Recover(&err)

	_, err = db.pool.ExecContext(ctx, statement)

	return err
}
