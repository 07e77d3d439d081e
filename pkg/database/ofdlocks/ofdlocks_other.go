//go:build !linux || !cgo

package ofdlocks

import "fmt"

// Protect makes it safe to open a SQLite file in a process that has another copy of SQLite: on Linux only.
func Protect(string) error {
	return fmt.Errorf("%w: that takes Linux's open-file-description locks", ErrUnsupported)
}
