package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// What garbage may add to what lives, in percent of that, before it is collected. Large requests, many at a time,
// make live heaps of 25 MiB, which Go's own 100 turns into 60; their collection costs a hundredth of the work.
// To collect a small heap more often than Go does costs a tenth of a read.
const (
	mostGarbage  = 100
	leastGarbage = 50
	// freeGarbage is the garbage, in bytes, up to which nothing is saved.
	freeGarbage = 5 << 20
)

// garbagePercent is what suits a heap of which so many bytes live.
func garbagePercent(live uint64) int {
	if live <= freeGarbage*100/mostGarbage {
		return mostGarbage
	}

	return max(leastGarbage, int(freeGarbage*100/live))
}

// limitGarbage adapts the collector after each of its cycles from now on, unless the environment says how it is
// to work.
func limitGarbage() {
	if os.Getenv("GOGC") == "" {
		afterEachCollection(mostGarbage)
	}
}

// afterEachCollection has the next collection find something of which to tell.
func afterEachCollection(percent int) {
	type token struct{ _ *token } // with a pointer, so that it isn't put into one block with others

	runtime.AddCleanup(&token{}, func(percent int) {
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(sample)

		// To set it stops all goroutines for a moment, so not for nothing.
		const step = 5
		if suits := garbagePercent(sample[0].Value.Uint64()); suits > percent+step || suits < percent-step {
			debug.SetGCPercent(suits)

			percent = suits
		}

		afterEachCollection(percent)
	}, percent)
}
