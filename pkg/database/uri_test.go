package database_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

func TestParseURI(t *testing.T) {
	// What SQLAlchemy 2.1's make_url says of the same texts.
	for text, expected := range map[string]database.URI{
		"sqlite:///mlflow.db":       {Dialect: "sqlite", Database: "mlflow.db"},
		"sqlite:////tmp/mlflow.db":  {Dialect: "sqlite", Database: "/tmp/mlflow.db"},
		"sqlite:///a b%20c%2.db":    {Dialect: "sqlite", Database: "a b c%2.db"},
		`sqlite:///C:\x\y.db`:       {Dialect: "sqlite", Database: `C:\x\y.db`},
		"sqlite+pysqlite:///x":      {Dialect: "sqlite", Driver: "pysqlite", Database: "x"},
		"sqlite://":                 {Dialect: "sqlite"},
		"postgresql://h":            {Dialect: "postgresql", Host: "h"},
		"postgresql://u:p%40@h:5/d": {Dialect: "postgresql", Username: "u", Password: "p@", Host: "h", Port: 5, Database: "d"},
		"postgresql+psycopg2://[::1]:55/x": {
			Dialect: "postgresql", Driver: "psycopg2", Host: "::1", Port: 55, Database: "x",
		},
		"postgresql://u:p@ss@h/d": {Dialect: "postgresql", Username: "u", Password: "p", Host: "ss@h", Database: "d"},
		"postgresql://u%3Aa:b+c@/d?host=/var/run&x=&options=-c%20a%3Db+c&host=two": {
			Dialect: "postgresql", Username: "u:a", Password: "b+c", Database: "d",
			Query: []database.Parameter{{"host", "/var/run"}, {"options", "-c a=b c"}, {"host", "two"}},
		},
	} {
		t.Run("OK/"+text, func(t *testing.T) {
			parsed, err := database.ParseURI(text)
			require.NoError(t, err)
			require.Equal(t, expected, *parsed)
		})
	}
	for text, message := range map[string]string{
		"postgres://u:secret@h/d": "Invalid database engine: 'postgres'. Supported database engines are " +
			"postgresql, mysql, sqlite, mssql",
		"oracle://u:secret@h/d": "Invalid database engine: 'oracle'. Supported database engines are " +
			"postgresql, mysql, sqlite, mssql",
		"./mlruns": "Invalid database engine: ''. Supported database engines are postgresql, mysql, sqlite, mssql",
		"postgresql+a+b://u:secret@h/d": "Invalid database URI: 'postgresql+a+b://u:***@h/d'. Please refer to " +
			"https://mlflow.org/docs/latest/tracking.html#storage for format specifications.",
	} {
		t.Run("ErrRefusedByMLflow/"+text, func(t *testing.T) {
			_, err := database.ParseURI(text)
			requireCode(t, err, protos.ErrorCode_INVALID_PARAMETER_VALUE)
			require.Equal(t, message, requireMLflow(t, err).Message)
		})
	}
	for _, text := range []string{"sqlite:mlflow.db", "postgresql://u:secret@h:port/d", "PostgreSQL://u:secret@h/d"} {
		t.Run("ErrUnreadable/"+text, func(t *testing.T) {
			_, err := database.ParseURI(text)
			require.ErrorContains(t, err, "can't be used")
			require.NotContains(t, err.Error(), "secret")
		})
	}
}

func TestRedact(t *testing.T) {
	for text, expected := range map[string]string{
		"postgresql://u:secret@h:1/d":           "postgresql://u:***@h:1/d",
		"postgresql://u:sec@ret@h/d":            "postgresql://u:***@h/d",
		"postgresql://h/d?user=u&password=x&a=": "postgresql://h/d?user=u&password=***&a=",
		"sqlite:////tmp/a.db":                   "sqlite:////tmp/a.db",
		"postgresql://u@h/d?sslpassword=x":      "postgresql://u@h/d?sslpassword=***",
	} {
		require.Equal(t, expected, database.Redact(text))
	}
	parsed, err := database.ParseURI("postgresql+psycopg://u:s%25c@[::1]:5/d?password=q&sslmode=require")
	require.NoError(t, err)
	require.Equal(t, "postgresql+psycopg://u:***@[::1]:5/d?password=***&sslmode=require", parsed.String())
}

