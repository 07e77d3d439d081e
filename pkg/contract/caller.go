package contract

import "context"

// DefaultWorkspace is where everything lives while workspaces are off (MLflow's
// DEFAULT_WORKSPACE_NAME).
const DefaultWorkspace = "default"

// Caller says on whose behalf a request is answered. It travels in the context; a store scopes
// every query by its workspace.
type Caller struct {
	Workspace string
	User      string
	RequestID string
}

type callerKey struct{}

// WithCaller returns a context that carries the caller.
func WithCaller(ctx context.Context, caller Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// CallerFrom returns the context's caller; without one, an anonymous caller of the default
// workspace.
func CallerFrom(ctx context.Context) Caller {
	if caller, ok := ctx.Value(callerKey{}).(Caller); ok {
		return caller
	}

	return Caller{Workspace: DefaultWorkspace}
}
