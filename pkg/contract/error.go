package contract

import (
	"errors"
	"fmt"

	"github.com/mlflow/mlflow-go/pkg/protos"
)

// Error is MLflow's error: a code that clients branch on and a message that users read. It
// mirrors mlflow.exceptions.MlflowException. Functions return it as a plain error.
type Error struct {
	Code    protos.ErrorCode
	Message string
	// Fields are further members of the JSON body (MlflowException's json_kwargs). The strings
	// sqlstate and error_class replace what the code implies.
	Fields map[string]any
	// Cause is what went wrong below, for the log; it never reaches a client.
	Cause error
}

func (e *Error) Error() string { return e.Code.String() + ": " + e.Message }

func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes an error with MLflow's code and a formatted message.
func Errorf(code protos.ErrorCode, format string, args ...any) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// InvalidParameter is an error with the code INVALID_PARAMETER_VALUE, by far MLflow's most
// frequent one (MlflowException.invalid_parameter_value).
func InvalidParameter(format string, args ...any) error {
	return Errorf(protos.ErrorCode_INVALID_PARAMETER_VALUE, format, args...)
}

// AsError finds MLflow's error in a chain. An error of any other kind is an internal one: its
// text is kept as the cause and not shown to clients.
func AsError(err error) *Error {
	if found, ok := errors.AsType[*Error](err); ok {
		return found
	}

	return &Error{Code: protos.ErrorCode_INTERNAL_ERROR, Message: "Internal server error", Cause: err}
}
