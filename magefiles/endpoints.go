//go:build mage

package main

import (
	"os"
	"strings"
)

// Mage takes "-json" only; people write "--json", as mlflow-go does.
func init() { //nolint:gochecknoinits // nothing else of ours runs before mage reads its arguments
	for i, argument := range os.Args {
		if strings.HasPrefix(argument, "--") {
			os.Args[i] = argument[1:]
		}
	}
}

// Endpoints lists what is native, what Python answers, and why; --json prints it for programs.
func Endpoints(json *bool) error {
	arguments := []string{"run", "./pkg/cmd/server", "endpoints"}
	if json != nil && *json {
		arguments = append(arguments, "--json")
	}

	return run("go", arguments...)
}
