package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const codecPath = module + "/pkg/codec"

// codecSamples are messages that, together with those of native procedures, need every template of
// the codec. Their code is for the codec's tests only.
var codecSamples = []protoreflect.FullName{
	"mlflow.artifacts.CreatePresignedUploadUrl.Response",
	"mlflow.CreateAssessment",
	"mlflow.CreateGatewayEndpoint",
	"mlflow.datasets.Dataset",
	"mlflow.GetTrace",
	"mlflow.label_schemas.CreateLabelSchema",
	"mlflow.StartTraceV3",
	"mlflow.UpdateAssessment",
}

// generateCodec writes the JSON codec of what native procedures receive and answer: an encoder for
// each message that a response can hold, a decoder for each that a request can. Messages of other
// modules are left to reflection.
func generateCodec(plugin *protogen.Plugin, services []service) error {
	var encoded, decoded messageSet

	for _, s := range services {
		for _, p := range s.native() {
			encoded.add(p.Output)
			decoded.add(p.Input)
		}
	}

	if err := printCodec(plugin, "messages.gen.go", "Generated", encoded.all, decoded.all); err != nil {
		return err
	}

	var samples messageSet
	for _, file := range plugin.Files {
		samples.addSamples(file.Messages)
	}
	if len(samples.all) == 0 {
		return nil // the descriptors aren't MLflow's
	}

	lacking := func(set messageSet) []*protogen.Message {
		return slices.DeleteFunc(slices.Clone(samples.all), func(m *protogen.Message) bool {
			return slices.Contains(set.all, m)
		})
	}

	return printCodec(plugin, "samples_gen_test.go", "Sample", lacking(encoded), lacking(decoded))
}

// printCodec writes one file of encoders and decoders. Its entry points are append<suffix> and
// decode<suffix>.
func printCodec(plugin *protogen.Plugin, file, suffix string, encoded, decoded []*protogen.Message) error {
	c := codecFile{newGoFile(plugin, codecPath, file)}

	c.printEncoderSwitch(suffix, encoded)
	for _, m := range encoded {
		if err := check(m); err != nil {
			return err
		}
		c.printEncoder(m)
	}

	c.printDecoderSwitch(suffix, decoded)
	for _, m := range decoded {
		if err := check(m); err != nil {
			return err
		}
		c.printDecoder(m)
	}

	return nil
}

// A messageSet holds messages and everything that they can contain, in the order of discovery.
type messageSet struct {
	all []*protogen.Message
}

func (s *messageSet) add(m *protogen.Message) {
	if isReflected(m) || slices.Contains(s.all, m) {
		return
	}

	s.all = append(s.all, m)
	for _, field := range m.Fields {
		switch {
		case field.Message == nil:
		case field.Desc.IsMap():
			if value := mapValue(field); value.Message != nil {
				s.add(value.Message)
			}
		default:
			s.add(field.Message)
		}
	}
}

// addSamples adds the samples among messages and those nested in them.
func (s *messageSet) addSamples(messages []*protogen.Message) {
	for _, m := range messages {
		if slices.Contains(codecSamples, m.Desc.FullName()) {
			s.add(m)
		}
		s.addSamples(m.Messages)
	}
}

// isReflected says whether a message is left to reflection.
func isReflected(m *protogen.Message) bool { return isForeign(m.Desc.ParentFile().Path()) }

// mapValue returns the field of a map's entry that holds the value.
func mapValue(field *protogen.Field) *protogen.Field { return field.Message.Fields[1] }

// inUnion says whether a field is a member of a oneof that the .proto file shows.
func inUnion(field *protogen.Field) bool {
	return field.Oneof != nil && !field.Oneof.Desc.IsSynthetic()
}

// codecFile prints a file of pkg/codec.
type codecFile struct{ *protogen.GeneratedFile }

// scalarTypes are the Go types of the scalars that the templates know; the decoder's methods are
// named like them.
var scalarTypes = map[protoreflect.Kind]string{
	protoreflect.BoolKind:   boolName,
	protoreflect.StringKind: "string", //nolint:goconst // Go's name of a type
	protoreflect.DoubleKind: "float64",
	protoreflect.FloatKind:  "float32",
	protoreflect.Int32Kind:  "int32",
	protoreflect.Int64Kind:  "int64",
}

var errNoTemplate = errors.New("the codec has no template for this field")

// check refuses what the templates don't know.
func check(m *protogen.Message) error {
	for _, field := range m.Fields {
		value := field
		known := field.Desc.IsList() || field.Desc.HasPresence()
		if field.Desc.IsMap() {
			value = mapValue(field)
			known = field.Desc.MapKey().Kind() == protoreflect.StringKind
		}
		if _, scalar := scalarTypes[value.Desc.Kind()]; !known || (!scalar && value.Enum == nil && value.Message == nil) {
			return fmt.Errorf("%s: %w", field.Desc.FullName(), errNoTemplate)
		}
	}

	return nil
}

