package database

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/user"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
)

// mysqlDriver runs transactions. Python's reads and writes have the server's default isolation,
// REPEATABLE READ as a rule. Ours read one snapshot as well; writes see what others have committed
// since (as on PostgreSQL), so that what is read after a lock is what the lock protects, and they
// lock no gaps between rows, which is what most deadlocks come from.
var mysqlDriver = sequential{
	read:       []string{"START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"},
	write:      []string{readCommitted, "START TRANSACTION"},
	commitment: "COMMIT", undoing: rollback,
	step: runPooled,
}

// mysqlSession is what a consistent snapshot needs, whatever the server's default.
const mysqlSession = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"

// Python's drivers for MySQL, by SQLAlchemy's names. A bare mysql:// is MySQLdb.
const (
	pyMySQL = "pymysql"
	mySQLdb = "mysqldb"
)

const (
	unixNetwork = "unix"
	localhost   = "localhost"
	mysqlPort   = 3306
	// mysqlConnectTimeout is PyMySQL's.
	mysqlConnectTimeout = 10 * time.Second
)

// mysqlSettings are a URI's parameters, and how each is honoured.
type mysqlSettings struct {
	config    *mysql.Config
	charset   string
	collation string
	tls       mysqlTLS
	sessions  []string // statements for each new connection
}

// mysqlParameters are the parameters of both drivers that can be honoured; all others are left to
// Python.
var mysqlParameters = map[string]func(s *mysqlSettings, value string) error{
	"charset":   (*mysqlSettings).setCharset,
	"collation": func(s *mysqlSettings, value string) error { return setWord(&s.collation, value) },
	"use_unicode": func(_ *mysqlSettings, value string) error {
		if on, err := parseTruth(value); err != nil || !on {
			return errNotHonoured
		}

		return nil
	},
	"unix_socket": func(s *mysqlSettings, value string) error {
		s.config.Net, s.config.Addr = unixNetwork, value

		return nil
	},
	"connect_timeout": func(s *mysqlSettings, value string) error { return setSeconds(&s.config.Timeout, value) },
	"read_timeout":    func(s *mysqlSettings, value string) error { return setSeconds(&s.config.ReadTimeout, value) },
	"write_timeout":   func(s *mysqlSettings, value string) error { return setSeconds(&s.config.WriteTimeout, value) },
	"sql_mode": func(s *mysqlSettings, value string) error {
		if !sqlModePattern.MatchString(value) {
			return errNotHonoured
		}
		s.sessions = append(s.sessions, "SET SESSION sql_mode = '"+value+"'")

		return nil
	},
	"init_command": func(s *mysqlSettings, value string) error {
		s.sessions = append(s.sessions, value)

		return nil
	},
	"ssl_ca":             func(s *mysqlSettings, value string) error { s.tls.ca = value; return nil },
	"ssl_cert":           func(s *mysqlSettings, value string) error { s.tls.cert = value; return nil },
	"ssl_key":            func(s *mysqlSettings, value string) error { s.tls.key = value; return nil },
	"ssl_check_hostname": func(s *mysqlSettings, value string) error { return setTruth(&s.tls.checkHostname, value) },
}

// parametersOf are those that only one driver knows; the other one fails on them.
var parametersOf = map[string]map[string]func(s *mysqlSettings, value string) error{
	pyMySQL: {
		"ssl_disabled": func(s *mysqlSettings, value string) error {
			off, err := parseTruth(value)
			if err != nil || !off {
				return errNotHonoured // any word at all disables it
			}
			s.tls.mode = sslDisabled

			return nil
		},
		"ssl_verify_cert":     func(s *mysqlSettings, value string) error { return setTruth(&s.tls.verifyCert, value) },
		"ssl_verify_identity": func(s *mysqlSettings, value string) error { return setTruth(&s.tls.verifyIdentity, value) },
		"program_name": func(s *mysqlSettings, value string) error {
			s.config.ConnectionAttributes = "program_name:" + strings.ReplaceAll(value, ",", " ")

			return nil
		},
	},
	mySQLdb: {
		"ssl_mode": func(s *mysqlSettings, value string) error { s.tls.mode = strings.ToUpper(value); return nil },
	},
}

var (
	errNotHonoured = errors.New("this value isn't")
	// sqlModePattern is a list of modes.
	sqlModePattern = regexp.MustCompile(`^[A-Za-z_,]*$`)
	wordPattern    = regexp.MustCompile(`^\w+$`)
)

// setCharset takes what Go's strings are, by the names that MySQL has for it.
func (s *mysqlSettings) setCharset(value string) error {
	switch strings.ToLower(value) {
	case "utf8mb4", "utf8", "utf8mb3":
		s.charset = strings.ToLower(value)

		return nil
	}

	return errNotHonoured
}

