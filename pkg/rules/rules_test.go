package rules_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/pythontest"
	"github.com/mlflow/mlflow-go/pkg/rules"
)

// wordCharacters prints which of the characters that Python knows a name may have, as two lists.
const wordCharacters = `
import json, unicodedata
from mlflow.utils.validation import validate_param_and_metric_name
known = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) not in {"Cn", "Cs"}]
good = [c for c in known if validate_param_and_metric_name("a" + c + "a")]
print(json.dumps([good, sorted(set(known) - set(good))]))
`

func TestNameCharactersAgreeWithMLflow(t *testing.T) {
	var lists [2][]string

	pythontest.Ask(t, nil, &lists, "-c", wordCharacters)
	require.Greater(t, len(lists[0]), 100_000)

	for i, allowed := range []bool{true, false} {
		for _, character := range lists[i] {
			require.Equal(t, allowed, rules.Name("a"+character+"a", "key") == nil, "%U", []rune(character))
		}
	}
}
