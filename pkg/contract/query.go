package contract

import "context"

type queryKey struct{}

// WithQuery returns a context that carries the raw query of an HTTP request: a few of MLflow's
// handlers read arguments that their message has no field for.
func WithQuery(ctx context.Context, query string) context.Context {
	return context.WithValue(ctx, queryKey{}, query)
}

// QueryFrom returns the context's raw query; "" without one.
func QueryFrom(ctx context.Context) string {
	query, _ := ctx.Value(queryKey{}).(string)

	return query
}

type deletedKey struct{}

// WithDeleted returns a context in which reading one entity by its ID finds it deleted, too, where
// it wouldn't otherwise (get_logged_model's allow_deleted).
func WithDeleted(ctx context.Context) context.Context {
	return context.WithValue(ctx, deletedKey{}, true)
}

// DeletedFrom tells whether the context is one of WithDeleted.
func DeletedFrom(ctx context.Context) bool {
	allowed, _ := ctx.Value(deletedKey{}).(bool)

	return allowed
}

type stepsKey struct{}

// Steps is an interval of steps, both ends included.
type Steps struct{ First, Last int64 }

// WithSteps returns a context in which the history of a metric is that of an interval of steps; the
// fields that a request has for it hold 32 bits, steps 64.
func WithSteps(ctx context.Context, steps Steps) context.Context {
	return context.WithValue(ctx, stepsKey{}, steps)
}

// StepsFrom returns the interval of WithSteps, if there is one.
func StepsFrom(ctx context.Context) (Steps, bool) {
	steps, given := ctx.Value(stepsKey{}).(Steps)

	return steps, given
}
