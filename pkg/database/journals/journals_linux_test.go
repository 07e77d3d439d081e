package journals_test

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	_ "github.com/mattn/go-sqlite3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/database/journals"
)

// journalModes are those of MLflow's files, and the one that the shared library's writer has.
var journalModes = []string{"DELETE", "PERSIST", "WAL"}

// connection is one connection to a file.
type connection struct {
	*sql.Conn

	t *testing.T
}

// connect opens a file by a VFS, "" for SQLite's own.
func connect(t *testing.T, file, vfs, journal string) connection {
	t.Helper()
	settings := url.Values{"_journal_mode": {journal}, "_synchronous": {"FULL"}, "_busy_timeout": {"0"}}
	if vfs != "" {
		settings.Set("vfs", vfs)
	}
	db, err := sql.Open("sqlite3", "file:"+file+"?"+settings.Encode())
	require.NoError(t, err)
	conn, err := db.Conn(context.Background())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close()); assert.NoError(t, db.Close()) })
	c := connection{conn, t}
	require.NoError(t, c.exec("PRAGMA cache_spill = OFF"))

	return c
}

func (c connection) exec(statements ...string) error {
	for _, statement := range statements {
		if _, err := c.ExecContext(context.Background(), statement); err != nil {
			return err
		}
	}

	return nil
}

func (c connection) entries() (entries []int) {
	c.t.Helper()
	rows, err := c.QueryContext(context.Background(), "SELECT entry FROM entries ORDER BY entry")
	require.NoError(c.t, err)
	defer func() { require.NoError(c.t, rows.Close()) }()
	for rows.Next() {
		var entry int
		require.NoError(c.t, rows.Scan(&entry))
		entries = append(entries, entry)
	}
	require.NoError(c.t, rows.Err())

	return entries
}

func (c connection) requireIntact() {
	c.t.Helper()
	var verdict string
	require.NoError(c.t, c.QueryRowContext(context.Background(), "PRAGMA integrity_check").Scan(&verdict))
	require.Equal(c.t, "ok", verdict)
}

// inserts gives statements that add entries, each of a page.
func inserts(from, count int) (statements []string) {
	for entry := from; entry < from+count; entry++ {
		statements = append(statements,
			"INSERT INTO entries VALUES ("+strconv.Itoa(entry)+", '"+strings.Repeat("x", 3000)+"')")
	}

	return statements
}

const table = "CREATE TABLE entries (entry INTEGER PRIMARY KEY, filling TEXT)"

// systemCalls counts the writes that the process has asked the kernel for.
func systemCalls(t *testing.T) int {
	t.Helper()
	for line := range strings.SplitSeq(read(t, "/proc/self/io"), "\n") {
		if count, found := strings.CutPrefix(line, "syscw: "); found {
			calls, err := strconv.Atoi(count)
			require.NoError(t, err)

			return calls
		}
	}
	t.Fatal("the kernel doesn't count writes")

	return 0
}

func TestVFSWritesPagesTogether(t *testing.T) {
	for _, mode := range journalModes {
		t.Run(mode, func(t *testing.T) {
			calls := map[string]int{}
			for _, vfs := range []string{"", journals.VFS()} {
				c := connect(t, filepath.Join(t.TempDir(), "some.db"), vfs, mode)
				require.NoError(t, c.exec(append([]string{table}, inserts(0, 100)...)...))
				before := systemCalls(t)
				require.NoError(t, c.exec("BEGIN", "UPDATE entries SET filling = upper(filling)", "COMMIT"))
				calls[vfs] = systemCalls(t) - before
				c.requireIntact()
			}
			// A hundred pages and their headers. In a rollback journal's mode the pages go to the file as well.
			assert.Less(t, calls[journals.VFS()], calls[""]-100)
		})
	}
}

func TestVFSShowsCommitsToOthers(t *testing.T) {
	for _, mode := range journalModes {
		t.Run(mode, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "some.db")
			ours, others := connect(t, file, journals.VFS(), mode), connect(t, file, "", "")
			require.NoError(t, ours.exec(table))
			var wanted []int
			for from := 0; from < 100; from += 20 {
				require.NoError(t, ours.exec("BEGIN"))
				require.NoError(t, ours.exec(inserts(from, 10)...))
				require.Equal(t, wanted, others.entries(), "before the commit")
				require.NoError(t, ours.exec("COMMIT"))
				require.NoError(t, others.exec(inserts(from+10, 10)...))
				for entry := from; entry < from+20; entry++ {
					wanted = append(wanted, entry)
				}
				require.Equal(t, wanted, others.entries())
				require.Equal(t, wanted, ours.entries())
			}
			ours.requireIntact()
		})
	}
}

