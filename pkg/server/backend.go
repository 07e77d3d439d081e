package server

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errNoDatabase says that the database took too long to open.
var errNoDatabase = errors.New("the database is not open yet")

// backend holds what answers native methods. It is known once the database has been opened, which
// may take until its tables are created.
type backend struct {
	known    chan struct{} // closed when services is set
	services map[string]any
}

// Provide says what answers native methods, by service name; nil leaves them all to Python. It is
// called once.
func (s *Server) Provide(services map[string]any) {
	s.backend.services = services

	close(s.backend.known)
}

// wait returns the services once they are known.
func (b *backend) wait(ctx context.Context, limit time.Duration) (map[string]any, error) {
	select {
	case <-b.known:
		return b.services, nil
	default:
	}

	timer := time.NewTimer(limit)
	defer timer.Stop()

	select {
	case <-b.known:
		return b.services, nil
	case <-timer.C:
		return nil, fmt.Errorf("%w after %s", errNoDatabase, limit)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
