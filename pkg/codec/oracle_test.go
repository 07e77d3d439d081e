package codec

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"sync"
	"testing"
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

// oracle is a process that runs MLflow's own code. It ends with its standard input.
type oracle struct {
	mutex   sync.Mutex
	input   *json.Encoder
	output  *json.Decoder
	problem error
}

var startOracle = sync.OnceValue(func() *oracle {
	command := exec.Command(os.Getenv("MLFLOW_GO_TEST_PYTHON"), "testdata/oracle.py")
	command.Stderr = os.Stderr

	input, err := command.StdinPipe()
	if err != nil {
		return &oracle{problem: err}
	}

	output, err := command.StdoutPipe()
	if err != nil {
		return &oracle{problem: err}
	}

	return &oracle{
		input:   json.NewEncoder(input),
		output:  json.NewDecoder(bufio.NewReader(output)),
		problem: command.Start(),
	}
})

// ask puts questions to MLflow and returns its answers in their order.
func ask(t *testing.T, questions []question) []answer {
	t.Helper()

	if os.Getenv("MLFLOW_GO_TEST_PYTHON") == "" {
		t.Fatal("MLFLOW_GO_TEST_PYTHON must name a Python that has mlflow installed")
	}

	o := startOracle()
	if o.problem != nil {
		t.Fatalf("start the oracle: %v", o.problem)
	}

	o.mutex.Lock()
	defer o.mutex.Unlock()

	sent := make(chan error, 1)

	go func() {
		for i := range questions {
			if err := o.input.Encode(&questions[i]); err != nil {
				sent <- err

				return
			}
		}

		sent <- nil
	}()

	answers := make([]answer, len(questions))
	for i := range answers {
		if err := o.output.Decode(&answers[i]); err != nil {
			t.Fatalf("read the oracle's answer %d: %v", i, err)
		}
	}

	if err := <-sent; err != nil {
		t.Fatalf("ask the oracle: %v", err)
	}

	return answers
}
