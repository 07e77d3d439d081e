package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"
	gormsqlite "gorm.io/driver/sqlite"
	"gorm.io/gorm"

	"github.com/mlflow/mlflow-go/pkg/database/journals"
)

// SQLite is the dialect of files.
type SQLite struct{ portable }

const (
	// busyTimeout is how long a session waits for another process (MLflow's PRAGMA busy_timeout).
	busyTimeout = 20 * time.Second
	// writerBusyTimeout is shorter: the writer waits in turns, to let go of callers that left.
	writerBusyTimeout = 200 * time.Millisecond
	// writeAheadLogPause is between two tries to have the file for oneself.
	writeAheadLogPause = 50 * time.Millisecond
	// maxSQLiteParameters is SQLITE_MAX_VARIABLE_NUMBER.
	maxSQLiteParameters = 32766
	// writerPages is the memory in which the writer keeps pages, in KiB: it looks rows up by their keys, and what these
	// lead to is mostly in the log's last pages, which the system has in memory. More saved no time.
	writerPages = 4 << 10
	// readerPages is the memory in which all readers together keep pages, in KiB, and leastReaderPages that of one where
	// there are many. A search of 10,000 runs looks at more, and comes back to the pages of each B-tree: with 32 MiB a
	// filter took a quarter less time, but then SQLite had more memory than all else in the server.
	readerPages      = 12 << 10
	leastReaderPages = 1 << 10
	// spareReaders is how many more readers than processors there are, so that long searches don't have all others
	// wait. What SQLite does is mostly computing: they, and the pages that they keep, go when they aren't needed.
	spareReaders = 2
	// statementCache is how many prepared statements a connection keeps.
	statementCache = 128
)

// Name is MLflow's word for the database.
func (SQLite) Name() string { return "sqlite" }

// Quote makes an identifier safe to use.
func (SQLite) Quote(identifier string) string {
	return `"` + strings.ReplaceAll(identifier, `"`, `""`) + `"`
}

// Rebind returns the query as it is.
func (SQLite) Rebind(query string) string { return query }

// MaxParameters is SQLITE_MAX_VARIABLE_NUMBER.
func (SQLite) MaxParameters() int { return maxSQLiteParameters }

// Boolean is 1 or 0.
func (SQLite) Boolean(value bool) string { return bit(value) }

// Insert adds rows.
func (d SQLite) Insert(table string, columns []string, rows int) string {
	return insert(d, table, columns, rows)
}

// InsertIgnore adds the rows that are new.
func (d SQLite) InsertIgnore(table string, columns, key []string, rows int) string {
	return d.Insert(table, columns, rows) + " ON CONFLICT (" + quoteAll(d, key) + ") DO NOTHING"
}

// Upsert adds or changes rows.
func (d SQLite) Upsert(u Upsert) string { return onConflict(d, u) }

// InsertReturning adds one row; sqlite3_last_insert_rowid has its id.
func (d SQLite) InsertReturning(table string, columns []string, _ string) InsertReturning {
	return InsertReturning{Query: d.Insert(table, columns, 1), LastInsertID: true}
}

// ExplicitID needs nothing.
func (SQLite) ExplicitID(string) (before, after string) { return "", "" }

// Savepoint is the standard's.
func (SQLite) Savepoint(name string) Savepoint { return standardSavepoint(name) }

// LockRows needs nothing: there is one writer.
func (SQLite) LockRows() (hint, suffix string) { return "", "" }

// Limit ends a SELECT.
func (SQLite) Limit(limit, offset int) string {
	if limit < 0 && offset > 0 {
		return " LIMIT -1 OFFSET " + strconv.Itoa(offset)
	}

	return limitOffset(limit, offset)
}

// NullsLast relies on NULL being less than everything.
func (SQLite) NullsLast(expression string, descending bool) string {
	if descending {
		return expression + " DESC"
	}

	return expression + " NULLS LAST"
}

// Compare relies on PRAGMA case_sensitive_like, which every connection sets.
func (SQLite) Compare(column, operator string, _ bool, values int) (condition string, repeats int) {
	return compare(column, operator, values), 1
}

// FoldsKeys keeps texts apart that differ at all.
func (SQLite) FoldsKeys() bool { return false }

// Remote is what SQLite isn't: a small read takes it microseconds.
func (SQLite) Remote() bool { return false }

