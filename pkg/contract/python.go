package contract

import "errors"

// ErrLeftToPython says that a request to a native method is one of those that only MLflow's Python server
// answers: it asks for storage or for fields that Go doesn't know. Only what reads gives it, having done nothing.
var ErrLeftToPython = errors.New("left to Python")
