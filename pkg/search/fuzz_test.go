package search_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/search"
)

// FuzzParse holds that whatever a client sends is parsed or refused with MLflow's error.
func FuzzParse(f *testing.F) {
	for _, fragment := range fragments {
		f.Add("metrics.a > 1 AND run_id IN ('x')"+fragment, "metrics.a"+fragment, fragment)
	}

	f.Fuzz(func(t *testing.T, filter, orderBy, pageToken string) {
		for _, grammar := range grammars {
			query, err := grammar.Parse(filter, []string{orderBy}, pageToken)
			if err != nil {
				require.NotNil(t, contract.AsError(err))
				require.NotEqual(t, "INTERNAL_ERROR", contract.AsError(err).Code.String())

				continue
			}

			require.GreaterOrEqual(t, query.Offset, int64(0))
		}

		if _, err := search.LoggedModels.ParseFilter(filter); err != nil {
			require.Equal(t, "INVALID_PARAMETER_VALUE", contract.AsError(err).Code.String())
		}
	})
}