// name makes a message's name unique over MLflow's Go packages.
func (c codecFile) name(m *protogen.Message) string {
	sub := strings.TrimPrefix(strings.TrimPrefix(string(m.GoIdent.GoImportPath), protosPath), "/")
	if sub != "" {
		sub = strings.ToUpper(sub[:1]) + sub[1:]
	}

	return sub + m.GoIdent.GoName
}

func (c codecFile) printEncoderSwitch(suffix string, messages []*protogen.Message) {
	message := c.QualifiedGoIdent(protogen.GoIdent{GoName: "Message", GoImportPath: "google.golang.org/protobuf/proto"})
	c.P("// append", suffix, " appends a message that has an encoder below.")
	c.P("func append", suffix, "(dst []byte, m ", message, ", depth int) ([]byte, bool) {")
	c.P("switch m := m.(type) {")
	for _, m := range messages {
		c.P("case *", m.GoIdent, ":")
		c.P("return append", c.name(m), "(dst, m, depth), true")
	}
	c.P("default:")
	c.P("return dst, false")
	c.P("}")
	c.P("}")
	c.P()
}

func (c codecFile) printEncoder(m *protogen.Message) {
	c.P("func append", c.name(m), "(dst []byte, m *", m.GoIdent, ", depth int) []byte {")
	c.P("dst = append(dst, '{')")

	fields := slices.Clone(m.Fields)
	slices.SortFunc(fields, func(a, b *protogen.Field) int { return cmp.Compare(a.Desc.Number(), b.Desc.Number()) })

	for _, field := range fields {
		value := "m." + field.GoName

		switch {
		case field.Desc.IsMap():
			c.P("if len(", value, ") > 0 {")
			c.printAppendName(field)
			c.P("dst = append(dst, '{')")
			c.P("for _, key := range sortedKeys(", value, ") {")
			c.P("dst = appendKey(dst, key, depth+2)")
			c.printAppendValue(mapValue(field), value+"[key]", "depth+2")
			c.P("}")
			c.P("dst = appendEnd(dst, '}', depth+1)")
		case field.Desc.IsList():
			c.P("if len(", value, ") > 0 {")
			c.printAppendName(field)
			c.P("dst = append(dst, '[')")
			c.P("for _, item := range ", value, " {")
			c.P("dst = appendNext(dst, depth+2)")
			c.printAppendValue(field, "item", "depth+2")
			c.P("}")
			c.P("dst = appendEnd(dst, ']', depth+1)")
		case inUnion(field):
			c.P("if union, ok := m.", field.Oneof.GoName, ".(*", field.GoIdent, "); ok {")
			c.printAppendName(field)
			c.printAppendValue(field, "union."+field.GoName, "depth+1")
		default:
			c.P("if ", value, " != nil {")
			c.printAppendName(field)
			if field.Message == nil {
				value = "*" + value
			}
			c.printAppendValue(field, value, "depth+1")
		}

		c.P("}")
	}

	c.P("return appendEnd(dst, '}', depth)")
	c.P("}")
	c.P()
}

func (c codecFile) printAppendName(field *protogen.Field) {
	c.P("dst = appendName(dst, `\"", field.Desc.Name(), "\": `, depth+1)")
}

// printAppendValue appends one value that is no list or map.
func (c codecFile) printAppendValue(field *protogen.Field, value, depth string) {
	strconvFunc := func(name string) string {
		return c.QualifiedGoIdent(protogen.GoIdent{GoName: name, GoImportPath: "strconv"})
	}

	switch scalarTypes[field.Desc.Kind()] {
	case boolName:
		c.P("dst = ", strconvFunc("AppendBool"), "(dst, ", value, ")")
	case "string":
		c.P("dst = AppendString(dst, ", value, ")")
	case "float64":
		c.P("dst = appendDouble(dst, ", value, ")")
	case "float32":
		c.P("dst = appendFloat32(dst, ", value, ")")
	case "int32", "int64":
		c.P("dst = ", strconvFunc("AppendInt"), "(dst, int64(", value, "), 10)")
	default:
		switch {
		case field.Enum != nil:
			c.P("dst = appendEnumName(dst, ", c.enumTable(field, "_name"), ", int32(", value, "))")
		case isReflected(field.Message):
			c.P("dst = appendMessage(dst, ", value, ".ProtoReflect(), ", depth, ")")
		default:
			c.P("dst = append", c.name(field.Message), "(dst, ", value, ", ", depth, ")")
		}
	}
}

// enumTable names one of the maps that protoc-gen-go writes for an enum.
func (c codecFile) enumTable(field *protogen.Field, suffix string) string {
	enum := field.Enum.GoIdent

	return c.QualifiedGoIdent(protogen.GoIdent{GoName: enum.GoName + suffix, GoImportPath: enum.GoImportPath})
}

func (c codecFile) printDecoderSwitch(suffix string, messages []*protogen.Message) {
	message := c.QualifiedGoIdent(protogen.GoIdent{GoName: "Message", GoImportPath: "google.golang.org/protobuf/proto"})
	c.P("// decode", suffix, " reads a message that has a decoder below.")
	c.P("func decode", suffix, "(d *decoder, m ", message, ") bool {")
	c.P("switch m := m.(type) {")
	for _, m := range messages {
		c.P("case *", m.GoIdent, ":")
		c.P("decode", c.name(m), "(d, m, new(", c.fieldsType(m), "))")
	}
	c.P("default:")
	c.P("return false")
	c.P("}")
	c.P("return true")
	c.P("}")
	c.P()
}

