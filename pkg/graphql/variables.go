package graphql

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
)

// maxVariableErrors is where graphql-core gives up on variables.
const maxVariableErrors = 50

// values are an operation's variables, coerced to their types: nil, bool, float64, json.Number, string,
// []any, and *codec.Raw for input objects. A variable without value isn't there.
type values map[string]any

// coercion reads the variables of one operation (graphql-core's get_variable_values).
type coercion struct {
	schema *ast.Schema
	errors []string
	// variable and given are what is being read, for messages.
	variable string
}

func coerceVariables(schema *ast.Schema, operation *ast.OperationDefinition, given *codec.Raw) (values, []string) {
	c := &coercion{schema: schema}
	coerced := values{}

	for _, definition := range operation.VariableDefinitions {
		c.variable = definition.Variable
		value, present := given.Get(definition.Variable)

		switch {
		case !present && definition.DefaultValue != nil:
			coerced[c.variable], _ = literalValue(schema, definition.DefaultValue, definition.Type, nil)
		case !present && definition.Type.NonNull:
			c.failf("Variable '$%s' of required type '%s' was not provided.", c.variable, definition.Type)
		case !present:
		case value == nil && definition.Type.NonNull:
			c.failf("Variable '$%s' of non-null type '%s' must not be null.", c.variable, definition.Type)
		default:
			coerced[c.variable] = c.coerce(definition.Type, value, nil)
		}
	}

	if len(c.errors) > maxVariableErrors {
		c.errors = append(c.errors[:maxVariableErrors],
			"Too many errors processing variables, error limit reached. Execution aborted.")
	}

	return coerced, c.errors
}

func (c *coercion) failf(format string, args ...any) {
	c.errors = append(c.errors, fmt.Sprintf(format, args...))
}

// refuse says what is wrong with a value at a path of names and indices.
func (c *coercion) refuse(path []string, value any, wrong string) {
	at := ""
	if len(path) > 0 {
		at = " at '" + c.variable + strings.Join(path, "") + "'"
	}

	c.failf("Variable '$%s' got invalid value %s%s; %s", c.variable, inspect(value), at, wrong)
}

func (c *coercion) coerce(expected *ast.Type, value any, path []string) any {
	switch {
	case value == nil && expected.NonNull:
		c.refuse(path, value, fmt.Sprintf("Expected non-nullable type '%s' not to be None.", expected))

		return nil
	case value == nil:
		return nil
	case expected.Elem != nil:
		items, isList := value.([]any)
		if !isList {
			return []any{c.coerce(expected.Elem, value, path)}
		}

		coerced := make([]any, len(items))
		for i, item := range items {
			coerced[i] = c.coerce(expected.Elem, item, append(slices.Clip(path), "["+strconv.Itoa(i)+"]"))
		}

		return coerced
	}

	definition := c.schema.Types[expected.Name()]

	switch definition.Kind { //nolint:exhaustive // variables are of no other kinds
	case ast.InputObject:
		return c.coerceObject(definition, value, path)
	case ast.Enum:
		return c.coerceEnum(definition, value, path)
	default:
		coerced, wrong := scalars[definition.Name].coerce(value)
		if wrong != "" {
			c.refuse(path, value, wrong)
		}

		return coerced
	}
}

func (c *coercion) coerceObject(definition *ast.Definition, value any, path []string) any {
	given, isObject := value.(*codec.Raw)
	if !isObject {
		c.refuse(path, value, "Expected type '"+definition.Name+"' to be a mapping.")

		return nil
	}

	coerced := &codec.Raw{}

	for _, field := range definition.Fields {
		if member, present := given.Get(field.Name); present {
			coerced.Set(field.Name, c.coerce(field.Type, member, append(slices.Clip(path), "."+field.Name)))
		}
	}

	for name := range given.All() {
		if definition.Fields.ForName(name) == nil {
			c.refuse(path, value, undefinedField(definition, name))
		}
	}

	return coerced
}

func (c *coercion) coerceEnum(definition *ast.Definition, value any, path []string) any {
	name, isText := value.(string)

	switch {
	case !isText:
		shown := inspect(value)
		c.refuse(path, value, "Enum '"+definition.Name+"' cannot represent non-string value: "+shown+"."+
			didYouMeanValue(definition, shown))
	case definition.EnumValues.ForName(name) == nil:
		c.refuse(path, value, "Value '"+name+"' does not exist in '"+definition.Name+"' enum."+
			didYouMeanValue(definition, name))
	default:
		return enumName(name)
	}

	return nil
}

