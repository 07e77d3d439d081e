package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	gormpostgres "gorm.io/driver/postgres"
	"gorm.io/gorm"
)

// PostgreSQL is the dialect of PostgreSQL.
type PostgreSQL struct{}

// maxPostgresParameters is what the wire protocol can count.
const maxPostgresParameters = 65535

// Name is MLflow's word for the database.
func (PostgreSQL) Name() string { return "postgresql" }

// Quote makes an identifier safe to use.
func (PostgreSQL) Quote(identifier string) string {
	return `"` + strings.ReplaceAll(identifier, `"`, `""`) + `"`
}

// Rebind numbers the placeholders: $1, $2, ….
func (PostgreSQL) Rebind(query string) string { return numbered(query, "$") }

// MaxParameters is what the wire protocol can count.
func (PostgreSQL) MaxParameters() int { return maxPostgresParameters }

// Boolean is TRUE or FALSE: the columns are of type boolean.
func (PostgreSQL) Boolean(value bool) string {
	if value {
		return "TRUE"
	}

	return "FALSE"
}

// Insert adds rows.
func (d PostgreSQL) Insert(table string, columns []string, rows int) string {
	return insert(d, table, columns, rows)
}

// InsertIgnore adds the rows that are new.
func (d PostgreSQL) InsertIgnore(table string, columns, key []string, rows int) string {
	return d.Insert(table, columns, rows) + " ON CONFLICT (" + quoteAll(d, key) + ") DO NOTHING"
}

// Upsert adds or changes rows.
func (d PostgreSQL) Upsert(u Upsert) string { return onConflict(d, u) }

// Many binds an array for each column: the server needn't parse, plan and bind a placeholder for each
// value.
func (PostgreSQL) Many(one string, rows [][]any) (many string, args []any, ok bool) {
	columns := len(rows[0])
	arrays, names := make([]string, columns), make([]string, columns)
	args = make([]any, columns)

	for i := range columns {
		names[i] = "c" + strconv.Itoa(i)
		if arrays[i], args[i] = columnArray(rows, i); args[i] == nil {
			return "", nil, false
		}
	}

	list := strings.Join(names, ", ")

	return strings.Replace(one, "VALUES "+placeholders(columns, 1),
		"SELECT "+list+" FROM unnest("+strings.Join(arrays, ", ")+") AS given ("+list+")", 1), args, true
}

// columnArray is a column of rows as an array, with its placeholder; nil if its values aren't all of
// one of the types that MLflow's rows mostly have.
func columnArray(rows [][]any, column int) (placeholder string, array any) {
	switch rows[0][column].(type) {
	case string:
		return arrayOf[string]("?::text[]", rows, column)
	case int64:
		return arrayOf[int64]("?::bigint[]", rows, column)
	case float64:
		return arrayOf[float64]("?::double precision[]", rows, column)
	case bool:
		return arrayOf[bool]("?::boolean[]", rows, column)
	default:
		return "", nil
	}
}

func arrayOf[T any](placeholder string, rows [][]any, column int) (string, any) {
	array := make([]T, len(rows))

	for i, row := range rows {
		value, ok := row[column].(T)
		if !ok {
			return "", nil
		}

		array[i] = value
	}

	return placeholder, array
}

// InsertReturning adds one row and answers with its generated column.
func (d PostgreSQL) InsertReturning(table string, columns []string, generated string) InsertReturning {
	return InsertReturning{Query: d.Insert(table, columns, 1) + " RETURNING " + d.Quote(generated)}
}

// ExplicitID needs nothing.
func (PostgreSQL) ExplicitID(string) (before, after string) { return "", "" }

// Savepoint is the standard's.
func (PostgreSQL) Savepoint(name string) Savepoint { return standardSavepoint(name) }

// LockRows lets others refer to the rows meanwhile, as every insert of what is logged does.
func (PostgreSQL) LockRows() (hint, suffix string) { return "", " FOR NO KEY UPDATE" }

