package graphql

import (
	"cmp"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// maxValidationErrors is where graphql-core gives up on a document.
const maxValidationErrors = 100

// ruleset is graphql-core's specified_rules: gqlparser's, and ours where those have other words. Missing
// are what it judges later (the kind of operation, in execution) or not at all (subscriptions, which the
// schema doesn't have).
func ruleset() *rules.Rules {
	return rules.NewRules(
		fieldsOnCorrectType,
		rules.FragmentsOnCompositeTypesRule,
		rules.KnownArgumentNamesRule,
		rules.KnownDirectivesRule,
		rules.KnownFragmentNamesRule,
		knownTypeNames,
		rules.LoneAnonymousOperationRule,
		rules.MaxIntrospectionDepth,
		rules.NoFragmentCyclesRule,
		rules.NoUndefinedVariablesRule,
		rules.NoUnusedFragmentsRule,
		noUnusedVariables,
		rules.OverlappingFieldsCanBeMergedRule,
		rules.PossibleFragmentSpreadsRule,
		rules.ProvidedRequiredArgumentsRule,
		scalarLeafs,
		rules.UniqueArgumentNamesRule,
		rules.UniqueDirectivesPerLocationRule,
		rules.UniqueFragmentNamesRule,
		rules.UniqueInputFieldNamesRule,
		rules.UniqueOperationNamesRule,
		rules.UniqueVariableNamesRule,
		valuesOfCorrectType,
		rules.VariablesAreInputTypesRule,
		rules.VariablesInAllowedPositionRule,
	)
}

// lateRules report at the end of an operation, and of the document, in this order.
var lateRules = []string{
	rules.NoUndefinedVariablesRule.Name, noUnusedVariables.Name, rules.NoUnusedFragmentsRule.Name,
}

// validate judges a document by the schema and returns the errors' messages in graphql-core's words. It
// also tells the document's nodes what they mean in the schema.
func validate(schema *ast.Schema, document *ast.QueryDocument) []string {
	found := validator.ValidateWithRules(schema, document, ruleset())

	slices.SortStableFunc(found, func(a, b *gqlerror.Error) int {
		return cmp.Or(
			cmp.Compare(slices.Index(lateRules, a.Rule), slices.Index(lateRules, b.Rule)),
			slices.CompareFunc(a.Locations, b.Locations, func(a, b gqlerror.Location) int {
				return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
			}),
		)
	})

	var messages []string

	seen := map[string]bool{}

	for _, failure := range found {
		// gqlparser looks into a fragment where it is spread, and once more by itself.
		if key := failure.Rule + failure.Error(); seen[key] || isFollowing(document, failure) {
			continue
		} else {
			seen[key] = true
		}

		if len(messages) == maxValidationErrors {
			return append(messages, "Too many validation errors, error limit reached. Validation aborted.")
		}

		messages = append(messages, inCoreWords(failure))
	}

	return messages
}

// isFollowing tells of errors that graphql-core doesn't report, since they follow from another: that a
// variable of an unknown type is used where its type doesn't fit, and that operations without name have
// the same one.
func isFollowing(document *ast.QueryDocument, failure *gqlerror.Error) bool {
	switch failure.Rule {
	case rules.UniqueOperationNamesRule.Name:
		return strings.HasSuffix(failure.Message, ` ""."`) || strings.HasSuffix(failure.Message, `"".`)
	case rules.VariablesInAllowedPositionRule.Name:
		for _, operation := range document.Operations {
			for _, variable := range operation.VariableDefinitions {
				if variable.Definition == nil && strings.HasPrefix(failure.Message,
					`Variable "$`+variable.Variable+`" of type "`+variable.Type.String()+`"`) {
					return true
				}
			}
		}
	}

	return false
}

// inCoreWords spells an error as graphql-core does, which quotes names otherwise. Ours are in its words
// already, and have quotes that belong to values.
func inCoreWords(failure *gqlerror.Error) string {
	switch failure.Rule {
	case valuesOfCorrectType.Name:
		return failure.Message
	case rules.KnownDirectivesRule.Name:
		const use = " may not be used on "
		if directive, place, misplaced := strings.Cut(failure.Message, use); misplaced {
			place = strings.ReplaceAll(strings.ToLower(place), "_", " ")

			return strings.ReplaceAll(directive, `"`, "'") + use + place
		}
	}

	return strings.ReplaceAll(failure.Message, `"`, "'")
}
