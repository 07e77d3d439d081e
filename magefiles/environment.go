//go:build mage

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/magefile/mage/sh"

	"github.com/mlflow/mlflow-go/magefiles/clone"
)

// Variables that `python3 dev.py test` sets.
const (
	// testPythonVariable names the Python that has mlflow-go's wheel and what the tests need.
	testPythonVariable = "MLFLOW_GO_TEST_PYTHON"
	// testPostgresVariable is the SQLAlchemy URI of a PostgreSQL where tests may create databases.
	testPostgresVariable = "MLFLOW_GO_TEST_POSTGRES"
	// testMySQLVariable is that of a MySQL or MariaDB.
	testMySQLVariable = "MLFLOW_GO_TEST_MYSQL"
)

var errUnset = errors.New("not set: `python3 dev.py test <target>` prepares what tests need")

// requireVariables fails unless the environment has all of the variables.
func requireVariables(names ...string) error {
	var errs []error
	for _, name := range names {
		if os.Getenv(name) == "" {
			errs = append(errs, fmt.Errorf("%s is %w", name, errUnset))
		}
	}

	return errors.Join(errs...)
}

// python is the interpreter of builds and linters: $MLFLOW_GO_PYTHON, the project's virtual
// environment, or the one on PATH; the generator looks in the same places.
func python() string {
	if named := os.Getenv("MLFLOW_GO_PYTHON"); named != "" {
		return named
	}
	if own := filepath.Join(".venv", "bin", "python"); exists(own) {
		return own
	}

	return "python3"
}

// tool finds a program in .cache/bin, where dev.py puts them, else on PATH.
func tool(name string) string {
	if cached := filepath.Join(".cache", "bin", name); exists(cached) {
		absolute, err := filepath.Abs(cached)
		if err == nil {
			return absolute
		}
	}

	return name
}

func exists(path string) bool {
	_, err := os.Stat(path)

	return err == nil
}

// checkClone refuses a clone of MLflow that is not what .mlflow.ref asks for. No clone is fine.
func checkClone() error {
	mlflow, err := clone.Open(".")
	if err != nil {
		return err
	}
	if err := mlflow.Check(); !errors.Is(err, clone.ErrMissing) {
		return err
	}

	return nil
}

// run runs a command and shows its output.
func run(command string, arguments ...string) error {
	return runWith(nil, command, arguments...)
}

// runIn is run in a directory.
func runIn(directory, command string, arguments ...string) error {
	process := exec.Command(command, arguments...)
	process.Dir, process.Stdout, process.Stderr = directory, os.Stdout, os.Stderr
	if err := process.Run(); err != nil {
		return fmt.Errorf("%s in %s: %w", command, directory, err)
	}

	return nil
}

// runWith is run with more environment variables.
func runWith(environment map[string]string, command string, arguments ...string) error {
	_, err := sh.Exec(environment, os.Stdout, os.Stderr, command, arguments...)

	return err
}
