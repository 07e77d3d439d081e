//go:build !cgo

package database

// Without cgo there is no SQLite and none of its errors: the driver's Open says so. Such a build
// serves to check that the program compiles for another system.

func isSQLiteBusy(error) bool { return false }

func isSQLiteReadOnly(error) bool { return false }

func classifySQLite(error) (failure, bool) { return failure{}, false }
