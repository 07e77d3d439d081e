package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// What garbage may add to what lives before it is collected. To collect a small heap more often than Go does costs
// a tenth of a read.
const (
	// mostGarbage is in percent of what lives, and Go's own.
	mostGarbage = 100
	// freeGarbage is the garbage, in bytes, up to which nothing is saved.
	freeGarbage = 3 << 20
	// scanned is what part of the bytes that a collection looks at the garbage may be beyond that. What it costs
	// depends on these, not on what lives: most of that are buffers of connections and bodies, in which nothing is
	// looked for.
	scanned = 2
)

// garbagePercent is what suits a heap of which so many bytes live, in a program with so many to look at.
func garbagePercent(live, scan uint64) int {
	garbage := max(freeGarbage, scan/scanned)
	if live <= garbage*100/mostGarbage {
		return mostGarbage
	}

	return int(garbage * 100 / live) //nolint:gosec // at most mostGarbage
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
		samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/total:bytes"}}
		metrics.Read(samples)

		// To set it stops all goroutines for a moment, so not for nothing.
		const step = 5
		if suits := garbagePercent(samples[0].Value.Uint64(), samples[1].Value.Uint64()); suits > percent+step ||
			suits < percent-step {
			debug.SetGCPercent(suits)

			percent = suits
		}

		afterEachCollection(percent)
	}, percent)
}