// Limit ends a SELECT.
func (PostgreSQL) Limit(limit, offset int) string { return limitOffset(limit, offset) }

// NullsLast is what ascending order does, and can be said of a descending one. A sort by two keys,
// the first of them a CASE, takes thrice as long.
func (PostgreSQL) NullsLast(expression string, descending bool) string {
	if descending {
		return expression + " DESC NULLS LAST"
	}

	return expression
}

// fewValues is how many values are bound one by one.
const fewValues = 16

// AnyOf binds one array: a list of placeholders would be another statement to prepare for each
// number of values. Few values are bound one by one nevertheless: in an array the server expects ten until it
// sees them, so that it plans each time anew, or reads the whole of a small table.
func (PostgreSQL) AnyOf(column string, values []string) (condition string, args []any) {
	if len(values) <= fewValues {
		return portable{}.AnyOf(column, values)
	}

	return column + " = ANY(?::varchar[])", []any{values}
}

// PlanLookUps forbids what the planner takes for cheap before the first ANALYZE, when it believes
// that each of a hundred keys finds a two-hundredth of the table.
func (PostgreSQL) PlanLookUps() string { return "SET LOCAL enable_seqscan = off" }

// PlanJoins forbids nested loops before the first ANALYZE: the planner, which then believes that a
// condition leaves one row, nests joins that have no index to help them. Of 10,000 runs, that took
// 12 s where a hash join takes 12 ms.
func (PostgreSQL) PlanJoins(tables ...string) string {
	return "SELECT set_config('enable_nestloop', 'off', true) WHERE EXISTS (SELECT FROM pg_catalog.pg_class WHERE " +
		"oid IN ('" + strings.Join(tables, "'::regclass, '") + "'::regclass) AND reltuples <= 0 AND " +
		"pg_catalog.pg_relation_size(oid) > 0)"
}

// Analyze takes a sample of each table.
func (PostgreSQL) Analyze(tables ...string) string { return "ANALYZE " + strings.Join(tables, ", ") }

// Compare has an ILIKE of its own.
func (PostgreSQL) Compare(column, operator string, _ bool, values int) (condition string, repeats int) {
	if operator == "ILIKE" {
		return column + " ILIKE ?", 1
	}

	return compare(column, operator, values), 1
}

// FoldsKeys keeps texts apart that differ at all.
func (PostgreSQL) FoldsKeys() bool { return false }

// Remote costs a round trip.
func (PostgreSQL) Remote() bool { return true }

// Index is made while others write. What an attempt that failed leaves behind is in the way of
// another. Without statistics, the planner wouldn't know what the index is good for.
func (d PostgreSQL) Index(i Index) IndexStatements {
	drop := "DROP INDEX CONCURRENTLY IF EXISTS " + d.Quote(i.Name)

	return IndexStatements{
		Exists: "SELECT 1 FROM pg_catalog.pg_index WHERE indexrelid = to_regclass('" + i.Name + "') AND indisvalid",
		Create: []string{
			drop,
			"CREATE INDEX CONCURRENTLY " + d.Quote(i.Name) + i.columns(d, " DESC NULLS LAST"),
			"ANALYZE " + d.Quote(i.Table),
		},
		Drop: drop,
	}
}

// TimeBucket divides numerics; of times in small units, that would round the last of a span into the next.
func (PostgreSQL) TimeBucket(column string, perMillisecond, seconds int64) string {
	if perMillisecond == 1 {
		return "floor(" + column + " / CAST(" + millis(seconds) + " AS NUMERIC)) * " + millis(seconds)
	}
	span := "CAST(" + millis(seconds) + " AS NUMERIC) * " + strconv.FormatInt(perMillisecond, 10)

	return "(div(" + column + ", " + span + ") - CASE WHEN " + column + " < 0 AND mod(" + column + ", " + span +
		") != 0 THEN 1 ELSE 0 END) * " + millis(seconds)
}

