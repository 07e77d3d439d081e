package tracking

import (
	"fmt"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/uri"
)

// workspacesFolder has the artifacts of workspaces that have no root of their own
// (WORKSPACES_DIR_NAME).
const workspacesFolder = "workspaces"

// inWorkspace keeps a statement to rows of the caller's workspace, by a column that says which
// experiment they belong to: condition is to be the last of its conditions, and values are what is
// bound to them all (WorkspaceAwareSqlAlchemyStore._get_query).
//
// While workspaces are off it adds nothing. MLflow's store doesn't ask either whose rows are whose
// then: it starts only where all experiments are of one workspace.
func inWorkspace(caller contract.Caller, experimentColumn string, args ...any) (condition string, values []any) {
	if caller.Workspace == "" {
		return "", args
	}

	return " AND " + experimentColumn + " IN (SELECT experiment_id FROM experiments WHERE workspace = ?)",
		append(args, caller.Workspace)
}

// visibleRuns leaves out runs of other workspaces, and with workspaces those that don't exist
// (SqlAlchemyStore._filter_entity_ids).
func visibleRuns(tx *database.Tx, ids ...string) ([]string, error) {
	if len(ids) == 0 || tx.Caller().Workspace == "" {
		return ids, nil
	}

	named, args := tx.Dialect().AnyOf("run_uuid", ids)
	condition, args := inWorkspace(tx.Caller(), "experiment_id", args...)

	visible, err := database.Query(tx, database.Value[string], "SELECT run_uuid FROM runs WHERE "+named+condition,
		args...)
	if err != nil {
		return nil, fmt.Errorf("looking for runs: %w", err)
	}

	return visible, nil
}

// checkRunVisible refuses a run of another workspace, and with workspaces one that doesn't exist
// (SqlAlchemyStore._validate_run_accessible). Error: RESOURCE_DOES_NOT_EXIST.
func checkRunVisible(tx *database.Tx, id string) error {
	visible, err := visibleRuns(tx, id)
	if err == nil && len(visible) == 0 {
		return errNoRun(id)
	}

	return err
}

// defaultLocation is where the artifacts of a new experiment go
// (WorkspaceAwareSqlAlchemyStore._get_artifact_location): below the workspace's own root, or below
// its folder in the server's.
func (s *Store) defaultLocation(tx *database.Tx, id int64) (string, error) {
	workspace := tx.Caller().Workspace
	if workspace == "" {
		return uri.AppendPath(s.options.ArtifactRoot, formatID(id))
	}

	root, err := database.QueryRow(tx, database.Value[*string],
		"SELECT default_artifact_root FROM workspaces WHERE name = ?", workspace)

	switch {
	case err != nil && !isNotFound(err):
		return "", fmt.Errorf("reading workspace %s: %w", workspace, err)
	case deref(root) != "":
		return uri.AppendPath(*root, formatID(id))
	default:
		return uri.AppendPath(s.options.ArtifactRoot, workspacesFolder, workspace, formatID(id))
	}
}
