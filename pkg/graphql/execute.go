package graphql

import (
	"context"
	"errors"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
)

// Service answers GraphQL queries.
type Service struct {
	schema        *ast.Schema
	introspection *codec.Raw
	services      map[string]any
	methods       map[string]contract.Method
	limits        Limits
}

// New makes a service that calls others, which are known by the names that contract.Methods has.
func New(services map[string]any, limits Limits) (*Service, error) {
	schema, err := loadSchema()
	if err != nil {
		return nil, err
	}

	introspection, err := loadIntrospection()
	if err != nil {
		return nil, err
	}

	return &Service{
		schema: schema, introspection: introspection, services: services, methods: findMethods(services), limits: limits,
	}, nil
}

// Request is a query as clients send it.
type Request struct {
	Query     string
	Variables *codec.Raw // may be nil
	// OperationName is nil when none is given.
	OperationName any
}

// Answer is what MLflow answers a query with, whatever came of it.
type Answer struct {
	Data   *codec.Raw // nil when the query wasn't executed
	Errors []string
}

// Execute answers a query. It fails with contract.ErrLeftToPython, and with INVALID_PARAMETER_VALUE for a query
// that can't be parsed, at which MLflow fails with a bare 500.
func (s *Service) Execute(ctx context.Context, request Request) (*Answer, error) {
	if nestsTooDeep(request.Query) {
		return nil, contract.InvalidParameter("The query nests deeper than %d levels.", maxNesting)
	}

	document, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: request.Query}, maxTokens)
	if err != nil {
		return nil, contract.InvalidParameter("The query can't be parsed: %s", err)
	}

	if len(document.Operations)+len(document.Fragments) == 0 {
		return nil, contract.InvalidParameter("The query is empty.")
	}

	if refusal := s.limits.check(document); refusal != "" {
		return &Answer{Errors: []string{refusal}}, nil
	}

	if failures := validate(s.schema, document); failures != nil {
		return &Answer{Errors: failures}, nil
	}

	operation, failure := choose(document, request.OperationName)
	if failure != "" {
		return &Answer{Errors: []string{failure}}, nil
	}

	root := s.schema.Query

	switch operation.Operation {
	case ast.Query:
	case ast.Mutation:
		root = s.schema.Mutation
	case ast.Subscription:
		return &Answer{Errors: []string{"Schema is not configured to execute subscription operation."}}, nil
	}

	if !s.serves(operation.SelectionSet) {
		return nil, contract.ErrLeftToPython
	}

	variables, failures := coerceVariables(s.schema, operation, request.Variables)
	if failures != nil {
		return &Answer{Errors: failures}, nil
	}

	run := &execution{Service: s, variables: variables}

	data := run.object(ctx, root, nil, collect(operation.SelectionSet, nil))
	if run.leftToPython {
		return nil, contract.ErrLeftToPython
	}

	return &Answer{Data: data, Errors: run.errors}, nil
}

// choose finds the operation to execute.
func choose(document *ast.QueryDocument, name any) (operation *ast.OperationDefinition, failure string) {
	switch {
	case name == nil && len(document.Operations) == 1:
		return document.Operations[0], ""
	case name == nil && len(document.Operations) > 1:
		return nil, "Must provide operation name if query contains multiple operations."
	case name == nil:
		return nil, "Must provide an operation."
	}

	for _, operation := range document.Operations {
		if operation.Name == name && operation.Name != "" {
			return operation, ""
		}
	}

	return nil, "Unknown operation named '" + codec.Str(name) + "'."
}

// serves tells whether everything that is selected is native. The document is valid, so its fragments
// are no circle.
func (s *Service) serves(selections ast.SelectionSet) bool {
	for _, selection := range selections {
		served := true

		switch selection := selection.(type) {
		case *ast.Field:
			served = s.isServed(selection.ObjectDefinition, selection.Name) && s.serves(selection.SelectionSet)
		case *ast.InlineFragment:
			served = s.serves(selection.SelectionSet)
		case *ast.FragmentSpread:
			served = s.serves(selection.Definition.SelectionSet)
		}

		if !served {
			return false
		}
	}

	return true
}

