package database

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/mlflow/mlflow-go/pkg/contract"
)

// maxTogether is how many keys are read together at most.
const maxTogether = 64

// errValues is a mistake in a loader's function.
var errValues = errors.New("read another number of values")

// Loader reads values that are asked for one by one. While there are processors for it, each is read at once, on
// its caller's goroutine. Beyond that, those who wait have theirs read together, as writes share a commit: most of
// what a value costs is the same for ten. At most GOMAXPROCS reads go on at a time, but for those of who must read
// alone (see Load).
type Loader[K comparable, V any] struct {
	read func(ctx context.Context, keys []K) ([]*V, error)

	mu      sync.Mutex // guards what follows
	reading int
	waiting []*batch[K, V] // in the order in which they are read
}

// batch is keys that will be read together.
type batch[K comparable, V any] struct {
	ctx       context.Context //nolint:containedctx // the first caller's, for the one read
	workspace string          // of all who ask
	keys      []K             // final once the batch doesn't wait any more
	done      chan struct{}   // closed once there are values or err
	values    []*V
	err       error
}

// NewLoader makes a loader of a function that reads the values of at least one and at most 64 different keys,
// in their order, with nil for what isn't there. What it finds may depend on the context's workspace only.
func NewLoader[K comparable, V any](read func(ctx context.Context, keys []K) ([]*V, error)) *Loader[K, V] {
	return &Loader[K, V]{read: read}
}

// Load reads a value; nil if there is none. It may be given to others who ask for the same key, so that
// nobody may change it.
//
// Nobody is given what was read before they asked, or with the keys of another workspace. Who waits and whose
// context ends is let go at once, with its error, and the others are none the worse. A key that wasn't found beside
// others, where a database may compare texts its own way, or whose read with others failed, perhaps for one of
// those, is read alone: so an error is that of the caller's own key. That of a panic is a contract.PanicError.
func (l *Loader[K, V]) Load(ctx context.Context, key K) (*V, error) {
	joined, place := l.join(ctx, key)
	if joined == nil {
		defer l.next()

		return l.alone(ctx, key)
	}

	select {
	case <-joined.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}

	switch {
	case joined.err == nil && joined.values[place] != nil:
		return joined.values[place], nil
	case len(joined.keys) == 1:
		return nil, joined.err
	default:
		return l.alone(ctx, key)
	}
}

// join gives the batch that has a key read, and its place there; no batch to who is to read at once.
func (l *Loader[K, V]) join(ctx context.Context, key K) (joined *batch[K, V], place int) {
	l.mu.Lock()
	defer l.mu.Unlock()

	if l.reading < runtime.GOMAXPROCS(0) {
		l.reading++

		return nil, 0
	}

	workspace := contract.CallerFrom(ctx).Workspace

	for _, b := range l.waiting {
		if b.workspace != workspace {
			continue
		}

		if place := slices.Index(b.keys, key); place >= 0 {
			return b, place
		}

		if len(b.keys) < maxTogether {
			b.keys = append(b.keys, key)

			return b, len(b.keys) - 1
		}
	}

	joined = &batch[K, V]{
		ctx: context.WithoutCancel(ctx), workspace: workspace, keys: []K{key}, done: make(chan struct{}),
	}
	l.waiting = append(l.waiting, joined)

	return joined, 0
}

// next has the batch that waits longest read in the place of who has read.
func (l *Loader[K, V]) next() {
	l.mu.Lock()
	defer l.mu.Unlock()

	if len(l.waiting) == 0 || l.reading > runtime.GOMAXPROCS(0) {
		l.reading--

		return
	}

	first := l.waiting[0]
	l.waiting = slices.Delete(l.waiting, 0, 1)

	// On a goroutine of its own: any of those who wait may leave.
	go func() {
		defer l.next()
		defer close(first.done)

		first.values, first.err = l.recovered(first.ctx, first.keys)
	}()
}

func (l *Loader[K, V]) alone(ctx context.Context, key K) (*V, error) {
	values, err := l.recovered(ctx, []K{key})
	if err != nil {
		return nil, err
	}

	return values[0], nil
}

// recovered reads, and makes an error of a panic, since others wait.
func (l *Loader[K, V]) recovered(ctx context.Context, keys []K) (values []*V, err error) {
	defer contract.Recover(&err)

	values, err = l.read(ctx, keys)
	if err == nil && len(values) != len(keys) {
		err = fmt.Errorf("%w: %d for %d keys", errValues, len(values), len(keys))
	}

	return values, err
}

// Padded repeats the first of a loader's keys until their number is a power of two: statements for any number
// would each be prepared, and push others out. More keys than a loader reads stay as many as they are.
func Padded[K any](keys []K) []K {
	padded := slices.Clone(keys)
	for n := len(keys); n&(n-1) != 0 && n < maxTogether; n++ {
		padded = append(padded, keys[0])
	}

	return padded
}
