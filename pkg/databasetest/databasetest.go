// Package databasetest hands fresh databases to tests: with the schema that MLflow itself makes,
// on every database that is native.
//
// It needs two environment variables: MLFLOW_GO_TEST_PYTHON, a Python that has MLflow, and
// MLFLOW_GO_TEST_POSTGRES, the SQLAlchemy URI of a PostgreSQL server on which databases may be
// created. A test fails without them.
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
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mlflow/mlflow-go/pkg/database"
)

var (
	errNoPython     = errors.New("set MLFLOW_GO_TEST_PYTHON to a Python that has MLflow")
	errNoPostgreSQL = errors.New("set MLFLOW_GO_TEST_POSTGRES to a PostgreSQL server's URI")
)

//go:embed initialize.py
var initialize string

// Each runs a test on every native database, as subtests named by the database. Each gets an
// empty MLflow database of its own: the schema is there, no experiment is.
func Each(t *testing.T, test func(t *testing.T, db *database.DB)) {
	t.Helper()
	for _, source := range Sources() {
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

// Sources are the databases that are native.
func Sources() []Source {
	return []Source{
		{Name: "sqlite", URI: SQLite, Empty: emptySQLite},
		{Name: "postgresql", URI: PostgreSQL, Empty: emptyPostgreSQL},
	}
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

// PostgreSQL makes a PostgreSQL database, which is dropped after the test.
func PostgreSQL(tb testing.TB) string {
	tb.Helper()
	template, err := postgresTemplate()
	if err != nil {
		tb.Fatal(err)
	}

	return createPostgreSQL(tb, template)
}

func emptyPostgreSQL(tb testing.TB) string {
	tb.Helper()

	return createPostgreSQL(tb, "template1")
}

var created atomic.Int64

func createPostgreSQL(tb testing.TB, template string) string {
	tb.Helper()
	name := "mlflow_test_" + strconv.Itoa(os.Getpid()) + "_" + strconv.FormatInt(time.Now().UnixNano(), 36) +
		"_" + strconv.FormatInt(created.Add(1), 10)
	ctx := context.WithoutCancel(tb.Context())
	if err := onServer(ctx, func(server *pgx.Conn) error {
		_, err := server.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+template)

		return err
	}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := onServer(ctx, func(server *pgx.Conn) error {
			_, err := server.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")

			return err
		}); err != nil {
			tb.Error(err)
		}
	})
	uri, err := onDatabase(name)
	if err != nil {
		tb.Fatal(err)
	}

	return uri
}

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
	name := "mlflow_template_" + version
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
	python, err := Python()
	if err != nil {
		return "", err
	}
	//nolint:gosec // whoever runs the tests names it
	version, err := exec.CommandContext(context.Background(), python, "-c",
		"import importlib.metadata as m; print(m.version('mlflow'))").Output()
	if err != nil {
		return "", fmt.Errorf("asking %s for MLflow's version: %w", python, err)
	}
	sum := sha256.Sum256([]byte(initialize))

	return strings.ReplaceAll(strings.TrimSpace(string(version)), ".", "_") + "_" + hex.EncodeToString(sum[:4]), nil
}

// Python is the interpreter that has MLflow.
func Python() (string, error) {
	python := os.Getenv("MLFLOW_GO_TEST_PYTHON")
	if python == "" {
		return "", errNoPython
	}

	return python, nil
}

func runInitialize(uri string) error {
	python, err := Python()
	if err != nil {
		return err
	}
	//nolint:gosec // whoever runs the tests names it
	output, err := exec.CommandContext(context.Background(), python, "-c", initialize, uri).CombinedOutput()
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
	uri, err := server()
	if err != nil {
		return err
	}
	uri.Scheme = "postgresql" // pgx knows no Python drivers
	conn, err := pgx.Connect(ctx, uri.String())
	if err != nil {
		return err
	}

	return errors.Join(do(conn), conn.Close(ctx))
}