// Quotient is the division of whole numbers.
func (PostgreSQL) Quotient(dividend string, divisor int64) string {
	return portable{}.Quotient(dividend, divisor)
}

// Double is a cast: pgx has no float64 of a numeric.
func (PostgreSQL) Double(expression string) string {
	return "CAST(" + expression + " AS DOUBLE PRECISION)"
}

// Percentiles are aggregates.
func (PostgreSQL) Percentiles(fractions []float64, expression string, _ []string) Percentiles {
	percentiles := Percentiles{Aggregates: make([]string, len(fractions))}
	for i, fraction := range fractions {
		percentiles.Aggregates[i] = "percentile_cont(" + double(fraction) + ") WITHIN GROUP (ORDER BY " + expression + ")"
	}

	return percentiles
}

// Materialize keeps the planner from looking up each row of the other table.
func (PostgreSQL) Materialize(name, query string) string {
	return "WITH " + name + " AS MATERIALIZED (" + query + ") "
}

// CurrentMillis is the clock of the server, at the transaction's start.
func (PostgreSQL) CurrentMillis() string { return "floor(EXTRACT(epoch FROM now()) * 1000)" }

// Tables lists the tables on the search path.
func (PostgreSQL) Tables() string {
	return "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace " +
		"WHERE c.relkind IN ('r', 'p') AND pg_catalog.pg_table_is_visible(c.oid) AND n.nspname <> 'pg_catalog'"
}

// postgresParameters are the connection parameters that pgx knows as libpq does; the others of
// libpq would be taken for settings of the server.
var postgresParameters = map[string]bool{
	hostKey: true, "port": true, "user": true, "password": true, "dbname": true, "passfile": true,
	"connect_timeout": true, "sslmode": true, "sslkey": true, "sslcert": true, "sslcertmode": true,
	"sslrootcert": true, "sslnegotiation": true, "sslpassword": true, "sslsni": true, "krbsrvname": true,
	"target_session_attrs": true, "service": true, "channel_binding": true, "require_auth": true,
	"application_name": true, "options": true, "client_encoding": true,
}

const hostKey = "host"

// lockTimeout bounds the wait for a row that another transaction holds, as busyTimeout does for
// SQLite. MLflow itself waits without end.
const lockTimeout = 20 * time.Second

// postgresConfig turns a URI into pgx's configuration, with psycopg's precedence: parameters of
// the query over parts of the URL.
func postgresConfig(u *URI) (*pgx.ConnConfig, error) {
	switch u.Driver {
	case "", "psycopg", "psycopg2", "psycopg2cffi":
	default:
		return nil, unsupported("the PostgreSQL driver %q", u.Driver)
	}
	settings, err := postgresSettings(u)
	if err != nil {
		return nil, err
	}
	keepAlive, err := keepAlive(settings)
	if err != nil {
		return nil, err
	}
	password, tlsPassword := settings["password"], settings["sslpassword"]
	delete(settings, "password")
	config, err := pgx.ParseConfigWithOptions(keywords(settings), pgx.ParseConfigOptions{
		ParseConfigOptions: pgconn.ParseConfigOptions{
			GetSSLPassword: func(context.Context) string { return tlsPassword },
		},
	})
	if err != nil {
		return nil, fmt.Errorf("can't use the database URI %q: %w", u, err)
	}
	if password != "" {
		config.Password = password
	}
	if keepAlive != nil {
		dialer := &net.Dialer{KeepAliveConfig: *keepAlive}
		config.DialFunc = dialer.DialContext
	}

	return config, nil
}

