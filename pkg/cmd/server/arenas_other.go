//go:build !linux || !cgo

package main

// limitArenas leaves the C library of other systems alone.
func limitArenas() {}
