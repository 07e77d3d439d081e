package graphql

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/core"
)

// fieldsOnCorrectType looks for fields that an object doesn't have. What is selected of a scalar is
// scalarLeafs' business.
var fieldsOnCorrectType = core.Rule{
	Name: "FieldsOnCorrectType",
	RuleFunc: func(observers *core.Events, addError core.AddErrFunc) {
		observers.OnField(func(_ *core.Walker, field *ast.Field) {
			parent := field.ObjectDefinition
			if parent == nil || parent.IsLeafType() || field.Definition != nil {
				return
			}

			addError(core.Message("Cannot query field '%s' on type '%s'.%s", field.Name, parent.Name,
				didYouMean("", field.Name, fieldNames(parent))), core.At(field.Position))
		})
	},
}

// scalarLeafs looks for objects of which nothing is selected, and for scalars of which something is.
var scalarLeafs = core.Rule{
	Name: "ScalarLeafs",
	RuleFunc: func(observers *core.Events, addError core.AddErrFunc) {
		observers.OnField(func(walker *core.Walker, field *ast.Field) {
			if field.Definition == nil || walker.Schema.Types[field.Definition.Type.Name()] == nil {
				return
			}

			isLeaf := walker.Schema.Types[field.Definition.Type.Name()].IsLeafType()
			shown := field.Definition.Type.String()

			if field.Name == typenameField {
				shown = "String!"
			}

			switch {
			case isLeaf && len(field.SelectionSet) > 0:
				addError(core.Message("Field '%s' must not have a selection since type '%s' has no subfields.",
					field.Name, shown), core.At(field.Position))
			case !isLeaf && len(field.SelectionSet) == 0:
				addError(core.Message("Field '%s' of type '%s' must have a selection of subfields. Did you mean '%s { ... }'?",
					field.Name, shown, field.Name), core.At(field.Position))
			}
		})
	},
}

// knownTypeNames looks for types that aren't in the schema, and suggests some that are.
var knownTypeNames = core.Rule{
	Name: "KnownTypeNames",
	RuleFunc: func(observers *core.Events, addError core.AddErrFunc) {
		check := func(walker *core.Walker, name string, position *ast.Position) {
			if name == "" || walker.Schema.Types[name] != nil {
				return
			}

			known := make([]string, 0, len(walker.Schema.Types))
			for name := range walker.Schema.Types {
				known = append(known, name)
			}

			addError(core.Message("Unknown type '%s'.%s", name, didYouMean("", name, known)), core.At(position))
		}

		observers.OnVariable(func(walker *core.Walker, variable *ast.VariableDefinition) {
			check(walker, variable.Type.Name(), variable.Position)
		})
		observers.OnInlineFragment(func(walker *core.Walker, fragment *ast.InlineFragment) {
			check(walker, fragment.TypeCondition, fragment.Position)
		})
		observers.OnFragment(func(walker *core.Walker, fragment *ast.FragmentDefinition) {
			check(walker, fragment.TypeCondition, fragment.Position)
		})
	},
}

// noUnusedVariables looks for variables that nothing uses; one that is declared twice is used or not by
// its name.
var noUnusedVariables = core.Rule{
	Name: "NoUnusedVariables",
	RuleFunc: func(observers *core.Events, addError core.AddErrFunc) {
		observers.OnOperation(func(_ *core.Walker, operation *ast.OperationDefinition) {
			used := map[string]bool{}
			for _, variable := range operation.VariableDefinitions {
				used[variable.Variable] = used[variable.Variable] || variable.Used
			}

			of := ""
			if operation.Name != "" {
				of = " in operation '" + operation.Name + "'"
			}

			for _, variable := range operation.VariableDefinitions {
				if !used[variable.Variable] {
					addError(core.Message("Variable '$%s' is never used%s.", variable.Variable, of),
						core.At(variable.Position))
				}
			}
		})
	},
}

