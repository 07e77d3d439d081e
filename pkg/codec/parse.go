package codec

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// maxMessageDepth is ParseDict's default limit on messages within each other.
const maxMessageDepth = 100

// bits32 is the size of the smaller integers.
const bits32 = 32

// parseError is json_format.ParseError.
type parseError struct{ text string }

func (e *parseError) Error() string { return e.text }

func parseErrorf(format string, args ...any) error {
	return &parseError{fmt.Sprintf(format, args...)}
}

// errUnknownEnum is EnumStringValueParseError, which ignore_unknown_fields suppresses.
var errUnknownEnum = errors.New("unknown enum value")

// parseDict fills a message from JSON (mlflow.utils.proto_json_utils.parse_dict). On an error the
// message holds what came before it.
func parseDict(value any, m protoreflect.Message) error {
	p := parser{path: []string{string(m.Descriptor().Name())}}

	return p.message(value, m)
}

// parser mirrors json_format._Parser with ignore_unknown_fields.
type parser struct {
	depth int
	path  []string
}

func (p *parser) at() string { return strings.Join(p.path, "") }

func (p *parser) push(part string) { p.path = append(p.path, part) }

func (p *parser) pop() { p.path = p.path[:len(p.path)-1] }

// message mirrors ConvertMessage.
func (p *parser) message(value any, m protoreflect.Message) error {
	if p.depth++; p.depth > maxMessageDepth {
		return parseErrorf("Message too deep. Max recursion depth is %d", maxMessageDepth)
	}

	var err error

	switch known := m.Interface().(type) {
	case *structpb.Value:
		err = p.value(value, m)
	case *structpb.ListValue:
		err = p.listValue(value, m)
	case *structpb.Struct:
		err = p.structValue(value, m)
	case *timestamppb.Timestamp:
		err = p.text(value, "Timestamp", func(text string) error { return setTimestamp(known, text) })
	case *durationpb.Duration:
		err = p.text(value, "Duration", func(text string) error { return setDuration(known, text) })
	case *fieldmaskpb.FieldMask:
		err = p.text(value, "FieldMask", func(text string) error { return setFieldMask(known, text) })
	default:
		err = p.fields(value, m)
	}

	p.depth--

	return err
}

// text mirrors _ConvertGenericMessage.
func (p *parser) text(value any, name string, set func(string) error) error {
	text, ok := value.(string)
	if !ok {
		return parseErrorf("%s JSON value not a string: %s at %s", name, repr(value), p.at())
	}

	err := errNotUnicode
	if !hasSurrogate(text) {
		err = set(text)
	}

	if err != nil {
		return parseErrorf("%v at %s", err, p.at())
	}

	return nil
}

// extensionName is how extensions are spelled. No message of MLflow's has any.
var extensionName = regexp.MustCompile(`^\[[a-zA-Z0-9._]*\]\n?$`)

// errNotUnicode is what Python makes of a string with lone surrogates.
var errNotUnicode = errors.New("Unpaired surrogate") //nolint:staticcheck // Python's text

// fields mirrors _ConvertFieldValuePair. Python goes over whatever it is given: over a dict's
// keys, but also over the elements of a list and the characters of a string, and only stumbles
// when one of them is a field's name.
func (p *parser) fields(value any, m protoreflect.Message) error {
	switch value := value.(type) {
	case *Raw:
		return p.members(value, m)
	case []any:
		for _, item := range value {
			name, ok := item.(string)
			if !ok {
				return parseErrorf("Failed to parse %s field: bad name.", repr(item))
			}

			if err := p.foreignName(name, m); err != nil {
				return err
			}
		}

		return nil
	case string:
		for rest := value; rest != ""; {
			_, size := decodeRune(rest)
			size = max(size, 1)

			if err := p.foreignName(rest[:size], m); err != nil {
				return err
			}

			rest = rest[size:]
		}

		return nil
	default:
		return parseErrorf("'%s' object is not iterable", pythonType(value))
	}
}

// foreignName judges a name that came from no dict.
func (p *parser) foreignName(name string, m protoreflect.Message) error {
	field, err := p.field(name, m)
	if err == nil && field != nil {
		err = parseErrorf("indices must be integers")
	}

	if err != nil {
		return parseErrorf("Failed to parse %s field: %v.", name, err)
	}

	return nil
}