// postgresSettings are the URI's parts under libpq's names.
func postgresSettings(u *URI) (map[string]string, error) {
	settings := map[string]string{"user": u.Username, "password": u.Password, hostKey: u.Host, "dbname": u.Database}
	if u.Port != 0 {
		settings["port"] = strconv.Itoa(u.Port)
	}
	var hosts, ports []string
	for _, parameter := range u.Query {
		switch {
		case !postgresParameters[parameter.Key] && keepAliveParameters[parameter.Key] == nil:
			return nil, unsupported("the PostgreSQL URI parameter %q", parameter.Key)
		case parameter.Key == hostKey:
			host, port := splitHost(parameter.Value)
			hosts, ports = append(hosts, host), append(ports, port)
		default:
			settings[parameter.Key] = parameter.Value
		}
	}
	if len(hosts) > 0 {
		settings[hostKey] = strings.Join(hosts, ",")
		if list := strings.Join(ports, ","); strings.Trim(list, ",") != "" {
			settings["port"] = list
		}
	}
	if encoding, ok := settings["client_encoding"]; ok {
		if name := strings.ToLower(strings.ReplaceAll(encoding, "-", "")); name != "utf8" && name != "unicode" {
			return nil, unsupported("client_encoding=%s", encoding)
		}
		delete(settings, "client_encoding")
	}

	return settings, nil
}

// splitHost takes host:port apart, for the lists of hosts that SQLAlchemy allows; a path of a
// Unix socket and an IPv6 address have no port.
func splitHost(value string) (host, port string) {
	if strings.HasPrefix(value, "/") || strings.HasPrefix(value, "@") || strings.Count(value, ":") != 1 {
		return value, ""
	}
	host, port, _ = strings.Cut(value, ":")

	return host, port
}

// keepAlive takes libpq's keepalives parameters out of the settings; nil without one.
func keepAlive(settings map[string]string) (*net.KeepAliveConfig, error) {
	config := &net.KeepAliveConfig{Enable: true, Idle: -1, Interval: -1, Count: -1}
	found := false
	for name, set := range keepAliveParameters {
		text, ok := settings[name]
		if !ok {
			continue
		}
		delete(settings, name)
		value, err := strconv.Atoi(text)
		if err != nil || value < 0 {
			return nil, fmt.Errorf("the PostgreSQL URI parameter %s=%s %w: it isn't a number", name, text, ErrInvalid)
		}
		set(config, value)
		found = true
	}
	if !found {
		return nil, nil //nolint:nilnil // no parameter is no fault
	}

	return config, nil
}

// keepAliveParameters are libpq's; 0 is the system's default.
var keepAliveParameters = map[string]func(config *net.KeepAliveConfig, value int){
	"keepalives": func(config *net.KeepAliveConfig, value int) { config.Enable = value != 0 },
	"keepalives_idle": func(config *net.KeepAliveConfig, value int) {
		config.Idle = positive(time.Duration(value) * time.Second)
	},
	"keepalives_interval": func(config *net.KeepAliveConfig, value int) {
		config.Interval = positive(time.Duration(value) * time.Second)
	},
	"keepalives_count": func(config *net.KeepAliveConfig, value int) { config.Count = positive(value) },
}

// positive turns 0 into what package net takes for the system's default.
func positive[T int | time.Duration](value T) T {
	if value == 0 {
		return -1
	}

	return value
}

// keywords writes a libpq connection string.
func keywords(settings map[string]string) string {
	var b strings.Builder
	escape := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	for key, value := range settings {
		if value != "" {
			b.WriteString(key + "='" + escape.Replace(value) + "' ")
		}
	}

	return b.String()
}

