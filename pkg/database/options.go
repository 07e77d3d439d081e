package database

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Options tune a database. The zero value is SQLAlchemy's default pool.
type Options struct {
	// PoolSize is how many idle connections are kept; 0 means 5, as in SQLAlchemy.
	PoolSize int
	// MaxOverflow is how many more connections than PoolSize may be open; 0 means 10, less than
	// 0 no limit.
	MaxOverflow int
	// PoolRecycle is the age at which a connection is replaced; 0 means never.
	PoolRecycle time.Duration
	// Unpooled opens a connection for each transaction (SQLAlchemy's NullPool).
	Unpooled bool
	// Echo logs each statement, without its values.
	Echo bool
	// KeepJournal leaves a SQLite file's journal mode alone, where write-ahead logging isn't wanted, or
	// isn't safe, as on network file systems.
	KeepJournal bool
	// Protect, unless it is nil, gets the absolute path of a SQLite file before it is opened. Its error is Open's.
	Protect func(file string) error
	// CallsFromC says that transactions run in threads that C has called from: where there is only one, it
	// waits for a server's answers itself.
	CallsFromC bool
	// MySQLTLS encrypts connections to MySQL.
	MySQLTLS MySQLTLS
	// ConnectAttempts is how often Open tries to reach the database; 0 means 10, as in MLflow:
	// it gives up after 100 seconds.
	ConnectAttempts int
	// Logger takes warnings and the echo; nil means slog.Default().
	Logger *slog.Logger
}

const (
	defaultPoolSize        = 5
	defaultMaxOverflow     = 10
	defaultConnectAttempts = 10
)

func (o Options) withDefaults() Options {
	if o.PoolSize == 0 {
		o.PoolSize = defaultPoolSize
	}
	if o.MaxOverflow == 0 {
		o.MaxOverflow = defaultMaxOverflow
	}
	if o.ConnectAttempts == 0 {
		o.ConnectAttempts = defaultConnectAttempts
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}

	return o
}

func invalidSetting(name, format string, args ...any) error {
	return fmt.Errorf("%s %w: %s", name, ErrInvalid, fmt.Sprintf(format, args...))
}

// poolClasses are the names that MLflow takes, in its order.
var poolClasses = []string{
	"AssertionPool", "AsyncAdaptedQueuePool", "NullPool", "QueuePool", "SingletonThreadPool", "StaticPool",
	"FallbackAsyncAdaptedQueuePool",
}

// OptionsFromEnvironment reads MLFLOW_SQLALCHEMYSTORE_* and MLFLOW_MYSQL_SSL_*, as MLflow's
// create_sqlalchemy_engine does: an integer of 0 is as good as none. Pool classes other than QueuePool and NullPool are
// refused with ErrUnsupported.
func OptionsFromEnvironment(getenv func(string) string) (Options, error) {
	o := Options{MySQLTLS: MySQLTLS{
		CA: getenv("MLFLOW_MYSQL_SSL_CA"), Cert: getenv("MLFLOW_MYSQL_SSL_CERT"), Key: getenv("MLFLOW_MYSQL_SSL_KEY"),
	}}
	var recycle int
	for _, number := range []struct {
		name   string
		target *int
	}{
		{"MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", &o.PoolSize},
		{"MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW", &o.MaxOverflow},
		{"MLFLOW_SQLALCHEMYSTORE_POOL_RECYCLE", &recycle},
	} {
		text := getenv(number.name)
		if text == "" {
			continue
		}
		value, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return Options{}, invalidSetting(number.name, "%q isn't a whole number", text)
		}
		*number.target = value
	}
	if o.PoolSize < 0 {
		return Options{}, invalidSetting("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", "%d is negative", o.PoolSize)
	}
	if recycle > 0 {
		o.PoolRecycle = time.Duration(recycle) * time.Second
	}
	switch echo := getenv("MLFLOW_SQLALCHEMYSTORE_ECHO"); strings.ToLower(echo) {
	case "", "false", "0":
	case "true", "1":
		o.Echo = true
	default:
		return Options{}, invalidSetting("MLFLOW_SQLALCHEMYSTORE_ECHO", "%q is none of true, false, 1, 0", echo)
	}
	switch class := getenv("MLFLOW_SQLALCHEMYSTORE_POOLCLASS"); class {
	case "", "QueuePool":
	case "NullPool":
		o.Unpooled = true
	case "AssertionPool", "AsyncAdaptedQueuePool", "SingletonThreadPool", "StaticPool", "FallbackAsyncAdaptedQueuePool":
		return Options{}, unsupported("MLFLOW_SQLALCHEMYSTORE_POOLCLASS=%s", class)
	default:
		return Options{}, invalidSetting("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "Invalid poolclass parameter: %s. Set "+
			"environment variable poolclass to empty or one of the following values: %s",
			class, strings.Join(poolClasses, " "))
	}

	return o, nil
}
