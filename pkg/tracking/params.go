package tracking

import (
	"context"
	"fmt"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
)

// LogParam adds a param to an active run (SqlAlchemyStore.log_param). A param never changes: the
// same value again does nothing, another one is INVALID_PARAMETER_VALUE.
func (s *Store) LogParam(ctx context.Context, request *protos.LogParam) (*protos.LogParam_Response, error) {
	logged, err := s.checkParam(request.GetKey(), request.GetValue(), "")
	if err != nil {
		return nil, err
	}

	id := runID(request)

	if err := s.db.Write(ctx, func(tx *database.Tx) error {
		if _, err := checkRunActive(tx, id); err != nil {
			return err
		}

		if same, err := hasParam(tx, id, logged); err != nil || same {
			return err
		}

		changed, err := insertParams(tx, id, []param{logged})
		if err != nil || len(changed) == 0 {
			return err
		}

		return contract.InvalidParameter("Changing param values is not allowed. Param with key='%s' was already"+
			" logged with value='%s' for run ID='%s'. Attempted logging new value '%s'.",
			logged.key, changed[0].oldValue, id, logged.value)
	}); err != nil {
		return nil, err
	}

	return &protos.LogParam_Response{}, nil
}

// hasParam says whether the database finds a param that it takes for the same, spelled otherwise
// maybe (SqlAlchemyStore._get_or_create). Where spelling counts, the insert finds out as well.
func hasParam(tx *database.Tx, runID string, p param) (bool, error) {
	if !tx.Dialect().FoldsKeys() {
		return false, nil
	}

	_, err := database.QueryRow(tx, database.Value[string], "SELECT run_uuid FROM params WHERE "+tx.Dialect().Quote("key")+
		" = ? AND value = ? AND run_uuid = ?", p.key, p.value, runID)

	switch {
	case isNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("looking for a param of run %s: %w", runID, err)
	default:
		return true, nil
	}
}

// logParams is SqlAlchemyStore._log_params, for a run that is known to be active.
func logParams(tx *database.Tx, runID string, params []param) error {
	changed, err := insertParams(tx, runID, params)
	if err != nil || len(changed) == 0 {
		return err
	}

	items := make([]string, len(changed))
	for i, c := range changed {
		items[i] = fmt.Sprintf("{'key': %s, 'old_value': %s, 'new_value': %s}",
			pyfmt.Repr(c.key), pyfmt.Repr(c.oldValue), pyfmt.Repr(c.newValue))
	}

	return contract.InvalidParameter("Changing param values is not allowed. Params were already logged='[%s]' for "+
		"run ID='%s'.", strings.Join(items, ", "), runID)
}

var (
	paramColumns = []string{"key", "value", "run_uuid"}
	paramsInsert = database.InsertNewRows("params", paramColumns, []string{"key", "run_uuid"})
)

// changedParam is a param that was logged before, with another value.
type changedParam struct{ key, oldValue, newValue string }

// insertParams adds the params that are new, no two of which have the same key, and says which of
// the others were logged with another value before. If there is one, the caller must fail.
func insertParams(tx *database.Tx, runID string, params []param) ([]changedParam, error) {
	rows := make([][]any, len(params))
	for i, p := range params {
		rows[i] = []any{p.key, p.value, runID}
	}

	added, err := database.ExecRows(tx, paramsInsert, rows)
	if err != nil {
		return nil, fmt.Errorf("inserting params of run %s: %w", runID, err)
	}

	if added == int64(len(params)) {
		return nil, nil
	}

	stored, err := runParams(tx, runID)
	if err != nil {
		return nil, err
	}

	values := make(map[string]string, len(stored))
	for _, p := range stored {
		values[p.GetKey()] = p.GetValue()
	}

	var changed []changedParam

	for i, p := range params {
		old, known := values[p.key]
		if !known {
			if err := insertRefused(tx, "params", paramColumns, rows[i]); err != nil {
				return nil, fmt.Errorf("inserting a param of run %s: %w", runID, err)
			}
		} else if old != p.value {
			changed = append(changed, changedParam{key: p.key, oldValue: old, newValue: p.value})
		}
	}

	return changed, nil
}
