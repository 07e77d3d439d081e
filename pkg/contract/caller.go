package contract

import (
	"cmp"
	"context"
)

// DefaultWorkspace is where everything lives while workspaces are off (MLflow's
// DEFAULT_WORKSPACE_NAME).
const DefaultWorkspace = "default"

// Caller says on whose behalf a request is answered. It travels in the context; a store scopes
// every query by its workspace.
type Caller struct {
	Workspace string // "" while workspaces are off
	User      string
	RequestID string
}

// ActiveWorkspace is where the caller's rows live (SqlAlchemyStore._get_active_workspace).
func (c Caller) ActiveWorkspace() string { return cmp.Or(c.Workspace, DefaultWorkspace) }

type callerKey struct{}

// WithCaller returns a context that carries the caller.
func WithCaller(ctx context.Context, caller Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// CallerFrom returns the context's caller; without one, an anonymous caller while workspaces are
// off.
func CallerFrom(ctx context.Context) Caller {
	caller, _ := ctx.Value(callerKey{}).(Caller)

	return caller
}