// field finds a field by its JSON name or its proto name; there may be none.
func (p *parser) field(name string, m protoreflect.Message) (protoreflect.FieldDescriptor, error) {
	fields := m.Descriptor().Fields()

	field := fields.ByJSONName(name)
	if field == nil {
		field = fields.ByName(protoreflect.Name(name))
	}

	switch {
	case field != nil:
		return field, nil
	case extensionName.MatchString(name):
		return nil, parseErrorf("Message type %s does not have extensions at %s", m.Descriptor().FullName(), p.at())
	case hasSurrogate(name):
		return nil, errNotUnicode
	default:
		return nil, nil //nolint:nilnil // unknown fields are ignored
	}
}

func (p *parser) members(object *Raw, m protoreflect.Message) error {
	var oneofs map[protoreflect.Name]bool

	for name, value := range object.All() {
		field, err := p.field(name, m)
		if err != nil {
			return parseErrorf("Failed to parse %s field: %v.", name, err)
		}

		if field == nil {
			continue
		}

		if oneof := field.ContainingOneof(); oneof != nil && value != nil {
			if oneofs[oneof.Name()] {
				return parseErrorf("Message type \"%s\" should not have multiple \"%s\" oneof fields at \"%s\".",
					m.Descriptor().FullName(), oneof.Name(), p.at())
			}

			if oneofs == nil {
				oneofs = map[protoreflect.Name]bool{}
			}

			oneofs[oneof.Name()] = true
		}

		p.push("." + name)
		err = p.member(name, value, field, m)
		p.pop()

		if err != nil && field.ContainingOneof() == nil {
			err = parseErrorf("Failed to parse %s field: %v.", name, err)
		}

		if err != nil {
			return err
		}
	}

	return nil
}

// member converts the value of one field.
func (p *parser) member(name string, value any, field protoreflect.FieldDescriptor, m protoreflect.Message) error {
	switch {
	case value == nil:
		return p.null(field, m)
	case field.IsMap():
		return p.mapField(value, field, m)
	case field.IsList():
		list, ok := value.([]any)
		if !ok {
			m.Clear(field)

			return parseErrorf("repeated field %s must be in [] which is %s at %s",
				name, str(value), strings.Join(p.path[:len(p.path)-1], ""))
		}

		return p.list(list, field, m)
	case field.Message() != nil:
		return p.message(value, m.Mutable(field).Message())
	default:
		scalar, err := p.scalar(value, field, false)
		if errors.Is(err, errUnknownEnum) {
			return nil
		}

		if err == nil {
			m.Set(field, scalar)
		}

		return err
	}
}

// null clears a field, but sets a google.protobuf.Value to null.
func (*parser) null(field protoreflect.FieldDescriptor, m protoreflect.Message) error {
	if isValue(field) && field.Cardinality() != protoreflect.Repeated {
		value := m.Mutable(field).Message()
		value.Set(value.Descriptor().Fields().ByName("null_value"), protoreflect.ValueOfEnum(0))

		return nil
	}

	m.Clear(field)

	return nil
}

func isValue(field protoreflect.FieldDescriptor) bool {
	return field.Message() != nil && field.Message().FullName() == "google.protobuf.Value"
}

func (p *parser) list(values []any, field protoreflect.FieldDescriptor, m protoreflect.Message) error {
	m.Clear(field)

	if len(values) == 0 {
		return nil
	}

	list := m.Mutable(field).List()

	for i, value := range values {
		p.push("[" + strconv.Itoa(i) + "]")
		err := p.element(value, field, list)

		if err != nil {
			return err
		}

		p.pop()
	}

	return nil
}

func (p *parser) element(value any, field protoreflect.FieldDescriptor, list protoreflect.List) error {
	if value == nil && !isValue(field) {
		return parseErrorf("null is not allowed to be used as an element in a repeated field at %s", p.at())
	}

	if field.Message() != nil {
		return p.message(value, list.AppendMutable().Message())
	}

	scalar, err := p.scalar(value, field, false)
	if errors.Is(err, errUnknownEnum) {
		return nil
	}

	if err == nil {
		list.Append(scalar)
	}

	return err
}