func setWord(target *string, value string) error {
	if !wordPattern.MatchString(value) {
		return errNotHonoured
	}
	*target = value

	return nil
}

func setSeconds(target *time.Duration, value string) error {
	seconds, err := strconv.Atoi(value)
	if err != nil || seconds <= 0 {
		return errNotHonoured
	}
	*target = time.Duration(seconds) * time.Second

	return nil
}

func setTruth(target **bool, value string) error {
	truth, err := parseTruth(value)
	if err != nil {
		return err
	}
	*target = &truth

	return nil
}

var (
	affirmations = strings.Fields("true yes on y t 1")
	denials      = strings.Fields("false no off n f 0")
)

// parseTruth reads a boolean as SQLAlchemy's asbool.
func parseTruth(value string) (bool, error) {
	switch value = strings.ToLower(strings.TrimSpace(value)); {
	case slices.Contains(affirmations, value):
		return true, nil
	case slices.Contains(denials, value):
		return false, nil
	default:
		return false, errNotHonoured
	}
}

// mysqlConfig turns a URI into the driver's configuration and the statements for new connections.
func mysqlConfig(u *URI, o Options) (*mysql.Config, []string, error) {
	driverName := u.Driver
	switch driverName {
	case "":
		driverName = mySQLdb
	case pyMySQL, mySQLdb:
	default:
		return nil, nil, unsupported("the MySQL driver %q", u.Driver)
	}
	s := &mysqlSettings{config: mysql.NewConfig(), charset: "utf8mb4", sessions: []string{mysqlSession}}
	c := s.config
	c.User, c.Passwd, c.DBName = u.Username, u.Password, u.Database
	if c.User == "" {
		if me, err := user.Current(); err == nil {
			c.User = me.Username
		}
	}
	c.Net, c.Addr = mysqlAddress(u, driverName)
	c.Timeout = mysqlConnectTimeout
	c.InterpolateParams = true // one round trip for a statement, as Python's drivers
	c.Logger = &mysql.NopLogger{}
	for _, parameter := range u.Query {
		set := mysqlParameters[parameter.Key]
		if set == nil {
			set = parametersOf[driverName][parameter.Key]
		}
		if set == nil {
			return nil, nil, unsupported("the MySQL URI parameter %q", parameter.Key)
		}
		if err := set(s, parameter.Value); err != nil {
			return nil, nil, unsupported("%s=%s in the MySQL URI", parameter.Key, parameter.Value)
		}
	}
	if err := c.Apply(mysql.Charset(s.charset, s.collation)); err != nil {
		return nil, nil, fmt.Errorf("can't use the database URI %q: %w", u, err)
	}
	s.tls.environment = o.MySQLTLS
	host := u.Host
	if c.Net == unixNetwork {
		host = localhost
	}
	if err := s.tls.configure(c, driverName, host); err != nil {
		return nil, nil, fmt.Errorf("can't use the database URI %q: %w", u, err)
	}

	return c, s.sessions, nil
}

// mysqlSockets are where MySQLdb's C library looks for a server that is said to be on localhost.
var mysqlSockets = []string{"/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock"}

// mysqlAddress is where the server listens. To MySQLdb localhost is a socket, if there is one.
func mysqlAddress(u *URI, driverName string) (network, address string) {
	host, port := u.Host, u.Port
	if host == "" {
		host = localhost
	}
	if driverName == mySQLdb && host == localhost && u.Port == 0 {
		for _, socket := range append([]string{os.Getenv("MYSQL_UNIX_PORT")}, mysqlSockets...) {
			if info, err := os.Stat(socket); err == nil && info.Mode()&os.ModeSocket != 0 { //nolint:gosec // the operator's
				return unixNetwork, socket
			}
		}
	}
	if port == 0 {
		port = mysqlPort
	}

	return "tcp", net.JoinHostPort(host, strconv.Itoa(port))
}

// MySQLTLS are the files that MLFLOW_MYSQL_SSL_CA, MLFLOW_MYSQL_SSL_CERT and MLFLOW_MYSQL_SSL_KEY
// name.
type MySQLTLS struct {
	CA, Cert, Key string
}

// mysqlTLS is what was said about encryption.
type mysqlTLS struct {
	ca, cert, key string
	checkHostname *bool // SQLAlchemy's word, for both drivers

	verifyCert, verifyIdentity *bool  // PyMySQL's
	mode                       string // MySQLdb's

	environment MySQLTLS
}

