//go:build mage

package main

import (
	"fmt"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/mlflow/mlflow-go/magefiles/clone"
)

// Repo manages .mlflow.repo, the clone of MLflow's repository.
type Repo mg.Namespace

// Update clones or updates .mlflow.repo to what .mlflow.ref says; $MLFLOW_GO_REPO_REMOTE overrides the remote.
func (Repo) Update() error {
	mlflow, err := clone.Open(".")
	if err != nil {
		return err
	}

	return mlflow.Update()
}

// Check fails unless .mlflow.repo is what .mlflow.ref says.
func (Repo) Check() error {
	mlflow, err := clone.Open(".")
	if err != nil {
		return err
	}
	if err := mlflow.Check(); err != nil {
		return err
	}
	_, err = fmt.Fprintln(os.Stdout, "up to date:", mlflow.Path())

	return err
}