// A log's file grows in steps, of zeros, which SQLite takes for the log's end.
func TestVFSMakesRoomInLogs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "some.db")
	c := connect(t, file, journals.VFS(), "WAL")
	require.NoError(t, c.exec("PRAGMA wal_autocheckpoint = 0", table))
	const commits = 400
	sizes := map[int64]bool{}
	for entry := range commits {
		require.NoError(t, c.exec(inserts(entry, 1)...))
		info, err := os.Stat(file + "-wal")
		require.NoError(t, err)
		sizes[info.Size()] = true
	}
	assert.Less(t, len(sizes), commits/20)

	crashed := filepath.Join(t.TempDir(), "some.db")
	for _, suffix := range []string{"", "-wal"} {
		require.NoError(t, os.WriteFile(crashed+suffix, []byte(read(t, file+suffix)), 0o600))
	}
	others := connect(t, crashed, "", "")
	require.Len(t, others.entries(), commits)
	others.requireIntact()
	require.NoError(t, others.exec(inserts(commits, 1)...))

	require.NoError(t, c.exec("PRAGMA wal_checkpoint(TRUNCATE)"))
	require.NoError(t, c.exec(inserts(commits, 1)...))
	require.Len(t, c.entries(), commits+1)
	c.requireIntact()
}

func TestVFSUndoesSavepoints(t *testing.T) {
	for _, mode := range journalModes {
		t.Run(mode, func(t *testing.T) {
			c := connect(t, filepath.Join(t.TempDir(), "some.db"), journals.VFS(), mode)
			require.NoError(t, c.exec(append([]string{table}, inserts(0, 30)...)...))
			change := "UPDATE entries SET entry = entry + 1000, filling = upper(filling) WHERE entry < 1000"
			require.NoError(t, c.exec(slices.Concat([]string{"BEGIN"}, inserts(30, 1), []string{
				"SAVEPOINT a", change, "ROLLBACK TO a", "RELEASE a", "COMMIT", "BEGIN", change, "ROLLBACK",
			})...))
			assert.Len(t, c.entries(), 31)
			assert.Equal(t, 30, slices.Max(c.entries()))
			c.requireIntact()
		})
	}
}

// limitFiles has writes beyond a number of bytes fail, as on a full disk.
func limitFiles(t *testing.T, size uint64) {
	t.Helper()
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	limit.Cur = min(size, limit.Max)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
}

// A write may fail at any byte. What was acknowledged stays, the rest is gone, and others write meanwhile.
func TestVFSLosesNothingWhereWritesFail(t *testing.T) {
	signal.Ignore(syscall.SIGXFSZ)
	t.Cleanup(func() { signal.Reset(syscall.SIGXFSZ) })
	const unlimited, step, most = 1 << 62, 2011, 320_000
	for _, mode := range journalModes {
		t.Run(mode, func(t *testing.T) {
			t.Cleanup(func() { limitFiles(t, unlimited) })
			failures := 0
			for size := step; size < most; size += step {
				file := filepath.Join(t.TempDir(), "some.db")
				ours, others := connect(t, file, journals.VFS(), mode), connect(t, file, "", "")
				require.NoError(t, ours.exec(table))
				acknowledged := []int{}
				write := func(from int) error {
					statements := slices.Concat([]string{"BEGIN IMMEDIATE"}, inserts(from, 6), []string{
						"UPDATE entries SET filling = upper(filling)",
						"SAVEPOINT a", "DELETE FROM entries WHERE entry % 2 = 0", "ROLLBACK TO a", "RELEASE a",
					}, inserts(from+6, 1), []string{"COMMIT"})
					err := ours.exec(statements...)
					if err != nil {
						_ = ours.exec("ROLLBACK") // unless SQLite has done so
					} else {
						for entry := from; entry < from+7; entry++ {
							acknowledged = append(acknowledged, entry)
						}
					}

					return err
				}
				require.NoError(t, write(0))
				limitFiles(t, uint64(size))
				failed := write(100)
				if failed == nil {
					failed = write(200)
				}
				limitFiles(t, unlimited)
				if failed != nil {
					failures++
				}
				require.NoError(t, others.exec(inserts(300, 8)...), "limit %d", size)
				acknowledged = append(acknowledged, 300, 301, 302, 303, 304, 305, 306, 307)
				require.NoError(t, write(400), "limit %d", size)
				require.Equal(t, acknowledged, others.entries(), "limit %d", size)
				require.Equal(t, acknowledged, ours.entries(), "limit %d", size)
				ours.requireIntact()
				others.requireIntact()
			}
			assert.Positive(t, failures, "no write failed")
			assert.Less(t, failures, most/step, "every write failed")
		})
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)

	return string(content)
}
