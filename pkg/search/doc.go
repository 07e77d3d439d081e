// Package search reads MLflow's search language: filter strings, order_by clauses and page
// tokens. What may be searched is data, a Grammar per entity; the parser knows the entities only
// through it, and nothing of SQL. A store turns the comparisons it gets into queries.
//
// Accepted are exactly the filters that MLflow accepts, and refusals carry MLflow's sentences.
// The comparison with MLflow itself, on generated filters, is in the tests; they also list where
// the two differ on purpose: where MLflow's parser raises something that isn't an
// MlflowException, and a client would see an internal server error, the answer here is
// INVALID_PARAMETER_VALUE.
package search
