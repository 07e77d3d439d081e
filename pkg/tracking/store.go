// Package tracking answers MLflow's tracking service: experiments, runs, metrics, params and tags
// in a database. It does what MLflow's SqlAlchemyStore does, not what MLflow's HTTP handlers add
// to it, since the shared library calls it as well.
//
// An exported method checks its request and opens the transaction; the unexported one that does
// the work takes the transaction. Rows that MLflow's answers list without an order are read
// without one and written in the order of the request, as MLflow does.
package tracking

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/uri"
)

// Lifecycle stages of experiments and runs (mlflow.entities.LifecycleStage).
const (
	active  = "active"
	deleted = "deleted"
)

// What MLflow's schema and clients take for granted.
const (
	defaultExperimentID   = "0"
	defaultExperimentName = "Default"
	artifactsFolder       = "artifacts"
	runNameTag            = "mlflow.runName"
)

// Store is the tracking store of one database.
type Store struct {
	db      *database.DB
	options Options
	runs    *database.Loader[string, protos.Run]
}

// New makes a store on a database whose tables exist. It fails when the artifact root names a file
// on another host.
func New(db *database.DB, options Options) (*Store, error) {
	root, err := uri.ResolveLocal(options.ArtifactRoot)
	if err != nil {
		return nil, fmt.Errorf("resolving the default artifact root: %w", err)
	}

	options.ArtifactRoot = root
	if options.MaxArtifactLocationLength == 0 {
		options.MaxArtifactLocationLength = defaultMaxArtifactLocationLength
	}

	s := &Store{db: db, options: options}
	s.runs = database.NewLoader(s.loadRuns)

	return s, nil
}

// Initialize does what MLflow's store does when it is constructed: it refuses a database with
// experiments of other workspaces than the default one, and creates the default experiment
// (SqlAlchemyStore._initialize_store_state).
func (s *Store) Initialize(ctx context.Context) error {
	exists := false

	err := s.db.Read(ctx, func(tx *database.Tx) error {
		var foreign int
		if err := tx.QueryRow("SELECT COUNT(*) FROM experiments WHERE workspace IS NOT NULL AND workspace <> ?",
			contract.DefaultWorkspace).Scan(&foreign); err != nil {
			return fmt.Errorf("looking for experiments of other workspaces: %w", err)
		}

		if foreign > 0 {
			return contract.Errorf(protos.ErrorCode_INVALID_STATE, "Cannot disable workspaces because experiments "+
				"exist outside the default workspace (i.e., assigned to non-default workspaces). Enable workspace "+
				"support (MLFLOW_ENABLE_WORKSPACES=true) or move those experiments back to the default workspace "+
				"before starting the tracking store in single-tenant mode.")
		}

		_, err := findExperiment(tx, defaultExperimentID, anyStage)
		exists = err == nil

		if code := contract.AsError(err); err != nil && code.Code != protos.ErrorCode_RESOURCE_DOES_NOT_EXIST {
			return err
		}

		return nil
	})
	if err != nil || exists {
		return err
	}

	return s.db.Write(ctx, s.createDefaultExperiment)
}

// createDefaultExperiment adds experiment 0, unless another server was faster.
func (s *Store) createDefaultExperiment(tx *database.Tx) error {
	location, err := uri.AppendPath(s.options.ArtifactRoot, defaultExperimentID)
	if err != nil {
		return fmt.Errorf("placing the default experiment's artifacts: %w", err)
	}

	now := nowMillis()
	before, after := tx.Dialect().ExplicitID("experiments")
	insert := tx.Dialect().InsertIgnore("experiments", []string{
		"experiment_id", "name", "artifact_location", "lifecycle_stage", "creation_time", "last_update_time", "workspace",
	}, []string{"experiment_id"}, 1)

	if err := execIfAny(tx, before); err != nil {
		return err
	}

	if _, err := tx.Exec(insert, 0, defaultExperimentName, location, active, now, now,
		contract.DefaultWorkspace); err != nil {
		return fmt.Errorf("creating the default experiment: %w", err)
	}

	return execIfAny(tx, after)
}

func execIfAny(tx *database.Tx, statement string) error {
	if statement == "" {
		return nil
	}

	_, err := tx.Exec(statement)

	return err
}

// runID is the run that a request names: clients before MLflow 1.0 called it run_uuid.
func runID(request interface {
	GetRunId() string
	GetRunUuid() string
},
) string {
	return cmp.Or(request.GetRunId(), request.GetRunUuid())
}

// insertRefused inserts a row that the database takes for one that it has, though its key is spelled
// otherwise, as most collations of MySQL and SQL Server do: it is the database that then says so, as
// it says to MLflow.
func insertRefused(tx *database.Tx, table string, columns []string, row []any) error {
	_, err := tx.Exec(tx.Dialect().Insert(table, columns, 1), row...)

	return err
}

func nowMillis() int64 { return time.Now().UnixMilli() }

func isActive(stage *string) bool { return stage != nil && *stage == active }

// stageName is a lifecycle stage as Python prints it.
func stageName(stage *string) string {
	if stage == nil {
		return "None"
	}

	return *stage
}

func isNotFound(err error) bool { return errors.Is(err, sql.ErrNoRows) }

func formatID(id int64) string { return strconv.FormatInt(id, 10) }
