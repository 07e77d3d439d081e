package tracking

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// GetRun reads a run, deleted or not, with its latest metrics, params, tags, inputs and outputs
// (SqlAlchemyStore.get_run). Error: RESOURCE_DOES_NOT_EXIST.
func (s *Store) GetRun(ctx context.Context, request *protos.GetRun) (*protos.GetRun_Response, error) {
	found, err := s.runs.read(ctx, runID(request))
	if err != nil {
		return nil, err
	}

	return &protos.GetRun_Response{Run: found}, nil
}

// maxRunsTogether is how many runs that are asked for one by one are read together.
const maxRunsTogether = 64

// runReader reads runs one by one while there are processors for it. Beyond that, those who wait have theirs
// read together, as writes share a commit: most of what a run costs is the same for ten.
type runReader struct {
	db *database.DB

	mu      sync.Mutex // guards what follows
	reading int
	waiting *runGroup // nil for nobody
}

// runGroup is runs that will be read together.
type runGroup struct {
	workspace string // of all who ask
	ids       []string
	begin     chan struct{} // closed when the first member is to read them
	done      chan struct{} // closed once there are runs or err
	runs      []*protos.Run // those that weren't found have no info
	err       error
}

// read gives a run. Nobody is given one that was read before they asked.
func (r *runReader) read(ctx context.Context, id string) (*protos.Run, error) {
	group, place := r.join(contract.CallerFrom(ctx).Workspace, id)

	switch {
	case group == nil:
		defer r.end()

		return r.alone(ctx, id)
	case place == 0:
		<-group.begin
		r.lead(ctx, group)
	default:
		<-group.done
	}

	switch {
	case group.err != nil:
		return nil, group.err
	case group.runs[place].GetInfo() == nil:
		return r.alone(ctx, id) // which says why, or finds it where a database compares texts its own way
	default:
		return group.runs[place], nil
	}
}

// join gives the group that has a run read, and the place in it; no group for who is to read at once.
func (r *runReader) join(workspace, id string) (group *runGroup, place int) {
	r.mu.Lock()
	defer r.mu.Unlock()

	group = r.waiting

	switch {
	case r.reading < runtime.GOMAXPROCS(0):
	case group == nil:
		group = &runGroup{workspace: workspace, begin: make(chan struct{}), done: make(chan struct{})}
		r.waiting = group
		fallthrough
	case group.workspace == workspace && len(group.ids) < maxRunsTogether && !slices.Contains(group.ids, id):
		group.ids = append(group.ids, id)

		return group, len(group.ids) - 1
	}

	r.reading++

	return nil, 0
}

// end has the group that waits begin in the place of who has read.
func (r *runReader) end() {
	r.mu.Lock()
	defer r.mu.Unlock()

	if r.waiting == nil || r.reading > runtime.GOMAXPROCS(0) {
		r.reading--

		return
	}

	close(r.waiting.begin)
	r.waiting = nil
}

func (r *runReader) lead(ctx context.Context, group *runGroup) {
	defer r.end()
	defer close(group.done)

	group.runs, group.err = r.together(context.WithoutCancel(ctx), group.ids)
}

func (r *runReader) alone(ctx context.Context, id string) (*protos.Run, error) {
	runs, err := r.together(ctx, []string{id})

	switch {
	case err != nil:
		return nil, err
	case runs[0].GetInfo() == nil:
		return nil, errNoRun(id)
	default:
		return runs[0], nil
	}
}

// together reads runs; those that don't exist have no info.
func (r *runReader) together(ctx context.Context, ids []string) (runs []*protos.Run, err error) {
	defer contract.Recover(&err)

	return database.Read(ctx, r.db, func(tx *database.Tx) ([]*protos.Run, error) {
		page := newRunPage(ids...)

		selections := append(page.everything(tx), page.inputModels(tx.Dialect()))
		if err := tx.SelectLast(selections...); err != nil {
			return nil, fmt.Errorf("reading the runs %q: %w", ids, err)
		}

		page.complete()

		return page.runs, nil
	})
}
