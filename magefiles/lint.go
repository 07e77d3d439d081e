//go:build mage

package main

import (
	"errors"

	"github.com/magefile/mage/mg"
)

// Aliases are further names of targets.
var Aliases = map[string]any{"lint": Lint.All}

// Lint looks for mistakes without running the code.
type Lint mg.Namespace

// All runs every linter and reports all that fail (also: lint).
func (l Lint) All() error {
	return errors.Join(l.Go(), l.Platforms(), l.Python(), l.SQL(), l.Generated())
}

// Go runs golangci-lint on the product and on the modules beside it: the magefiles, and the load of benchmarks.
func (Lint) Go() error {
	modules := []string{".", "magefiles", "tests/bench/load"}
	errs := make([]error, len(modules))
	for i, module := range modules {
		errs[i] = runIn(module, tool("golangci-lint"), "run", "--allow-parallel-runners", "--build-tags=mage", "./...")
	}

	return errors.Join(errs...)
}

// Platforms checks that the server compiles for macOS and Windows.
func (Lint) Platforms() error {
	systems := []string{"darwin", "windows"}
	errs := make([]error, len(systems))
	for i, system := range systems {
		environment := map[string]string{"GOOS": system, "GOARCH": "amd64", "CGO_ENABLED": "0"}
		errs[i] = runWith(environment, "go", "vet", "./pkg/cmd/server")
	}

	return errors.Join(errs...)
}

// Python runs ruff's linter and its formatter's check.
func (Lint) Python() error {
	return errors.Join(
		run(python(), "-m", "ruff", "check", "."),
		run(python(), "-m", "ruff", "format", "--check", "."),
	)
}

// SQL reads what the stores send to SQL Server by that server's grammar.
func (Lint) SQL() error {
	return run(python(), "-m", "sqlfluff", "parse", "--format", "none",
		"pkg/database/testdata/mssql_statements.sql")
}

// Generated checks that generating again changes nothing.
func (Lint) Generated() error {
	check := true

	return Generate(&check)
}

// Precommit runs the hooks of .pre-commit-config.yaml on all files.
func (Lint) Precommit() error {
	return run(python(), "-m", "pre_commit", "run", "--all-files")
}
