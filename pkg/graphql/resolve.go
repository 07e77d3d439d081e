package graphql

import (
	"context"
	"fmt"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// fetch is a field that the message of its object lacks. It is read with a method of its own
// (graphql_schema_extensions.MlflowRunExtension).
type fetch struct {
	method string
	// request asks for it, given the object's message.
	request func(parent protoreflect.Message) proto.Message
	// field of the answer is what is wanted.
	field protoreflect.Name
}

// fetches are all such fields, by type and name.
var fetches = map[string]fetch{
	"MlflowRunExtension.experiment": {
		method: "getExperiment",
		request: func(parent protoreflect.Message) proto.Message {
			return &protos.GetExperiment{ExperimentId: new(runOf(parent).GetInfo().GetExperimentId())}
		},
		field: "experiment",
	},
	"MlflowRunExtension.modelVersions": {
		method: "searchModelVersions",
		request: func(parent protoreflect.Message) proto.Message {
			return &protos.SearchModelVersions{Filter: new("run_id='" + runOf(parent).GetInfo().GetRunId() + "'")}
		},
		field: "model_versions",
	},
}

func runOf(message protoreflect.Message) *protos.Run {
	run, _ := message.Interface().(*protos.Run)

	return run
}

// searchDatasets has a GraphQL field, but its handler isn't that of the remote procedure.
var searchDatasets = contract.Unary(contract.UIServiceName, "searchDatasets", contract.UIService.SearchDatasets)

// findMethods lists the native methods that the given services implement, by name.
func findMethods(services map[string]any) map[string]contract.Method {
	found := map[string]contract.Method{}

	for _, method := range append([]contract.Method{searchDatasets}, contract.Methods...) {
		if _, implemented := services[method.Service]; implemented {
			found[method.Name] = method
		}
	}

	return found
}

// methodOf names the method that a root field calls; "" is for those that call none.
func methodOf(field string) string {
	name, calls := strings.CutPrefix(field, "mlflow")
	if !calls {
		return ""
	}

	return strings.ToLower(name[:1]) + name[1:]
}

// isServed tells whether a field of a type is answered without methods that aren't native.
func (s *Service) isServed(parent *ast.Definition, field string) bool {
	name := fetches[parent.Name+"."+field].method
	if parent == s.schema.Query || parent == s.schema.Mutation {
		name = methodOf(field)
	}

	_, native := s.methods[name]

	return name == "" || native
}

// resolveRoot answers a field of Query or Mutation. Its errors are the words of MLflow's resolvers, or of
// Python about them.
func (s *Service) resolveRoot(
	ctx context.Context, parent *ast.Definition, field *ast.Field, variables values,
) (value any, err error) {
	switch field.Name {
	case "__schema":
		return s.introspection, nil
	case "__type":
		name, _ := s.argument(field, "name", variables)

		return s.introspectType(name), nil
	case "testMutation":
		return nil, nil //nolint:nilnil // MLflow's resolver for it has another name, so nobody answers
	}

	if field.Name == "test" {
		text, given := s.argument(field, "inputString", variables)
		if !given {
			return nil, missingArgument("Query", "test", "input_string")
		}

		echo := &codec.Raw{}
		echo.Set("output", text)

		return echo, nil
	}

	method := s.methods[methodOf(field.Name)]
	input, given := s.argument(field, "input", variables)

	switch object, isObject := input.(*codec.Raw); {
	case !given:
		class := parent.Name
		if class == "Mutation" || s.isGenerated(field.Name) {
			class += "Type"
		}

		return nil, missingArgument(class, snake(field.Name), "input")
	case !isObject:
		return nil, pythonError("vars() argument must have __dict__ attribute")
	default:
		request := method.NewRequest()
		if err := fill(request, field.Definition.Arguments.ForName("input").Type.Name(), object, s.schema); err != nil {
			return nil, err
		}

		return s.call(ctx, method, request)
	}
}

// isGenerated tells MLflow's generated class of queries, QueryType, from the one written by hand on top.
func (*Service) isGenerated(query string) bool { return query != "mlflowSearchRuns" }

// pythonError is what Python says where MLflow doesn't foresee a mistake.
type pythonError string

func (e pythonError) Error() string { return string(e) }

func missingArgument(class, resolver, argument string) error {
	return pythonError(fmt.Sprintf("%s.resolve_%s() missing 1 required positional argument: '%s'",
		class, resolver, argument))
}

// snake is graphene's way back from a field's name to Python's.
func snake(camel string) string {
	var b strings.Builder

	for _, c := range camel {
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('_')

			c += 'a' - 'A'
		}

		b.WriteRune(c)
	}

	return b.String()
}

