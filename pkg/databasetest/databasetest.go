// Package databasetest hands fresh databases to tests: with the schema that MLflow itself makes,
// on every database that is native.
//
// It needs three environment variables: MLFLOW_GO_TEST_PYTHON (see pythontest), and
// MLFLOW_GO_TEST_POSTGRES and MLFLOW_GO_TEST_MYSQL, the SQLAlchemy URIs of a PostgreSQL server and of
// one of MySQL or MariaDB, on which databases may be created. A test fails without them.
package databasetest

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/pythontest"
)

var (
	errNoPostgreSQL = errors.New("set MLFLOW_GO_TEST_POSTGRES to a PostgreSQL server's URI")
)

//go:embed initialize.py
var initialize string

// Each runs a test on every native database, or on those that are named, as subtests named by the
// database. Each gets an empty MLflow database of its own: the schema is there, no experiment is.
func Each(t *testing.T, test func(t *testing.T, db *database.DB), names ...string) {
	t.Helper()
	for _, source := range Sources(names...) {
		t.Run(source.Name, func(t *testing.T) {
			test(t, Open(t, source.URI(t)))
		})
	}
}

// Source makes fresh databases of one kind.
type Source struct {
	Name string
	// URI makes a database with MLflow's schema and returns its SQLAlchemy URI.
	URI func(tb testing.TB) string
	// Empty makes a database without any table.
	Empty func(tb testing.TB) string
}

// Sources are the databases that are native, or those of them that are named.
func Sources(names ...string) []Source {
	all := []Source{
		{Name: "sqlite", URI: SQLite, Empty: emptySQLite},
		{Name: "postgresql", URI: PostgreSQL, Empty: emptyPostgreSQL},
		{Name: "mysql", URI: MySQL, Empty: emptyMySQL},
	}

	return slices.DeleteFunc(all, func(source Source) bool {
		return len(names) > 0 && !slices.Contains(names, source.Name)
	})
}

// Open opens a database for the time of a test.
func Open(tb testing.TB, uri string) *database.DB {
	tb.Helper()
	db, err := database.Open(tb.Context(), uri, database.Options{ConnectAttempts: 1})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})

	return db
}

// SQLite makes a SQLite database.
func SQLite(tb testing.TB) string {
	tb.Helper()
	template, err := sqliteTemplate()
	if err != nil {
		tb.Fatal(err)
	}
	schema, err := os.ReadFile(template) //nolint:gosec // our own file
	if err != nil {
		tb.Fatal(err)
	}
	file := filepath.Join(tb.TempDir(), "mlflow.db")
	if err := os.WriteFile(file, schema, 0o600); err != nil { //nolint:gosec,mnd // below the test's folder
		tb.Fatal(err)
	}

	return "sqlite:///" + file
}

func emptySQLite(tb testing.TB) string {
	tb.Helper()

	return "sqlite:///" + filepath.Join(tb.TempDir(), "mlflow.db")
}

// PostgreSQL lends a PostgreSQL database for the time of a test. Making one takes a second, so
// they stay on the server and are cleaned for the next test; one whose tables a test has changed
// is made anew.
func PostgreSQL(tb testing.TB) string {
	tb.Helper()
	template, err := postgresTemplate()
	if err != nil {
		tb.Fatal(err)
	}
	ctx := context.WithoutCancel(tb.Context())
	server, err := connect(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := server.Close(ctx); err != nil { // gives up the lock
			tb.Error(err)
		}
	})
	name, err := borrow(ctx, server, template)
	if err != nil {
		tb.Fatal(err)
	}
	uri, err := onDatabase(name)
	if err != nil {
		tb.Fatal(err)
	}

	return uri
}

// borrow takes the first database that no other test has, for as long as the connection lives.
func borrow(ctx context.Context, server *pgx.Conn, template string) (string, error) {
	number, taken := -1, false
	for !taken {
		number++
		if err := server.QueryRow(ctx, "SELECT pg_try_advisory_lock(hashtext($1), $2)", template, number).
			Scan(&taken); err != nil {
			return "", err
		}
	}
	name := template + "_" + strconv.Itoa(number)
	var fingerprint *string
	err := server.QueryRow(ctx, "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1", name).
		Scan(&fingerprint)
	if err == nil && fingerprint != nil && clean(ctx, name, *fingerprint) == nil {
		return name, nil
	}
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", err
	}
	for _, statement := range []string{
		"DROP DATABASE IF EXISTS " + name + " WITH (FORCE)", "CREATE DATABASE " + name + " TEMPLATE " + template,
	} {
		if _, err := server.Exec(ctx, statement); err != nil {
			return "", err
		}
	}
	made, err := fingerprintOf(ctx, name)
	if err != nil {
		return "", err
	}
	_, err = server.Exec(ctx, "COMMENT ON DATABASE "+name+" IS '"+made+"'")

	return name, err
}

var errChanged = errors.New("the tables were changed")

// clean empties a database whose tables are as they were.
func clean(ctx context.Context, name, fingerprint string) error {
	found, err := fingerprintOf(ctx, name)
	if err != nil {
		return err
	}
	if found != fingerprint {
		return errChanged
	}

	return on(ctx, name, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `DO $$ DECLARE item record; BEGIN
			SET LOCAL session_replication_role = replica; -- no order of foreign keys to keep
			FOR item IN SELECT tablename AS name FROM pg_tables
				WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
				EXECUTE format('DELETE FROM %I', item.name);
			END LOOP;
			FOR item IN SELECT sequencename AS name FROM pg_sequences WHERE schemaname = 'public' LOOP
				EXECUTE format('ALTER SEQUENCE %I RESTART', item.name);
			END LOOP;
		END $$`)

		return err
	})
}

