package database

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"
	"gorm.io/driver/sqlserver"
	"gorm.io/gorm"
)

// mssqlDriver runs transactions. Reads are not of one snapshot: SQL Server has those only in
// databases that allow it, and MLflow doesn't ask for one either. A transaction may have ended by
// itself, with a deadlock.
var mssqlDriver = sequential{
	read:       []string{readCommitted, "BEGIN TRANSACTION"},
	write:      []string{readCommitted, "BEGIN TRANSACTION"},
	commitment: "COMMIT TRANSACTION", undoing: "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION",
	step: runPooled,
}

// Python's drivers for SQL Server. A bare mssql:// is pyodbc.
const (
	pyODBC  = "pyodbc"
	pyMSSQL = "pymssql"
)

// mssqlParameters are ODBC's words, in lower case, for what go-mssqldb calls otherwise or alike.
// All others are left to Python.
var mssqlParameters = map[string]map[string]string{
	pyODBC: {
		"encrypt": msdsn.Encrypt, "trustservercertificate": msdsn.TrustServerCertificate,
		"hostnameincertificate": msdsn.HostNameInCertificate, "servercertificate": msdsn.ServerCertificate,
		"applicationintent": msdsn.ApplicationIntent, "multisubnetfailover": msdsn.MultiSubnetFailover,
		"app": msdsn.AppName, "wsid": msdsn.WorkstationID, "packetsize": msdsn.PacketSize,
		"logintimeout": msdsn.DialTimeout, "login timeout": msdsn.DialTimeout, "connection timeout": msdsn.DialTimeout,
		"timeout": msdsn.DialTimeout, "keepalive": msdsn.KeepAlive,
	},
	pyMSSQL: {"login_timeout": msdsn.DialTimeout, "appname": msdsn.AppName},
}

// odbcDriverPattern is a driver of Microsoft's; from 18 on it encrypts unless told otherwise.
var odbcDriverPattern = regexp.MustCompile(`^ODBC Driver (\d+) for SQL Server$`)

const encryptingODBCDriver = 18

// mssqlConfig turns a URI into go-mssqldb's configuration.
func mssqlConfig(u *URI) (msdsn.Config, error) {
	driverName := cmp.Or(u.Driver, pyODBC)
	switch {
	case mssqlParameters[driverName] == nil:
		return msdsn.Config{}, unsupported("the SQL Server driver %q", u.Driver)
	case u.Username == "":
		return msdsn.Config{}, unsupported("an SQL Server URI without a user, which means the operating system's")
	case u.Host == "" || u.Database == "":
		return msdsn.Config{}, unsupported("an SQL Server URI without host and database, which means an ODBC data source")
	}
	query := url.Values{msdsn.Database: {u.Database}}
	for _, parameter := range u.Query {
		if err := setMSSQLParameter(query, driverName, parameter); err != nil {
			return msdsn.Config{}, err
		}
	}
	if !query.Has(msdsn.Encrypt) {
		query.Set(msdsn.Encrypt, "no")
	}
	if !query.Has(msdsn.TrustServerCertificate) && isNo(query.Get(msdsn.Encrypt)) {
		query.Set(msdsn.TrustServerCertificate, "yes")
	}
	config, err := msdsn.Parse(mssqlAddress(u, query))
	if err != nil {
		return msdsn.Config{}, fmt.Errorf("can't use the database URI %q: %w", u, err)
	}

	return config, nil
}

func setMSSQLParameter(query url.Values, driverName string, parameter Parameter) error {
	key := strings.ToLower(parameter.Key)
	switch {
	case key == "driver" && driverName == pyODBC:
		return setODBCDriver(query, parameter.Value)
	case key == "charset" && strings.EqualFold(strings.ReplaceAll(parameter.Value, "-", ""), "utf8") &&
		driverName == pyMSSQL:
		return nil // as it is
	}
	name := mssqlParameters[driverName][key]
	if name == "" {
		return unsupported("the SQL Server URI parameter %q", parameter.Key)
	}
	query.Set(name, parameter.Value)

	return nil
}

// setODBCDriver takes what the choice of a driver decides.
func setODBCDriver(query url.Values, name string) error {
	match := odbcDriverPattern.FindStringSubmatch(strings.Trim(name, "{}"))
	if match == nil {
		return unsupported("the ODBC driver %q; Microsoft's are", name)
	}
	version, err := strconv.Atoi(match[1])
	if err == nil && version >= encryptingODBCDriver && !query.Has(msdsn.Encrypt) {
		query.Set(msdsn.Encrypt, "yes")
	}

	return nil
}

