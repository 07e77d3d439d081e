package codec

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Encode appends a message as mlflow.utils.proto_json_utils.message_to_json writes it. Where that
// has no order (maps, Struct), names are sorted.
func Encode(dst []byte, m proto.Message) []byte {
	if dst, ok := appendGenerated(dst, m, 0); ok {
		return dst
	}

	return appendMessage(dst, m.ProtoReflect(), 0)
}

// The layout is json.dumps' with indent=2. Whether something is the first of its list is read off
// what was written last, so nothing has to be passed along.

// spaces holds a line break and the indentation of all depths that occur in practice.
var spaces = "\n" + strings.Repeat(" ", 2*maxMessageDepth)

func appendLine(dst []byte, depth int) []byte {
	for depth > maxMessageDepth { // never for a message that was decoded
		depth = maxMessageDepth
	}

	return append(dst, spaces[:1+2*depth]...)
}

// appendNext starts the next member or element at a depth.
func appendNext(dst []byte, depth int) []byte {
	if last := dst[len(dst)-1]; last != '{' && last != '[' {
		dst = append(dst, ',')
	}

	return appendLine(dst, depth)
}

// appendName starts a member; the name comes quoted, with a colon and a space after it.
func appendName(dst []byte, name string, depth int) []byte {
	return append(appendNext(dst, depth), name...)
}

// appendKey starts a member of any name.
func appendKey(dst []byte, name string, depth int) []byte {
	dst = AppendString(appendNext(dst, depth), name)

	return append(dst, ':', ' ')
}

// appendEnd closes an object or list that was opened at a depth.
func appendEnd(dst []byte, bracket byte, depth int) []byte {
	if last := dst[len(dst)-1]; last != '{' && last != '[' {
		dst = appendLine(dst, depth)
	}

	return append(dst, bracket)
}

// appendDouble appends a double as MessageToDict has it: what JSON lacks as strings.
func appendDouble(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	default:
		return AppendFloat(dst, f)
	}
}

func appendFloat32(dst []byte, f float32) []byte {
	if wide := float64(f); math.IsNaN(wide) || math.IsInf(wide, 0) {
		return appendDouble(dst, wide)
	}

	return AppendFloat(dst, shortestFloat(f))
}

func appendBytes(dst, data []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, data)

	return append(dst, '"')
}

// appendMessage appends a message that no code was generated for.
func appendMessage(dst []byte, m protoreflect.Message, depth int) []byte {
	switch known := m.Interface().(type) {
	case *timestamppb.Timestamp:
		return AppendString(dst, formatTimestamp(known))
	case *durationpb.Duration:
		return AppendString(dst, formatDuration(known))
	case *fieldmaskpb.FieldMask:
		return AppendString(dst, formatFieldMask(known))
	case *structpb.Value:
		return appendStructValue(dst, known, depth)
	case *structpb.ListValue:
		return appendListValue(dst, known, depth)
	case *structpb.Struct:
		return appendStruct(dst, known, depth)
	}

	dst = append(dst, '{')

	for _, field := range byNumber(m.Descriptor()) {
		if !m.Has(field) {
			continue
		}

		dst = appendKey(dst, string(field.Name()), depth+1)
		value := m.Get(field)

		switch {
		case field.IsMap():
			dst = appendMap(dst, field, value.Map(), depth+1)
		case field.IsList():
			dst = append(dst, '[')

			for i := range value.List().Len() {
				dst = appendNext(dst, depth+2)
				dst = appendValue(dst, field, value.List().Get(i), depth+2)
			}

			dst = appendEnd(dst, ']', depth+1)
		default:
			dst = appendValue(dst, field, value, depth+1)
		}
	}

	return appendEnd(dst, '}', depth)
}

// byNumber returns a message's fields in the order of ListFields.
func byNumber(message protoreflect.MessageDescriptor) []protoreflect.FieldDescriptor {
	fields := make([]protoreflect.FieldDescriptor, message.Fields().Len())
	for i := range fields {
		fields[i] = message.Fields().Get(i)
	}

	slices.SortFunc(fields, func(a, b protoreflect.FieldDescriptor) int { return int(a.Number() - b.Number()) })

	return fields
}

