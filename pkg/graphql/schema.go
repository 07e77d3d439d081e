package graphql

import (
	_ "embed"
	"fmt"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"

	"github.com/mlflow/mlflow-go/pkg/codec"
)

var (
	//go:embed schema.graphql
	schemaText string
	//go:embed introspection.json
	introspectionText string
)

// loadSchema reads MLflow's schema. Its only directive is its own: graphene replaces the language's
// with those that it is given, so there is no @include and no @skip.
func loadSchema() (*ast.Schema, error) {
	prelude := validator.PreludeDocument()

	schema, err := gqlparser.LoadSchema(&ast.Source{Name: "schema.graphql", Input: schemaText})
	if err != nil {
		return nil, fmt.Errorf("reading MLflow's GraphQL schema: %w", err)
	}

	for _, directive := range prelude.Directives {
		delete(schema.Directives, directive.Name)
	}

	return schema, nil
}

// loadIntrospection reads what a query for __schema answers.
func loadIntrospection() (*codec.Raw, error) {
	parsed, err := codec.Parse(introspectionText)
	if err != nil {
		return nil, fmt.Errorf("reading MLflow's GraphQL introspection: %w", err)
	}

	root, _ := parsed.(*codec.Raw)

	return root, nil
}