// Index is made in a transaction. Its columns ascend: a migration of MLflow's that copies the table
// would leave nothing of a DESC, and SQLite reads indexes backwards as well. What is sorted for it may be
// more than fits into memory.
func (d SQLite) Index(i Index) IndexStatements {
	return IndexStatements{
		Exists: "SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = '" + i.Name + "'",
		Create: []string{
			"PRAGMA temp_store = FILE",
			"PRAGMA cache_spill = ON",
			"CREATE INDEX IF NOT EXISTS " + d.Quote(i.Name) + i.columns(d, ""),
			keepUnwritten,
			keepInMemory,
		},
		Drop: "DROP INDEX IF EXISTS " + d.Quote(i.Name),
	}
}

// TimeBucket divides as floats, as SQLAlchemy does. Its floor is SQLite's own: the function isn't in every build.
func (SQLite) TimeBucket(column string, perMillisecond, seconds int64) string {
	spans := column
	if perMillisecond != 1 {
		spans = "(" + spans + " / " + double(float64(perMillisecond)) + ")"
	}
	spans += " / (" + millis(seconds) + " + 0.0)"
	whole := "CAST(" + spans + " AS INTEGER)"

	return "(" + whole + " - (" + spans + " < " + whole + ")) * " + millis(seconds)
}

// Percentiles are left to the caller, who sorts numbers several times as fast as SQLite numbers rows.
func (SQLite) Percentiles(fractions []float64, expression string, _ []string) Percentiles {
	if len(fractions) == 0 {
		return Percentiles{}
	}

	return Percentiles{Values: "json_group_array(" + expression + ")"}
}

// CurrentMillis is the clock of this machine.
func (SQLite) CurrentMillis() string {
	return "CAST((julianday('now') - julianday('1970-01-01')) * 86400000 AS BIGINT)"
}

// Tables lists the file's tables.
func (SQLite) Tables() string {
	return `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'`
}

func bit(value bool) string {
	if value {
		return "1"
	}

	return "0"
}

// sqliteDriver is how a transaction of one's own is run.
var sqliteDriver = sequential{
	read: []string{"BEGIN"}, write: []string{"BEGIN IMMEDIATE"}, commitment: "COMMIT", undoing: rollback,
	step: runDirect,
}

// sqliteConnector opens connections to one file.
type sqliteConnector struct {
	dsn string
}

func (c sqliteConnector) Connect(context.Context) (driver.Conn, error) {
	return c.Driver().Open(c.dsn)
}

func (sqliteConnector) Driver() driver.Driver { return &sqlite3.SQLiteDriver{} }

// sqliteFile is the absolute path of the file that a URI names.
func sqliteFile(u *URI) (string, error) {
	switch {
	case u.Driver != "" && u.Driver != "pysqlite":
		return "", unsupported("the SQLite driver %q", u.Driver)
	case u.Host != "" || u.Username != "" || u.Port != 0:
		return "", invalidURI(u.String(), "SQLite URIs look like sqlite:///relative.db or sqlite:////absolute/path.db")
	case u.Database == "" || u.Database == ":memory:":
		return "", unsupported("an in-memory SQLite database (%s), which lives in one process", u)
	case len(u.Query) > 0:
		return "", unsupported("the SQLite URI parameter %q", u.Query[0].Key)
	}
	file, err := filepath.Abs(u.Database)
	if err != nil {
		return "", fmt.Errorf("finding the SQLite file %q: %w", u.Database, err)
	}

	return file, nil
}

// sqliteSession gives the connection string of a session with MLflow's settings, which keeps so many KiB of pages.
func sqliteSession(file string, pages int, readOnly bool) sqliteConnector {
	path := filepath.ToSlash(file)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // file:/C:/…
	}
	settings := url.Values{
		"_busy_timeout":        {strconv.FormatInt(busyTimeout.Milliseconds(), 10)},
		"_foreign_keys":        {"1"},
		"_case_sensitive_like": {"1"},
		"_synchronous":         {"FULL"},
		"_stmt_cache_size":     {strconv.Itoa(statementCache)},
		"_cache_size":          {strconv.Itoa(-pages)},
		// A connection is in the hands of one goroutine at a time, so that SQLite needs no locks of its own.
		"_mutex": {"no"},
	}
	if vfs := journals.VFS(); vfs != "" {
		settings.Set("vfs", vfs)
	}
	if readOnly {
		settings.Set("_query_only", "1")
	}

	return sqliteConnector{dsn: (&url.URL{Scheme: "file", OmitHost: true, Path: path}).String() + "?" + settings.Encode()}
}

