//go:build mage

package main

import "os"

// Bench measures mlflow-go beside stock MLflow: requests/s, start-up time and memory.
func Bench() error {
	if err := requireVariables(testPythonVariable, testPostgresVariable); err != nil {
		return err
	}

	return run(os.Getenv(testPythonVariable), "-m", "tests.bench")
}