// valuesOfCorrectType judges literals as graphql-core's rule of this name does; gqlparser's has other
// words and other scalars.
var valuesOfCorrectType = core.Rule{
	Name: "ValuesOfCorrectType",
	RuleFunc: func(observers *core.Events, addError core.AddErrFunc) {
		observers.OnValue(func(_ *core.Walker, value *ast.Value) {
			if value.Definition == nil || value.ExpectedType == nil || value.Kind == ast.Variable {
				return
			}

			for _, option := range judge(value) {
				addError(option, core.At(value.Position))
			}
		})
	},
}

// judge says what is wrong with a literal itself, not with what is in it.
func judge(value *ast.Value) []core.ErrorOption {
	definition := value.Definition
	unexpected := []core.ErrorOption{core.Message("%s", unexpectedValue(value))}

	switch value.Kind { //nolint:exhaustive // the rest depend on the type
	case ast.NullValue:
		if value.ExpectedType.NonNull {
			return unexpected
		}

		return nil
	case ast.ListValue:
		if value.ExpectedType.Elem != nil {
			return nil
		}
	case ast.ObjectValue:
		if definition.Kind == ast.InputObject {
			return unknownMembers(value)
		}
	}

	switch definition.Kind { //nolint:exhaustive // others have no literals
	case ast.Enum:
		return judgeEnum(value)
	case ast.Scalar:
		if message := scalars[definition.Name].judge(value); message != "" {
			return []core.ErrorOption{core.Message("%s", message)}
		}

		return nil
	default:
		return unexpected
	}
}

func unexpectedValue(value *ast.Value) string {
	return "Expected value of type '" + value.ExpectedType.String() + "', found " + printLiteral(value) + "."
}

func unknownMembers(value *ast.Value) []core.ErrorOption {
	var options []core.ErrorOption

	names := fieldNames(value.Definition)

	for _, member := range value.Children {
		if !slices.Contains(names, member.Name) {
			options = append(options, core.Message("%s", undefinedField(value.Definition, member.Name)))
		}
	}

	return options
}

func undefinedField(definition *ast.Definition, name string) string {
	return "Field '" + name + "' is not defined by type '" + definition.Name + "'." +
		didYouMean("", name, fieldNames(definition))
}

func fieldNames(definition *ast.Definition) []string {
	var names []string

	for _, field := range definition.Fields {
		if !strings.HasPrefix(field.Name, "__") { // which the parser adds to Query
			names = append(names, field.Name)
		}
	}

	return names
}

func judgeEnum(value *ast.Value) []core.ErrorOption {
	shown := printLiteral(value)
	message := "Enum '" + value.Definition.Name + "' cannot represent non-enum value: " + shown + "."

	if value.Kind == ast.EnumValue {
		if value.Definition.EnumValues.ForName(value.Raw) != nil {
			return nil
		}

		message = "Value '" + shown + "' does not exist in '" + value.Definition.Name + "' enum."
	}

	return []core.ErrorOption{core.Message("%s", message+didYouMeanValue(value.Definition, shown))}
}

// didYouMeanValue suggests values of an enumeration.
func didYouMeanValue(definition *ast.Definition, name string) string {
	names := make([]string, len(definition.EnumValues))
	for i, value := range definition.EnumValues {
		names[i] = value.Name
	}

	return didYouMean("the enum value ", name, names)
}

func didYouMean(what, name string, known []string) string {
	known = slices.Sorted(slices.Values(known)) // of those as likely, the first by name
	likely := core.SuggestionList(name, known)
	if len(likely) == 0 {
		return ""
	}

	return " Did you mean " + what + strings.ReplaceAll(core.QuotedOrList(likely...), `"`, "'") + "?"
}

// printLiteral spells a literal as graphql-core's printer does.
func printLiteral(value *ast.Value) string {
	parts := make([]string, len(value.Children))

	switch value.Kind { //nolint:exhaustive // the rest are the parser's to spell
	case ast.ListValue:
		for i, child := range value.Children {
			parts[i] = printLiteral(child.Value)
		}

		return "[" + strings.Join(parts, ", ") + "]"
	case ast.ObjectValue:
		for i, child := range value.Children {
			parts[i] = child.Name + ": " + printLiteral(child.Value)
		}

		return "{" + strings.Join(parts, ", ") + "}"
	default:
		return value.String()
	}
}
