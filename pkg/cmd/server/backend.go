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

	"github.com/mlflow/mlflow-go/pkg/artifacts"
	"github.com/mlflow/mlflow-go/pkg/config"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/graphql"
	"github.com/mlflow/mlflow-go/pkg/handlers"
	"github.com/mlflow/mlflow-go/pkg/registry"
	"github.com/mlflow/mlflow-go/pkg/schema"
	"github.com/mlflow/mlflow-go/pkg/server"
	"github.com/mlflow/mlflow-go/pkg/server/supervisor"
	"github.com/mlflow/mlflow-go/pkg/tracing"
	"github.com/mlflow/mlflow-go/pkg/tracking"
	"github.com/mlflow/mlflow-go/pkg/webhooks"
)

const registryService = "ModelRegistryService"

// backend holds the databases that native methods work on.
type backend struct {
	settings *config.Config
	logger   *slog.Logger
	db       *database.DB
	// registry is the model registry's, often the same.
	registry *database.DB
	// webhooks are in the registry's database; nil without it.
	webhooks *webhooks.Service
}

// open opens the database, has MLflow create its tables if there are none, and does what MLflow's
// stores do at their start. It returns what implements each native service; nil when all of the API
// is Python's, which then does the same and refuses what it doesn't like.
func (b *backend) open(ctx context.Context, gate *server.Gate) (map[string]any, error) {
	defer forgetStart() // which ends here

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
		return nil, explain(err, "backend store", "--backend-store-uri", b.settings.BackendStoreURI)
	}

	// Clients may place artifacts where the operator does.
	locations := handlers.Locations{
		Trusted:        []string{b.settings.DefaultArtifactRoot, b.settings.ArtifactsDest},
		AllowedSchemes: handlers.SplitSchemes(os.Getenv("MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES")),
		MaxLength:      limits.MaxArtifactLocationLength,
	}

	services := map[string]any{contract.UIServiceName: handlers.UI(store)}
	files := artifacts.Options{Owners: store}

	if b.settings.ServeArtifacts {
		files.Destination = b.settings.ArtifactsDest
	}

	if err := b.openRegistry(ctx, gate); err != nil {
		if b.registry == b.db {
			return nil, explain(err, "backend store", "--backend-store-uri", b.settings.BackendStoreURI)
		}

		return nil, explain(err, "registry store", "--registry-store-uri", b.settings.RegistryStoreURI)
	}

	if b.registry != nil {
		if err := b.addWebhooks(services); err != nil {
			return nil, err
		}

		models := registry.New(b.registry, store)
		files.Versions = models
		services[registryService] = handlers.Registry(models, handlers.RegistryOptions{
			Tracking: store, Locations: locations, Events: b.webhooks,
		})
	}

	answering := artifacts.New(files)
	services[server.ArtifactsServiceName] = answering
	services["MlflowService"] = handlers.Tracking(contract.Mlflow{
		TrackingService: store, TracingService: tracing.New(b.db), ArtifactsService: answering,
	}, locations)

	return withGraphQL(services)
}

// addWebhooks adds the webhooks in the registry's database, which are told of what is written there.
func (b *backend) addWebhooks(services map[string]any) error {
	options, err := webhooks.OptionsFromEnvironment(os.Getenv)
	if err != nil {
		return err
	}

	options.Logger = b.logger

	if b.webhooks, err = webhooks.New(b.registry, options); err != nil {
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

// explain says to an operator, without a password, why a store can't be used.
func explain(err error, store, option, uri string) error {
	shown := database.Redact(uri)
	message := strings.ReplaceAll(plainMessage(err), "<database_uri>", shown)

	if errors.Is(err, database.ErrUnreachable) {
		message += "; check " + option + ", and that the database is up"
	}

	if !strings.Contains(message, shown) {
		message = shown + ": " + message
	}

	//nolint:err113 // for a person, without the password
	return errors.New("the " + store + ": " + message)
}

// openStore opens the backend store's database and the tracking store in it.
func (b *backend) openStore(ctx context.Context, limits tracking.Options) (store *tracking.Store, err error) {
	if b.db, err = b.openDatabase(ctx, b.settings.BackendStoreURI); err != nil {
		return nil, err
	}

	if err := b.checkSchema(ctx, b.db); err != nil {
		return nil, err
	}

	limits.ArtifactRoot = b.settings.DefaultArtifactRoot

	if store, err = tracking.New(b.db, limits); err != nil {
		return nil, err
	}

	return store, store.Initialize(ctx)
}

// openRegistry opens the model registry's database, unless it is the backend store's. There is none
// where the registry is left to Python.
func (b *backend) openRegistry(ctx context.Context, gate *server.Gate) (err error) {
	if _, withheld := gate.Withheld(server.Route{Service: registryService, Name: "getRegisteredModel"}); withheld {
		return nil
	}

	if uri := b.settings.RegistryStoreURI; uri == "" || uri == b.settings.BackendStoreURI {
		b.registry = b.db

		return schema.CheckRegistry(ctx, b.db)
	}

	opened, err := b.openDatabase(ctx, b.settings.RegistryStoreURI)
	if errors.Is(err, database.ErrUnsupported) {
		b.logger.Warn("the Python server answers for the model registry", "reason", err)

		return nil
	}

	if err != nil {
		return err
	}

	b.registry = opened

	if err := b.checkSchema(ctx, opened); err != nil {
		// MLflow's registry store takes a schema of any age.
		b.logger.Warn("the Python server answers for the model registry", "reason", err)

		b.registry = nil

		return opened.Close()
	}

	return schema.CheckRegistry(ctx, opened)
}

func (b *backend) openDatabase(ctx context.Context, uri string) (*database.DB, error) {
	options, err := database.OptionsFromEnvironment(os.Getenv)
	if err != nil {
		return nil, err
	}

	options.Logger = b.logger
	options.KeepJournal = b.settings.Go.SQLiteJournal == config.SQLiteKeep

	if err := b.createFile(ctx, uri); err != nil {
		return nil, err
	}

	return database.Open(ctx, uri, options)
}

// createFile has MLflow make a SQLite database that isn't there. Opening it would leave an empty
// file, which MLflow takes for somebody's and fills more slowly.
func (b *backend) createFile(ctx context.Context, uri string) error {
	parsed, err := database.ParseURI(uri)
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
func (b *backend) checkSchema(ctx context.Context, db *database.DB) error {
	err := schema.Check(ctx, db)
	if !errors.Is(err, schema.ErrUninitialized) && !errors.Is(err, schema.ErrUnknownRevision) {
		return err
	}

	if err := b.initialize(ctx); err != nil {
		return err
	}

	return schema.Check(ctx, db)
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

	var errs []error

	for _, db := range []*database.DB{b.registry, b.db} {
		if db != nil {
			errs = append(errs, db.Close()) // a second time, where it is the same, does nothing
		}
	}

	return errors.Join(errs...)
}

// plainMessage leaves the error code out of a sentence for an operator.
func plainMessage(err error) string {
	if known := contract.AsError(err); known.Cause == nil {
		return known.Message
	}

	return err.Error()
}
