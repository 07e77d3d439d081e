package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

var (
	// ErrClosed is the error of a transaction on a database that was closed.
	ErrClosed = errors.New("the database is closed")
	// ErrNested is the error of a transaction that was begun inside another one of the same
	// database: on SQLite it would wait for itself.
	ErrNested = errors.New("a transaction inside a transaction")
	// ErrRolledBack is the error of a transaction whose function went on after a statement had
	// failed, without a savepoint, on a database that then undoes it all.
	ErrRolledBack = errors.New("the transaction was rolled back: one of its statements had failed")
	// ErrEnded is the error of a transaction that is used after its last statements.
	ErrEnded = errors.New("the transaction has ended")
	// ErrExited is the error of a transaction whose function ended its goroutine.
	ErrExited = errors.New("the transaction's function ended its goroutine")
	// ErrUnreachable means that Open got no connection.
	ErrUnreachable = errors.New("can't connect to the database")
)

type class int

const (
	other       class = iota // any SQLAlchemyError
	operational              // sqlalchemy.exc.OperationalError: not the statement's fault
	integrity                // sqlalchemy.exc.IntegrityError
)

const (
	operationalError = "OperationalError" // in Python
	connectionLost   = "the connection is lost"
)

// failure is a driver's error, sorted as the Python driver would.
type failure struct {
	class   class
	name    string // of the exception in Python
	message string // the database's own sentence, without the statement and its values
	unique  bool   // a row with this key exists
	retry   bool   // a deadlock or a serialisation failure: the transaction may be run again
	refusal bool   // of a connection, by a database that is up: its name or the password is wrong
}

// classify finds a driver's error in a chain.
func classify(err error) (failure, bool) {
	if f, ok := classifySQLite(err); ok {
		return f, true
	}
	if f, ok := classifyPostgreSQL(err); ok {
		return f, true
	}
	if f, ok := classifyMySQL(err); ok {
		return f, true
	}
	if f, ok := classifyMSSQL(err); ok {
		return f, true
	}
	if isNetworkError(err) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.ErrUnexpectedEOF) {
		return failure{class: operational, name: operationalError, message: connectionLost}, true
	}

	return failure{}, false
}

func isNetworkError(err error) bool {
	var network net.Error

	return errors.As(err, &network)
}

// connectError is a driver's error of a connection in one line, for people.
type connectError struct {
	error

	reason string
}

func (e *connectError) Error() string { return e.reason }

func (e *connectError) Unwrap() error { return e.error }

func isRefusal(err error) bool {
	f, ok := classify(err)

	return ok && f.refusal
}

// IsUniqueViolation says whether the error came from a row whose key exists already. On
// PostgreSQL the transaction is spoiled by then, unless [Tx.Savepoint] was around the statement.
func IsUniqueViolation(err error) bool {
	f, ok := classify(err)

	return ok && f.unique
}

// IsIntegrityViolation says whether the error came from any constraint (SQLAlchemy's
// IntegrityError).
func IsIntegrityViolation(err error) bool {
	f, ok := classify(err)

	return ok && f.class == integrity
}

// translate gives a driver's error MLflow's code (mlflow.store.db.utils): TEMPORARILY_UNAVAILABLE
// when the database is at fault, BAD_REQUEST otherwise. Other errors, MLflow's own among them,
// stay what they are.
func translate(err error) error {
	var mlflow *contract.Error
	if err == nil || errors.As(err, &mlflow) || errors.Is(err, context.Canceled) {
		return err
	}
	f, ok := classify(err)
	if !ok {
		return err
	}
	code := protos.ErrorCode_BAD_REQUEST
	if f.class == operational {
		code = protos.ErrorCode_TEMPORARILY_UNAVAILABLE
	}

	return &contract.Error{Code: code, Message: "(" + f.name + ") " + f.message, Cause: err}
}
