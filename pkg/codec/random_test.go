package codec

import (
	"encoding/json"
	"flag"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/mlflow/mlflow-go/pkg/contract"
	_ "github.com/mlflow/mlflow-go/pkg/protos/artifacts" // registers its messages
	_ "github.com/mlflow/mlflow-go/pkg/protos/datasets"  // registers its messages
)

// messageTypes lists all of MLflow's messages by name.
func messageTypes() []protoreflect.MessageType {
	var types []protoreflect.MessageType

	protoregistry.GlobalTypes.RangeMessages(func(message protoreflect.MessageType) bool {
		name := string(message.Descriptor().FullName())
		if strings.HasPrefix(name, "mlflow.") && !message.Descriptor().IsMapEntry() {
			types = append(types, message)
		}

		return true
	})
	slices.SortFunc(types, func(a, b protoreflect.MessageType) int {
		return strings.Compare(string(a.Descriptor().FullName()), string(b.Descriptor().FullName()))
	})

	return types
}

// requestTypes lists the requests of native methods.
func requestTypes() []protoreflect.MessageType {
	types := make([]protoreflect.MessageType, len(contract.Methods))
	for i, method := range contract.Methods {
		types[i] = method.NewRequest().ProtoReflect().Type()
	}

	return types
}

// sampleTypes lists the messages that the tests have generated code for.
func sampleTypes() []protoreflect.MessageType {
	return slices.DeleteFunc(messageTypes(), func(kind protoreflect.MessageType) bool {
		return !decodeSample(&decoder{}, kind.New().Interface())
	})
}

// source makes random messages and JSON, the same for the same seed.
type source struct{ *rand.Rand }

func newSource(stream uint64) source { return source{rand.New(rand.NewPCG(stream, *seed))} }

var seed = flag.Uint64("seed", 0, "another `seed` makes other random messages and requests")

func pick[T any](s source, from []T) T { return from[s.IntN(len(from))] }

// one is true once in n times.
func (s source) one(n int) bool { return s.IntN(n) == 0 }

var words = []string{
	"", "a", "loss", "true", "5", "nan", "NaN", "-Infinity", "Infinity", "1e2", "5.0", " 5", "5 ", "1_000", "0x10", "٣", "+7", "-0",
	"RUNNING", "ACTIVE_ONLY", "FINISHED", "é", "Ωмега", "😀", "\x00", "\x7f", "\"quoted\"", "back\\slash", "tab\tnew\nline",
	"\u2028", "\ufffd", "\U0010ffff", "</script>", "2025-04-15T08:49:18.699Z", "1.5s", "a,bC", "YQ==", "YQ", "YQ=YQ==", "Y!Q", "Y=Q==Y", "YWI_-w", "[x]", "[a.b]\n",
	"99999999999999999999", "9223372036854775807", "9223372036854775808", "2147483648", "1e400", "infinity", "-inf", "\t12\n", ".5", "5.",
}

func (s source) text() string {
	if s.one(4) {
		runes := make([]rune, s.IntN(12))
		for i := range runes {
			for runes[i] = -1; !utf8.ValidRune(runes[i]); {
				runes[i] = rune(s.IntN(1 << (4 + s.IntN(18))))
			}
		}

		return string(runes)
	}

	return pick(s, words)
}

func (s source) double() float64 {
	switch s.IntN(4) {
	case 0:
		return pick(s, []float64{
			0, math.Copysign(0, -1), 1, -1, 0.1, 1e16, 1e15, 123456789012345680, 1e-4, 1e-5, 1.5e-7, 1e22, 1e23, math.MaxFloat64,
			math.SmallestNonzeroFloat64, math.Inf(1), math.Inf(-1), math.NaN(), 9007199254740993, 0.30000000000000004,
		})
	case 1:
		return math.Float64frombits(s.Uint64())
	case 2:
		return float64(s.IntN(1000))
	default:
		return s.NormFloat64()
	}
}

func (s source) integer() int64 {
	switch s.IntN(3) {
	case 0:
		return pick(s, []int64{0, 1, -1, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64, 1 << 53, 1700000000000})
	case 1:
		return int64(s.Uint64())
	default:
		return s.Int64N(1000)
	}
}

