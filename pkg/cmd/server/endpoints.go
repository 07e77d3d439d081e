package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/mlflow/mlflow-go/pkg/server"
)

// printEndpoints shows every route of MLflow with who answers it and why, and the modes in which
// Python answers more.
func printEndpoints(to io.Writer, arguments []string) error {
	flags := flag.NewFlagSet("endpoints", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "print JSON instead of a table")

	if err := flags.Parse(arguments); err != nil {
		return err
	}

	routes, modes := server.Routes(), server.ListModes()

	if *asJSON {
		encoder := json.NewEncoder(to)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")

		return encoder.Encode(map[string]any{"endpoints": routes, "modes": modes})
	}

	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	native := 0

	line := func(columns ...string) {
		_, _ = io.WriteString(table, strings.Join(columns, "\t")+"\n") // Flush reports what fails
	}

	line("ANSWERED BY", "VERB", "PATH", "NAME", "REASON")

	for _, route := range routes {
		by := "python"
		if route.Native {
			by = "go"
			native++
		}

		line(by, route.Verb, route.Path, route.Name, route.Reason)
	}

	line()
	line(fmt.Sprintf("%d of %d are native, unless one of these modes leaves them to Python:", native, len(routes)))
	line()
	line("MODE", "WHEN", "CONCERNS", "REASON")

	for _, mode := range modes {
		line(mode.Name, mode.When, mode.Concerned, mode.Reason)
	}

	return table.Flush()
}
