// Package registry answers MLflow's model registry service: registered models, their versions, tags
// and aliases, in a database. Prompts are registered models with a tag. It does what MLflow's
// registry store does (mlflow.store.model_registry.sqlalchemy_store), not what MLflow's HTTP
// handlers add to it, since the shared library calls it as well.
//
// An exported method checks its request and opens the transaction; the unexported one that does
// the work takes the transaction. What changes a model's versions, their stages or its aliases
// takes the model's row first: versions get consecutive numbers without retries, no alias points
// to a version that is being deleted, and nobody waits for one another in a circle.
package registry

import (
	"context"
	"errors"
	"time"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// LoggedModels is what the registry asks a tracking store: a version may be made of a logged model.
type LoggedModels interface {
	GetLoggedModel(ctx context.Context, request *protos.GetLoggedModel) (*protos.GetLoggedModel_Response, error)
}

// Store is the model registry of one database.
type Store struct {
	db     *database.DB
	models LoggedModels
	// The statements of this database.
	sql     statements
	aliases *database.Loader[aliasKey, protos.ModelVersion]
}

// New makes a store on a database whose tables exist. The logged models may be in another one.
func New(db *database.DB, models LoggedModels) *Store {
	s := &Store{db: db, models: models, sql: newStatements(db.Dialect())}
	s.aliases = database.NewLoader(s.loadAliased)

	return s
}

// PromptTag marks registered models that are prompts, and the versions of prompts
// (IS_PROMPT_TAG_KEY).
const PromptTag = "mlflow.prompt.is_prompt"

func nowMillis() int64 { return time.Now().UnixMilli() }

// errUnreadable is for rows that MLflow can't read either.
var errUnreadable = errors.New("MLflow never wrote this")

func errNoModel(name string) error {
	return contract.Errorf(protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, "Registered Model with name=%s not found", name)
}

func errNoVersion(name string, version int64) error {
	return contract.Errorf(protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, "Model Version (name=%s, version=%d) not found",
		name, version)
}