// message fills a new message with random values.
func (s source) message(kind protoreflect.MessageType) proto.Message {
	m := kind.New()
	s.fill(m, 0)

	return m.Interface()
}

func (s source) fill(m protoreflect.Message, depth int) {
	const deepest = 4

	switch m.Descriptor().FullName() {
	case "google.protobuf.Timestamp":
		s.setSeconds(m, -62135596800+s.Int64N(253402300799+62135596800), false)

		return
	case "google.protobuf.Duration":
		seconds := s.Int64N(2*315576000000) - 315576000000
		s.setSeconds(m, seconds, seconds < 0)

		return
	case "google.protobuf.FieldMask":
		paths := m.Mutable(m.Descriptor().Fields().ByName("paths")).List()
		for range s.IntN(3) {
			paths.Append(protoreflect.ValueOfString(pick(s, []string{"rationale", "feedback.value", "trace_id"})))
		}

		return
	}

	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if s.one(3) || (field.Message() != nil && depth >= deepest) {
			continue
		}

		switch {
		case field.IsMap():
			entries := m.Mutable(field).Map()
			for range s.IntN(3) {
				key := protoreflect.ValueOfString(s.text()).MapKey()
				if field.MapValue().Message() != nil {
					s.fill(entries.Mutable(key).Message(), depth+1)
				} else {
					entries.Set(key, s.scalar(field.MapValue()))
				}
			}
		case field.IsList():
			list := m.Mutable(field).List()
			for range s.IntN(4) {
				if field.Message() != nil {
					s.fill(list.AppendMutable().Message(), depth+1)
				} else {
					list.Append(s.scalar(field))
				}
			}
		case field.Message() != nil:
			s.fill(m.Mutable(field).Message(), depth+1)
		default:
			m.Set(field, s.scalar(field))
		}
	}
}

func (s source) setSeconds(m protoreflect.Message, seconds int64, negative bool) {
	nanos := pick(s, []int32{0, 1, 1000, 1_000_000, 699_000_000, 123_456_000, 999_999_999})
	if negative {
		nanos = -nanos
	}

	fields := m.Descriptor().Fields()
	m.Set(fields.ByName("seconds"), protoreflect.ValueOfInt64(seconds))
	m.Set(fields.ByName("nanos"), protoreflect.ValueOfInt32(nanos))
}

func (s source) scalar(field protoreflect.FieldDescriptor) protoreflect.Value {
	switch field.Kind() { //nolint:exhaustive // messages are no scalars
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(s.one(2))
	case protoreflect.EnumKind:
		values := field.Enum().Values()

		return protoreflect.ValueOfEnum(values.Get(s.IntN(values.Len())).Number())
	case protoreflect.DoubleKind:
		number := s.double()
		if field.FullName() == "google.protobuf.Value.number_value" && (math.IsNaN(number) || math.IsInf(number, 0)) {
			number = 1 // json_format refuses those
		}

		return protoreflect.ValueOfFloat64(number)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(math.Float32frombits(s.Uint32()))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(s.text())
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(s.text()))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(s.integer()))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(s.Uint32())
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(s.Uint64())
	default:
		return protoreflect.ValueOfInt64(s.integer())
	}
}

// json makes a random JSON value.
func (s source) json(depth int) any {
	const deepest, kinds, flat = 3, 8, 6

	n := kinds
	if depth >= deepest {
		n = flat
	}

	switch s.IntN(n) {
	case 0:
		return nil
	case 1:
		return s.one(2)
	case 2, 3:
		return pick(s, []json.Number{
			"0", "-0", "1", "5.0", "1e2", "1.5", "-1", "2147483648", "9223372036854775807", "9223372036854775808", "1e18", "1e19",
			"NaN", "Infinity", "-Infinity", "1e400", "3.5e38", "-0.0", "12345678901234567890123", "2.0", "3", "0.1",
			json.Number("1" + strings.Repeat("0", 309)), json.Number(strconv.FormatFloat(s.Float64(), 'g', -1, 64)),
		})
	case 4, 5:
		return s.text()
	case 6:
		list := make([]any, s.IntN(3))
		for i := range list {
			list[i] = s.json(depth + 1)
		}

		return list
	default:
		object := &Raw{}
		for range s.IntN(3) {
			object.Set(s.text(), s.json(depth+1))
		}

		return object
	}
}

