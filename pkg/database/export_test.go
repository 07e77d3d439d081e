package database

import "time"

// SetPatience shortens the wait for another process.
func (db *DB) SetPatience(d time.Duration) { db.patience = d }

// Translate gives a driver's error MLflow's code.
var Translate = translate

// PostgresConfig is what a URI comes down to.
var PostgresConfig = postgresConfig

// DefaultPatience is MLflow's busy timeout.
const DefaultPatience = busyTimeout

// MySQLConfig is what a URI comes down to.
var MySQLConfig = mysqlConfig

// SupportsMySQL says whether a server with these variables is served.
var SupportsMySQL = supportsMySQL

// SetDialect has all statements made and sent by another dialect.
func (db *DB) SetDialect(d Dialect) { db.dialect, db.rebound = d, newRebound(d) }

// MSSQLConfig is what a URI comes down to.
var MSSQLConfig = mssqlConfig

// BindMSSQL gives values their types.
var BindMSSQL = bindMSSQL

// BreakWriter has the goroutine that writes to SQLite panic, until it is mended.
func (db *DB) BreakWriter() (mend func()) {
	conn := db.writer.conn
	db.writer.conn = nil

	return func() { db.writer.conn = conn }
}

// WaitingItself has readers of connections wait in their threads.
var WaitingItself = waitingItself
