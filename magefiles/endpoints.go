//go:build mage

package main

// Endpoints lists what is native, what Python answers, and why; -json prints it for programs.
func Endpoints(json *bool) error {
	arguments := []string{"run", "./pkg/cmd/server", "endpoints"}
	if json != nil && *json {
		arguments = append(arguments, "--json")
	}

	return run("go", arguments...)
}
