//go:build mage

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Generate writes all code that follows from MLflow; -check only compares.
//
// The protobufs come from .mlflow.repo when there is a clone, otherwise from the installed mlflow,
// as do the database schema, the GraphQL schema and the options of `mlflow server`.
func Generate(check *bool) error {
	if err := checkClone(); err != nil {
		return err
	}
	if check != nil && *check {
		return errors.Join(
			run("go", "run", "./pkg/cmd/generate", "-check"),
			checkSchema(),
			run(python(), optionsGenerator, "--check"),
			run(python(), graphqlGenerator, "--check"),
		)
	}

	return errors.Join(
		run("go", "run", "./pkg/cmd/generate"),
		run("go", "run", "./pkg/cmd/schema", "-python", python(), "-output", schemaDirectory),
		run(python(), optionsGenerator),
		run(python(), graphqlGenerator),
	)
}

const (
	schemaDirectory  = "pkg/schema"
	schemaFile       = "schema.gen.go"
	schemaPath       = schemaDirectory + "/" + schemaFile
	optionsGenerator = "pkg/cmd/generate/options.py"
	graphqlGenerator = "pkg/cmd/generate/graphql_schema.py"
)

var errOutOfDate = errors.New("out of date, run `go tool mage generate`")

// checkSchema generates the schema elsewhere and compares.
func checkSchema() (err error) {
	elsewhere, err := os.MkdirTemp("", "mlflow-go-schema-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(elsewhere)) }()
	if err := run("go", "run", "./pkg/cmd/schema", "-python", python(), "-output", elsewhere); err != nil {
		return err
	}
	want, err := os.ReadFile(filepath.Join(elsewhere, schemaFile))
	if err != nil {
		return err
	}
	got, err := os.ReadFile(schemaPath)
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("%s is %w", schemaPath, errOutOfDate)
	}

	return err
}