func (c codecFile) fieldsType(m *protogen.Message) string { return "fieldsOf" + c.name(m) }

func (c codecFile) boxType(m *protogen.Message) string { return "boxOf" + c.name(m) }

// printDecoder prints a message's decoder and two types: one struct that holds what the message's
// optional fields point to, and one that holds that and the message, so that both are one
// allocation.
func (c codecFile) printDecoder(m *protogen.Message) {
	c.P("type ", c.fieldsType(m), " struct {")
	for _, field := range m.Fields {
		if isOptionalScalar(field) {
			c.P(field.GoName, " ", c.goType(field))
		}
	}
	c.P("}")
	c.P()
	c.P("type ", c.boxType(m), " struct {")
	c.P("fields ", c.fieldsType(m))
	c.P("message ", m.GoIdent)
	c.P("}")
	c.P()
	c.P("func decode", c.name(m), "(d *decoder, m *", m.GoIdent, ", f *", c.fieldsType(m), ") {")
	c.P("for more := d.object(); more; more = d.next('}') {")
	c.P("switch d.name() {")
	for _, field := range m.Fields {
		c.P("case ", quote(field.Desc.Name()), ":")
		c.printDecodeField(field)
	}
	c.P("default:")
	c.P("d.fail()")
	c.P("}")
	c.P("}")
	c.P("}")
	c.P()
}

// isOptionalScalar says whether Go holds a field as a pointer to a scalar.
func isOptionalScalar(field *protogen.Field) bool {
	return field.Message == nil && !field.Desc.IsList() && !inUnion(field)
}

func (c codecFile) goType(field *protogen.Field) string {
	switch {
	case field.Message != nil:
		return "*" + c.QualifiedGoIdent(field.Message.GoIdent)
	case field.Enum != nil:
		return c.QualifiedGoIdent(field.Enum.GoIdent)
	default:
		return scalarTypes[field.Desc.Kind()]
	}
}

func (c codecFile) printDecodeField(field *protogen.Field) {
	value := "m." + field.GoName

	switch {
	case field.Desc.IsMap():
		c.P("if d.opens('{', ", value, " != nil) {")
		c.P(value, " = map[string]", c.goType(mapValue(field)), "{}")
		c.P("for more := true; more; more = d.next('}') {")
		c.P("key := d.key()")
		c.printDecodeValue(mapValue(field), value+"[key]")
		c.P("}")
		c.P("}")
	case field.Desc.IsList():
		c.P("if d.opens('[', ", value, " != nil) {")
		if field.Message != nil && !isReflected(field.Message) {
			c.P("var boxes slab[", c.boxType(field.Message), "]")
		}
		c.P("for more := true; more; more = d.next(']') {")
		if field.Message != nil && !isReflected(field.Message) {
			c.P("box := boxes.next()")
			c.P("decode", c.name(field.Message), "(d, &box.message, &box.fields)")
			c.P(value, " = append(", value, ", &box.message)")
		} else {
			c.P("var item ", c.goType(field))
			c.printDecodeValue(field, "item")
			c.P(value, " = append(", value, ", item)")
		}
		c.P("}")
		c.P("}")
	case inUnion(field):
		c.P("if d.", presence(field), "(m.", field.Oneof.GoName, " != nil) {")
		c.P("union := new(", field.GoIdent, ")")
		c.printDecodeValue(field, "union."+field.GoName)
		c.P("m.", field.Oneof.GoName, " = union")
		c.P("}")
	case field.Message != nil:
		c.P("if d.", presence(field), "(", value, " != nil) {")
		c.printDecodeValue(field, value)
		c.P("}")
	default:
		c.P("if d.", presence(field), "(", value, " != nil) {")
		c.printDecodeValue(field, "f."+field.GoName)
		c.P(value, " = &f.", field.GoName)
		c.P("}")
	}
}

// presence names the check before a value is read. Null means absent but to
// google.protobuf.Value.
func presence(field *protogen.Field) string {
	if field.Message != nil && field.Message.Desc.FullName() == "google.protobuf.Value" {
		return "once"
	}

	return "present"
}

// printDecodeValue reads one value that is no list or map into a variable.
func (c codecFile) printDecodeValue(field *protogen.Field, variable string) {
	switch {
	case field.Enum != nil:
		c.P(variable, " = ", field.Enum.GoIdent, "(d.enum(", c.enumTable(field, "_value"), "))")
	case field.Message == nil:
		c.P(variable, " = d.", c.goType(field), "()")
	case isReflected(field.Message):
		c.P(variable, " = new(", field.Message.GoIdent, ")")
		c.P("d.reflected(", variable, ".ProtoReflect())")
	default:
		c.P("box := new(", c.boxType(field.Message), ")")
		c.P("decode", c.name(field.Message), "(d, &box.message, &box.fields)")
		c.P(variable, " = &box.message")
	}
}