func TestPostgresConfig(t *testing.T) {
	for _, name := range []string{"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGSSLMODE", "PGDATABASE"} {
		require.NoError(t, os.Unsetenv(name))
	}
	parse := func(t *testing.T, text string) *database.URI {
		t.Helper()
		parsed, err := database.ParseURI(text)
		require.NoError(t, err)

		return parsed
	}
	t.Run("OK/Parts", func(t *testing.T) {
		config, err := database.PostgresConfig(parse(t, `postgresql://us%27er:p%40s%27s%5C@example.com:6543/da%20ta`+
			`?application_name=it%27s&connect_timeout=7&sslmode=disable&options=-c%20statement_timeout%3D1000`))
		require.NoError(t, err)
		require.Equal(t, "us'er", config.User)
		require.Equal(t, `p@s's\`, config.Password)
		require.Equal(t, "example.com", config.Host)
		require.EqualValues(t, 6543, config.Port)
		require.Equal(t, "da ta", config.Database)
		require.InDelta(t, 7, config.ConnectTimeout.Seconds(), 0)
		require.Nil(t, config.TLSConfig)
		require.Equal(t, map[string]string{"application_name": "it's", "options": "-c statement_timeout=1000"},
			config.RuntimeParams)
	})
	t.Run("OK/TLS", func(t *testing.T) {
		config, err := database.PostgresConfig(parse(t, "postgresql://u@h/d?sslmode=require"))
		require.NoError(t, err)
		require.NotNil(t, config.TLSConfig)
		require.True(t, config.TLSConfig.InsecureSkipVerify)
		require.Empty(t, config.Fallbacks)

		config, err = database.PostgresConfig(parse(t, "postgresql://u@h/d?sslmode=verify-full&sslrootcert=system"))
		require.NoError(t, err)
		require.Equal(t, "h", config.TLSConfig.ServerName)
	})
	t.Run("OK/QueryWins", func(t *testing.T) {
		config, err := database.PostgresConfig(parse(t, "postgresql://u:p@h:5/d?host=/var/run/pg&password=q&user=v&dbname=e&port=6"))
		require.NoError(t, err)
		require.Equal(t, []any{"v", "q", "/var/run/pg", uint16(6), "e"},
			[]any{config.User, config.Password, config.Host, config.Port, config.Database})
	})
	t.Run("OK/Hosts", func(t *testing.T) {
		config, err := database.PostgresConfig(parse(t, "postgresql://u@/d?host=a:1&host=b:2&sslmode=disable"))
		require.NoError(t, err)
		require.Equal(t, "a", config.Host)
		require.EqualValues(t, 1, config.Port)
		require.Len(t, config.Fallbacks, 1)
		require.Equal(t, "b", config.Fallbacks[0].Host)
		require.EqualValues(t, 2, config.Fallbacks[0].Port)
	})
	t.Run("OK/KeepAlives", func(t *testing.T) {
		_, err := database.PostgresConfig(parse(t, "postgresql://u@h/d?keepalives=1&keepalives_idle=30"))
		require.NoError(t, err)
	})
	t.Run("ErrNumber", func(t *testing.T) {
		_, err := database.PostgresConfig(parse(t, "postgresql://u@h/d?keepalives_idle=soon"))
		require.ErrorContains(t, err, "keepalives_idle=soon can't be used: it isn't a number")
	})
	t.Run("ErrSSLMode", func(t *testing.T) {
		_, err := database.PostgresConfig(parse(t, "postgresql://u:hunter2@h/d?sslmode=maybe"))
		require.ErrorContains(t, err, "sslmode")
		require.NotContains(t, err.Error(), "hunter2")
	})
}

func TestOpenSQLitePaths(t *testing.T) {
	t.Run("OK/RelativeInNewFolder", func(t *testing.T) {
		t.Chdir(t.TempDir())
		db := databasetest.Open(t, "sqlite:///new/folder/a%3Fb%25c d.db")
		require.Zero(t, countTables(t, db))
		_, err := os.Stat(filepath.Join("new", "folder", "a?b%c d.db"))
		require.NoError(t, err)
	})
	t.Run("ErrHost", func(t *testing.T) {
		_, err := database.Open(t.Context(), "sqlite://mlflow.db", database.Options{})
		require.ErrorContains(t, err, "SQLite URIs look like sqlite:///relative.db")
	})
}

func countTables(t *testing.T, db *database.DB) int {
	t.Helper()
	count := 0
	require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
		return tx.QueryRow("SELECT COUNT(*) FROM (" + tx.Dialect().Tables() + ") AS t").Scan(&count)
	}))

	return count
}