// mapField mirrors _ConvertMapFieldValue.
func (p *parser) mapField(value any, field protoreflect.FieldDescriptor, m protoreflect.Message) error {
	m.Clear(field)

	object, ok := value.(*Raw)
	if !ok {
		return parseErrorf("Map field %s must be in a dict which is %s at %s", field.Name(), str(value), p.at())
	}

	if object.Len() == 0 {
		return nil
	}

	entries := m.Mutable(field).Map()

	for name, value := range object.All() {
		p.push(".key")
		key, err := p.scalar(name, field.MapKey(), true)
		p.pop()

		if err != nil {
			return err
		}

		p.push("[" + name + "]")

		if field.MapValue().Message() != nil {
			err = p.message(value, entries.Mutable(key.MapKey()).Message())
		} else {
			var scalar protoreflect.Value
			if scalar, err = p.scalar(value, field.MapValue(), false); err == nil {
				entries.Set(key.MapKey(), scalar)
			}
		}

		if err != nil && !errors.Is(err, errUnknownEnum) {
			return err
		}

		p.pop()
	}

	return nil
}

// value mirrors _ConvertValueMessage.
func (p *parser) value(value any, m protoreflect.Message) error {
	fields := m.Descriptor().Fields()
	field := func(name protoreflect.Name) protoreflect.FieldDescriptor { return fields.ByName(name) }

	switch value := value.(type) {
	case *Raw:
		return p.message(value, m.Mutable(field("struct_value")).Message())
	case []any:
		return p.message(value, m.Mutable(field("list_value")).Message())
	case nil:
		m.Set(field("null_value"), protoreflect.ValueOfEnum(0))
	case bool:
		m.Set(field("bool_value"), protoreflect.ValueOfBool(value))
	case string:
		if hasSurrogate(value) {
			return errNotUnicode
		}

		m.Set(field("string_value"), protoreflect.ValueOfString(value))
	case json.Number:
		number, err := numberFloat(value)
		if err != nil {
			return err
		}

		m.Set(field("number_value"), protoreflect.ValueOfFloat64(number))
	}

	return nil
}

// listValue mirrors _ConvertListOrTupleValueMessage.
func (p *parser) listValue(value any, m protoreflect.Message) error {
	values, ok := value.([]any)
	if !ok {
		return parseErrorf("ListValue must be in [] which is %s at %s", str(value), p.at())
	}

	return p.list(values, m.Descriptor().Fields().ByName("values"), m)
}

// structValue mirrors _ConvertStructMessage.
func (p *parser) structValue(value any, m protoreflect.Message) error {
	object, ok := value.(*Raw)
	if !ok {
		return parseErrorf("Struct must be in a dict which is %s at %s", str(value), p.at())
	}

	field := m.Descriptor().Fields().ByName("fields")
	m.Clear(field)

	for name, value := range object.All() {
		if hasSurrogate(name) {
			return errNotUnicode
		}

		p.push("." + name)

		key := protoreflect.ValueOfString(name).MapKey()
		if err := p.message(value, m.Mutable(field).Map().Mutable(key).Message()); err != nil {
			return err
		}

		p.pop()
	}

	return nil
}

// scalar mirrors _ConvertScalarFieldValue and the range checks of setting a field. A map's key
// comes as text and must be converted from that.
func (p *parser) scalar(value any, field protoreflect.FieldDescriptor, isKey bool) (protoreflect.Value, error) {
	scalar, err := convertScalar(value, field, isKey)
	if err != nil && !errors.Is(err, errUnknownEnum) {
		return scalar, parseErrorf("%v at %s", err, p.at())
	}

	return scalar, err
}

func convertScalar(value any, field protoreflect.FieldDescriptor, isKey bool) (protoreflect.Value, error) {
	switch field.Kind() { //nolint:exhaustive // messages are no scalars
	case protoreflect.BoolKind:
		flag, err := convertBool(value, isKey)

		return protoreflect.ValueOfBool(flag), err
	case protoreflect.EnumKind:
		number, err := convertEnum(value, field.Enum())

		return protoreflect.ValueOfEnum(number), err
	case protoreflect.DoubleKind, protoreflect.FloatKind:
		number, err := convertFloat(value, field.Kind() == protoreflect.FloatKind)
		if field.Kind() == protoreflect.FloatKind {
			return protoreflect.ValueOfFloat32(float32(number)), err
		}

		return protoreflect.ValueOfFloat64(number), err
	case protoreflect.StringKind:
		text, ok := value.(string)
		if !ok {
			return protoreflect.Value{}, parseErrorf("expected string or bytes-like object, got '%s'", pythonType(value))
		}

		if hasSurrogate(text) {
			return protoreflect.Value{}, errNotUnicode
		}

		return protoreflect.ValueOfString(text), nil
	case protoreflect.BytesKind:
		data, err := convertBytes(value)

		return protoreflect.ValueOfBytes(data), err
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		number, err := convertInt(value, bits32)

		return protoreflect.ValueOfInt32(int32(number)), err //nolint:gosec // it fits
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		number, err := convertInt(value, 64)

		return protoreflect.ValueOfInt64(number), err
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		number, err := convertUint(value, bits32)

		return protoreflect.ValueOfUint32(uint32(number)), err //nolint:gosec // it fits
	default: // Uint64Kind, Fixed64Kind
		number, err := convertUint(value, 64)

		return protoreflect.ValueOfUint64(number), err
	}
}

