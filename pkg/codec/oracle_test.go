package codec

import (
	"sync"
	"testing"

	"github.com/mlflow/mlflow-go/pkg/pythontest"
)

// question and answer are one line each to and from testdata/oracle.py.
type question struct {
	Operation string         `json:"operation"`
	Message   string         `json:"message"`
	Binary    []byte         `json:"binary"`
	Sent      []byte         `json:"sent"`
	Code      int32          `json:"code"`
	Fields    map[string]any `json:"fields"`
}

type answer struct {
	Text   string `json:"text"`
	Binary []byte `json:"binary"`
	Parsed bool   `json:"parsed"`
	Status int    `json:"status"`
	Error  string `json:"error"`
	Crash  string `json:"crash"`
}

var startOracle = sync.OnceValues(func() (*pythontest.Oracle, error) {
	return pythontest.Start(nil, "testdata/oracle.py")
})

// ask puts questions to MLflow and returns its answers in their order.
func ask(t *testing.T, questions []question) []answer {
	t.Helper()

	oracle, err := startOracle()
	if err != nil {
		t.Fatal(err)
	}

	answers := make([]answer, len(questions))
	for i := range questions {
		oracle.Ask(t, &questions[i], &answers[i])
	}

	return answers
}
