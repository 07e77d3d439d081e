// Package pythontest asks MLflow's own Python what the right answer is, in tests.
//
// It needs MLFLOW_GO_TEST_PYTHON, a Python that has MLflow. A test fails without it.
package pythontest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
)

var errNoPython = errors.New(
	"set MLFLOW_GO_TEST_PYTHON to a Python that has MLflow; `python3 dev.py test test:go` does")

// Python is the interpreter that has MLflow.
func Python() (string, error) {
	python := os.Getenv("MLFLOW_GO_TEST_PYTHON")
	if python == "" {
		return "", errNoPython
	}

	return python, nil
}

// Command is Python with arguments ("-c" and a script, or a file's name), its errors going to the
// test's own.
func Command(ctx context.Context, arguments ...string) (*exec.Cmd, error) {
	python, err := Python()
	if err != nil {
		return nil, err
	}
	//nolint:gosec // whoever runs the tests names it
	command := exec.CommandContext(ctx, python, arguments...)
	command.Stderr = os.Stderr

	return command, nil
}

// Ask runs a script once: it reads the question as JSON from its standard input and prints the
// answer as JSON.
func Ask(t *testing.T, question, answer any, arguments ...string) {
	t.Helper()
	input, err := json.Marshal(question)
	if err != nil {
		t.Fatal(err)
	}
	command, err := Command(t.Context(), arguments...)
	if err != nil {
		t.Fatal(err)
	}
	command.Stdin = bytes.NewReader(input)
	output, err := command.Output()
	if err != nil {
		t.Fatalf("asking MLflow: %v", err)
	}
	if err := json.Unmarshal(output, answer); err != nil {
		t.Fatalf("reading MLflow's answer: %v", err)
	}
}

// Oracle is a script that answers each line of JSON with one, until its standard input ends. Many
// tests may ask it.
type Oracle struct {
	mutex  sync.Mutex
	stdin  io.Closer
	input  *json.Encoder
	output *json.Decoder
	wait   func() error
}

// Start starts an oracle, in this environment with more variables ("NAME=value").
func Start(environment []string, arguments ...string) (*Oracle, error) {
	command, err := Command(context.Background(), arguments...)
	if err != nil {
		return nil, err
	}
	command.Env = append(os.Environ(), environment...)
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}

	return &Oracle{stdin: stdin, input: json.NewEncoder(stdin), output: json.NewDecoder(stdout), wait: command.Wait}, nil
}

// Ask puts a question and reads its answer.
func (o *Oracle) Ask(t *testing.T, question, answer any) {
	t.Helper()
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if err := o.input.Encode(question); err != nil {
		t.Fatalf("asking MLflow: %v", err)
	}
	if err := o.output.Decode(answer); err != nil {
		t.Fatalf("reading MLflow's answer: %v", err)
	}
}

// Close ends the script.
func (o *Oracle) Close() error { return errors.Join(o.stdin.Close(), o.wait()) }
