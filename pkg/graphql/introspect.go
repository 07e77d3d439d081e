package graphql

import (
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/mlflow/mlflow-go/pkg/codec"
)

// introspectType finds a type of the schema by name; nil when there is none.
func (s *Service) introspectType(name any) any {
	types, _ := s.introspection.Get("types")
	list, _ := types.([]any)

	for _, item := range list {
		described, _ := item.(*codec.Raw)
		if found, _ := described.Get("name"); found == name {
			return described
		}
	}

	return nil
}

// resolveIntrospection answers a field of what the schema says of itself. Where a type is only named,
// the rest of it is looked up. Nothing in MLflow's schema is deprecated, so includeDeprecated changes
// nothing.
func (s *Service) resolveIntrospection(object *codec.Raw, field *ast.Field) any {
	value, present := object.Get(field.Name)
	if present {
		return value
	}

	if name, named := object.Get("name"); named && name != nil {
		if whole, ok := s.introspectType(name).(*codec.Raw); ok {
			value, _ = whole.Get(field.Name)
		}
	}

	return value
}