// typenameField may be asked of every object.
const typenameField = "__typename"

// execution is one operation under way.
type execution struct {
	*Service

	variables values
	errors    []string
	// leftToPython says that a method left its part to Python, which is given the whole query then.
	leftToPython bool
}

// group is one member of an answer, with the fields that ask for it.
type group struct {
	name   string
	fields []*ast.Field
	// below are the members of it in turn; see members.
	below []*group
}

// members are what is selected of the group's value. They are the same for each item of a list.
func (g *group) members() []*group {
	if g.below == nil {
		for _, field := range g.fields {
			g.below = collect(field.SelectionSet, g.below)
		}
	}

	return g.below
}

// collect gathers the fields that are selected of an object, by the names that they have in the answer.
func collect(selections ast.SelectionSet, groups []*group) []*group {
	for _, selection := range selections {
		switch selection := selection.(type) {
		case *ast.Field:
			at := -1

			for i, known := range groups {
				if known.name == selection.Alias {
					at = i
				}
			}

			if at < 0 {
				at = len(groups)
				groups = append(groups, &group{name: selection.Alias})
			}

			groups[at].fields = append(groups[at].fields, selection)
		case *ast.InlineFragment: // of the object's own type: the schema has neither interfaces nor unions
			groups = collect(selection.SelectionSet, groups)
		case *ast.FragmentSpread:
			groups = collect(selection.Definition.SelectionSet, groups)
		}
	}

	return groups
}

// object answers the selected fields of an object. A field that fails is null, and the failure's message
// joins the errors; every field of MLflow's schema may be null.
func (e *execution) object(
	ctx context.Context, definition *ast.Definition, value any, groups []*group,
) *codec.Raw {
	answer := &codec.Raw{}

	for _, group := range groups {
		field := group.fields[0]

		if field.Name == typenameField {
			answer.Set(group.name, definition.Name)

			continue
		}

		resolved, err := e.field(ctx, definition, value, field)
		if err != nil {
			e.leftToPython = e.leftToPython || errors.Is(err, contract.ErrLeftToPython)
			e.errors = append(e.errors, message(err))
			answer.Set(group.name, nil)

			continue
		}

		answer.Set(group.name, e.complete(ctx, field.Definition.Type, resolved, group))
	}

	return answer
}

func (e *execution) field(ctx context.Context, definition *ast.Definition, value any, field *ast.Field) (any, error) {
	if definition == e.schema.Query || definition == e.schema.Mutation {
		return e.resolveRoot(ctx, definition, field, e.variables)
	}

	return e.resolve(ctx, value, definition.Name, field)
}

// complete makes the answer for a value of a type.
func (e *execution) complete(ctx context.Context, expected *ast.Type, value any, group *group) any {
	if value == nil {
		return nil
	}

	if items, isList := value.([]any); isList && expected.Elem != nil {
		completed := make([]any, len(items))
		for i, item := range items {
			completed[i] = e.complete(ctx, expected.Elem, item, group)
		}

		return completed
	}

	definition := e.schema.Types[expected.Name()]
	if definition.Kind == ast.Object {
		return e.object(ctx, definition, value, group.members())
	}

	serialized, wrong := serialize(definition.Name, value)
	if wrong != "" {
		e.errors = append(e.errors, wrong)

		return nil
	}

	return serialized
}

// message is what Python's str makes of an exception.
func message(err error) string {
	if known, ok := errors.AsType[pythonError](err); ok {
		return string(known)
	}

	return contract.AsError(err).Message
}

// AppendJSON appends the answer as Flask's jsonify spells it.
func (a *Answer) AppendJSON(dst []byte) []byte {
	answer := &codec.Raw{}
	answer.Set("data", nil)
	answer.Set("errors", nil)

	if a.Data != nil {
		answer.Set("data", a.Data)
	}

	if a.Errors != nil {
		failures := make([]any, len(a.Errors))
		for i, failure := range a.Errors {
			failures[i] = failure
		}

		answer.Set("errors", failures)
	}

	return append(codec.AppendCompact(dst, answer), '\n')
}
