package server

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/sync/semaphore"
)

const (
	// bodiesAtWork is how many bytes of requests' bodies are worked on at a time. What is made of a body,
	// its message and the statements, takes ten times its size. It is enough for a group of SQLite's writer
	// with 18 batches of 500 metrics, more of which don't make it faster.
	bodiesAtWork = 768 << 10
	// answersPerProcessor is how many reading requests are worked on at a time: what they found and its JSON
	// would otherwise wait in memory for a processor. Databases don't answer more at a time.
	answersPerProcessor = 8
)

// admission bounds the memory of the requests that are worked on. Those that wait take their turns in the
// order in which they came.
type admission struct {
	bodies  *semaphore.Weighted
	answers *semaphore.Weighted
}

func newAdmission() admission {
	return admission{
		bodies:  semaphore.NewWeighted(bodiesAtWork),
		answers: semaphore.NewWeighted(int64(runtime.GOMAXPROCS(0)) * answersPerProcessor),
	}
}

// admit does a request's work when its turn has come.
func (a admission) admit(
	ctx context.Context, kind access, body []byte, work func() error,
) error {
	turns, weight := a.bodies, int64(min(len(body), bodiesAtWork))
	if kind != writing {
		turns, weight = a.answers, 1
	}

	if err := turns.Acquire(ctx, weight); err != nil {
		return unavailable(fmt.Errorf("the server stops: %w", err))
	}
	defer turns.Release(weight)

	return work()
}

// reads tells by MLflow's words whether a method only reads.
func reads(method string) bool {
	for _, word := range []string{"get", "search", "list"} {
		if strings.HasPrefix(method, word) {
			return true
		}
	}

	return false
}
