package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
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

	fmt.Fprintln(table, "ANSWERED BY\tVERB\tPATH\tNAME\tREASON")

	for _, route := range routes {
		by := "python"
		if route.Native {
			by = "go"
			native++
		}

		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", by, route.Verb, route.Path, route.Name, route.Reason)
	}

	fmt.Fprintf(table, "\n%d of %d are native, unless one of these modes leaves them to Python:\n\n",
		native, len(routes))
	fmt.Fprintln(table, "MODE\tWHEN\tCONCERNS\tREASON")

	for _, mode := range modes {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", mode.Name, mode.When, mode.Concerned, mode.Reason)
	}

	return table.Flush()
}
