package databasetest

import (
	"context"
	"crypto/md5" //nolint:gosec // of a schema, not of a secret
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
)

var errNoMySQL = errors.New("set MLFLOW_GO_TEST_MYSQL to the URI of a MySQL or MariaDB server")

// MySQL lends a database of MySQL's or MariaDB's for the time of a test, as [PostgreSQL] does.
func MySQL(tb testing.TB) string {
	tb.Helper()
	template, err := mysqlTemplate()
	if err != nil {
		tb.Fatal(err)
	}
	ctx := context.WithoutCancel(tb.Context())
	server, err := openMySQL("")
	if err != nil {
		tb.Fatal(err)
	}
	session, err := server.Conn(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := errors.Join(session.Close(), server.Close()); err != nil { // gives up the lock
			tb.Error(err)
		}
	})
	name, err := borrowMySQL(ctx, session, template)
	if err != nil {
		tb.Fatal(err)
	}

	return onMySQLDatabase(tb, name)
}

// borrowMySQL takes the first database that no other test has, for as long as the session lives.
func borrowMySQL(ctx context.Context, session *sql.Conn, template *mysqlSchema) (string, error) {
	for number := 0; ; number++ {
		name := template.name + "_" + strconv.Itoa(number)
		var taken bool
		if err := session.QueryRowContext(ctx, "SELECT GET_LOCK(?, 0)", name).Scan(&taken); err != nil {
			return "", err
		}
		if !taken {
			continue
		}
		if cleanMySQL(ctx, name, template) == nil {
			return name, nil
		}

		return name, copyMySQL(ctx, name, template)
	}
}

// mysqlSchema is a database with MLflow's schema and the way to make another one.
type mysqlSchema struct {
	name        string
	fingerprint string
	generated   []string // tables with a generated column
	tables      []string
	statements  []string // that make the tables
	revision    string
}

// mysqlTemplate is a database with MLflow's schema on the server, kept between runs of tests.
var mysqlTemplate = sync.OnceValues(func() (*mysqlSchema, error) {
	version, err := templateVersion()
	if err != nil {
		return nil, err
	}
	template := &mysqlSchema{name: "mlflow_test_" + version}
	ctx := context.Background()

	return template, withMySQL(ctx, "", func(session *sql.Conn) error {
		// Other test binaries wait here while one makes the template.
		if _, err := session.ExecContext(ctx, "DO GET_LOCK('mlflow_template', 600)"); err != nil {
			return err
		}
		var complete int
		if err := session.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = ? "+
			"AND table_name = 'mlflow_template_complete'", template.name).Scan(&complete); err != nil {
			return err
		}
		if complete == 0 {
			if err := makeMySQLTemplate(ctx, session, template.name); err != nil {
				return err
			}
		}

		return template.read(ctx, session)
	})
})

func makeMySQLTemplate(ctx context.Context, session *sql.Conn, name string) error {
	if err := recreateMySQL(ctx, session, name); err != nil {
		return err
	}
	uri, err := mysqlURI(name)
	if err != nil {
		return err
	}
	if err := runInitialize(uri); err != nil { //nolint:contextcheck // whoever needs it first makes it for all
		return err
	}
	_, err = session.ExecContext(ctx, "CREATE TABLE "+name+".mlflow_template_complete (done INT)")

	return err
}

func recreateMySQL(ctx context.Context, session *sql.Conn, name string) error {
	if _, err := session.ExecContext(ctx, "DROP DATABASE IF EXISTS "+name); err != nil {
		return err
	}
	_, err := session.ExecContext(ctx, "CREATE DATABASE "+name+" CHARACTER SET utf8mb4")

	return err
}

// read learns how to make the tables again.
func (s *mysqlSchema) read(ctx context.Context, session *sql.Conn) error {
	if _, err := session.ExecContext(ctx, "USE "+s.name); err != nil {
		return err
	}
	names, err := stringsOf(ctx, session, "SELECT table_name FROM information_schema.tables "+
		"WHERE table_schema = DATABASE() AND table_name <> 'mlflow_template_complete' ORDER BY table_name")
	if err != nil {
		return err
	}
	for _, name := range names {
		var table, statement string
		if err := session.QueryRowContext(ctx, "SHOW CREATE TABLE `"+name+"`").Scan(&table, &statement); err != nil {
			return err
		}
		s.statements = append(s.statements, statement)
		if name != "alembic_version" {
			s.tables = append(s.tables, name)
		}
		if strings.Contains(statement, "AUTO_INCREMENT") {
			s.generated = append(s.generated, name)
		}
	}
	if err := session.QueryRowContext(ctx, "SELECT version_num FROM alembic_version").Scan(&s.revision); err != nil {
		return err
	}
	s.fingerprint, err = mysqlFingerprint(ctx, session)

	return err
}

