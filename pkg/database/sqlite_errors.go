//go:build cgo

package database

import (
	"errors"

	"github.com/mattn/go-sqlite3"
)

func isSQLiteBusy(err error) bool {
	var failure sqlite3.Error

	return errors.As(err, &failure) && (failure.Code == sqlite3.ErrBusy || failure.Code == sqlite3.ErrLocked)
}

func isSQLiteReadOnly(err error) bool {
	var failure sqlite3.Error

	return errors.As(err, &failure) && failure.Code == sqlite3.ErrReadonly
}

// classifySQLite sorts an error as Python's sqlite3 module does (_pysqlite_seterror).
func classifySQLite(err error) (failure, bool) {
	var found sqlite3.Error
	if !errors.As(err, &found) {
		return failure{}, false
	}
	f := failure{message: found.Error()}
	switch found.Code {
	case sqlite3.ErrError, sqlite3.ErrPerm, sqlite3.ErrAbort, sqlite3.ErrBusy, sqlite3.ErrLocked, sqlite3.ErrReadonly,
		sqlite3.ErrInterrupt, sqlite3.ErrIoErr, sqlite3.ErrFull, sqlite3.ErrCantOpen, sqlite3.ErrProtocol,
		sqlite3.ErrEmpty, sqlite3.ErrSchema:
		f.class, f.name = operational, "sqlite3.OperationalError"
	case sqlite3.ErrConstraint, sqlite3.ErrMismatch:
		f.class, f.name = integrity, "sqlite3.IntegrityError"
		f.unique = found.ExtendedCode == sqlite3.ErrConstraintUnique ||
			found.ExtendedCode == sqlite3.ErrConstraintPrimaryKey ||
			found.ExtendedCode == sqlite3.ErrConstraintRowID
	default:
		f.class, f.name = other, "sqlite3.DatabaseError"
	}

	return f, true
}
