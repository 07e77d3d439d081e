// Package schema knows MLflow's tables: a struct for each, and whether a database has them in the
// form that this program was built for.
package schema

//go:generate go run ../cmd/schema
