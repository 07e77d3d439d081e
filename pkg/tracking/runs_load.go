package tracking

import (
	"fmt"
	"slices"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// runsPerStatement is how many runs one statement reads the data of: SQLAlchemy's number.
const runsPerStatement = 500

// loadRuns reads runs by their IDs, which must exist, in that order, with their latest metrics,
// params, tags, datasets and output models. That takes six statements for every 500 runs, whatever
// was logged to them, and ends the transaction. Input models aren't read: MLflow leaves them out of searches.
func loadRuns(tx *database.Tx, ids []string) ([]*protos.Run, error) {
	runs := make([]*protos.Run, 0, len(ids))

	for piece := range slices.Chunk(ids, runsPerStatement) {
		page := newRunPage(piece...)

		read := tx.Select
		if len(runs)+len(piece) == len(ids) {
			read = tx.SelectLast
		}

		if err := read(page.everything(tx)...); err != nil {
			return nil, fmt.Errorf("reading runs: %w", err)
		}

		page.complete()

		runs = append(runs, page.runs...)
	}

	return runs, nil
}

// runPage is a number of runs whose data is read together.
type runPage struct {
	runs   []*protos.Run
	places map[string]int // of a run's ID in runs
	ids    []string
}

// newRunPage has runs without any data.
func newRunPage(ids ...string) *runPage {
	p := &runPage{
		runs: make([]*protos.Run, len(ids)), places: make(map[string]int, len(ids)), ids: database.Padded(ids),
	}

	for i, id := range ids {
		p.runs[i] = &protos.Run{Data: &protos.RunData{}, Inputs: &protos.RunInputs{}, Outputs: &protos.RunOutputs{}}
		p.places[id] = i
	}

	return p
}

// everything selects the runs themselves and all that was logged to them.
func (p *runPage) everything(tx *database.Tx) []database.Selection {
	var (
		dialect    = tx.Dialect()
		selections []database.Selection
	)

	if len(p.runs) > 1 {
		selections = database.PlannedLookUps(tx)
	}

	return append(selections, p.infos(tx), p.latestMetrics(dialect), p.params(dialect), p.tags(dialect),
		p.datasets(dialect), p.outputModels(dialect))
}

// complete does what needs more than one of the selections.
func (p *runPage) complete() {
	for _, run := range p.runs {
		if run.GetInfo() != nil {
			nameFromTags(run.GetInfo(), run.GetData().GetTags())
		}
	}
}

// each selects columns, from what goes up to and with WHERE, of rows whose column owner is the ID of one of
// the runs. They are scanned into what next gives, and then add is called with the run. The owner is asked
// for only when there is more than one: its text is as long as most of the rest of a row.
func (p *runPage) each(
	dialect database.Dialect, columns, from, owner string, next func() []any, add func(run *protos.Run) error,
) database.Selection {
	var (
		condition, args = dialect.AnyOf(owner, p.ids)
		id              = p.ids[0] // of one run, whose rows don't say it
		owners          []any
	)

	if len(p.runs) > 1 {
		columns = owner + ", " + columns
		owners = []any{&id}
	}

	dests := slices.Clone(owners)

	return database.Selection{
		Statement: database.Statement{Query: "SELECT " + columns + " " + from + " " + condition, Args: args},
		Row: func(scan func(...any) error) error {
			dests = append(dests[:len(owners)], next()...)
			if err := scan(dests...); err != nil {
				return err
			}

			if place, ok := p.places[id]; ok {
				return add(p.runs[place])
			}

			return nil // of a run whose ID the database takes for one of ours
		},
	}
}

// infos selects the runs that the caller's workspace has; what was logged to the others says nothing
// without them.
func (p *runPage) infos(tx *database.Tx) database.Selection {
	named, args := tx.Dialect().AnyOf("run_uuid", p.ids)
	condition, args := inWorkspace(tx.Caller(), "experiment_id", args...)

	return database.Selection{
		Statement: database.Statement{
			Query: "SELECT " + runColumns + " FROM runs WHERE " + named + condition, Args: args,
		},
		Row: func(scan func(...any) error) error {
			row, err := scanRun(scan)
			if err != nil {
				return err
			}

			place, ok := p.places[row.RunUUID]
			if !ok && len(p.runs) > 1 {
				return nil // the database takes its ID for one of ours
			}

			p.runs[place].Info, err = runInfo(row)

			return err
		},
	}
}

// spares are values of which several are allocated together: of what runs have many.
type spares[T any] struct {
	atOnce int
	left   []T
}

func (s *spares[T]) next() *T {
	if len(s.left) == 0 {
		s.left = make([]T, s.atOnce)
	}

	first := &s.left[0]
	s.left = s.left[1:]

	return first
}

// valuesAtOnce is how many metrics, params or tags of runs are allocated together.
const valuesAtOnce = 8

func (p *runPage) latestMetrics(dialect database.Dialect) database.Selection {
	var (
		m       metric
		spare   = spares[point]{atOnce: valuesAtOnce}
		columns = []any{&m.key, &m.value, &m.timestamp, &m.step, &m.isNaN}
	)

	return p.each(dialect,
		dialect.Quote("key")+", value, timestamp, step, is_nan", "FROM latest_metrics WHERE", "run_uuid",
		func() []any { return columns },
		func(run *protos.Run) error {
			found := spare.next()
			found.set(m)
			run.Data.Metrics = append(run.Data.Metrics, &found.Metric)

			return nil
		})
}

// loggedParam is a param with room for its key and value.
type loggedParam struct {
	protos.Param

	key, value string
}

func (p *runPage) params(dialect database.Dialect) database.Selection {
	var (
		next  *loggedParam
		spare = spares[loggedParam]{atOnce: valuesAtOnce}
		dests = make([]any, 2) // key and value
	)

	return p.each(dialect, dialect.Quote("key")+", value", "FROM params WHERE", "run_uuid",
		func() []any {
			next = spare.next()
			dests[0], dests[1] = &next.key, &next.value

			return dests
		},
		func(run *protos.Run) error {
			next.Key, next.Value = &next.key, &next.value
			run.Data.Params = append(run.Data.Params, &next.Param)

			return nil
		})
}

// loggedTag is a tag with room for its key. Its value may be NULL.
type loggedTag struct {
	protos.RunTag

	key string
}

func (p *runPage) tags(dialect database.Dialect) database.Selection {
	var (
		next  *loggedTag
		spare = spares[loggedTag]{atOnce: valuesAtOnce}
		dests = make([]any, 2) // key and value
	)

	return p.each(dialect, dialect.Quote("key")+", value", "FROM tags WHERE", "run_uuid",
		func() []any {
			next = spare.next()
			dests[0], dests[1] = &next.key, &next.Value

			return dests
		},
		func(run *protos.Run) error {
			next.Key = &next.key
			run.Data.Tags = append(run.Data.Tags, &next.RunTag)

			return nil
		})
}

// datasets selects the datasets that runs were given, each once for a run, with the tags of all of
// its inputs (SqlAlchemyStore._get_run_inputs).
func (p *runPage) datasets(dialect database.Dialect) database.Selection {
	type use struct {
		run  *protos.Run
		uuid string
	}

	var (
		known      = make(map[use]*protos.DatasetInput)
		uuid       string
		dataset    *protos.Dataset
		key, value *string
	)

	return p.each(dialect, `d.dataset_uuid, d.name, d.digest, d.dataset_source_type, d.dataset_source,
	d.dataset_schema, d.dataset_profile, t.name, t.value`,
		`FROM inputs i JOIN datasets d ON i.source_id = d.dataset_uuid
	LEFT OUTER JOIN input_tags t ON t.input_uuid = i.input_uuid
WHERE i.destination_type = 'RUN' AND`, "i.destination_id",
		func() []any {
			dataset = &protos.Dataset{}

			return []any{
				&uuid, &dataset.Name, &dataset.Digest, &dataset.SourceType, &dataset.Source, &dataset.Schema,
				&dataset.Profile, &key, &value,
			}
		},
		func(run *protos.Run) error {
			input := known[use{run, uuid}]
			if input == nil {
				input = &protos.DatasetInput{Dataset: datasetMessage(dataset)}
				known[use{run, uuid}] = input
				run.Inputs.DatasetInputs = append(run.Inputs.DatasetInputs, input)
			}

			if key != nil {
				input.Tags = append(input.Tags, &protos.InputTag{Key: key, Value: value})
			}

			return nil
		})
}

// datasetMessage leaves out an empty schema and profile (mlflow.entities.Dataset.to_proto).
func datasetMessage(d *protos.Dataset) *protos.Dataset {
	if d.GetSchema() == "" {
		d.Schema = nil
	}

	if d.GetProfile() == "" {
		d.Profile = nil
	}

	return d
}

func (p *runPage) outputModels(dialect database.Dialect) database.Selection {
	var (
		id      string
		step    int64
		columns = []any{&id, &step}
	)

	return p.each(dialect, "destination_id, step", "FROM inputs WHERE source_type = 'RUN_OUTPUT' "+
		"AND destination_type = 'MODEL_OUTPUT' AND", "source_id",
		func() []any { return columns },
		func(run *protos.Run) error {
			run.Outputs.ModelOutputs = append(run.Outputs.ModelOutputs,
				&protos.ModelOutput{ModelId: new(id), Step: new(step)})

			return nil
		})
}

// inputModels selects what searches leave out.
func (p *runPage) inputModels(dialect database.Dialect) database.Selection {
	var (
		id      string
		columns = []any{&id}
	)

	return p.each(dialect, "destination_id", "FROM inputs WHERE source_type = 'RUN_INPUT' "+
		"AND destination_type = 'MODEL_INPUT' AND", "source_id",
		func() []any { return columns },
		func(run *protos.Run) error {
			run.Inputs.ModelInputs = append(run.Inputs.ModelInputs, &protos.ModelInput{ModelId: new(id)})

			return nil
		})
}

func runParams(tx *database.Tx, id string) ([]*protos.Param, error) {
	page := newRunPage(id)
	if err := tx.Select(page.params(tx.Dialect())); err != nil {
		return nil, fmt.Errorf("reading the params of run %s: %w", id, err)
	}

	return page.runs[0].GetData().GetParams(), nil
}

func runTags(tx *database.Tx, id string) ([]*protos.RunTag, error) {
	page := newRunPage(id)
	if err := tx.Select(page.tags(tx.Dialect())); err != nil {
		return nil, fmt.Errorf("reading the tags of run %s: %w", id, err)
	}

	return page.runs[0].GetData().GetTags(), nil
}
