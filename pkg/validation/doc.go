// Package validation checks native requests as MLflow's handlers do before they call a store
// (_validate_request_json_with_schema in mlflow/server/handlers.py), with MLflow's sentences.
//
// The schemas are declared once, in pkg/cmd/generate/validations.go, as tags of
// go-playground/validator, and generated twice: for raw JSON values, which is what MLflow looks
// at, and for messages. A regular request says in its message all that its JSON says, so the
// rules for messages settle it; any other, and one that failed, is walked in MLflow's order so
// that the first complaint is MLflow's.
package validation
