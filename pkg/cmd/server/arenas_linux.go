//go:build cgo

package main

/*
#include <malloc.h>
#include <stdlib.h>

// The C library, which SQLite's memory comes from, is to keep it in one place. It keeps eight for each processor
// otherwise, and what is free in one isn't used for another. More than one saves no time: SQLite counts its memory,
// and asks for it under one lock. Go's threads would have their own by the time that main runs.
__attribute__((constructor)) static void limit_arenas(void) {
#ifdef M_ARENA_MAX
	if (getenv("MALLOC_ARENA_MAX") == NULL) {
		mallopt(M_ARENA_MAX, 1);
	}
#endif
}
*/
import "C"
