//go:build cgo

package ofdlocks

// #include <stdlib.h>
// #include "ofdlocks_linux.h"
import "C"

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	_ "github.com/mattn/go-sqlite3" // the SQLite whose system calls are replaced
)

// installed says once whether SQLite's system calls could be replaced.
var installed = sync.OnceValue(func() bool { return bool(C.ofdlocks_install()) })

// Protect makes it safe to open a SQLite file in a process that has another copy of SQLite. It comes
// before SQLite opens its first file in the process. A file that is missing is made.
func Protect(file string) error {
	if resolved, err := filepath.EvalSymlinks(file); err == nil {
		file = resolved
	}
	// By these names, files that SQLite keeps beside a database are known.
	for _, suffix := range []string{"-journal", "-wal", "-shm"} {
		if strings.HasSuffix(file, suffix) {
			return fmt.Errorf("%w: the file's name ends in %s", ErrUnsupported, suffix)
		}
	}
	if !installed() {
		return fmt.Errorf("%w: its system calls can't be replaced", ErrUnsupported)
	}

	path := C.CString(file)
	defer C.free(unsafe.Pointer(path))
	if failure := C.ofdlocks_probe(path); failure != 0 {
		return fmt.Errorf("%w: open-file-description locks don't work on the file system of %s: %w",
			ErrUnsupported, file, syscall.Errno(failure))
	}

	return nil
}
