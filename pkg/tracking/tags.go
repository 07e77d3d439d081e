package tracking

import (
	"context"
	"fmt"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

var (
	tagColumns = []string{"key", "value", "run_uuid"}
	tagsInsert = database.InsertRows("tags", tagColumns)
	tagsUpsert = database.UpsertRows(database.Upsert{
		Table:   "tags",
		Columns: tagColumns,
		Key:     []string{"key", "run_uuid"},
		Update:  []string{"value"},
	})
)

// SetTag adds or changes a tag of an active run (SqlAlchemyStore.set_tag). The tag mlflow.runName
// renames the run; its empty value changes nothing.
func (s *Store) SetTag(ctx context.Context, request *protos.SetTag) (*protos.SetTag_Response, error) {
	set, err := s.checkTag(request.GetKey(), request.GetValue(), "")
	if err != nil {
		return nil, err
	}

	id := runID(request)

	if err := s.db.Write(ctx, func(tx *database.Tx) error {
		if _, err := checkRunActive(tx, id); err != nil {
			return err
		}

		return setTags(tx, id, []tag{set})
	}); err != nil {
		return nil, err
	}

	return &protos.SetTag_Response{}, nil
}

// setTags sets tags of a run that is known to be active; of several with one key, the last value
// counts, in the first one's place (SqlAlchemyStore._set_tags).
func setTags(tx *database.Tx, runID string, tags []tag) error {
	var (
		ordered []tag
		place   = make(map[string]int, len(tags))
	)

	for _, t := range tags {
		if t.key == runNameTag {
			if t.value == "" {
				continue
			}

			if err := setRunName(tx, runID, t.value); err != nil {
				return err
			}

			continue
		}

		if i, known := place[t.key]; known {
			ordered[i].value = t.value

			continue
		}

		place[t.key] = len(ordered)
		ordered = append(ordered, t)
	}

	return upsertTags(tx, runID, ordered)
}

// upsertTags adds or changes tags, no two of which have the same key.
func upsertTags(tx *database.Tx, runID string, tags []tag) error {
	rows := make([][]any, len(tags))
	for i, t := range tags {
		rows[i] = []any{t.key, t.value, runID}
	}

	if err := database.ExecRowsLater(tx, tagsUpsert, rows); err != nil {
		return fmt.Errorf("setting tags of run %s: %w", runID, err)
	}

	return nil
}

// DeleteTag removes a tag of an active run (SqlAlchemyStore.delete_tag).
func (s *Store) DeleteTag(ctx context.Context, request *protos.DeleteTag) (*protos.DeleteTag_Response, error) {
	id := request.GetRunId()

	if err := s.db.Write(ctx, func(tx *database.Tx) error {
		if _, err := checkRunActive(tx, id); err != nil {
			return err
		}

		gone, err := tx.Exec("DELETE FROM tags WHERE run_uuid = ? AND "+tx.Dialect().Quote("key")+" = ?",
			id, request.GetKey())
		if err != nil {
			return fmt.Errorf("deleting a tag of run %s: %w", id, err)
		}

		if gone == 0 {
			return contract.Errorf(protos.ErrorCode_RESOURCE_DOES_NOT_EXIST,
				"No tag with name: %s in run with id %s", request.GetKey(), id)
		}

		return nil
	}); err != nil {
		return nil, err
	}

	return &protos.DeleteTag_Response{}, nil
}