// configure encrypts as the Python driver does: without any word about it where the server can,
// unverified; with files always, and with those of the URI verified.
func (t mysqlTLS) configure(c *mysql.Config, driverName, host string) error {
	policy, err := t.policy(driverName)
	if err != nil || t.mode == sslDisabled {
		return err
	}
	settings := &tls.Config{
		ServerName:         host,
		InsecureSkipVerify: !policy.verifyIdentity, //nolint:gosec // as the URI says; see verifyChain
	}
	ca, cert, key := cmp.Or(t.ca, t.environment.CA), cmp.Or(t.cert, t.environment.Cert), cmp.Or(t.key, t.environment.Key)
	if ca != "" {
		if settings.RootCAs, err = readCertificates(ca); err != nil {
			return err
		}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, cmp.Or(key, cert))
		if err != nil {
			return fmt.Errorf("reading ssl_cert and ssl_key: %w", err)
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	if policy.verifyCert && !policy.verifyIdentity {
		settings.VerifyConnection = verifyChain(settings.RootCAs)
	}
	c.TLS, c.AllowFallbackToPlaintext = settings, !policy.encrypt

	return nil
}

// tlsPolicy is what is asked of a connection.
type tlsPolicy struct {
	encrypt        bool // or else the server may do without
	verifyCert     bool
	verifyIdentity bool
}

// tlsModes are MySQLdb's words for it; with sslDisabled nothing is encrypted at all.
var tlsModes = map[string]tlsPolicy{
	sslDisabled: {}, "PREFERRED": {}, "REQUIRED": {encrypt: true}, "VERIFY_CA": {encrypt: true, verifyCert: true},
	"VERIFY_IDENTITY": {encrypt: true, verifyCert: true, verifyIdentity: true},
}

const sslDisabled = "DISABLED"

// policy is what pymysql.Connection makes of its arguments and MySQLdb of its own.
func (t mysqlTLS) policy(driverName string) (tlsPolicy, error) {
	if t.mode != "" {
		policy, known := tlsModes[t.mode]
		if !known {
			return policy, unsupported("ssl_mode=%s in the MySQL URI", t.mode)
		}

		return policy, nil
	}
	is := func(b *bool) bool { return b != nil && *b }
	switch {
	case is(t.verifyCert) || is(t.verifyIdentity):
		return tlsPolicy{true, true, is(t.verifyIdentity)}, nil
	case t.verifyCert != nil || t.environment != (MySQLTLS{}):
		return tlsPolicy{encrypt: true}, nil // PyMySQL's arguments, which these are, ask for no verification
	case t.ca != "":
		return tlsPolicy{true, true, is(t.checkHostname) || t.checkHostname == nil && driverName == pyMySQL}, nil
	default:
		return tlsPolicy{encrypt: t.cert != "" || t.key != "" || t.checkHostname != nil}, nil
	}
}

func readCertificates(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file) //nolint:gosec // the operator names it
	if err != nil {
		return nil, fmt.Errorf("reading ssl_ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ssl_ca=%s %w: there is no certificate in it", file, ErrInvalid)
	}

	return pool, nil
}

// verifyChain checks a server's certificate, but not whose name is in it.
func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, certificate := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(certificate)
		}
		_, err := state.PeerCertificates[0].Verify(options)

		return err
	}
}

func openMySQL(ctx context.Context, u *URI, o Options) (*DB, error) {
	config, statements, err := mysqlConfig(u, o)
	if err != nil {
		return nil, err
	}
	db := &DB{
		dialect: MySQL{},
		options: o,
		uri:     u,
		driver:  mysqlDriver,
		bind:    bindMySQL,
		dialector: func(pool gorm.ConnPool) gorm.Dialector {
			// The version would say whether gorm may use RETURNING, which MySQL hasn't.
			return gormmysql.New(gormmysql.Config{Conn: pool, SkipInitializeWithVersion: true})
		},
	}
	config.DialFunc = db.waiting((&net.Dialer{}).DialContext)
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, fmt.Errorf("can't use the database URI %q: %w", u, err)
	}
	db.pool = sql.OpenDB(sessions{connector, statements})
	o.configure(db.pool)
	ping := func(ctx context.Context) error { return explainMySQL(db.pool.PingContext(ctx)) }
	if err := db.connect(ctx, ping); err != nil {
		return nil, errors.Join(err, db.pool.Close())
	}
	if err := checkMySQL(ctx, db.pool); err != nil {
		return nil, errors.Join(err, db.pool.Close())
	}

	return db, nil
}

// bindMySQL refuses what SQL can't say, in PyMySQL's words.
func bindMySQL(args []any) ([]any, error) {
	for _, arg := range args {
		if number, ok := arg.(float64); ok && (math.IsInf(number, 0) || math.IsNaN(number)) {
			return nil, &contract.Error{
				Code: protos.ErrorCode_BAD_REQUEST,
				Message: "(pymysql.err.ProgrammingError) " +
					strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(number, 'g', -1, 64), "+")) +
					" can not be used with MySQL",
			}
		}
	}

	return args, nil
}

