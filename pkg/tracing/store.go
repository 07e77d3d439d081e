// Package tracing answers MLflow's tracing service: what it says of traces, their spans and assessments in a
// database. It does what MLflow's SqlAlchemyStore does, not what MLflow's HTTP handlers add to it, since the
// shared library calls it as well.
package tracing

import "github.com/mlflow/mlflow-go/pkg/database"

// Store is the tracing part of the tracking store of one database.
type Store struct{ db *database.DB }

// New makes a store on a database whose tables exist.
func New(db *database.DB) *Store { return &Store{db: db} }
