package graphql

import (
	"errors"
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/mlflow/mlflow-go/pkg/pyfmt"
)

const (
	maxRootFieldsVariable = "MLFLOW_SERVER_GRAPHQL_MAX_ROOT_FIELDS"
	maxAliasesVariable    = "MLFLOW_SERVER_GRAPHQL_MAX_ALIASES"

	defaultLimit = 10

	// maxDepth is how deep fields may nest, and maxSelections how many there may be in all, fragments
	// counted where they are spread.
	maxDepth      = 10
	maxSelections = 1000

	// maxTokens keeps validation short, which takes more than proportional time; MLflow has no such limit.
	maxTokens = 100_000

	// maxNesting is how deep brackets may nest in a document, as in graphql-core's parser.
	maxNesting = 200
)

// Limits are what a query may ask for at once.
type Limits struct {
	RootFields int
	// Aliases is how many aliases the fields of one object may have.
	Aliases int
}

var errBadLimit = errors.New("is not a whole number")

// LimitsFromEnvironment reads the limits as MLflow does, which fails at each query when a value isn't a
// number.
func LimitsFromEnvironment(getenv func(string) string) (Limits, error) {
	limits := Limits{RootFields: defaultLimit, Aliases: defaultLimit}

	for name, limit := range map[string]*int{
		maxRootFieldsVariable: &limits.RootFields,
		maxAliasesVariable:    &limits.Aliases,
	} {
		text := getenv(name)
		if text == "" {
			continue
		}

		number, ok := pyfmt.ParseInt(text)
		if !ok || !number.IsInt64() {
			return Limits{}, fmt.Errorf("%s: %s %w", name, pyfmt.Repr(text), errBadLimit)
		}

		*limit = int(number.Int64())
	}

	return limits, nil
}

// check counts what a document asks for (graphql_no_batching.check_query_safety). It returns the error's
// message; "" when the document is within the limits.
func (l Limits) check(document *ast.QueryDocument) string {
	scan := scan{fragments: map[string]*ast.FragmentDefinition{}}
	for _, fragment := range document.Fragments {
		scan.fragments[fragment.Name] = fragment
	}

	for _, operation := range document.Operations {
		if refusal := scan.operation(operation); refusal != "" {
			return refusal
		}
	}

	const tooMany = "GraphQL queries should have at most %d %s, got %d %s. To increase the limit, set the %s " +
		"environment variable."

	switch {
	case scan.rootFields > l.RootFields:
		return fmt.Sprintf(tooMany, l.RootFields, "root fields", scan.rootFields, "root fields", maxRootFieldsVariable)
	case scan.aliases > l.Aliases:
		return fmt.Sprintf(tooMany, l.Aliases, "aliases", scan.aliases, "aliases", maxAliasesVariable)
	default:
		return ""
	}
}

// scan is a count under way.
type scan struct {
	fragments                       map[string]*ast.FragmentDefinition
	rootFields, aliases, selections int
}

// level is the selections of one object.
type level struct {
	selections ast.SelectionSet
	depth      int
}

func (s *scan) operation(operation *ast.OperationDefinition) (refusal string) {
	stack := []level{{operation.SelectionSet, 1}}

	for len(stack) > 0 {
		next := stack[len(stack)-1]
		stack = stack[:len(stack)-1]

		if next.depth > maxDepth {
			return fmt.Sprintf("Query exceeds maximum depth of %d", maxDepth)
		}

		fields, aliases := s.collect(next.selections)

		for _, field := range fields {
			if next.depth == 1 {
				s.rootFields++
			}

			if len(field.SelectionSet) > 0 {
				stack = append(stack, level{field.SelectionSet, next.depth + 1})
			}

			s.selections++
			if s.selections > maxSelections {
				return fmt.Sprintf("Query exceeds maximum total selections of %d", maxSelections)
			}
		}

		s.aliases = max(s.aliases, aliases)
	}

	return ""
}

// collect finds the fields of one object, in fragments too, and counts their aliases. An alias that is
// the field's own name is none to the parser.
func (s *scan) collect(selections ast.SelectionSet) (fields []*ast.Field, aliases int) {
	visited := map[string]bool{}
	queue := append(ast.SelectionSet(nil), selections...)

	for len(queue) > 0 {
		selection := queue[0]
		queue = queue[1:]

		switch selection := selection.(type) {
		case *ast.Field:
			fields = append(fields, selection)

			if selection.Alias != selection.Name {
				aliases++
			}
		case *ast.InlineFragment:
			queue = append(queue, selection.SelectionSet...)
		case *ast.FragmentSpread:
			fragment := s.fragments[selection.Name]
			if fragment != nil && !visited[selection.Name] {
				visited[selection.Name] = true

				queue = append(queue, fragment.SelectionSet...)
			}
		}
	}

	return fields, aliases
}

// nestsTooDeep tells whether brackets nest so deep in a document that parsing it could exhaust the
// stack. Those in strings count as well: no query needs so many there.
func nestsTooDeep(query string) bool {
	depth := 0

	for i := range len(query) {
		switch query[i] {
		case '{', '[', '(':
			depth++
		case '}', ']', ')':
			depth--
		}

		if depth > maxNesting {
			return true
		}
	}

	return false
}