// convertBool mirrors _ConvertBool.
func convertBool(value any, isKey bool) (bool, error) {
	if isKey {
		switch value {
		case jsonTrue:
			return true, nil
		case jsonFalse:
			return false, nil
		default:
			return false, parseErrorf("Expected \"true\" or \"false\", not %s", str(value))
		}
	}

	flag, ok := value.(bool)
	if !ok {
		return false, parseErrorf("Expected true or false without quotes")
	}

	return flag, nil
}

func convertInt(value any, bits int) (int64, error) {
	digits, err := convertInteger(value)
	if err != nil {
		return 0, err
	}

	number, err := strconv.ParseInt(digits, 10, bits)
	if err != nil {
		return 0, parseErrorf("Value out of range: %s", digits)
	}

	return number, nil
}

func convertUint(value any, bits int) (uint64, error) {
	digits, err := convertInteger(value)
	if err != nil {
		return 0, err
	}

	number, err := strconv.ParseUint(digits, 10, bits)
	if err != nil {
		return 0, parseErrorf("Value out of range: %s", digits)
	}

	return number, nil
}

// convertInteger mirrors _ConvertInteger. The result is as pythonInt's.
func convertInteger(value any) (string, error) {
	switch value := value.(type) {
	case json.Number:
		if !isFloat(value) {
			return intDigits(value), nil
		}

		number := parseFloat(string(value))
		if number != math.Trunc(number) || math.IsInf(number, 0) || math.IsNaN(number) {
			return "", parseErrorf("Couldn't parse integer: %s", str(value))
		}

		return floatDigits(number), nil
	case string:
		return convertIntegerText(value)
	case bool:
		return "", parseErrorf("Bool value %s is not acceptable for integer field", str(value))
	default:
		return "", parseErrorf("int() argument must be a string, a bytes-like object or a real number, not '%s'",
			pythonType(value))
	}
}

func convertIntegerText(text string) (string, error) {
	if strings.Contains(text, " ") {
		return "", parseErrorf("Couldn't parse integer: \"%s\"", text)
	}

	if digits, ok := pythonInt(text); ok {
		return digits, nil
	}

	number, ok := pythonFloat(text)
	if !ok {
		return "", parseErrorf("invalid literal for int() with base 10: %s", repr(text))
	}

	if number != math.Trunc(number) || math.IsInf(number, 0) {
		return "", parseErrorf("Couldn't parse non-integer string: \"%s\"", text)
	}

	return floatDigits(number), nil
}

// convertFloat mirrors _ConvertFloat.
func convertFloat(value any, single bool) (float64, error) {
	switch value := value.(type) {
	case json.Number:
		return convertFloatNumber(value, single)
	case string:
		if value == pythonNotANumber {
			return 0, parseErrorf("Couldn't parse float \"nan\", use \"NaN\" instead")
		}

		number, ok := pythonFloat(value)
		if !ok {
			return 0, parseErrorf("Couldn't parse float: %s", value)
		}

		return number, nil
	case bool: // a bool is an int
		if value {
			return 1, nil
		}

		return 0, nil
	default:
		return 0, parseErrorf("float() argument must be a string or a real number, not '%s'", pythonType(value))
	}
}

func convertFloatNumber(value json.Number, single bool) (float64, error) {
	number, err := numberFloat(value)

	switch {
	case err != nil:
		return 0, err
	case math.IsNaN(number):
		return 0, parseErrorf("Couldn't parse NaN, use quoted \"NaN\" instead")
	case math.IsInf(number, 1):
		return 0, parseErrorf("Couldn't parse Infinity or value too large, use quoted \"Infinity\" instead")
	case math.IsInf(number, -1):
		return 0, parseErrorf("Couldn't parse -Infinity or value too small, use quoted \"-Infinity\" instead")
	case single && isFloat(value) && number > math.MaxFloat32:
		return 0, parseErrorf("Float value too large")
	case single && isFloat(value) && number < -math.MaxFloat32:
		return 0, parseErrorf("Float value too small")
	}

	return number, nil
}

