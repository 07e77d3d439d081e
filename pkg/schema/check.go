package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

var (
	// ErrUninitialized means that tables are missing: MLflow makes them when it is started on
	// such a database, migrating what is there.
	ErrUninitialized = errors.New("the database lacks tables of MLflow")
	// ErrUnknownRevision means that another version of MLflow made the schema.
	ErrUnknownRevision = errors.New("the database has a schema that this version doesn't know")
)

// noRevision is Python's word in MLflow's sentence.
const noRevision = "None"

// Check looks whether a database has the schema that this program was built for
// (mlflow.store.db.utils._all_tables_exist and _verify_schema). Besides the errors above, it
// returns MLflow's own INTERNAL_ERROR when the user must run "mlflow db upgrade".
func Check(ctx context.Context, db *database.DB) error {
	return db.Read(ctx, func(tx *database.Tx) error {
		tables, err := listTables(tx)
		if err != nil {
			return fmt.Errorf("listing the database's tables: %w", err)
		}
		revision := noRevision
		if tables["alembic_version"] {
			if revision, err = readRevision(tx); err != nil {
				return fmt.Errorf("reading the schema's revision: %w", err)
			}
		}
		if revision != noRevision && !slices.Contains(revisions, revision) {
			return fmt.Errorf("%w: Alembic revision %s, where MLflow %s has %s",
				ErrUnknownRevision, revision, MLflowVersion, Head)
		}
		for _, table := range Tables {
			if !tables[table.TableName()] {
				return fmt.Errorf("%w: %s", ErrUninitialized, table.TableName())
			}
		}
		if revision != Head {
			return contract.Errorf(protos.ErrorCode_INTERNAL_ERROR, "Detected out-of-date database schema (found "+
				"version %s, but expected %s). Take a backup of your database, then run "+
				"'mlflow db upgrade <database_uri>' to migrate your database to the latest schema. NOTE: schema "+
				"migration may result in database downtime - please consult your database's documentation for "+
				"more detail.", revision, Head)
		}

		return nil
	})
}

func listTables(tx *database.Tx) (tables map[string]bool, err error) {
	names, err := listStrings(tx, tx.Dialect().Tables())
	if err != nil {
		return nil, err
	}
	tables = make(map[string]bool, len(names))
	for _, name := range names {
		tables[name] = true
	}

	return tables, nil
}

// readRevision is "None" when Alembic noted none, and all of them when it noted several.
func readRevision(tx *database.Tx) (string, error) {
	found, err := listStrings(tx, "SELECT version_num FROM alembic_version")
	if err != nil || len(found) == 0 {
		return noRevision, err
	}

	return strings.Join(found, ", "), nil
}

func listStrings(tx *database.Tx, query string) (values []string, err error) {
	rows, err := tx.Query(query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			return nil, err
		}
		values = append(values, value)
	}

	return values, rows.Err()
}

// CheckRegistry refuses a registry with models or webhooks of other workspaces than the default
// one, as MLflow's registry store does when it is constructed without workspaces
// (model_registry.SqlAlchemyStore._initialize_store_state).
func CheckRegistry(ctx context.Context, db *database.DB) error {
	return db.Read(ctx, func(tx *database.Tx) error {
		for _, kind := range []struct{ query, message string }{
			{
				"SELECT name, workspace FROM registered_models WHERE workspace <> ?",
				"Cannot disable workspaces because registered models exist outside the default workspace (for example, " +
					"model '%s' in workspace '%s'). Either remove those models or re-enable workspaces before starting.",
			},
			{
				"SELECT webhook_id, workspace FROM webhooks WHERE workspace <> ?",
				"Cannot disable workspaces because webhooks exist outside the default workspace (for example, " +
					"webhook '%s' in workspace '%s'). Either remove those webhooks or re-enable workspaces before starting.",
			},
		} {
			var name, workspace string
			err := tx.QueryRow(kind.query, contract.DefaultWorkspace).Scan(&name, &workspace)
			if err == nil {
				return contract.Errorf(protos.ErrorCode_INVALID_STATE, kind.message, name, workspace)
			}
			if !errors.Is(err, sql.ErrNoRows) {
				return fmt.Errorf("looking for other workspaces: %w", err)
			}
		}

		return nil
	})
}