func isNo(encrypt string) bool {
	return strings.EqualFold(encrypt, "optional") || slices.Contains(denials, strings.ToLower(encrypt))
}

// mssqlAddress is go-mssqldb's URL; ODBC may spell the server host\instance.
func mssqlAddress(u *URI, query url.Values) string {
	host, instance, _ := strings.Cut(u.Host, `\`)
	if u.Port != 0 {
		host = net.JoinHostPort(host, strconv.Itoa(u.Port))
	}
	address := url.URL{
		Scheme: "sqlserver", User: url.UserPassword(u.Username, u.Password), Host: host, RawQuery: query.Encode(),
	}
	if instance != "" {
		address.Path = "/" + instance
	}

	return address.String()
}

func openMSSQL(ctx context.Context, u *URI, o Options) (*DB, error) {
	config, err := mssqlConfig(u)
	if err != nil {
		return nil, err
	}
	db := &DB{
		dialect: MSSQL{},
		options: o,
		uri:     u,
		pool:    sql.OpenDB(mssql.NewConnectorConfig(config)),
		driver:  mssqlDriver,
		bind:    bindMSSQL,
		dialector: func(pool gorm.ConnPool) gorm.Dialector {
			return sqlserver.New(sqlserver.Config{Conn: pool})
		},
	}
	db.rebound = newRebound(db.dialect)
	o.configure(db.pool)
	if err := db.connect(ctx, db.pool.PingContext); err != nil {
		return nil, errors.Join(err, db.pool.Close())
	}
	o.Logger.WarnContext(ctx, "SQL Server's statements were checked by its grammar, never on a live server")

	return db, nil
}

// maxVarChar is the most that a VARCHAR holds without a maximum.
const maxVarChar = 8000

// bindMSSQL sends text as VARCHAR, which the columns are, where every code page has the same bytes
// for it. Compared with the NVARCHAR of other text, a column is converted row by row, and no index
// helps.
func bindMSSQL(args []any) ([]any, error) {
	bound := make([]any, len(args))
	for i, arg := range args {
		if pointer, ok := arg.(*string); ok && pointer != nil {
			arg = *pointer
		}
		text, ok := arg.(string)
		switch {
		case !ok || !isASCII(text):
			bound[i] = arg
		case len(text) > maxVarChar:
			bound[i] = mssql.VarCharMax(text)
		default:
			bound[i] = mssql.VarChar(text)
		}
	}

	return bound, nil
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] > '\x7f' {
			return false
		}
	}

	return true
}

// Errors of SQL Server.
const (
	mssqlNullGiven      = 515
	mssqlConflict       = 547 // with a foreign key or a check
	mssqlDeadlock       = 1205
	mssqlDuplicateIndex = 2601
	mssqlDuplicateKey   = 2627
	mssqlSnapshot       = 3960
	mssqlNoDatabase     = 4060
	mssqlLoginFailed    = 18456
	// mssqlFatal is the class from which on the server closes the connection.
	mssqlFatal = 20
)

// mssqlOutages are errors that aren't the statement's fault: of resources, time and connections.
var mssqlOutages = map[int32]bool{
	701: true, 1204: true, 1222: true, 8645: true, 8651: true, 9001: true, 9002: true, 1105: true,
	10928: true, 10929: true, 40197: true, 40501: true, 40613: true, 49918: true, 49919: true, 49920: true,
}

// classifyMSSQL sorts an error as pyodbc does.
func classifyMSSQL(err error) (failure, bool) {
	found, ok := errors.AsType[mssql.Error](err)
	if !ok {
		return failure{}, false
	}
	f := failure{class: other, name: "pyodbc.ProgrammingError", message: found.Message}
	switch found.Number {
	case mssqlDuplicateIndex, mssqlDuplicateKey:
		f.class, f.name, f.unique = integrity, "pyodbc.IntegrityError", true
	case mssqlNullGiven, mssqlConflict:
		f.class, f.name = integrity, "pyodbc.IntegrityError"
	case mssqlDeadlock, mssqlSnapshot:
		f.class, f.name, f.retry = operational, "pyodbc.OperationalError", true
	case mssqlLoginFailed, mssqlNoDatabase:
		f.class, f.name, f.refusal = operational, "pyodbc.InterfaceError", true
	default:
		if mssqlOutages[found.Number] || found.Class >= mssqlFatal {
			f.class, f.name = operational, "pyodbc.OperationalError"
		}
	}

	return f, true
}