// checkMySQL leaves to Python what native code isn't written for: servers without window functions
// (MLflow samples metrics another way there), and binary logs of statements, with which a server
// refuses writes that see what others commit.
func checkMySQL(ctx context.Context, pool *sql.DB) error {
	rows, err := pool.QueryContext(ctx,
		"SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'log_bin', 'binlog_format')")
	if err != nil {
		return fmt.Errorf("asking for the server's version: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says it
	variables := map[string]string{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return fmt.Errorf("asking for the server's version: %w", err)
		}
		variables[name] = value
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("asking for the server's version: %w", err)
	}

	return supportsMySQL(variables)
}

func supportsMySQL(variables map[string]string) error {
	if !hasWindowFunctions(variables["version"]) {
		return unsupported("the server's version %s: MySQL 8 and MariaDB 10.3 are the first", variables["version"])
	}
	if strings.EqualFold(variables["log_bin"], "ON") && strings.EqualFold(variables["binlog_format"], "STATEMENT") {
		return unsupported("the server's binlog_format=STATEMENT; ROW and MIXED are")
	}

	return nil
}

func hasWindowFunctions(version string) bool {
	var major, minor int
	// MariaDB may pretend to be 5.5.5 in front of its version.
	if _, err := fmt.Sscanf(strings.TrimPrefix(version, "5.5.5-"), "%d.%d", &major, &minor); err != nil {
		return false
	}
	if strings.Contains(version, "MariaDB") {
		return major > 10 || major == 10 && minor >= 3
	}

	return major >= 8 //nolint:mnd // MySQL's version
}

// explainMySQL says of a connection that failed what the server said.
func explainMySQL(err error) error {
	if found, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return &connectError{err, found.Message}
	}

	return err
}

// Errors of MySQL and MariaDB.
const (
	mysqlDatabaseDenied   = 1044
	mysqlAccessDenied     = 1045
	mysqlNullGiven        = 1048
	mysqlNoDatabase       = 1049
	mysqlDuplicate        = 1062
	mysqlChanged          = 1020 // since the snapshot: MariaDB with innodb_snapshot_isolation
	mysqlDeadlock         = 1213
	mysqlNoForeignKey     = 1215
	mysqlNoParent         = 1216
	mysqlHasChildren      = 1217
	mysqlHasChildrenNamed = 1451
	mysqlNoParentNamed    = 1452
	mysqlDuplicateNamed   = 1586
	mysqlNoPassword       = 1698
)

// mysqlClasses is PyMySQL's error_map, where it isn't OperationalError.
var mysqlClasses = map[string][]uint16{
	"ProgrammingError": {1007, 1064, 1102, 1103, 1110, 1111, 1112, 1113, 1146, 1149, 1166, 1179},
	"DataError":        {1171, 1230, 1263, 1264, 1265, 1366, 1367, 1406, 1441},
	"IntegrityError": {
		mysqlNullGiven, mysqlDuplicate, mysqlNoForeignKey, mysqlNoParent, mysqlHasChildren, mysqlHasChildrenNamed,
		mysqlNoParentNamed,
	},
	"NotSupportedError": {1196, 1235, 1286, 1289},
}

var mysqlClassOf = func() map[uint16]string {
	classes := map[uint16]string{}
	for name, numbers := range mysqlClasses {
		for _, number := range numbers {
			classes[number] = name
		}
	}

	return classes
}()

// classifyMySQL sorts an error as PyMySQL does.
func classifyMySQL(err error) (failure, bool) {
	found, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		if errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, mysql.ErrNoTLS) || errors.Is(err, mysql.ErrMalformPkt) {
			return failure{class: operational, name: "pymysql.err." + operationalError, message: connectionLost}, true
		}

		return failure{}, false
	}
	name, known := mysqlClassOf[found.Number]
	if !known {
		name = operationalError
	}
	f := failure{
		name:    "pymysql.err." + name,
		message: fmt.Sprintf("(%d, %s)", found.Number, pyfmt.Repr(found.Message)),
	}
	switch name {
	case operationalError:
		f.class = operational
	case "IntegrityError":
		f.class = integrity
	}
	switch found.Number {
	case mysqlDuplicate, mysqlDuplicateNamed:
		f.unique = true
	case mysqlDeadlock, mysqlChanged:
		f.retry = true
	case mysqlDatabaseDenied, mysqlAccessDenied, mysqlNoDatabase, mysqlNoPassword:
		f.refusal = true
	}

	return f, true
}
