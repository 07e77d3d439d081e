package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/pythontest"
)

// TestGenerate holds pkg/schema equal to what the installed MLflow gives.
func TestGenerate(t *testing.T) {
	python, err := pythontest.Python()
	require.NoError(t, err)
	folder := t.TempDir()
	require.NoError(t, generate(t.Context(), python, folder))
	generated, err := os.ReadFile(filepath.Join(folder, "schema.gen.go"))
	require.NoError(t, err)
	committed, err := os.ReadFile(filepath.Join("..", "..", "schema", "schema.gen.go"))
	require.NoError(t, err)
	require.Equal(t, string(committed), string(generated), "run go generate ./pkg/schema")
}

func TestRender(t *testing.T) {
	t.Run("ErrUnknownType", func(t *testing.T) {
		_, err := render(description{Tables: []table{{Name: "t", Columns: []column{{Name: "c", Type: "GEOMETRY"}}}}})
		require.ErrorIs(t, err, errNoGoType)
	})
}
