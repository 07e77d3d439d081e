// Package graphql answers MLflow's GraphQL queries (mlflow.server.graphql) with the native methods of
// its services.
//
// The schema is MLflow's own, written to schema.graphql by the generator; gqlparser parses and
// validates queries by it. Field names say the rest: a root field is the method of its name without
// "mlflow", an object is the protobuf message that the method answers, and a field of it is the
// message's of the same JSON name. What graphene adds by hand is in fetches.
//
// Answers are those of graphql-core, graphene and MLflow's resolvers, error texts included; only the
// order of several validation errors in one document may differ. A query that needs a method which
// isn't native, or that leaves this request to Python, is contract.ErrLeftToPython.
package graphql
