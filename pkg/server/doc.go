// Package server is mlflow-go's HTTP server: it answers natively what is native, passes everything
// else to MLflow's Python server, and decides which is which in one place, the gate.
//
// A request goes through gate → security → decoding → validation → domain → encoding. All behaviour
// of native routes is in one generic function (native.go) bound to each line of contract.Methods;
// the domains know nothing of HTTP.
package server
