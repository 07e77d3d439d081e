//go:build cgo

package journals

// #include "journals_linux.h"
import "C"

import (
	"sync"

	_ "github.com/mattn/go-sqlite3" // the SQLite that the layer is for
)

// VFS registers the layer and gives the name that SQLite's vfs parameter takes; "" where there is none, which
// is also the name of SQLite's own.
var VFS = sync.OnceValue(func() string {
	if name := C.journals_register(); name != nil {
		return C.GoString(name)
	}

	return ""
})
