// Package contract is what every part of mlflow-go agrees on: the interfaces generated from
// MLflow's service descriptors (one per service, one method per remote procedure that is
// answered natively), the table that routes and the shared library dispatch on, and MLflow's
// error.
//
// It imports only the generated messages. Domains implement its interfaces, the HTTP server and
// the shared library call them, and none of the three knows the others.
package contract