// fingerprintOf stands for all columns, indexes and the schema's revision.
func fingerprintOf(ctx context.Context, name string) (fingerprint string, err error) {
	err = on(ctx, name, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT md5(
			(SELECT string_agg(concat_ws(' ', table_name, column_name, data_type, is_nullable), ','
				ORDER BY table_name, ordinal_position) FROM information_schema.columns WHERE table_schema = 'public') ||
			(SELECT string_agg(indexdef, ',' ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'public') ||
			(SELECT string_agg(version_num, ',') FROM alembic_version))`).Scan(&fingerprint)
	})

	return fingerprint, err
}

func emptyPostgreSQL(tb testing.TB) string {
	tb.Helper()
	name := "mlflow_empty_" + strconv.Itoa(os.Getpid()) + "_" + strconv.FormatInt(created.Add(1), 10)
	ctx := context.WithoutCancel(tb.Context())
	execute := func(statement string) error {
		return onServer(ctx, func(server *pgx.Conn) error {
			_, err := server.Exec(ctx, statement)

			return err
		})
	}
	if err := execute("CREATE DATABASE " + name); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := execute("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			tb.Error(err)
		}
	})
	uri, err := onDatabase(name)
	if err != nil {
		tb.Fatal(err)
	}

	return uri
}

var created atomic.Int64

// sqliteTemplate is a file with MLflow's schema, kept between runs of tests.
var sqliteTemplate = sync.OnceValues(func() (string, error) {
	version, err := templateVersion()
	if err != nil {
		return "", err
	}
	file := filepath.Join(os.TempDir(), "mlflow-go-schema-"+version+".db")
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	folder, err := os.MkdirTemp("", "mlflow-go-schema-")
	if err != nil {
		return "", err
	}
	made := filepath.Join(folder, "mlflow.db")
	if err := runInitialize("sqlite:///" + made); err != nil {
		return "", errors.Join(err, os.RemoveAll(folder))
	}
	// Another test binary may do the same at this moment: the last one to rename wins.
	return file, errors.Join(os.Rename(made, file), os.RemoveAll(folder))
})

// postgresTemplate is a database with MLflow's schema on the server, kept between runs of tests.
var postgresTemplate = sync.OnceValues(func() (string, error) {
	version, err := templateVersion()
	if err != nil {
		return "", err
	}
	name := "mlflow_test_" + version
	ctx := context.Background()

	return name, onServer(ctx, func(server *pgx.Conn) error {
		// Other test binaries wait here while one makes the template.
		if _, err := server.Exec(ctx, "SELECT pg_advisory_lock(hashtext('mlflow_template'))"); err != nil {
			return err
		}
		var exists bool
		err := server.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists)
		if err != nil || exists {
			return err
		}
		making := name + "_making"
		for _, statement := range []string{"DROP DATABASE IF EXISTS " + making, "CREATE DATABASE " + making} {
			if _, err := server.Exec(ctx, statement); err != nil {
				return err
			}
		}
		uri, err := onDatabase(making)
		if err != nil {
			return err
		}
		if err := runInitialize(uri); err != nil {
			return err
		}
		_, err = server.Exec(ctx, "ALTER DATABASE "+making+" RENAME TO "+name)

		return err
	})
})

// templateVersion names what a template depends on: MLflow's version and our script.
func templateVersion() (string, error) {
	command, err := pythontest.Command(context.Background(), "-c",
		"import importlib.metadata as m; print(m.version('mlflow'))")
	if err != nil {
		return "", err
	}
	version, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("asking Python for MLflow's version: %w", err)
	}
	sum := sha256.Sum256([]byte(initialize))

	return strings.ReplaceAll(strings.TrimSpace(string(version)), ".", "_") + "_" + hex.EncodeToString(sum[:4]), nil
}

func runInitialize(uri string) error {
	command, err := pythontest.Command(context.Background(), "-c", initialize, uri)
	if err != nil {
		return err
	}
	command.Stderr = nil
	output, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("making MLflow's schema: %w\n%s", err, output)
	}

	return nil
}

func server() (*url.URL, error) {
	text := os.Getenv("MLFLOW_GO_TEST_POSTGRES")
	if text == "" {
		return nil, errNoPostgreSQL
	}

	return url.Parse(text)
}

// onDatabase is the server's URI with another database.
func onDatabase(name string) (string, error) {
	uri, err := server()
	if err != nil {
		return "", err
	}
	uri.Path = "/" + name

	return uri.String(), nil
}

func onServer(ctx context.Context, do func(*pgx.Conn) error) error {
	conn, err := connect(ctx)
	if err != nil {
		return err
	}

	return errors.Join(do(conn), conn.Close(ctx))
}

// connect opens the database that the server's URI names.
func connect(ctx context.Context) (*pgx.Conn, error) {
	uri, err := server()
	if err != nil {
		return nil, err
	}

	return dial(ctx, *uri)
}

// on connects to another database of the server.
func on(ctx context.Context, name string, do func(*pgx.Conn) error) error {
	uri, err := server()
	if err != nil {
		return err
	}
	uri.Path = "/" + name
	conn, err := dial(ctx, *uri)
	if err != nil {
		return err
	}

	return errors.Join(do(conn), conn.Close(ctx))
}

func dial(ctx context.Context, uri url.URL) (*pgx.Conn, error) {
	uri.Scheme = "postgresql" // pgx knows no Python drivers

	return pgx.Connect(ctx, uri.String())
}