func appendMap(dst []byte, field protoreflect.FieldDescriptor, entries protoreflect.Map, depth int) []byte {
	keys := make([]protoreflect.MapKey, 0, entries.Len())

	entries.Range(func(key protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, key)

		return true
	})
	slices.SortFunc(keys, func(a, b protoreflect.MapKey) int { return strings.Compare(a.String(), b.String()) })

	dst = append(dst, '{')

	for _, key := range keys {
		dst = appendKey(dst, key.String(), depth+1)
		dst = appendValue(dst, field.MapValue(), entries.Get(key), depth+1)
	}

	return appendEnd(dst, '}', depth)
}

func appendValue(dst []byte, field protoreflect.FieldDescriptor, value protoreflect.Value, depth int) []byte {
	switch field.Kind() { //nolint:exhaustive // signed integers are the default
	case protoreflect.BoolKind:
		return strconv.AppendBool(dst, value.Bool())
	case protoreflect.EnumKind:
		return appendEnum(dst, field.Enum(), value.Enum())
	case protoreflect.DoubleKind:
		return appendDouble(dst, value.Float())
	case protoreflect.FloatKind:
		return appendFloat32(dst, float32(value.Float()))
	case protoreflect.StringKind:
		return AppendString(dst, value.String())
	case protoreflect.BytesKind:
		return appendBytes(dst, value.Bytes())
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return appendMessage(dst, value.Message(), depth)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return strconv.AppendUint(dst, value.Uint(), 10)
	default:
		return strconv.AppendInt(dst, value.Int(), 10)
	}
}

// appendEnum appends an enum's name, or the number of one that has none.
func appendEnum(dst []byte, enum protoreflect.EnumDescriptor, number protoreflect.EnumNumber) []byte {
	if enum.FullName() == "google.protobuf.NullValue" {
		return append(dst, jsonNull...)
	}

	if value := enum.Values().ByNumber(number); value != nil {
		return AppendString(dst, string(value.Name()))
	}

	return strconv.AppendInt(dst, int64(number), 10)
}

// appendEnumName is appendEnum with the names that protoc-gen-go lists.
func appendEnumName(dst []byte, names map[int32]string, number int32) []byte {
	if name, ok := names[number]; ok {
		return AppendString(dst, name)
	}

	return strconv.AppendInt(dst, int64(number), 10)
}

func appendStructValue(dst []byte, m *structpb.Value, depth int) []byte {
	switch kind := m.GetKind().(type) {
	case *structpb.Value_BoolValue:
		return strconv.AppendBool(dst, kind.BoolValue)
	case *structpb.Value_NumberValue:
		return appendDouble(dst, kind.NumberValue)
	case *structpb.Value_StringValue:
		return AppendString(dst, kind.StringValue)
	case *structpb.Value_ListValue:
		return appendListValue(dst, kind.ListValue, depth)
	case *structpb.Value_StructValue:
		return appendStruct(dst, kind.StructValue, depth)
	default:
		return append(dst, jsonNull...)
	}
}

func appendListValue(dst []byte, m *structpb.ListValue, depth int) []byte {
	dst = append(dst, '[')

	for _, value := range m.GetValues() {
		dst = appendNext(dst, depth+1)
		dst = appendStructValue(dst, value, depth+1)
	}

	return appendEnd(dst, ']', depth)
}

func appendStruct(dst []byte, m *structpb.Struct, depth int) []byte {
	dst = append(dst, '{')

	for _, name := range sortedKeys(m.GetFields()) {
		dst = appendKey(dst, name, depth+1)
		dst = appendStructValue(dst, m.GetFields()[name], depth+1)
	}

	return appendEnd(dst, '}', depth)
}

func sortedKeys[V any](entries map[string]V) []string {
	keys := make([]string, 0, len(entries))
	for key := range entries {
		keys = append(keys, key)
	}

	slices.Sort(keys)

	return keys
}