func openPostgreSQL(ctx context.Context, u *URI, o Options) (*DB, error) {
	config, err := postgresConfig(u)
	if err != nil {
		return nil, err
	}
	db := &DB{
		dialect: PostgreSQL{},
		options: o,
		uri:     u,
		dialector: func(pool gorm.ConnPool) gorm.Dialector {
			return gormpostgres.New(gormpostgres.Config{Conn: pool})
		},
	}
	config.DialFunc = db.waiting(config.DialFunc)
	described := config.Copy()
	described.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	driver := &postgresDriver{prepared: stdlib.GetConnector(*config), described: stdlib.GetConnector(*described)}
	db.driver, db.pool = driver, sql.OpenDB(driver)
	db.rebound = newRebound(db.dialect)
	db.queued(o.configure(db.pool))
	ping := func(ctx context.Context) error { return explainPostgreSQL(db.pool.PingContext(ctx)) }
	if err := db.connect(ctx, ping); err != nil {
		return nil, errors.Join(err, db.pool.Close())
	}

	return db, nil
}

// explainPostgreSQL says of a connection that failed what the server said, or else what happened at
// each of its addresses; pgx tells both in several lines, each as often as it tried.
func explainPostgreSQL(err error) error {
	var unconnected *pgconn.ConnectError
	if !errors.As(err, &unconnected) {
		return err
	}
	if found := (*pgconn.PgError)(nil); errors.As(err, &found) {
		return &connectError{err, found.Severity + ": " + found.Message}
	}
	_, attempts, _ := strings.Cut(unconnected.Error(), "\n")
	if attempts == "" {
		attempts = unconnected.Error()
	}
	var reasons []string
	for attempt := range strings.Lines(attempts) {
		if attempt = strings.TrimSpace(attempt); !slices.Contains(reasons, attempt) {
			reasons = append(reasons, attempt)
		}
	}

	return &connectError{err, strings.Join(reasons, "; ")}
}

// postgresDriver runs transactions; the isolation of writes is the server's default, as in
// SQLAlchemy. Round trips are what a small transaction costs, so that nothing is sent that can
// wait: BEGIN goes with the first statement, and those of [Tx.Later] with the next one or COMMIT.
//
// Statements are prepared once per connection, which is a third faster than describing them only.
// A pooler that hands each transaction another connection (PgBouncer without prepared statements)
// makes them vanish: with the first that does, new connections stop preparing.
type postgresDriver struct {
	prepared, described driver.Connector
	vanished            atomic.Bool
}

// Connect opens a connection.
func (d *postgresDriver) Connect(ctx context.Context) (driver.Conn, error) {
	if d.vanished.Load() {
		return d.described.Connect(ctx)
	}

	return d.prepared.Connect(ctx)
}

// Driver is pgx's.
func (d *postgresDriver) Driver() driver.Driver { return d.prepared.Driver() }

var (
	beginPostgresRead  = []step{command("BEGIN READ ONLY, ISOLATION LEVEL REPEATABLE READ")}
	beginPostgresWrite = []step{
		command("BEGIN"), command(fmt.Sprintf("SET LOCAL lock_timeout = %d", lockTimeout.Milliseconds())),
	}
)

func command(query string) step { return step{Statement: Statement{Query: query}} }

func (*postgresDriver) beginRead(_ context.Context, tx *Tx) error {
	tx.pending = append(tx.pending, beginPostgresRead...)

	return nil
}

func (*postgresDriver) beginWrite(_ context.Context, tx *Tx) error {
	tx.pending = append(tx.pending, beginPostgresWrite...)

	return nil
}

func (d *postgresDriver) commit(ctx context.Context, tx *Tx) error { return d.last(ctx, tx, nil) }

// last reports a transaction that an earlier error had spoiled, which the server rolls back
// without complaint.
func (d *postgresDriver) last(ctx context.Context, tx *Tx, queries []step) error {
	var tag string
	commit := command("COMMIT")
	commit.tag = &tag
	if err := d.run(ctx, tx, append(queries, commit)); err != nil {
		return err
	}
	tx.committed = true
	if tag == rollback {
		return ErrRolledBack
	}

	return nil
}

func (*postgresDriver) later(tx *Tx, s step) error {
	tx.pending = append(tx.pending, s)

	return nil
}

