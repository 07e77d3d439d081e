//go:build mage

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/magefile/mage/mg"
	"github.com/magefile/mage/sh"
)

// slcFolder is where the script-language container, and what it is made of, goes.
const slcFolder = ".slc"

var errNotOneWheel = errors.New("not one wheel")

// Slc builds the container in which UDFs of an Exasol database find mlflow-go.
type Slc mg.Namespace

// Export builds the script-language container into .slc/, with Docker; -wheel=FILE takes a wheel that is built already.
func (Slc) Export(wheel *string) error {
	// First: the rest takes minutes.
	if _, err := sh.Output("docker", "version", "--format", "{{.Server.Version}}"); err != nil {
		return fmt.Errorf("the container is built with Docker, which doesn't answer (slc:prepare does all before): %w", err)
	}

	return exportContainer(wheel)
}

// Prepare writes the container's flavour, package list and wheel into .slc/flavor, without Docker; -wheel=FILE as for
// slc:export.
func (Slc) Prepare(wheel *string) error {
	return exportContainer(wheel, "--prepare-only")
}

// exportContainer runs slc/export.py in an environment of its own.
func exportContainer(wheel *string, options ...string) error {
	environment := filepath.Join(slcFolder, "venv")
	interpreter := filepath.Join(environment, "bin", "python")
	if !exists(interpreter) {
		if err := run(python(), "-m", "venv", "--without-pip", environment); err != nil {
			return err
		}
	}
	err := run(python(), "-m", "pip", "--python", interpreter, "install", "--quiet", "-r", "slc/requirements.txt")
	if err != nil {
		return err
	}
	var file string
	if wheel != nil {
		file = *wheel
	} else if file, err = buildWheel(filepath.Join(slcFolder, "wheel")); err != nil {
		return err
	}

	return run(interpreter, append([]string{"slc/export.py", "--wheel", file, "--output", slcFolder}, options...)...)
}

// buildWheel builds mlflow-go's wheel into a folder, in place of what is there, and gives its path.
func buildWheel(folder string) (string, error) {
	if err := os.RemoveAll(folder); err != nil {
		return "", fmt.Errorf("make room for the wheel: %w", err)
	}
	if err := run(python(), "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, "."); err != nil {
		return "", err
	}
	wheels, err := filepath.Glob(filepath.Join(folder, "*.whl"))
	if err != nil {
		return "", fmt.Errorf("look for the wheel: %w", err)
	}
	if len(wheels) != 1 {
		return "", fmt.Errorf("%w in %s: %d", errNotOneWheel, folder, len(wheels))
	}

	return wheels[0], nil
}
