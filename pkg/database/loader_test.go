package database_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
)

// gated is a loader whose reads begin when they are let through, and what it was asked for.
type gated struct {
	*database.Loader[string, string]

	gate  chan struct{}
	mu    sync.Mutex
	reads [][]string
	fail  func(keys []string) error
}

func newGated() *gated {
	g := &gated{gate: make(chan struct{})}
	g.Loader = database.NewLoader(func(ctx context.Context, keys []string) ([]*string, error) {
		g.mu.Lock()
		g.reads = append(g.reads, slices.Clone(keys))
		g.mu.Unlock()
		<-g.gate

		if g.fail != nil {
			if err := g.fail(keys); err != nil {
				return nil, err
			}
		}

		values := make([]*string, len(keys))

		for i, key := range keys {
			if key != "missing" {
				values[i] = new(contract.CallerFrom(ctx).Workspace + key)
			}
		}

		return values, ctx.Err()
	})

	return g
}

// answer is what somebody was given.
type answer struct {
	value string
	err   error
}

// ask loads a key on a goroutine that waits when ask returns; the answer comes later.
func (g *gated) ask(ctx context.Context, key string) <-chan answer {
	given := make(chan answer, 1)

	go func() {
		value, err := g.Load(ctx, key)
		if value == nil {
			value = new("nothing")
		}

		given <- answer{*value, err}
	}()
	synctest.Wait()

	return given
}

// occupy has as many reads begin as may go on at a time.
func (g *gated) occupy(ctx context.Context) {
	for n := range runtime.GOMAXPROCS(0) {
		g.ask(ctx, fmt.Sprint("first ", n))
	}
}

// finish lets all reads through and gives those that had not begun.
func (g *gated) finish() [][]string {
	begun := len(g.reads)

	close(g.gate)
	synctest.Wait()

	return g.reads[begun:]
}

func within(ctx context.Context, workspace string) context.Context {
	return contract.WithCaller(ctx, contract.Caller{Workspace: workspace})
}

func TestLoader(t *testing.T) {
	for name, test := range map[string]func(t *testing.T, g *gated){
		"OKTogether": func(t *testing.T, g *gated) {
			t.Helper()
			g.occupy(t.Context())
			require.Len(t, g.reads, runtime.GOMAXPROCS(0), "each is read at once while there are processors")

			a, b, again := g.ask(t.Context(), "a"), g.ask(t.Context(), "b"), g.ask(t.Context(), "a")
			missing := g.ask(t.Context(), "missing")

			require.Equal(t, [][]string{{"a", "b", "missing"}, {"missing"}}, g.finish(), "what isn't found is read alone")
			require.Equal(t, answer{"a", nil}, <-a)
			require.Equal(t, answer{"b", nil}, <-b)
			require.Equal(t, answer{"a", nil}, <-again)
			require.Equal(t, answer{"nothing", nil}, <-missing)

			require.Equal(t, answer{"a", nil}, <-g.ask(t.Context(), "a"), "all turns were given back")
		},
		"OKNotWhatWasReadBefore": func(t *testing.T, g *gated) {
			t.Helper()
			g.occupy(t.Context())
			g.ask(t.Context(), "a")
			g.gate <- struct{}{}

			synctest.Wait()
			require.Equal(t, []string{"a"}, g.reads[len(g.reads)-1])

			g.ask(t.Context(), "a")
			require.Equal(t, [][]string{{"a"}}, g.finish(), "a read that has begun is nobody's who asks later")
		},
		"OKMoreThanOneRead": func(t *testing.T, g *gated) {
			t.Helper()
			g.occupy(t.Context())

			for n := range 100 {
				g.ask(t.Context(), strconv.Itoa(n))
			}

			together := g.finish()
			require.Len(t, together, 2)
			// They go on at the same time.
			require.ElementsMatch(t, []int{64, 36}, []int{len(together[0]), len(together[1])})
		},
		"OKWorkspaces": func(t *testing.T, g *gated) {
			t.Helper()
			g.occupy(t.Context())

			first, second := within(t.Context(), "first "), within(t.Context(), "second ")
			a, b, c := g.ask(first, "a"), g.ask(second, "a"), g.ask(first, "c")

			require.ElementsMatch(t, [][]string{{"a", "c"}, {"a"}}, g.finish())
			require.Equal(t, answer{"first a", nil}, <-a)
			require.Equal(t, answer{"second a", nil}, <-b)
			require.Equal(t, answer{"first c", nil}, <-c)
		},
		"OKOthersLeave": func(t *testing.T, g *gated) {
			t.Helper()
			g.occupy(t.Context())

			ctx, leave := context.WithCancel(t.Context())
			left, alsoLeft := g.ask(ctx, "a"), g.ask(ctx, "b")
			stays := g.ask(t.Context(), "c")

			leave()
			require.ErrorIs(t, (<-left).err, context.Canceled)
			require.ErrorIs(t, (<-alsoLeft).err, context.Canceled)

			g.finish()
			require.Equal(t, answer{"c", nil}, <-stays)
			require.Equal(t, answer{"d", nil}, <-g.ask(t.Context(), "d"), "who left took no turn along")
		},
		"ErrOfOneKey": func(t *testing.T, g *gated) {
			t.Helper()

			broken := errors.New("broken")
			g.fail = func(keys []string) error {
				if slices.Contains(keys, "bad") {
					return broken
				}

				return nil
			}

			g.occupy(t.Context())

			good, bad := g.ask(t.Context(), "good"), g.ask(t.Context(), "bad")

			require.ElementsMatch(t, [][]string{{"good", "bad"}, {"good"}, {"bad"}}, g.finish())
			require.Equal(t, answer{"good", nil}, <-good)
			require.ErrorIs(t, (<-bad).err, broken)
		},
		"ErrPanic": func(t *testing.T, g *gated) {
			t.Helper()

			g.fail = func([]string) error { panic("at the disco") }

			g.occupy(t.Context())

			for _, given := range []<-chan answer{g.ask(t.Context(), "a"), g.ask(t.Context(), "b")} {
				defer func() {
					var found *contract.PanicError

					require.ErrorAs(t, (<-given).err, &found)
					require.Equal(t, "at the disco", found.Value)
				}()
			}

			g.finish()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, newGated()) })
		})
	}
}

// TestLoaderAtOnce has many ask at once: each is given its own, and no more reads than processors go on.
func TestLoaderAtOnce(t *testing.T) {
	var (
		reading atomic.Int64
		callers sync.WaitGroup
	)

	loader := database.NewLoader(func(_ context.Context, keys []int) ([]*int, error) {
		defer reading.Add(-1)

		if reading.Add(1) > int64(runtime.GOMAXPROCS(0)) {
			return nil, errors.New("too many reads at once")
		}

		runtime.Gosched()

		values := make([]*int, len(keys))
		for i, key := range keys {
			values[i] = new(key)
		}

		return values, nil
	})

	for range 64 {
		callers.Go(func() {
			for key := range 200 {
				value, err := loader.Load(t.Context(), key)
				if err != nil || *value != key {
					t.Errorf("%d: got %v, %v", key, value, err)
				}
			}
		})
	}

	callers.Wait()
}

func TestPadded(t *testing.T) {
	for size, want := range map[int]int{1: 1, 2: 2, 3: 4, 4: 4, 5: 8, 33: 64, 64: 64, 65: 65} {
		keys := make([]int, size)
		for i := range keys {
			keys[i] = i + 1
		}

		padded := database.Padded(keys)
		require.Equal(t, keys, padded[:size])
		require.Len(t, padded, want)

		for _, key := range padded[size:] {
			require.Equal(t, 1, key)
		}
	}
}
