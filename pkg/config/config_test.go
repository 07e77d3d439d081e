package config

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTake(t *testing.T) {
	t.Run("OK", func(t *testing.T) {
		t.Setenv(Variable, `{"host": "::1", "port": 5000, "static_prefix": "/mlflow/", "read_replica_backend_store_uri": null,
			"security": {"allowed_hosts": null, "x_frame_options": "DENY"}, "tls": {"certfile": "c.pem", "cert_reqs": null},
			"go": {"log_level": "WARNING", "shutdown_timeout": "1m30s", "fallback_timeout": 2.5, "fallback": "lazy",
				"max_body": "2mb", "sqlite_journal": "keep", "proxy": ["runs/search", "/getRun"]},
			"fallback": {"command": ["python", "-m", "x"], "environment": {"A": "b"}}}`)

		config, err := Take()
		require.NoError(t, err)

		_, present := os.LookupEnv(Variable)
		require.False(t, present)

		require.Equal(t, "/mlflow", config.StaticPrefix)
		require.Equal(t, "https://[::1]:5000", config.PublicURL())
		require.Equal(t, "DENY", *config.Security.XFrameOptions)
		require.Equal(t, Command{[]string{"python", "-m", "x"}, map[string]string{"A": "b"}}, config.Fallback)
		require.Equal(t, Options{
			LogLevel: slog.LevelWarn, ShutdownTimeout: 90 * time.Second, Fallback: FallbackLazy,
			FallbackTimeout: 2500 * time.Millisecond, MaxBody: 2 << 20, SQLiteJournal: SQLiteKeep,
			Proxy: []string{"runs/search", "getRun"},
		}, config.Go)
	})

	t.Run("OKDefaults", func(t *testing.T) {
		t.Setenv(Variable, `{"go": {"log_level": null}}`)

		config, err := Take()
		require.NoError(t, err)
		require.Equal(t, DefaultOptions(), config.Go)
	})

	t.Run("ErrMissing", func(t *testing.T) {
		_, err := Take()
		require.ErrorIs(t, err, errMissing)
	})
}

func TestParse(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"ErrUnknownKey": {
			`{"go": {"lgo_level": "info"}}`,
			`the launcher's configuration: --go-opts: unknown key "lgo_level"; known are log_level, shutdown_timeout, ` +
				`fallback, fallback_timeout, max_body, sqlite_journal, proxy`,
		},
		"ErrLogLevel": {
			`{"go": {"log_level": "loud"}}`,
			"the launcher's configuration: --go-opts: bad value for log_level: expected debug, info, warning or error",
		},
		"ErrDuration": {
			`{"go": {"shutdown_timeout": "-1s"}}`,
			"the launcher's configuration: --go-opts: bad value for shutdown_timeout: expected a duration such as 30s, or seconds",
		},
		"ErrFallback": {
			`{"go": {"fallback": "on"}}`,
			"the launcher's configuration: --go-opts: bad value for fallback: expected background, lazy or off",
		},
		"ErrSize": {
			`{"go": {"max_body": "9999999999gb"}}`,
			"the launcher's configuration: --go-opts: bad value for max_body: expected a size in bytes, or with kb, mb or gb",
		},
		"ErrUnknownField": {`{"backend_uri": "sqlite://"}`, `the launcher's configuration: json: unknown field "backend_uri"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(test.text))
			require.EqualError(t, err, test.want)
		})
	}
}

func TestPublicURL(t *testing.T) {
	for host, want := range map[string]string{
		"127.0.0.1": "http://127.0.0.1:1", "0.0.0.0": "http://127.0.0.1:1", "": "http://127.0.0.1:1",
		"::": "http://[::1]:1", "mlflow.example": "http://mlflow.example:1",
	} {
		require.Equal(t, want, (&Config{Host: host, Port: 1}).PublicURL())
	}
}
