package tracking

import (
	"context"
	"errors"
	"fmt"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"google.golang.org/protobuf/proto"
)

// GetRun reads a run, deleted or not, with its latest metrics, params, tags, inputs and outputs
// (SqlAlchemyStore.get_run). Error: RESOURCE_DOES_NOT_EXIST.
func (s *Store) GetRun(ctx context.Context, request *protos.GetRun) (*protos.GetRun_Response, error) {
	id := firstNonEmpty(request.GetRunId(), request.GetRunUuid())

	found, err := read(ctx, s, func(tx *database.Tx) (*protos.Run, error) { return getRun(tx, id) })
	if err != nil {
		return nil, err
	}

	return &protos.GetRun_Response{Run: found}, nil
}

func getRun(tx *database.Tx, id string) (*protos.Run, error) {
	row, err := findRun(tx, id)
	if err != nil {
		return nil, err
	}

	info, err := runInfo(row)
	if err != nil {
		return nil, err
	}

	data := &protos.RunData{}
	found := &protos.Run{Info: info, Data: data, Inputs: &protos.RunInputs{}, Outputs: &protos.RunOutputs{}}

	var failed [6]error

	data.Metrics, failed[0] = latestMetrics(tx, row.RunUUID)
	data.Params, failed[1] = runParams(tx, row.RunUUID)
	data.Tags, failed[2] = runTags(tx, row.RunUUID)
	found.Inputs.DatasetInputs, failed[3] = runDatasets(tx, row.RunUUID)
	found.Inputs.ModelInputs, failed[4] = runModelInputs(tx, row.RunUUID)
	found.Outputs.ModelOutputs, failed[5] = runModelOutputs(tx, row.RunUUID)

	nameFromTags(info, data.GetTags())

	return found, errors.Join(failed[:]...)
}

func latestMetrics(tx *database.Tx, runID string) ([]*protos.Metric, error) {
	metrics, err := query(tx, func(scan func(...any) error) (*protos.Metric, error) {
		var m metric

		err := scan(&m.key, &m.value, &m.timestamp, &m.step, &m.isNaN)

		return m.message(), err
	}, "SELECT "+tx.Dialect().Quote("key")+", value, timestamp, step, is_nan FROM latest_metrics WHERE run_uuid = ?",
		runID)
	if err != nil {
		return nil, fmt.Errorf("reading the latest metrics of run %s: %w", runID, err)
	}

	return metrics, nil
}

func runParams(tx *database.Tx, runID string) ([]*protos.Param, error) {
	params, err := query(tx, func(scan func(...any) error) (*protos.Param, error) {
		p := &protos.Param{}
		err := scan(&p.Key, &p.Value)

		return p, err
	}, "SELECT "+tx.Dialect().Quote("key")+", value FROM params WHERE run_uuid = ?", runID)
	if err != nil {
		return nil, fmt.Errorf("reading the params of run %s: %w", runID, err)
	}

	return params, nil
}

func runTags(tx *database.Tx, runID string) ([]*protos.RunTag, error) {
	tags, err := query(tx, func(scan func(...any) error) (*protos.RunTag, error) {
		t := &protos.RunTag{}
		err := scan(&t.Key, &t.Value)

		return t, err
	}, "SELECT "+tx.Dialect().Quote("key")+", value FROM tags WHERE run_uuid = ?", runID)
	if err != nil {
		return nil, fmt.Errorf("reading the tags of run %s: %w", runID, err)
	}

	return tags, nil
}

// runDatasets reads the datasets that a run was given, each once, with the tags of all of its
// inputs (SqlAlchemyStore._get_run_inputs).
func runDatasets(tx *database.Tx, runID string) ([]*protos.DatasetInput, error) {
	var (
		inputs    []*protos.DatasetInput
		byDataset = make(map[string]*protos.DatasetInput)
	)

	_, err := query(tx, func(scan func(...any) error) (struct{}, error) {
		var (
			uuid    string
			dataset protos.Dataset
			key     *string
			value   *string
		)

		err := scan(&uuid, &dataset.Name, &dataset.Digest, &dataset.SourceType, &dataset.Source, &dataset.Schema,
			&dataset.Profile, &key, &value)
		if err != nil {
			return struct{}{}, err
		}

		input, known := byDataset[uuid]
		if !known {
			input = &protos.DatasetInput{Dataset: datasetMessage(&dataset)}
			byDataset[uuid] = input
			inputs = append(inputs, input)
		}

		if key != nil {
			input.Tags = append(input.Tags, &protos.InputTag{Key: key, Value: value})
		}

		return struct{}{}, nil
	}, `SELECT d.dataset_uuid, d.name, d.digest, d.dataset_source_type, d.dataset_source, d.dataset_schema,
	d.dataset_profile, t.name, t.value
FROM inputs i JOIN datasets d ON i.source_id = d.dataset_uuid LEFT OUTER JOIN input_tags t ON t.input_uuid = i.input_uuid
WHERE i.destination_type = 'RUN' AND i.destination_id = ?`, runID)
	if err != nil {
		return nil, fmt.Errorf("reading the datasets of run %s: %w", runID, err)
	}

	return inputs, nil
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

func runModelInputs(tx *database.Tx, runID string) ([]*protos.ModelInput, error) {
	models, err := query(tx, func(scan func(...any) error) (*protos.ModelInput, error) {
		m := &protos.ModelInput{}
		err := scan(&m.ModelId)

		return m, err
	}, "SELECT destination_id FROM inputs WHERE source_type = 'RUN_INPUT' AND source_id = ? "+
		"AND destination_type = 'MODEL_INPUT'", runID)
	if err != nil {
		return nil, fmt.Errorf("reading the input models of run %s: %w", runID, err)
	}

	return models, nil
}

func runModelOutputs(tx *database.Tx, runID string) ([]*protos.ModelOutput, error) {
	models, err := query(tx, func(scan func(...any) error) (*protos.ModelOutput, error) {
		var (
			id   string
			step int64
		)

		err := scan(&id, &step)

		return &protos.ModelOutput{ModelId: proto.String(id), Step: proto.Int64(step)}, err
	}, "SELECT destination_id, step FROM inputs WHERE source_type = 'RUN_OUTPUT' AND source_id = ? "+
		"AND destination_type = 'MODEL_OUTPUT'", runID)
	if err != nil {
		return nil, fmt.Errorf("reading the output models of run %s: %w", runID, err)
	}

	return models, nil
}
