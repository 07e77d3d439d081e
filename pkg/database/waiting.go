package database

import (
	"context"
	"net"
)

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// waiting says how connections are made, after how they are made otherwise. Go waits for what comes on any of
// them in one thread, which is best for many goroutines. But one that C has called can go on in C's thread
// only, which is then woken by the thread that waits: that takes as long as to wake it once more. So where there
// is no other transaction, that thread waits itself.
func (db *DB) waiting(dial dialFunc) dialFunc {
	if !db.options.CallsFromC {
		return dial
	}

	return waitingItself(dial, func() bool { return db.pool.Stats().InUse == 1 })
}