// mysqlFingerprint stands for all columns, indexes and the schema's revision.
func mysqlFingerprint(ctx context.Context, session *sql.Conn) (string, error) {
	parts, err := stringsOf(ctx, session, `SELECT CONCAT_WS(' ', table_name, column_name, column_type, is_nullable)
		FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name <> 'mlflow_template_complete'
		UNION ALL SELECT CONCAT_WS(' ', table_name, index_name, column_name, seq_in_index)
		FROM information_schema.statistics WHERE table_schema = DATABASE()
		UNION ALL SELECT version_num FROM alembic_version ORDER BY 1`)
	sum := md5.Sum([]byte(strings.Join(parts, "\n"))) //nolint:gosec // see above

	return hex.EncodeToString(sum[:]), err
}

// cleanMySQL empties a database whose tables are as they were.
func cleanMySQL(ctx context.Context, name string, template *mysqlSchema) error {
	return withMySQL(ctx, name, func(session *sql.Conn) error {
		found, err := mysqlFingerprint(ctx, session)
		if err != nil {
			return err
		}
		if found != template.fingerprint {
			return errChanged
		}
		statements := []string{"SET foreign_key_checks = 0", "START TRANSACTION"}
		for _, table := range template.tables {
			statements = append(statements, "DELETE FROM `"+table+"`")
		}
		statements = append(statements, "COMMIT")
		for _, table := range template.generated {
			statements = append(statements, "ALTER TABLE `"+table+"` AUTO_INCREMENT = 1")
		}
		_, err = session.ExecContext(ctx, strings.Join(statements, ";"))

		return err
	})
}

// copyMySQL makes a database like the template.
func copyMySQL(ctx context.Context, name string, template *mysqlSchema) error {
	if err := withMySQL(ctx, "", func(session *sql.Conn) error { return recreateMySQL(ctx, session, name) }); err != nil {
		return err
	}

	return withMySQL(ctx, name, func(session *sql.Conn) error {
		statements := append([]string{"SET foreign_key_checks = 0"}, template.statements...)
		statements = append(statements, "INSERT INTO alembic_version VALUES ('"+template.revision+"')")
		_, err := session.ExecContext(ctx, strings.Join(statements, ";"))

		return err
	})
}

func emptyMySQL(tb testing.TB) string {
	tb.Helper()
	name := "mlflow_empty_" + strconv.Itoa(os.Getpid()) + "_" + strconv.FormatInt(created.Add(1), 10)
	ctx := context.WithoutCancel(tb.Context())
	if err := withMySQL(ctx, "", func(session *sql.Conn) error { return recreateMySQL(ctx, session, name) }); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := withMySQL(ctx, "", func(session *sql.Conn) error {
			_, err := session.ExecContext(ctx, "DROP DATABASE "+name)

			return err
		}); err != nil {
			tb.Error(err)
		}
	})

	return onMySQLDatabase(tb, name)
}

func stringsOf(ctx context.Context, session *sql.Conn, query string) (found []string, err error) {
	rows, err := session.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		found = append(found, text)
	}

	return found, rows.Err()
}

// mysqlURI is the server's URI with another database.
func mysqlURI(name string) (string, error) {
	text := os.Getenv("MLFLOW_GO_TEST_MYSQL")
	if text == "" {
		return "", errNoMySQL
	}
	uri, err := url.Parse(text)
	if err != nil {
		return "", err
	}
	uri.Path = "/" + name

	return uri.String(), nil
}

func onMySQLDatabase(tb testing.TB, name string) string {
	tb.Helper()
	uri, err := mysqlURI(name)
	if err != nil {
		tb.Fatal(err)
	}

	return uri
}

// openMySQL takes several statements at once, which the store's connections don't.
func openMySQL(name string) (*sql.DB, error) {
	text, err := mysqlURI(name)
	if err != nil {
		return nil, err
	}
	uri, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	config := mysql.NewConfig()
	config.Net, config.Addr, config.DBName = "tcp", uri.Host, name
	config.User = uri.User.Username()
	config.Passwd, _ = uri.User.Password()
	config.MultiStatements, config.InterpolateParams = true, true
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}

	return sql.OpenDB(connector), nil
}

func withMySQL(ctx context.Context, name string, do func(session *sql.Conn) error) error {
	server, err := openMySQL(name)
	if err != nil {
		return err
	}
	session, err := server.Conn(ctx)
	if err != nil {
		return errors.Join(fmt.Errorf("connecting to MySQL: %w", err), server.Close())
	}

	return errors.Join(do(session), session.Close(), server.Close())
}