// distort changes something about a JSON value that was a message, in place where it can.
func (s source) distort(value any) any {
	const rarely = 12
	if s.one(rarely) {
		return s.json(0)
	}

	switch value := value.(type) {
	case *Raw:
		for i := range value.members {
			if m := &value.members[i]; s.one(2) {
				m.value = s.distort(m.value)
			} else if s.one(rarely) {
				m.name = camelCase(m.name)
			}
		}

		if s.one(rarely) {
			value.members = append(value.members, member{s.text(), s.json(0)})
		}

		if len(value.members) > 0 && s.one(rarely) { // twice, under either name
			m := pick(s, value.members)
			if s.one(3) {
				m.name = camelCase(m.name)
			}

			m.value = s.distort(m.value)
			value.members = append(value.members, m)
		}

		s.Shuffle(len(value.members), func(i, j int) {
			value.members[i], value.members[j] = value.members[j], value.members[i]
		})

		return value
	case []any:
		for i := range value {
			if s.one(2) {
				value[i] = s.distort(value[i])
			}
		}

		if s.one(rarely) {
			value = append(value, s.json(0))
		}

		return value
	case json.Number:
		switch s.IntN(rarely) {
		case 0:
			return string(value)
		case 1:
			return value + ".0"
		case 2:
			return value + "e0"
		case 3:
			return value + ".5"
		}
	}

	return value
}

func camelCase(name string) string {
	words := strings.Split(name, "_")
	for i, word := range words[1:] {
		if word != "" {
			words[i+1] = strings.ToUpper(word[:1]) + word[1:]
		}
	}

	return strings.Join(words, "")
}

// write spells JSON in a random way.
func (s source) write(dst []byte, value any) []byte {
	switch value := value.(type) {
	case *Raw:
		dst = append(s.space(dst), '{')
		for i, m := range value.members {
			if i > 0 {
				dst = append(s.space(dst), ',')
			}

			dst = s.write(append(s.space(s.write(s.space(dst), m.name)), ':'), m.value)
		}

		return append(s.space(dst), '}')
	case []any:
		dst = append(s.space(dst), '[')
		for i, item := range value {
			if i > 0 {
				dst = append(s.space(dst), ',')
			}

			dst = s.write(dst, item)
		}

		return append(s.space(dst), ']')
	case string:
		return s.quote(s.space(dst), value)
	default:
		return plainStyle.append(s.space(dst), value)
	}
}

func (s source) space(dst []byte) []byte {
	if s.one(6) {
		dst = append(dst, pick(s, []string{" ", "\n", "\t", "\r\n  "})...)
	}

	return dst
}

func (s source) quote(dst []byte, text string) []byte {
	if s.one(2) {
		return AppendString(dst, text)
	}

	quoted, err := json.Marshal(text) // mostly unescaped
	if err != nil {
		panic(err)
	}

	if s.one(50) && len(quoted) > 2 {
		quoted = append(quoted[:1:1], append([]byte(pick(s, []string{`\ud800`, `\udc00x`, `\ud83d\ude00`, `\/`, `\u0041`, "\xed\xa0\x80", `\uD83D\n`})), quoted[1:]...)...)
	}

	return append(dst, quoted...)
}

// damage changes a few bytes.
func (s source) damage(body []byte) []byte {
	body = slices.Clone(body)

	for range 1 + s.IntN(3) {
		if len(body) == 0 {
			return body
		}

		i := s.IntN(len(body))

		switch s.IntN(4) {
		case 0:
			body = slices.Delete(body, i, i+1)
		case 1:
			body = slices.Insert(body, i, pick(s, []byte("\"\\{}[],:0-.eEntf\x00\x80\xff \n")))
		case 2:
			body[i] = byte(s.Uint32())
		default:
			body = body[:i]
		}
	}

	return body
}
