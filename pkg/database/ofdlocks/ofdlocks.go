package ofdlocks

import "errors"

// ErrUnsupported is in the chain of the errors that say where SQLite can't be protected: the system, the
// file system, or the file's name.
var ErrUnsupported = errors.New("SQLite can't share a process with another copy of SQLite")
