//go:build cgo

package main

/*
#include <malloc.h>

static void limit_arenas(int arenas) {
#ifdef M_ARENA_MAX
	mallopt(M_ARENA_MAX, arenas);
#endif
}
*/
import "C"

import (
	"os"
	"runtime"
)

// limitArenas has the C library, which SQLite's memory comes from, keep it in as many places as threads work at a
// time. It keeps eight times as many otherwise, and what one thread has freed no other uses.
func limitArenas() {
	if os.Getenv("MALLOC_ARENA_MAX") == "" {
		C.limit_arenas(C.int(runtime.GOMAXPROCS(0)))
	}
}
