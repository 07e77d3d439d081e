package database_test

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
)

func TestOptionsFromEnvironment(t *testing.T) {
	read := func(variables map[string]string) (database.Options, error) {
		return database.OptionsFromEnvironment(func(name string) string { return variables[name] })
	}
	t.Run("OK", func(t *testing.T) {
		options, err := read(nil)
		require.NoError(t, err)
		require.Equal(t, database.Options{}, options)

		options, err = read(map[string]string{
			"MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "7", "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "-1",
			"MLFLOW_SQLALCHEMYSTORE_POOL_RECYCLE": "60", "MLFLOW_SQLALCHEMYSTORE_ECHO": "True",
			"MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
		})
		require.NoError(t, err)
		require.Equal(t, database.Options{
			PoolSize: 7, MaxOverflow: -1, PoolRecycle: time.Minute, Echo: true, Unpooled: true,
		}, options)
	})
	for name, value := range map[string]string{
		"MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "many", "MLFLOW_SQLALCHEMYSTORE_ECHO": "loud",
	} {
		t.Run("ErrValue/"+name, func(t *testing.T) {
			_, err := read(map[string]string{name: value})
			require.ErrorContains(t, err, name)
		})
	}
	t.Run("ErrUnsupported", func(t *testing.T) {
		_, err := read(map[string]string{"MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "StaticPool"})
		require.ErrorIs(t, err, database.ErrUnsupported)
		require.ErrorContains(t, err, "MLFLOW_SQLALCHEMYSTORE_POOLCLASS=StaticPool")
	})
	t.Run("ErrPoolClass", func(t *testing.T) {
		_, err := read(map[string]string{"MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "Puddle"})
		require.EqualError(t, err, "MLFLOW_SQLALCHEMYSTORE_POOLCLASS can't be used: Invalid poolclass parameter: Puddle. Set environment variable poolclass to empty or "+
			"one of the following values: AssertionPool AsyncAdaptedQueuePool NullPool QueuePool SingletonThreadPool "+
			"StaticPool FallbackAsyncAdaptedQueuePool")
	})
}

func TestOptions(t *testing.T) {
	for _, source := range databasetest.Sources() {
		t.Run(source.Name, func(t *testing.T) {
			var log bytes.Buffer
			db, err := database.Open(t.Context(), source.URI(t), database.Options{
				Echo: true, Unpooled: true, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			})
			require.NoError(t, err)
			require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error { return addExperiment(tx, "hidden value") }))
			require.Equal(t, 1, countExperiments(t, db))
			require.NoError(t, db.Close())
			require.Contains(t, log.String(), "INSERT INTO")
			require.NotContains(t, log.String(), "hidden value")
		})
	}
}
