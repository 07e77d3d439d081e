package ofdlocks_test

import (
	"database/sql"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	_ "github.com/mattn/go-sqlite3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/database/ofdlocks"
)

// What SQLite locks of a database (https://sqlite.org/src/file/src/os.h).
const (
	reservedByte = 1<<30 + 1
	sharedFirst  = 1<<30 + 2
	sharedSize   = 510
)

// The commands for open-file-description locks.
const ofdGetLock = 36

// database opens a file by SQLite, one connection only.
func database(t *testing.T, file, journal string) *sql.DB {
	t.Helper()
	require.NoError(t, ofdlocks.Protect(file))
	settings := url.Values{"_journal_mode": {journal}, "_busy_timeout": {"0"}}
	db, err := sql.Open("sqlite3", "file:"+file+"?"+settings.Encode())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	db.SetMaxOpenConns(1)
	_, err = db.Exec("CREATE TABLE IF NOT EXISTS entries (entry INTEGER)")
	require.NoError(t, err)

	return db
}

func exec(db *sql.DB, statement string) error {
	_, err := db.Exec(statement)

	return err
}

func read(t *testing.T, db *sql.DB) (entries int) {
	t.Helper()
	require.NoError(t, db.QueryRow("SELECT count(*) FROM entries").Scan(&entries))

	return entries
}

// other is the process's other SQLite: its locks are the process's.
type other struct {
	t    *testing.T
	file *os.File
}

func opened(t *testing.T, file string) other {
	t.Helper()
	descriptor, err := os.OpenFile(file, os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = descriptor.Close() }) // some tests have closed it

	return other{t, descriptor}
}

func (o other) fcntl(command int, lock syscall.Flock_t) int16 {
	o.t.Helper()
	lock.Whence = io.SeekStart
	require.NoError(o.t, syscall.FcntlFlock(o.file.Fd(), command, &lock))

	return lock.Type
}

func (o other) lock(kind int16, start, size int64) {
	o.t.Helper()
	o.fcntl(syscall.F_SETLK, syscall.Flock_t{Type: kind, Start: start, Len: size})
}

// sees says whether another than the process has a lock on a byte.
func (o other) sees(start int64) bool {
	o.t.Helper()

	return o.fcntl(syscall.F_GETLK, syscall.Flock_t{Type: syscall.F_WRLCK, Start: start, Len: 1}) != syscall.F_UNLCK
}

// locked says whether anyone but SQLite here has a lock on a byte: the process, as far as tests go.
func (o other) locked(start int64) bool {
	o.t.Helper()

	return o.fcntl(ofdGetLock, syscall.Flock_t{Type: syscall.F_WRLCK, Start: start, Len: 1}) != syscall.F_UNLCK
}

// opens are the files of which the process has descriptors and whose path begins so.
func opens(t *testing.T, path string) (found []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, entry := range entries {
		target, err := os.Readlink("/proc/self/fd/" + entry.Name())
		if err == nil && strings.HasPrefix(target, path) {
			found = append(found, target)
		}
	}

	return found
}

func descriptors(t *testing.T, path string) int {
	t.Helper()

	return len(opens(t, path))
}

func TestLocks(t *testing.T) {
	t.Run("OK/RespectThoseOfTheProcess", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file.db")
		db := database(t, file, "DELETE")
		python := opened(t, file)
		python.lock(syscall.F_WRLCK, reservedByte, 1)
		require.ErrorContains(t, exec(db, "INSERT INTO entries VALUES (1)"), "database is locked")
		python.lock(syscall.F_UNLCK, reservedByte, 1)
		require.NoError(t, exec(db, "INSERT INTO entries VALUES (1)"))
	})
	t.Run("OK/AreSeenByTheProcess", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file.db")
		db := database(t, file, "DELETE")
		python := opened(t, file)
		require.NoError(t, exec(db, "BEGIN IMMEDIATE"))
		assert.True(t, python.sees(reservedByte))
		assert.True(t, python.sees(sharedFirst))
		require.NoError(t, exec(db, "COMMIT"))
		assert.False(t, python.sees(reservedByte))
		assert.False(t, python.sees(sharedFirst))
	})
	t.Run("OK/AreSharedByConnections", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file.db")
		first, second := database(t, file, "DELETE"), database(t, file, "DELETE")
		require.NoError(t, exec(first, "BEGIN"))
		read(t, first) // takes the lock
		require.NoError(t, exec(second, "BEGIN"))
		read(t, second) // has it, too
		require.NoError(t, exec(first, "COMMIT"))
		require.NoError(t, exec(second, "INSERT INTO entries VALUES (1)"))
		require.NoError(t, exec(second, "COMMIT")) // gives it back
		assert.False(t, opened(t, file).sees(sharedFirst))
		require.Equal(t, 1, read(t, first))
	})
	t.Run("OK/AreGivenBackByClosing", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file.db")
		db := database(t, file, "WAL")
		python := opened(t, file)
		python.lock(syscall.F_RDLCK, 0, 1) // keeps the descriptors open
		require.NoError(t, exec(db, "BEGIN IMMEDIATE"))
		require.True(t, python.sees(sharedFirst))
		require.NoError(t, db.Close())
		require.False(t, python.sees(sharedFirst))
	})
}