// enumName is a value of an enumeration.
type enumName string

// literalValue reads a literal of a validated document (graphql-core's value_from_ast); not known is one
// that rests on a variable without value.
func literalValue(
	schema *ast.Schema, literal *ast.Value, expected *ast.Type, variables values,
) (value any, known bool) {
	switch {
	case literal.Kind == ast.Variable:
		value, known = variables[literal.Raw]

		return value, known && (value != nil || !expected.NonNull)
	case literal.Kind == ast.NullValue:
		return nil, !expected.NonNull
	case expected.Elem != nil && literal.Kind == ast.ListValue:
		return literalList(schema, literal, expected.Elem, variables)
	case expected.Elem != nil:
		item, known := literalValue(schema, literal, expected.Elem, variables)

		return []any{item}, known
	}

	definition := schema.Types[expected.Name()]
	if definition.Kind == ast.InputObject {
		return literalObject(schema, literal, definition, variables)
	}

	return literalLeaf(literal, definition), true
}

func literalLeaf(literal *ast.Value, definition *ast.Definition) any {
	switch {
	case definition.Kind == ast.Enum:
		return enumName(literal.Raw)
	case literal.Kind == ast.IntValue || literal.Kind == ast.FloatValue:
		return json.Number(literal.Raw)
	case literal.Kind == ast.BooleanValue:
		return literal.Raw == "true"
	default:
		return literal.Raw
	}
}

// literalList takes a variable without value for null.
func literalList(
	schema *ast.Schema, literal *ast.Value, expected *ast.Type, variables values,
) (list any, known bool) {
	items := make([]any, len(literal.Children))

	for i, child := range literal.Children {
		item, known := literalValue(schema, child.Value, expected, variables)
		if !known && (child.Value.Kind != ast.Variable || expected.NonNull) {
			return nil, false
		}

		items[i] = item
	}

	return items, true
}

func literalObject(
	schema *ast.Schema, literal *ast.Value, definition *ast.Definition, variables values,
) (object any, known bool) {
	read := &codec.Raw{}

	for _, field := range definition.Fields {
		member := literal.Children.ForName(field.Name)
		if member == nil {
			continue
		}

		value, known := literalValue(schema, member, field.Type, variables)

		switch {
		case known:
			read.Set(field.Name, value)
		case member.Kind != ast.Variable || field.Type.NonNull:
			return nil, false
		}
	}

	return read, true
}

// How much inspect shows.
const (
	shownText  = 240
	shownItems = 10
	shownDepth = 2
)

// inspect shows a variable's value as graphql-core's function of this name does.
func inspect(value any) string { return inspectAt(value, 0) }

func inspectAt(value any, depth int) string {
	switch value := value.(type) {
	case []any:
		switch {
		case len(value) == 0:
			return "[]"
		case depth >= shownDepth:
			return "[...]"
		}

		parts := make([]string, len(value))
		for i, item := range value {
			parts[i] = inspectAt(item, depth+1)
		}

		return "[" + strings.Join(shorten(parts), ", ") + "]"
	case *codec.Raw:
		switch {
		case value.Len() == 0:
			return "{}"
		case depth >= shownDepth:
			return "{...}"
		}

		parts := make([]string, 0, value.Len())
		for name, member := range value.All() {
			parts = append(parts, inspectAt(name, depth+1)+": "+inspectAt(member, depth+1))
		}

		return "{" + strings.Join(shorten(parts), ", ") + "}"
	case string:
		return truncate(pyfmt.Repr(value))
	default:
		return truncate(codec.Str(value))
	}
}

func shorten(items []string) []string {
	if len(items) <= shownItems {
		return items
	}

	first := shownItems / 2
	last := len(items) - first + 1

	return append(append(append([]string(nil), items[:first]...), "..."), items[last:]...)
}

func truncate(text string) string {
	const dots = "..."

	characters := []rune(text)
	if len(characters) <= shownText {
		return text
	}

	first := (shownText - len(dots)) / 2
	last := shownText - len(dots) - first

	return string(characters[:first]) + dots + string(characters[len(characters)-last:])
}
