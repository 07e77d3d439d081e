package server

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/contract"
)

type gateway struct {
	contract.UIService

	found bool
	err   error
}

func (g gateway) HasGatewayEndpoints(context.Context) (bool, error) { return g.found, g.err }

func TestAssistant(t *testing.T) {
	answers := func(t *testing.T, endpoints gateway) (config, providers error) {
		t.Helper()

		source := plainSource{service: endpoints}
		_, config = assistantConfig(t.Context(), source, nil, nil)
		_, providers = assistantProviders(t.Context(), source, nil, nil)

		return config, providers
	}
	untouched := func(t *testing.T) (home, programs string) {
		t.Helper()

		home, programs = t.TempDir(), t.TempDir()
		t.Setenv("HOME", home)
		t.Setenv("PATH", programs)

		return home, programs
	}

	t.Run("Untouched", func(t *testing.T) {
		untouched(t)

		config, providers := answers(t, gateway{})
		require.NoError(t, config)
		require.NoError(t, providers)
	})

	t.Run("Endpoints", func(t *testing.T) {
		untouched(t)

		for _, endpoints := range []gateway{{found: true}, {err: context.Canceled}} {
			config, providers := answers(t, endpoints)
			require.NoError(t, config)
			require.ErrorIs(t, providers, contract.ErrLeftToPython)
		}
	})

	t.Run("Configured", func(t *testing.T) {
		home, _ := untouched(t)
		folder := filepath.Join(home, ".mlflow", "assistant")
		require.NoError(t, os.MkdirAll(folder, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(folder, "config.json"), []byte("{}"), 0o600))

		config, providers := answers(t, gateway{})
		require.ErrorIs(t, config, contract.ErrLeftToPython)
		require.ErrorIs(t, providers, contract.ErrLeftToPython)
	})

	for _, program := range assistantPrograms {
		t.Run(program, func(t *testing.T) {
			_, programs := untouched(t)
			require.NoError(t, os.WriteFile(filepath.Join(programs, program), []byte("#!/bin/sh"), 0o700))

			config, providers := answers(t, gateway{})
			require.ErrorIs(t, config, contract.ErrLeftToPython)
			require.ErrorIs(t, providers, contract.ErrLeftToPython)
		})
	}
}
