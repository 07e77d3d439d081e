package tracking

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/schema"
)

// runsPerStatement is how many runs one statement reads the data of: SQLAlchemy's number.
const runsPerStatement = 500

// loadRuns makes messages of runs, in the order of the rows, with their latest metrics, params,
// tags, datasets and output models. That takes five statements for every 500 runs, whatever was
// logged to them. Input models aren't read: MLflow leaves them out of searches.
func loadRuns(tx *database.Tx, rows []schema.Run) ([]*protos.Run, error) {
	runs := make([]*protos.Run, 0, len(rows))

	for len(rows) > 0 {
		piece := rows[:min(runsPerStatement, len(rows))]
		rows = rows[len(piece):]
		page := newRunPage(len(piece))

		for _, row := range piece {
			info, err := runInfo(row)
			if err != nil {
				return nil, err
			}

			page.add(row.RunUUID).Info = info
		}

		if err := page.load(tx); err != nil {
			return nil, err
		}

		runs = append(runs, page.runs...)
	}

	return runs, nil
}

// runPage is a number of runs whose data is read together.
type runPage struct {
	runs   []*protos.Run
	places map[string]int // of a run's ID in runs
	ids    []any
}

func newRunPage(size int) *runPage {
	return &runPage{
		runs: make([]*protos.Run, 0, size), places: make(map[string]int, size), ids: make([]any, 0, size),
	}
}

// pageOf is the page of one run.
func pageOf(id string) *runPage {
	page := newRunPage(1)
	page.add(id)

	return page
}

// add adds a run without any data and returns it.
func (p *runPage) add(id string) *protos.Run {
	run := &protos.Run{Data: &protos.RunData{}, Inputs: &protos.RunInputs{}, Outputs: &protos.RunOutputs{}}
	p.places[id] = len(p.runs)
	p.runs = append(p.runs, run)
	p.ids = append(p.ids, id)

	return run
}

// load reads all that was logged to the runs.
func (p *runPage) load(tx *database.Tx) error {
	for _, read := range []func(*runPage, *database.Tx) error{
		(*runPage).latestMetrics, (*runPage).params, (*runPage).tags, (*runPage).datasets, (*runPage).outputModels,
	} {
		if err := read(p, tx); err != nil {
			return err
		}
	}

	for _, run := range p.runs {
		nameFromTags(run.GetInfo(), run.GetData().GetTags())
	}

	return nil
}

// each runs a query that goes up to and with the IN that the runs' IDs follow. Its first column
// must be a run's ID. The other columns are scanned into what next appends, and then add is
// called with the run.
func (p *runPage) each(
	tx *database.Tx, upToIn, rest string, next func(columns []any) []any, add func(run *protos.Run),
) (err error) {
	rows, err := tx.Query(upToIn+" (?"+strings.Repeat(", ?", len(p.ids)-1)+")"+rest, p.ids...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()

	var id sql.RawBytes // looked up without making a string of it

	columns := []any{&id}

	for rows.Next() {
		columns = next(columns[:1])
		if err := rows.Scan(columns...); err != nil {
			return err
		}

		add(p.runs[p.places[string(id)]])
	}

	return rows.Err()
}

func (p *runPage) latestMetrics(tx *database.Tx) error {
	var m metric

	err := p.each(tx, "SELECT run_uuid, "+tx.Dialect().Quote("key")+
		", value, timestamp, step, is_nan FROM latest_metrics WHERE run_uuid IN", "",
		func(columns []any) []any { return append(columns, &m.key, &m.value, &m.timestamp, &m.step, &m.isNaN) },
		func(run *protos.Run) { run.Data.Metrics = append(run.Data.Metrics, m.message()) })
	if err != nil {
		return fmt.Errorf("reading the latest metrics of runs: %w", err)
	}

	return nil
}

func (p *runPage) params(tx *database.Tx) error {
	var param *protos.Param

	err := p.each(tx, "SELECT run_uuid, "+tx.Dialect().Quote("key")+", value FROM params WHERE run_uuid IN", "",
		func(columns []any) []any {
			param = &protos.Param{}

			return append(columns, &param.Key, &param.Value)
		},
		func(run *protos.Run) { run.Data.Params = append(run.Data.Params, param) })
	if err != nil {
		return fmt.Errorf("reading the params of runs: %w", err)
	}

	return nil
}

func (p *runPage) tags(tx *database.Tx) error {
	var tag *protos.RunTag

	err := p.each(tx, "SELECT run_uuid, "+tx.Dialect().Quote("key")+", value FROM tags WHERE run_uuid IN", "",
		func(columns []any) []any {
			tag = &protos.RunTag{}

			return append(columns, &tag.Key, &tag.Value)
		},
		func(run *protos.Run) { run.Data.Tags = append(run.Data.Tags, tag) })
	if err != nil {
		return fmt.Errorf("reading the tags of runs: %w", err)
	}

	return nil
}

// datasets reads the datasets that runs were given, each once for a run, with the tags of all of
// its inputs (SqlAlchemyStore._get_run_inputs).
func (p *runPage) datasets(tx *database.Tx) error {
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

	err := p.each(tx, `SELECT i.destination_id, d.dataset_uuid, d.name, d.digest, d.dataset_source_type, d.dataset_source,
	d.dataset_schema, d.dataset_profile, t.name, t.value
FROM inputs i JOIN datasets d ON i.source_id = d.dataset_uuid
	LEFT OUTER JOIN input_tags t ON t.input_uuid = i.input_uuid
WHERE i.destination_type = 'RUN' AND i.destination_id IN`, " ORDER BY i.destination_id",
		func(columns []any) []any {
			dataset = &protos.Dataset{}

			return append(columns,
				&uuid, &dataset.Name, &dataset.Digest, &dataset.SourceType, &dataset.Source, &dataset.Schema,
				&dataset.Profile, &key, &value,
			)
		},
		func(run *protos.Run) {
			input := known[use{run, uuid}]
			if input == nil {
				input = &protos.DatasetInput{Dataset: datasetMessage(dataset)}
				known[use{run, uuid}] = input
				run.Inputs.DatasetInputs = append(run.Inputs.DatasetInputs, input)
			}

			if key != nil {
				input.Tags = append(input.Tags, &protos.InputTag{Key: key, Value: value})
			}
		})
	if err != nil {
		return fmt.Errorf("reading the datasets of runs: %w", err)
	}

	return nil
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

func (p *runPage) outputModels(tx *database.Tx) error {
	var (
		id   string
		step int64
	)

	err := p.each(tx, "SELECT source_id, destination_id, step FROM inputs WHERE source_type = 'RUN_OUTPUT' "+
		"AND destination_type = 'MODEL_OUTPUT' AND source_id IN", "",
		func(columns []any) []any { return append(columns, &id, &step) },
		func(run *protos.Run) {
			run.Outputs.ModelOutputs = append(run.Outputs.ModelOutputs,
				&protos.ModelOutput{ModelId: new(id), Step: new(step)})
		})
	if err != nil {
		return fmt.Errorf("reading the output models of runs: %w", err)
	}

	return nil
}

func runParams(tx *database.Tx, id string) ([]*protos.Param, error) {
	page := pageOf(id)
	err := page.params(tx)

	return page.runs[0].GetData().GetParams(), err
}

func runTags(tx *database.Tx, id string) ([]*protos.RunTag, error) {
	page := pageOf(id)
	err := page.tags(tx)

	return page.runs[0].GetData().GetTags(), err
}