// convertEnum finds an enum's number by name or number. Numbers that a proto2 enum lacks are
// refused, names that any enum lacks skipped.
func convertEnum(value any, enum protoreflect.EnumDescriptor) (protoreflect.EnumNumber, error) {
	if name, ok := value.(string); ok {
		if found := enum.Values().ByName(protoreflect.Name(name)); found != nil {
			return found.Number(), nil
		}

		if hasSurrogate(name) {
			return 0, errNotUnicode
		}
	}

	digits, err := enumDigits(value)
	if err != nil {
		return 0, err
	}

	number, err := strconv.ParseInt(digits, 10, 32)
	if err == nil && (!enum.IsClosed() || enum.Values().ByNumber(protoreflect.EnumNumber(number)) != nil) {
		return protoreflect.EnumNumber(number), nil
	}

	return 0, parseErrorf("Invalid enum value %s for enum type %s", str(value), enum.FullName())
}

// enumDigits is int(value), which cuts off fractions.
func enumDigits(value any) (string, error) {
	switch value := value.(type) {
	case string:
		if digits, ok := pythonInt(value); ok {
			return digits, nil
		}

		return "", errUnknownEnum
	case bool:
		if value {
			return "1", nil
		}

		return "0", nil
	case json.Number:
		if !isFloat(value) {
			return intDigits(value), nil
		}

		number := parseFloat(string(value))

		switch {
		case math.IsNaN(number):
			return "", errUnknownEnum
		case math.IsInf(number, 0):
			return "", parseErrorf("cannot convert float infinity to integer")
		default:
			return floatDigits(math.Trunc(number)), nil
		}
	default:
		return "", parseErrorf("int() argument must be a string, a bytes-like object or a real number, not '%s'",
			pythonType(value))
	}
}

// convertBytes is base64.urlsafe_b64decode of the text with more padding than it needs. Python skips
// what isn't of the alphabet and stops at padding that completes a group of four.
func convertBytes(value any) ([]byte, error) {
	text, ok := value.(string)
	if !ok {
		return nil, parseErrorf("a bytes-like object is required, not '%s'", pythonType(value))
	}

	if hasSurrogate(text) {
		return nil, errNotUnicode
	}

	const group = 4

	text += strings.Repeat("=", group-len(text)%group)
	digits := make([]byte, 0, len(text))
	padding := 0

	for i := range len(text) {
		c := text[i]

		switch {
		case c == '-':
			c = '+'
		case c == '_':
			c = '/'
		case c == '=' && len(digits)%group >= 2:
			if padding++; len(digits)%group+padding >= group {
				return decodeBase64(digits)
			}

			continue
		case c != '+' && c != '/' && !isDigit(c) && (c|' ' < 'a' || c|' ' > 'z'):
			continue
		}

		digits, padding = append(digits, c), 0
	}

	if len(digits)%group != 0 {
		return nil, parseErrorf("Incorrect padding")
	}

	return decodeBase64(digits)
}

func decodeBase64(digits []byte) ([]byte, error) {
	data, err := base64.RawStdEncoding.AppendDecode(nil, digits)
	if err != nil {
		return nil, parseErrorf("Invalid base64-encoded string: %v", err)
	}

	return data, nil
}

// isFloat says whether Python reads a JSON number as float rather than int.
func isFloat(number json.Number) bool {
	for i := range len(number) {
		if number[i] > '9' || number[i] == '.' { // an exponent, a name, a point
			return true
		}
	}

	return false
}

// intDigits spells an int as Python does.
func intDigits(number json.Number) string {
	digits, negative := strings.CutPrefix(string(number), "-")

	return canonicalInt(digits, negative)
}

// floatDigits spells the int that a whole float is.
func floatDigits(number float64) string {
	digits, negative := strings.CutPrefix(strconv.FormatFloat(number, 'f', 0, 64), "-")

	return canonicalInt(digits, negative)
}

// numberFloat is float(number). An int that is too large is an error, a float an infinity.
func numberFloat(number json.Number) (float64, error) {
	switch number {
	case jsonNaN:
		return pythonNaN(), nil
	case jsonInfinity:
		return math.Inf(1), nil
	case jsonMinusInfinity:
		return math.Inf(-1), nil
	}

	if isFloat(number) {
		value := parseFloat(string(number))

		return value, nil
	}

	value := parseFloat(intDigits(number))
	if math.IsInf(value, 0) {
		return 0, parseErrorf("int too large to convert to float")
	}

	return value, nil
}