func TestClosing(t *testing.T) {
	t.Run("OK/KeepsLocksOfTheProcess", func(t *testing.T) {
		for _, journal := range []string{"DELETE", "WAL"} {
			file := filepath.Join(t.TempDir(), "file.db")
			db := database(t, file, journal)
			python := opened(t, file)
			python.lock(syscall.F_RDLCK, sharedFirst, sharedSize)
			require.Zero(t, read(t, db))
			require.NoError(t, db.Close())
			require.True(t, opened(t, file).locked(sharedFirst), journal)
		}
	})
	t.Run("OK/EndsWithTheLocks", func(t *testing.T) {
		folder := t.TempDir()
		file := filepath.Join(folder, "file.db")
		db := database(t, file, "DELETE")
		python := opened(t, file)
		python.lock(syscall.F_RDLCK, sharedFirst, sharedSize)
		for range 20 {
			again := database(t, file, "DELETE")
			require.Zero(t, read(t, again))
			require.NoError(t, again.Close())
		}
		require.Equal(t, 4, descriptors(t, file)) // db's and its journal's, again's and python's
		require.NoError(t, db.Close())
		require.Equal(t, 3, descriptors(t, file))
		require.NoError(t, python.file.Close())
		database(t, filepath.Join(folder, "another.db"), "DELETE")
		require.Zero(t, descriptors(t, file))
	})
	t.Run("OK/WriteAheadLog", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file.db")
		db := database(t, file, "WAL")
		require.NoError(t, exec(db, "INSERT INTO entries VALUES (1)"))
		require.FileExists(t, file+"-shm")
		require.NoError(t, db.Close())
		require.NoFileExists(t, file+"-shm")
		require.Zero(t, descriptors(t, file))
	})
}

// TestJournal looks at which journal is taken for one whose folder was synced: the one that is kept open.
func TestJournal(t *testing.T) {
	t.Run("OK/Kept", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file.db")
		db := database(t, file, "PERSIST")
		for range 3 {
			require.NoError(t, exec(db, "INSERT INTO entries VALUES (1)"))
			require.Equal(t, []string{file + "-journal"}, opens(t, file+"-journal"))
		}
		require.NoError(t, db.Close())
		require.Zero(t, descriptors(t, file))
	})
	t.Run("OK/RemovedByAnother", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file.db")
		db := database(t, file, "PERSIST")
		for entry := range 3 {
			require.NoError(t, exec(db, "INSERT INTO entries VALUES (1)"))
			require.Equal(t, []string{file + "-journal"}, opens(t, file+"-journal"))
			require.NoError(t, os.Remove(file+"-journal"))
			require.Equal(t, []string{file + "-journal (deleted)"}, opens(t, file+"-journal"))
			require.Equal(t, entry+1, read(t, db))
		}
	})
	t.Run("OK/EachDatabaseItsOwn", func(t *testing.T) {
		folder := t.TempDir()
		first, second := filepath.Join(folder, "first.db"), filepath.Join(folder, "second.db")
		one, other := database(t, first, "PERSIST"), database(t, second, "PERSIST")
		for _, db := range []*sql.DB{one, other, one} {
			require.NoError(t, exec(db, "INSERT INTO entries VALUES (1)"))
		}
		require.Equal(t, []string{first + "-journal"}, opens(t, first+"-journal"))
		require.Equal(t, []string{second + "-journal"}, opens(t, second+"-journal"))
		require.NoError(t, one.Close())
		require.Zero(t, descriptors(t, first))
		require.Equal(t, []string{second + "-journal"}, opens(t, second+"-journal"))
	})
	t.Run("OK/OwnerOfTheDatabase", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file.db")
		db := database(t, file, "PERSIST")
		if os.Geteuid() == 0 { // others can't give files away, nor does SQLite try
			require.NoError(t, os.Chown(file, 12345, 54321))
		}
		for range 2 {
			require.NoError(t, exec(db, "INSERT INTO entries VALUES (1)"))
			require.Equal(t, owner(t, file), owner(t, file+"-journal"))
			require.NoError(t, os.Chown(file+"-journal", os.Geteuid(), os.Getegid()))
		}
	})
}

// owner gives a file's user and group.
func owner(t *testing.T, file string) [2]uint32 {
	t.Helper()
	var found syscall.Stat_t
	require.NoError(t, syscall.Stat(file, &found))

	return [2]uint32{found.Uid, found.Gid}
}

func TestOpening(t *testing.T) {
	t.Run("OK/AnotherFileOfTheName", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file.db")
		db := database(t, file, "DELETE")
		require.NoError(t, exec(db, "INSERT INTO entries VALUES (1)"))
		python := opened(t, file)
		python.lock(syscall.F_RDLCK, sharedFirst, sharedSize)
		require.NoError(t, db.Close())
		require.NoError(t, os.Remove(file))
		require.Zero(t, read(t, database(t, file, "DELETE")))
	})
	t.Run("OK/Link", func(t *testing.T) {
		folder := t.TempDir()
		file, link := filepath.Join(folder, "file.db"), filepath.Join(folder, "link.db")
		db := database(t, file, "DELETE")
		require.NoError(t, os.Symlink(file, link))
		linked := database(t, link, "DELETE")
		require.NoError(t, exec(db, "BEGIN IMMEDIATE"))
		require.ErrorContains(t, exec(linked, "BEGIN IMMEDIATE"), "database is locked")
		require.NoError(t, exec(db, "COMMIT"))
	})
	t.Run("ErrName", func(t *testing.T) {
		folder := t.TempDir()
		for _, suffix := range []string{"-journal", "-wal", "-shm"} {
			file := filepath.Join(folder, "file.db"+suffix)
			require.ErrorIs(t, ofdlocks.Protect(file), ofdlocks.ErrUnsupported)
			require.NoFileExists(t, file)
		}
	})
	t.Run("ErrFolderMissing", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "missing", "file.db")
		require.NoError(t, ofdlocks.Protect(file), "SQLite says it")
		require.NoFileExists(t, file)
	})
}
