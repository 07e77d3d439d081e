package main

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A printer writes descriptors as .proto source, with a comment wherever one may stand, so that
// tests can make a clone of MLflow from its wheel.
type printer struct {
	strings.Builder

	indent int
}

func (p *printer) linef(format string, arguments ...any) {
	p.WriteString(strings.Repeat("  ", p.indent))
	_, _ = fmt.Fprintf(p, format, arguments...) // a strings.Builder never fails
	p.WriteByte('\n')
}

func (p *printer) blockf(body func(), format string, arguments ...any) {
	p.linef("// A comment.")
	p.linef(format+" {", arguments...)
	p.indent++
	body()
	p.indent--
	p.linef("}")
}

func (p *printer) file(file protoreflect.FileDescriptor) {
	p.linef("// A comment.")
	p.linef("syntax = %q;", file.Syntax().String())
	p.linef("package %s;", file.Package())
	for i := range file.Imports().Len() {
		p.linef("import %q;", file.Imports().Get(i).Path())
	}
	p.options(file)
	p.extensions(file.Extensions())
	p.enums(file.Enums())
	p.messages(file.Messages())
	for i := range file.Services().Len() {
		p.service(file.Services().Get(i))
	}
}

func (p *printer) service(service protoreflect.ServiceDescriptor) {
	p.blockf(func() {
		p.options(service)
		for i := range service.Methods().Len() {
			method := service.Methods().Get(i)
			p.blockf(func() { p.options(method) },
				"rpc %s (.%s) returns (.%s)", method.Name(), method.Input().FullName(), method.Output().FullName())
		}
	}, "service %s", service.Name())
}

func (p *printer) messages(messages protoreflect.MessageDescriptors) {
	for i := range messages.Len() {
		message := messages.Get(i)
		p.blockf(func() { p.message(message) }, "message %s", message.Name())
	}
}

func (p *printer) message(message protoreflect.MessageDescriptor) {
	p.options(message)
	p.enums(message.Enums())
	p.extensions(message.Extensions())
	for i := range message.ReservedRanges().Len() {
		bounds := message.ReservedRanges().Get(i)
		p.linef("reserved %d to %d;", bounds[0], bounds[1]-1)
	}
	for i := range message.ReservedNames().Len() {
		p.linef("reserved %q;", message.ReservedNames().Get(i))
	}
	for i := range message.ExtensionRanges().Len() {
		bounds := message.ExtensionRanges().Get(i)
		p.linef("extensions %d to %d;", bounds[0], bounds[1]-1)
	}
	printed := 0
	for i := range message.Messages().Len() {
		nested := message.Messages().Get(i)
		if !nested.IsMapEntry() {
			p.blockf(func() { p.message(nested) }, "message %s", nested.Name())

			continue
		}
		// A map's entry takes its place among the nested messages from its field.
		for owner := false; !owner; printed++ {
			field := message.Fields().Get(printed)
			p.member(field)
			owner = field.Message() == nested
		}
	}
	for ; printed < message.Fields().Len(); printed++ {
		p.member(message.Fields().Get(printed))
	}
}

// member prints a field, or the whole oneof that it begins.
func (p *printer) member(field protoreflect.FieldDescriptor) {
	oneof := field.ContainingOneof()
	switch {
	case oneof == nil || oneof.IsSynthetic():
		p.field(field)
	case oneof.Fields().Get(0) == field:
		p.blockf(func() {
			p.options(oneof)
			for j := range oneof.Fields().Len() {
				p.field(oneof.Fields().Get(j))
			}
		}, "oneof %s", oneof.Name())
	}
}

func (p *printer) field(field protoreflect.FieldDescriptor) {
	label := field.Cardinality().String() + " "
	inOneof := field.ContainingOneof() != nil && !field.ContainingOneof().IsSynthetic()
	proto3 := field.ParentFile().Syntax() == protoreflect.Proto3
	if field.IsMap() || inOneof || (proto3 && !field.IsList() && !field.HasOptionalKeyword()) {
		label = ""
	}
	options := optionsOf(field)
	if field.HasDefault() {
		options = append(options, "default = "+literal(field, field.Default()))
	}
	suffix := ""
	if len(options) > 0 {
		suffix = " [" + strings.Join(options, ", ") + "]"
	}
	p.linef("// A comment.")
	p.linef("%s%s %s = %d%s; // Another.", label, typeOf(field), field.Name(), field.Number(), suffix)
}

func typeOf(field protoreflect.FieldDescriptor) string {
	switch {
	case field.IsMap():
		return fmt.Sprintf("map<%s, %s>", typeOf(field.MapKey()), typeOf(field.MapValue()))
	case field.Message() != nil:
		return "." + string(field.Message().FullName())
	case field.Enum() != nil:
		return "." + string(field.Enum().FullName())
	default:
		return field.Kind().String()
	}
}

func (p *printer) enums(enums protoreflect.EnumDescriptors) {
	for i := range enums.Len() {
		enum := enums.Get(i)
		p.blockf(func() {
			p.options(enum)
			for j := range enum.Values().Len() {
				value := enum.Values().Get(j)
				suffix := ""
				if options := optionsOf(value); len(options) > 0 {
					suffix = " [" + strings.Join(options, ", ") + "]"
				}
				p.linef("%s = %d%s; // A comment.", value.Name(), value.Number(), suffix)
			}
		}, "enum %s", enum.Name())
	}
}

func (p *printer) extensions(extensions protoreflect.ExtensionDescriptors) {
	for i := range extensions.Len() {
		extension := extensions.Get(i)
		p.blockf(func() { p.field(extension) }, "extend .%s", extension.ContainingMessage().FullName())
	}
}

func (p *printer) options(descriptor protoreflect.Descriptor) {
	for _, option := range optionsOf(descriptor) {
		p.linef("option %s;", option)
	}
}

// optionsOf lists the options that are set as assignments.
func optionsOf(descriptor protoreflect.Descriptor) []string {
	var options []string
	descriptor.Options().ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		name := string(field.Name())
		if field.IsExtension() {
			name = "(." + string(field.FullName()) + ")"
		}
		if !field.IsList() {
			options = append(options, name+" = "+literal(field, value))

			return true
		}
		for i := range value.List().Len() {
			options = append(options, name+" = "+literal(field, value.List().Get(i)))
		}

		return true
	})

	return options
}

func literal(field protoreflect.FieldDescriptor, value protoreflect.Value) string {
	switch field.Kind() { //nolint:exhaustive // numbers and booleans print as they are
	case protoreflect.MessageKind:
		return "{ " + prototext.MarshalOptions{}.Format(value.Message().Interface()) + " }"
	case protoreflect.EnumKind:
		return string(field.Enum().Values().ByNumber(value.Enum()).Name())
	case protoreflect.StringKind:
		return strconv.Quote(value.String())
	default:
		return value.String()
	}
}
