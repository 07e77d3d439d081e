package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/mlflow/mlflow-go/pkg/config"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/graphql"
	"github.com/mlflow/mlflow-go/pkg/handlers"
	"github.com/mlflow/mlflow-go/pkg/schema"
	"github.com/mlflow/mlflow-go/pkg/server"
	"github.com/mlflow/mlflow-go/pkg/server/supervisor"
	"github.com/mlflow/mlflow-go/pkg/tracking"
	"github.com/mlflow/mlflow-go/pkg/webhooks"
)

// backend is the database that native methods work on.
type backend struct {
	settings *config.Config
	logger   *slog.Logger
	db       *database.DB
	webhooks *webhooks.Service // nil without native webhooks
}

// open opens the database, has MLflow create its tables if there are none, and does what MLflow's
// stores do at their start. It returns what implements each native service; nil when all of the API
// is Python's, which then does the same and refuses what it doesn't like.
func (b *backend) open(ctx context.Context, gate *server.Gate) (map[string]any, error) {
	if !gate.NeedsDatabase() {
		return nil, nil //nolint:nilnil // no native services
	}

	limits, err := tracking.OptionsFromEnvironment(os.Getenv)
	if err != nil {
		return nil, err
	}

	store, err := b.openStore(ctx, limits)
	if errors.Is(err, database.ErrUnsupported) && b.settings.Go.Fallback != config.FallbackOff {
		b.logger.Warn("the Python server answers the API", "reason", err)

		return nil, nil //nolint:nilnil // no native services
	}

	if err != nil {
		shown := database.Redact(b.settings.BackendStoreURI)
		message := strings.ReplaceAll(plainMessage(err), "<database_uri>", shown)

		if errors.Is(err, database.ErrUnreachable) {
			message += "; check --backend-store-uri, and that the database is up"
		}

		if !strings.Contains(message, shown) {
			message = shown + ": " + message
		}

		//nolint:err113 // for a person, without the password
		return nil, errors.New("the backend store: " + message)
	}

	// Clients may place artifacts where the operator does.
	locations := handlers.Locations{
		Trusted:        []string{b.settings.DefaultArtifactRoot, b.settings.ArtifactsDest},
		AllowedSchemes: handlers.SplitSchemes(os.Getenv("MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES")),
		MaxLength:      limits.MaxArtifactLocationLength,
	}

	services := map[string]any{
		"MlflowService":        handlers.Tracking(store, locations),
		contract.UIServiceName: handlers.UI(store),
	}
	if err := b.addWebhooks(services); err != nil {
		return nil, err
	}

	return withGraphQL(services)
}

// addWebhooks adds the webhooks in the registry's database. What the gate leaves to Python for its
// settings, or for its database, isn't asked for.
func (b *backend) addWebhooks(services map[string]any) error {
	options, err := webhooks.OptionsFromEnvironment(os.Getenv)
	if err != nil {
		return nil //nolint:nilerr // the gate has seen the same, and leaves them to Python
	}

	options.Logger = b.logger

	if b.webhooks, err = webhooks.New(b.db, options); err != nil {
		return err
	}

	services["WebhookService"] = handlers.Webhooks(b.webhooks)

	return nil
}

// withGraphQL adds what answers GraphQL with the other services. Limits that can't be read are the gate's
// business: it leaves the queries to Python then.
func withGraphQL(services map[string]any) (map[string]any, error) {
	limits, _ := graphql.LimitsFromEnvironment(os.Getenv)

	answering, err := graphql.New(services, limits)
	if err != nil {
		return nil, err
	}

	services = maps.Clone(services)
	services[server.GraphQLServiceName] = answering

	return services, nil
}

func (b *backend) openStore(ctx context.Context, limits tracking.Options) (*tracking.Store, error) {
	options, err := database.OptionsFromEnvironment(os.Getenv)
	if err != nil {
		return nil, err
	}

	options.Logger = b.logger

	if err := b.createFile(ctx); err != nil {
		return nil, err
	}

	if b.db, err = database.Open(ctx, b.settings.BackendStoreURI, options); err != nil {
		return nil, err
	}

	if err := b.checkSchema(ctx); err != nil {
		return nil, err
	}

	limits.ArtifactRoot = b.settings.DefaultArtifactRoot

	store, err := tracking.New(b.db, limits)
	if err != nil {
		return nil, err
	}

	if err := store.Initialize(ctx); err != nil {
		return nil, err
	}

	return store, schema.CheckRegistry(ctx, b.db)
}

// createFile has MLflow make a SQLite database that isn't there. Opening it would leave an empty
// file, which MLflow takes for somebody's and fills more slowly.
func (b *backend) createFile(ctx context.Context) error {
	parsed, err := database.ParseURI(b.settings.BackendStoreURI)
	if err != nil {
		return err
	}

	if parsed.Dialect != "sqlite" || parsed.Database == "" || len(parsed.Query) > 0 {
		return nil
	}

	if _, err := os.Stat(parsed.Database); !errors.Is(err, fs.ErrNotExist) {
		return nil // opening it says what is wrong, if anything
	}

	return b.initialize(ctx)
}

// checkSchema lets MLflow's own code initialise or judge what isn't of the one schema known here.
func (b *backend) checkSchema(ctx context.Context) error {
	err := schema.Check(ctx, b.db)
	if !errors.Is(err, schema.ErrUninitialized) && !errors.Is(err, schema.ErrUnknownRevision) {
		return err
	}

	if err := b.initialize(ctx); err != nil {
		return err
	}

	return schema.Check(ctx, b.db)
}

func (b *backend) initialize(ctx context.Context) error {
	begun := time.Now()

	b.logger.Info("initialising the database")

	if err := supervisor.RunToEnd(ctx, b.settings.Initialize); err != nil {
		return err
	}

	b.logger.Info("the database is initialised", "after", time.Since(begun).Round(time.Millisecond))

	return nil
}

// close delivers what webhooks are still to be told, until the context ends.
func (b *backend) close(ctx context.Context) error {
	if b.webhooks != nil {
		b.webhooks.Shutdown(ctx)
	}

	if b.db == nil {
		return nil
	}

	return b.db.Close()
}

// plainMessage leaves the error code out of a sentence for an operator.
func plainMessage(err error) string {
	if known := contract.AsError(err); known.Cause == nil {
		return known.Message
	}

	return err.Error()
}