func (*postgresDriver) rollback(ctx context.Context, conn *sql.Conn) error {
	return conn.Raw(func(driverConn any) error {
		_, err := pgxConn(driverConn).PgConn().Exec(ctx, rollback).ReadAll()

		return err
	})
}

// spoiled says whether an error makes the connection useless: its prepared statements are another
// session's.
func (d *postgresDriver) spoiled(err error) bool {
	var found *pgconn.PgError
	if !errors.As(err, &found) || !isPreparedStatementState(found.Code) {
		return false
	}
	d.vanished.Store(true)

	return true
}

// isPreparedStatementState knows invalid_sql_statement_name and duplicate_prepared_statement.
func isPreparedStatementState(code string) bool { return code == "26000" || code == "42P05" }

// run sends what is pending and the steps together and waits once.
func (*postgresDriver) run(ctx context.Context, tx *Tx, steps []step) error {
	if tx.broken {
		return ErrRolledBack // BEGIN may never have come to the server: it wouldn't refuse
	}
	steps = append(tx.pending, steps...)
	tx.pending = nil // whatever comes of it
	err := send(ctx, tx, steps)
	tx.broken = err != nil && tx.savepoints == 0

	return err
}

func send(ctx context.Context, tx *Tx, steps []step) error {
	return tx.conn.Raw(func(driverConn any) (err error) {
		batch := &pgx.Batch{QueuedQueries: make([]*pgx.QueuedQuery, 0, len(steps))}
		for _, s := range steps {
			connection{tx}.echo(s.Query)
			batch.Queue(tx.db.rebind(s.Query), s.Args...)
		}
		results := pgxConn(driverConn).SendBatch(ctx, batch)
		defer func() {
			if closing := results.Close(); err == nil {
				err = closing
			}
		}()
		for _, s := range steps {
			if err := readResult(results, s); err != nil {
				return err
			}
		}

		return nil
	})
}

func readResult(results pgx.BatchResults, s step) error {
	if s.row == nil {
		tag, err := results.Exec()
		if s.affected != nil {
			*s.affected = tag.RowsAffected()
		}
		if s.tag != nil {
			*s.tag = tag.String()
		}

		return err
	}
	rows, err := results.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := s.row(rows.Scan); err != nil {
			return err
		}
	}

	return rows.Err()
}

// pgxConn is what database/sql's connection wraps: postgresDriver makes no other.
func pgxConn(driverConn any) *pgx.Conn {
	return driverConn.(*stdlib.Conn).Conn() //nolint:forcetypeassert // see above
}

// operationalStates are the SQLSTATE classes that psycopg raises as OperationalError.
const operationalStates = " 08 26 27 28 34 40 53 54 55 57 58 F0 "

const psycopgOperational = "psycopg.OperationalError"

func classifyPostgreSQL(err error) (failure, bool) {
	var found *pgconn.PgError
	said := errors.As(err, &found)
	if _, unconnected := errors.AsType[*pgconn.ConnectError](err); unconnected {
		return failure{
			class: operational, name: psycopgOperational, message: "connection failed",
			refusal: said && (strings.HasPrefix(found.Code, "28") || found.Code == "3D000"),
		}, true
	}
	if !said {
		// What pgx says without the server's word is a broken or a timed out connection.
		if pgconn.Timeout(err) || pgconn.SafeToRetry(err) {
			return failure{class: operational, name: psycopgOperational, message: connectionLost}, true
		}

		return failure{}, false
	}
	f := failure{class: other, name: "psycopg.DatabaseError", message: found.Message}
	switch class := found.Code[:min(2, len(found.Code))]; {
	case strings.Contains(operationalStates, " "+class+" "):
		f.class, f.name = operational, psycopgOperational
	case class == "23":
		f.class, f.name = integrity, "psycopg.IntegrityError"
		f.unique = found.Code == "23505"
	}
	f.retry = found.Code == "40001" || found.Code == "40P01" || isPreparedStatementState(found.Code)

	return f, true
}
