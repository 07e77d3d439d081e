//go:build mage

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"sync"
	"time"

	"github.com/magefile/mage/mg"
	"github.com/magefile/mage/sh"
	"golang.org/x/sync/errgroup"

	"github.com/mlflow/mlflow-go/magefiles/clone"
)

// Test runs the suites; `python3 dev.py test <target>` prepares what they need.
type Test mg.Namespace

// lanes is how many suites run at once. Each waits for servers and databases about half of its time; with more of
// them their time-outs would measure the machine.
const lanes = 2

// All runs the linters and every suite that needs no clone of MLflow, two at a time, and reports all that fail.
func (Test) All() error {
	suites := []string{ // those that take longest come first
		"lint", "test:go", "test:parity", "test:packaging", "test:reliability", "test:client", "test:exasol",
		"test:store", "test:launcher", "test:browser", "test:library",
	}
	mage, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}

	var (
		printing sync.Mutex
		running  errgroup.Group
		errs     = make([]error, len(suites))
	)
	running.SetLimit(lanes)
	for i, suite := range suites {
		running.Go(func() error {
			var output bytes.Buffer
			started := time.Now()
			if _, err := sh.Exec(nil, &output, &output, mage, suite); err != nil {
				errs[i] = fmt.Errorf("%s: %w", suite, err)
			}
			printing.Lock()
			defer printing.Unlock()
			_, err := fmt.Fprintf(os.Stdout, "== %s (%s)\n%s", suite, time.Since(started).Round(time.Second), output.Bytes())

			return err
		})
	}

	return errors.Join(running.Wait(), errors.Join(errs...))
}

// Go runs the Go tests, with the race detector.
func (Test) Go() error {
	if err := requireVariables(testPythonVariable, testPostgresVariable, testMySQLVariable); err != nil {
		return err
	}

	return errors.Join(
		run("go", "test", "-race", "./..."),
		run("go", "-C", "magefiles", "test", "./..."),
	)
}

// Packaging builds wheels and sdists and installs them in the ways users do.
func (Test) Packaging() error { return runPytest("packaging") }

// Launcher tests the mlflow-go command: options, errors, what it hands to the server.
func (Test) Launcher() error { return runPytest("launcher") }

// Parity compares mlflow-go with stock MLflow, request by request.
func (Test) Parity() error { return runPytest("parity") }

// Client runs training scripts with MLflow's client against the wheel.
func (Test) Client() error { return runPytest("client") }

// Exasol keeps artifacts on a BucketFS server of the tests' own.
func (Test) Exasol() error { return runPytest("exasol") }

// Browser opens the UI in Chromium.
func (Test) Browser() error { return runPytest("browser") }

// Reliability kills processes and breaks connections.
func (Test) Reliability() error { return runPytest("reliability") }

// Store holds the stores in process against MLflow's, and turns them on and off, forks and leaves them.
func (Test) Store() error { return runPytest("store") }

// Library has SQLite written through the shared library and through Python at once, and forks.
func (Test) Library() error { return runPytest("library") }

// Stress does what test:library does to one file of SQLite's, for ten minutes in each journal mode.
func (Test) Stress() error {
	if err := os.Setenv("MLFLOW_GO_TEST_STRESS", "600"); err != nil {
		return err
	}

	return runPytest("library/test_two_sqlites.py")
}

// Crash kills servers in the middle of writing, a hundred times on each database, and looks for what they acknowledged.
func (Test) Crash() error {
	if err := os.Setenv("MLFLOW_GO_TEST_KILLS", "100"); err != nil {
		return err
	}

	return runPytest("reliability/test_crash.py")
}

// runPytest runs a part of tests/.
func runPytest(suite string) error {
	if err := requireVariables(testPythonVariable, testPostgresVariable, testMySQLVariable); err != nil {
		return err
	}

	return run(os.Getenv(testPythonVariable), "-m", "pytest", path.Join("tests", suite))
}

// Python runs MLflow's own tests of what is native, through servers and in process, from .mlflow.repo; -k=EXPRESSION
// selects, -v shows each.
func (Test) Python(k *string, v *bool) error {
	if err := requireVariables(testPythonVariable, testPostgresVariable); err != nil {
		return err
	}
	mlflow, err := clone.Open(".")
	if err != nil {
		return err
	}
	if err := mlflow.Check(); err != nil {
		return fmt.Errorf("MLflow's own tests: %w", err)
	}
	var options []string
	if k != nil {
		options = append(options, "-k", *k)
	}
	if v != nil && *v {
		options = append(options, "-v")
	}

	var errs []error
	for _, arguments := range [][]string{
		{"tests/upstream/run.py", mlflow.Path()},
		{"tests/upstream/run.py", mlflow.Path(), "--server", os.Getenv(testPostgresVariable)},
		{"tests/upstream/stores.py", mlflow.Path()},
		{"tests/upstream/stores.py", mlflow.Path(), "--server", os.Getenv(testPostgresVariable)},
	} {
		errs = append(errs, run(os.Getenv(testPythonVariable), append(arguments, options...)...))
	}

	return errors.Join(errs...)
}