// openSQLite opens a file: a pool of readers and one writer.
func openSQLite(ctx context.Context, u *URI, o Options) (*DB, error) {
	file, err := sqliteFile(u)
	if err != nil {
		return nil, err
	}
	//nolint:gosec,mnd // as Python's mkdir: the umask decides
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return nil, fmt.Errorf("making the folder of the SQLite file: %w", err)
	}
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return nil, invalidURI(u.String(), "it is a folder")
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("opening the SQLite file: %w", err)
	}
	if o.Protect != nil {
		if err := o.Protect(file); err != nil {
			return nil, err
		}
	}

	readers := o.readers()
	writing := sql.OpenDB(sqliteSession(file, writerPages, false))
	writing.SetMaxOpenConns(1)
	writing.SetMaxIdleConns(1)
	db := &DB{
		dialect:  SQLite{},
		options:  o,
		uri:      u,
		pool:     sql.OpenDB(sqliteSession(file, max(readerPages/readers, leastReaderPages), true)),
		writing:  writing,
		patience: busyTimeout,
		driver:   sqliteDriver,
		dialector: func(pool gorm.ConnPool) gorm.Dialector {
			return gormsqlite.New(gormsqlite.Config{Conn: pool})
		},
	}
	o.configure(db.pool)
	db.pool.SetMaxOpenConns(readers)
	if !o.Unpooled {
		db.pool.SetMaxIdleConns(max(readers-spareReaders, 1))
	}
	db.queued(readers)
	if err := db.connect(ctx, func(ctx context.Context) error { return db.startWriter(ctx) }); err != nil {
		return nil, errors.Join(err, db.pool.Close(), writing.Close())
	}

	return db, nil
}

// readers is how many may read a SQLite file at once.
func (o Options) readers() int {
	readers := runtime.GOMAXPROCS(0) + spareReaders
	if o.MaxOverflow >= 0 && !o.Unpooled {
		readers = min(readers, o.PoolSize+o.MaxOverflow)
	}

	return readers
}

// maxLog is how much of a write-ahead log outlasts its writing back, in bytes, twice what is written between two
// of them: to cut it off and to have it grow again has all who write wait for the file system. A reader that stays, in
// a notebook for example, has it grow beyond that.
const maxLog = 128 << 20

// writeAheadLog turns the file's journal into a write-ahead log, once and for all: readers then
// don't wait for writers. The change needs the file for itself for a moment, which SQLite doesn't
// wait for. Where the file system has no shared memory, the journal stays what it is.
func writeAheadLog(ctx context.Context, conn *sql.Conn, o Options) error {
	deadline := time.Now().Add(busyTimeout)
	for {
		mode, err := setJournalMode(ctx, conn, "WAL")
		switch {
		case err == nil && mode == "wal":
			return execOn(ctx, conn, journalSizeLimit+strconv.Itoa(maxLog))
		case err == nil:
			o.Logger.WarnContext(ctx, "SQLite keeps its rollback journal: readers wait for writers", "journal_mode", mode)

			return nil
		case isSQLiteReadOnly(err):
			o.Logger.WarnContext(ctx, "the SQLite file can't be written")

			return nil
		case !isSQLiteBusy(err) || time.Now().After(deadline):
			return err
		}
		if err := pause(ctx, writeAheadLogPause); err != nil {
			return err
		}
	}
}

// journalSizeLimit is of both kinds of journals.
const journalSizeLimit = "PRAGMA journal_size_limit = "

// maxJournal is how much of a rollback journal outlasts a transaction, in bytes.
const maxJournal = 1 << 20

// lastingJournal leaves a write-ahead log or a rollback journal what it is, but has the writer keep the
// journal from one transaction to the next: to make it and to remove it takes a disk half of the time of
// a small transaction. What others keep in the file or expect of it is the same.
func lastingJournal(ctx context.Context, conn *sql.Conn, _ Options) error {
	if mode, err := journalMode(ctx, conn); err != nil || mode != "delete" {
		return err
	}
	if _, err := setJournalMode(ctx, conn, "PERSIST"); err != nil {
		return err
	}

	return execOn(ctx, conn, journalSizeLimit+strconv.Itoa(maxJournal))
}

// removeJournal removes a journal that was kept. While others use the file it stays, to no harm.
func removeJournal(ctx context.Context, conn *sql.Conn) error {
	mode, err := journalMode(ctx, conn)
	if err == nil && mode == "persist" {
		_, err = setJournalMode(ctx, conn, "DELETE")
	}
	if isSQLiteBusy(err) || isSQLiteReadOnly(err) {
		return nil
	}

	return err
}

func journalMode(ctx context.Context, conn *sql.Conn) (mode string, err error) {
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return "", fmt.Errorf("asking SQLite for its journal mode: %w", err)
	}

	return strings.ToLower(mode), nil
}

func setJournalMode(ctx context.Context, conn *sql.Conn, mode string) (got string, err error) {
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode = "+mode).Scan(&got); err != nil {
		return "", fmt.Errorf("setting SQLite's journal mode: %w", err)
	}

	return strings.ToLower(got), nil
}
