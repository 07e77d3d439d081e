package codec

import (
	"maps"
	"net/http"
	"slices"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// statusClientClosedRequest is nginx's status for a request that its client gave up.
const statusClientClosedRequest = 499

// httpStatuses mirrors mlflow.exceptions.ERROR_CODE_TO_HTTP_STATUS; any other code is a 500.
var httpStatuses = map[protos.ErrorCode]int{
	protos.ErrorCode_NOT_IMPLEMENTED:         http.StatusNotImplemented,
	protos.ErrorCode_TEMPORARILY_UNAVAILABLE: http.StatusServiceUnavailable,
	protos.ErrorCode_DEADLINE_EXCEEDED:       http.StatusGatewayTimeout,
	protos.ErrorCode_REQUEST_LIMIT_EXCEEDED:  http.StatusTooManyRequests,
	protos.ErrorCode_CANCELLED:               statusClientClosedRequest,
	protos.ErrorCode_RESOURCE_EXHAUSTED:      http.StatusTooManyRequests,
	protos.ErrorCode_ABORTED:                 http.StatusConflict,
	protos.ErrorCode_RESOURCE_CONFLICT:       http.StatusConflict,
	protos.ErrorCode_ALREADY_EXISTS:          http.StatusConflict,
	protos.ErrorCode_NOT_FOUND:               http.StatusNotFound,
	protos.ErrorCode_ENDPOINT_NOT_FOUND:      http.StatusNotFound,
	protos.ErrorCode_RESOURCE_DOES_NOT_EXIST: http.StatusNotFound,
	protos.ErrorCode_PERMISSION_DENIED:       http.StatusForbidden,
	protos.ErrorCode_CUSTOMER_UNAUTHORIZED:   http.StatusUnauthorized,
	protos.ErrorCode_UNAUTHENTICATED:         http.StatusUnauthorized,
	protos.ErrorCode_BAD_REQUEST:             http.StatusBadRequest,
	protos.ErrorCode_RESOURCE_ALREADY_EXISTS: http.StatusBadRequest,
	protos.ErrorCode_INVALID_PARAMETER_VALUE: http.StatusBadRequest,
}

// HTTPStatus returns the status that goes with an error code
// (MlflowException.get_http_status_code).
func HTTPStatus(code protos.ErrorCode) int {
	if status, ok := httpStatuses[code]; ok {
		return status
	}

	return http.StatusInternalServerError
}

// classification is what mlflow.error_classification derives from an error code.
type classification struct{ sqlState, errorClass string }

// SQLSTATEs (mlflow.error_classification.SqlState) of what the server raises.
const (
	clientInternalError    = "XXM00"
	clientInvalidParameter = "KAM00"
)

// Error classes (mlflow.error_classification.ErrorClass) of more than one code.
const (
	internalError    = "CLIENT_INTERNAL_ERROR"
	resourceNotFound = "RESOURCE_NOT_FOUND"
)

// classifications mirrors _CLIENT_ERROR_CODE_TO_SQLSTATE and _CLIENT_ERROR_CODE_TO_ERROR_CLASS.
// Codes that aren't here have neither. MLflow's server serialises with the client's tables: those
// of the control plane serve clients that read an answer without classification.
var classifications = map[protos.ErrorCode]classification{
	protos.ErrorCode_BAD_REQUEST:             {clientInvalidParameter, "INVALID_PARAMETER_VALUE"},
	protos.ErrorCode_CUSTOMER_UNAUTHORIZED:   {clientInvalidParameter, "PERMISSION_DENIED"},
	protos.ErrorCode_ENDPOINT_NOT_FOUND:      {clientInvalidParameter, resourceNotFound},
	protos.ErrorCode_FEATURE_DISABLED:        {clientInvalidParameter, "FEATURE_DISABLED"},
	protos.ErrorCode_INTERNAL_ERROR:          {clientInternalError, internalError},
	protos.ErrorCode_INVALID_PARAMETER_VALUE: {clientInvalidParameter, "INVALID_PARAMETER_VALUE"},
	protos.ErrorCode_INVALID_STATE:           {clientInternalError, internalError},
	protos.ErrorCode_NOT_FOUND:               {clientInvalidParameter, resourceNotFound},
	protos.ErrorCode_PERMISSION_DENIED:       {clientInvalidParameter, "PERMISSION_DENIED"},
	protos.ErrorCode_RESOURCE_ALREADY_EXISTS: {clientInvalidParameter, "RESOURCE_ALREADY_EXISTS"},
	protos.ErrorCode_RESOURCE_DOES_NOT_EXIST: {clientInvalidParameter, resourceNotFound},
	protos.ErrorCode_TEMPORARILY_UNAVAILABLE: {clientInternalError, internalError},
}

// classStates mirrors _ERROR_CLASS_TO_SQLSTATE: error classes with a SQLSTATE of their own.
var classStates = map[string]string{
	"ATTRIBUTE_NOT_FOUND":        "KAM04",
	"MODEL_SERIALIZATION_FAILED": "KAM03",
	"PREDICTION_FUNCTION_FAILED": "KAM02",
	"SCHEMA_ENFORCEMENT_FAILED":  "KAM01",
}

// Names of Fields that replace what the code implies.
const (
	fieldSQLState   = "sqlstate"
	fieldErrorClass = "error_class"
)

// EncodeError appends an error as MlflowException.serialize_as_json writes it. The fields sqlstate
// and error_class, strings, replace what the code implies; others follow, sorted by name.
func EncodeError(dst []byte, e *contract.Error) []byte {
	code := e.Code
	if _, known := protos.ErrorCode_name[int32(code)]; !known {
		code = protos.ErrorCode_INTERNAL_ERROR
	}

	class := classifications[code]

	if errorClass, ok := e.Fields[fieldErrorClass].(string); ok {
		class.errorClass = errorClass
		if state, ok := classStates[errorClass]; ok {
			class.sqlState = state
		}
	}

	if state, ok := e.Fields[fieldSQLState].(string); ok {
		class.sqlState = state
	}

	dst = append(dst, `{"error_code": `...)
	dst = AppendString(dst, code.String())
	dst = append(dst, `, "message": `...)
	dst = AppendString(dst, e.Message)

	if class.sqlState != "" {
		dst = append(dst, `, "sqlstate": `...)
		dst = AppendString(dst, class.sqlState)
	}

	if class.errorClass != "" {
		dst = append(dst, `, "error_class": `...)
		dst = AppendString(dst, class.errorClass)
	}

	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		if name == fieldSQLState || name == fieldErrorClass {
			continue
		}

		dst = append(dst, ", "...)
		dst = AppendString(dst, name)
		dst = append(dst, ": "...)
		dst = plainStyle.append(dst, e.Fields[name])
	}

	return append(dst, '}')
}
