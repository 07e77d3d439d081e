package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// typeChecks are the checks that MLflow makes only when a request could not be parsed; a parsed
// message has nothing left of them.
//
//nolint:goconst // a vocabulary
var typeChecks = []string{"string", "intlike", "floatlike", boolName, "array", "strings"}

const (
	boolName          = "bool"
	presentCheck      = "present"
	elementsHaveCheck = "elements_have"
)

// structRules are validator tags by Go field, by message.
type structRules map[protogen.GoIdent]map[string]string

// add merges one message's rules; two schemas may share a message only if they agree.
func (r structRules) add(message *protogen.Message, rules map[string]string) error {
	if known, ok := r[message.GoIdent]; ok && !maps.Equal(known, rules) {
		return fmt.Errorf("%w: two schemas ask different things of %s: %v and %v",
			errLists, message.Desc.FullName(), known, rules)
	}
	r[message.GoIdent] = rules

	return nil
}

// addSchema translates the schema of a procedure, which speaks of raw values, into rules for its
// parsed request message.
func (r structRules) addSchema(p procedure) error {
	rules := map[string]string{}
	for _, parameter := range p.schema {
		field := fieldOf(p.Input, parameter.name)
		var tags []string
		for check := range strings.SplitSeq(parameter.checks, ",") {
			name, argument, _ := strings.Cut(check, "=")
			switch {
			case slices.Contains(typeChecks, name):
			case name == elementsHaveCheck:
				tags = append(tags, "dive")
				if err := r.addElements(field, strings.Fields(argument)); err != nil {
					return err
				}
			default:
				tags = append(tags, check)
			}
		}
		if len(tags) == 0 {
			continue
		}
		if !slices.Contains(tags, presentCheck) {
			tags = slices.Insert(tags, 0, "omitnil")
		}
		rules[field.GoName] = strings.Join(tags, ",")
	}

	return r.add(p.Input, rules)
}

// addElements requires members of the messages in a repeated field.
func (r structRules) addElements(field *protogen.Field, members []string) error {
	if field.Message == nil || !field.Desc.IsList() {
		return fmt.Errorf("%w: %s does not hold messages, so %s cannot apply",
			errLists, field.Desc.FullName(), elementsHaveCheck)
	}
	rules := map[string]string{}
	for _, member := range members {
		element := fieldOf(field.Message, member)
		if element == nil {
			return fmt.Errorf("%w: %s has no field %s", errLists, field.Message.Desc.FullName(), member)
		}
		rules[element.GoName] = presentCheck
	}

	return r.add(field.Message, rules)
}

func fieldOf(message *protogen.Message, name string) *protogen.Field {
	i := slices.IndexFunc(message.Fields, func(f *protogen.Field) bool {
		return f.Desc.Name() == protoreflect.Name(name)
	})
	if i < 0 {
		return nil
	}

	return message.Fields[i]
}

// generateRules writes the schemas twice: as they are, for the raw values of a request, and as
// rules for parsed messages.
func generateRules(plugin *protogen.Plugin, services []service) error {
	g := newGoFile(plugin, validationPath, "rules.gen.go")
	rules := structRules{}
	g.P("// schemas holds the checks of MLflow's handlers, per procedure and in MLflow's order.")
	g.P("var schemas = map[procedure]schema{")
	for _, s := range services {
		for _, p := range s.native() {
			if err := rules.addSchema(p); err != nil {
				return err
			}
			g.P("{", quote(s.Desc.Name()), ", ", quote(p.Desc.Name()), "}: {")
			for _, parameter := range p.schema {
				g.P("newParameter(", quote(parameter.name), ", ", quote(parameter.checks), "),")
			}
			g.P("},")
		}
	}
	g.P("}")
	g.P()
	g.P("// messageRules holds what the same checks ask of a message that was parsed.")
	g.P("var messageRules = []messageRule{")
	for _, message := range slices.SortedFunc(maps.Keys(rules), func(a, b protogen.GoIdent) int {
		return strings.Compare(a.String(), b.String())
	}) {
		if len(rules[message]) == 0 {
			continue
		}
		g.P("{(*", message, ")(nil), map[string]string{")
		for _, field := range slices.Sorted(maps.Keys(rules[message])) {
			g.P(quote(field), ": ", quote(rules[message][field]), ",")
		}
		g.P("}},")
	}
	g.P("}")

	return nil
}