// argument reads an argument of a field.
func (s *Service) argument(field *ast.Field, name string, variables values) (value any, given bool) {
	argument := field.Arguments.ForName(name)
	if argument == nil {
		return nil, false
	}

	return literalValue(s.schema, argument.Value, field.Definition.Arguments.ForName(name).Type, variables)
}

// fill makes a request of an input object (parse_dict). Values have their types by now, but for those
// that protobufs don't take.
func fill(request proto.Message, inputType string, input *codec.Raw, schema *ast.Schema) error {
	message := request.ProtoReflect()
	body := &codec.Raw{}

	for _, declared := range schema.Types[inputType].Fields { // in this order, the first mistake counts
		value, given := input.Get(declared.Name)
		field := message.Descriptor().Fields().ByJSONName(declared.Name)

		if !given || value == nil || field == nil {
			continue
		}

		if _, isEnum := value.(enumName); isEnum {
			// MLflow hands graphene's class to protobuf, whatever the value is.
			return pythonError(fmt.Sprintf("Failed to parse %s field: int() argument must be a string, a bytes-like object "+
				"or a real number, not 'EnumMeta'.", field.Name()))
		}

		if items, isList := value.([]any); isList {
			for i, item := range items {
				if item == nil {
					return pythonError(fmt.Sprintf("Failed to parse %s field: null is not allowed to be used as an element in a "+
						"repeated field at %s.%s[%d].", field.Name(), message.Descriptor().Name(), field.Name(), i))
				}
			}
		}

		body.Set(string(field.Name()), value)
	}

	decoded, err := codec.DecodeBody(codec.AppendJSON(nil, body), request)
	if err != nil {
		return fmt.Errorf("reading a query's input: %w", err)
	}

	return decoded.ParseError
}

func (s *Service) call(
	ctx context.Context, method contract.Method, request proto.Message,
) (protoreflect.Message, error) {
	response, err := method.Call(ctx, s.services[method.Service], request)
	if err != nil {
		return nil, err
	}

	return response.ProtoReflect(), nil
}

// resolve answers a field of an object: of a message, or of a JSON object in introspection.
func (s *Service) resolve(ctx context.Context, parent any, typeName string, field *ast.Field) (any, error) {
	message, isMessage := parent.(protoreflect.Message)
	if !isMessage {
		object, _ := parent.(*codec.Raw)

		return s.resolveIntrospection(object, field), nil
	}

	if fetch, ok := fetches[typeName+"."+field.Name]; ok {
		answer, err := s.call(ctx, s.methods[fetch.method], fetch.request(message))
		if err != nil {
			return nil, err
		}

		return fieldValue(answer, answer.Descriptor().Fields().ByName(fetch.field)), nil
	}

	described := message.Descriptor().Fields().ByJSONName(field.Name)
	if described == nil {
		return nil, nil //nolint:nilnil // apiError: no message has it
	}

	value := fieldValue(message, described)
	if number, isFloat := value.(float64); isFloat && number != number && typeName == "MlflowMetricExtension" {
		return nil, nil //nolint:nilnil // NaN, see graphql_schema_extensions.MlflowMetricExtension
	}

	return value, nil
}

// fieldValue reads a field as Python's protobuf does: what isn't set has its default, be it an empty
// message.
func fieldValue(message protoreflect.Message, field protoreflect.FieldDescriptor) any {
	value := message.Get(field)

	if field.IsList() {
		items := make([]any, value.List().Len())
		for i := range items {
			items[i] = singleValue(field, value.List().Get(i))
		}

		return items
	}

	return singleValue(field, value)
}

func singleValue(field protoreflect.FieldDescriptor, value protoreflect.Value) any {
	switch field.Kind() { //nolint:exhaustive // the rest are as Go has them
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return value.Message()
	case protoreflect.EnumKind:
		if known := field.Enum().Values().ByNumber(value.Enum()); known != nil {
			return string(known.Name())
		}

		return nil
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind, protoreflect.Int64Kind,
		protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return value.Int()
	default:
		return value.Interface()
	}
}
