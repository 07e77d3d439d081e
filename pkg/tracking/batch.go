package tracking

import (
	"context"
	"fmt"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// LogBatch adds metrics, params and tags to an active run, all or none of them
// (SqlAlchemyStore.log_batch, which keeps what it wrote before a failure).
func (s *Store) LogBatch(ctx context.Context, request *protos.LogBatch) (*protos.LogBatch_Response, error) {
	params, tags, err := s.checkBatch(request)
	if err != nil {
		return nil, err
	}

	id, metrics := request.GetRunId(), request.GetMetrics()
	rows := newMetricRows(id, metrics)

	if err := s.db.Write(ctx, func(tx *database.Tx) error {
		experimentID, err := lockRunActive(tx, id)
		if err != nil {
			return err
		}

		if err := logParams(tx, id, params); err != nil {
			return err
		}

		if err := logMetrics(tx, id, rows); err != nil {
			return err
		}

		if err := logModelMetrics(tx, id, experimentID, metrics); err != nil {
			return err
		}

		return setTags(tx, id, tags)
	}); err != nil {
		return nil, err
	}

	return &protos.LogBatch_Response{}, nil
}

// checkBatch applies the rules in MLflow's order: each item first, then how many there are.
func (s *Store) checkBatch(request *protos.LogBatch) (params []param, tags []tag, err error) {
	for _, m := range request.GetMetrics() {
		if err := checkMetricDataset(m.GetDatasetName(), m.GetDatasetDigest()); err != nil {
			return nil, nil, err
		}
	}

	if err := checkRunID(request.GetRunId()); err != nil {
		return nil, nil, err
	}

	for i, m := range request.GetMetrics() {
		if checkMetric(m, "") != nil { // the path is made for errors only
			return nil, nil, checkMetric(m, fmt.Sprintf("metrics[%d]", i))
		}
	}

	params = make([]param, len(request.GetParams()))
	for i, p := range request.GetParams() {
		if params[i], err = s.checkParam(p.GetKey(), p.GetValue(), fmt.Sprintf("params[%d]", i)); err != nil {
			return nil, nil, err
		}
	}

	tags = make([]tag, len(request.GetTags()))
	for i, t := range request.GetTags() {
		if tags[i], err = s.checkTag(t.GetKey(), t.GetValue(), fmt.Sprintf("tags[%d]", i)); err != nil {
			return nil, nil, err
		}
	}

	if err := checkBatchLimits(len(request.GetMetrics()), len(params), len(tags)); err != nil {
		return nil, nil, err
	}

	return params, tags, checkParamKeysUnique(params)
}
