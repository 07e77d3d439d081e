package codec

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

func TestEncodeAsMLflow(t *testing.T) {
	s := newSource(1)
	kinds := slices.Repeat(messageTypes(), 12)
	messages := make([]proto.Message, len(kinds))
	questions := make([]question, len(kinds))

	for i, kind := range kinds {
		m := s.message(kind)

		binary, err := proto.MarshalOptions{AllowPartial: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}

		messages[i] = m
		questions[i] = question{Operation: "encode", Message: string(kind.Descriptor().FullName()), Binary: binary}
	}

	for i, want := range ask(t, questions) {
		if want.Crash != "" {
			t.Errorf("MLflow failed on %s: %s", questions[i].Message, want.Crash)

			continue
		}

		ways := map[string][]byte{
			"Encode":     Encode(nil, messages[i]),
			"reflection": appendMessage(nil, messages[i].ProtoReflect(), 0),
		}
		if sample, ok := appendSample(nil, messages[i], 0); ok {
			ways["sample"] = sample
		}

		for way, got := range ways {
			if string(got) != want.Text && !sameButForMaps(t, messages[i], got, want.Text) {
				t.Fatalf("%s by %s:\n%s\nMLflow:\n%s", questions[i].Message, way, got, want.Text)
			}
		}
	}

	t.Logf("%d messages", len(messages))
}

// sameButForMaps compares JSON without regard to the order of names if the message has a map, as
// MLflow's own order varies then.
func sameButForMaps(t *testing.T, m proto.Message, got []byte, want string) bool {
	t.Helper()

	if len(got) != len(want) || !hasMap(m.ProtoReflect()) {
		return false
	}

	var a, b any
	if json.Unmarshal(got, &a) != nil || json.Unmarshal([]byte(want), &b) != nil {
		t.Fatalf("not JSON:\n%s\n%s", got, want)
	}

	return reflect.DeepEqual(a, b)
}

func hasMap(m protoreflect.Message) bool {
	found := false

	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			found = true
		case field.IsList() && field.Message() != nil:
			for i := range value.List().Len() {
				found = found || hasMap(value.List().Get(i).Message())
			}
		case field.Message() != nil && !field.IsList():
			found = hasMap(value.Message())
		}

		return !found
	})

	return found
}

// sent is one request of a differential test.
type sent struct {
	kind protoreflect.MessageType
	data []byte
}

func TestDecodeBodyAsMLflow(t *testing.T) {
	s := newSource(2)

	kinds := append(slices.Repeat(requestTypes(), 80), slices.Repeat(messageTypes(), 12)...)
	requests := make([]sent, 0, len(kinds)+len(oddBodies))

	for _, kind := range kinds {
		requests = append(requests, sent{kind, s.body(kind)})
	}

	for _, body := range oddBodies {
		requests = append(requests, sent{(&protos.SearchRuns{}).ProtoReflect().Type(), []byte(body)})
	}

	compareDecoding(t, "body", requests, DecodeBody)
}

// body makes a request body that is at least close to a message.
func (s source) body(kind protoreflect.MessageType) []byte {
	encoded := Encode(nil, s.message(kind))

	value, err := loads(string(encoded))
	if err != nil {
		panic(err)
	}

	if !s.one(4) {
		value = s.distort(value)
	}

	body := s.write(nil, value)

	switch s.IntN(30) {
	case 0, 1, 2:
		return s.damage(body)
	case 3:
		return AppendString(nil, string(body)) // encoded twice
	case 4:
		return utf16Body(string(body))
	case 5:
		return append([]byte("\xef\xbb\xbf"), body...)
	default:
		return body
	}
}

func utf16Body(text string) []byte {
	body := make([]byte, 0, 2*len(text))
	for _, unit := range utf16.Encode([]rune(text)) {
		body = append(body, byte(unit), byte(unit>>8))
	}

	return body
}

// oddBodies are read as SearchRuns.
var oddBodies = []string{
	"", " ", "null", "true", "0", "[]", "[1]", `["max_results"]`, `""`, `"null"`, `"{}"`, `"[]"`, `"{"`, `"\"{}\""`, "{", "{}x", "{,}", `{"a":1,}`,
	`{"max_results": 5}`, `{"maxResults": 5}`, `{"max_results": 5, "maxResults": 6}`, `{"max_results": null, "maxResults": null}`,
	`{"max_results": "5"}`, `{"max_results": 5.0}`, `{"max_results": 1e2}`, `{"max_results": true}`, `{"max_results": 5.5}`,
	`{"max_results": "1_0"}`, `{"max_results": " 5"}`, `{"max_results": "\t5\n"}`, `{"max_results": "5.0"}`, `{"max_results": "5e0"}`,
	`{"max_results": "0x5"}`, `{"max_results": "٣"}`, `{"max_results": "+5"}`, `{"max_results": "--5"}`, `{"max_results": ""}`,
	`{"max_results": 2147483648}`, `{"max_results": -0}`, `{"max_results": -0.0}`, `{"max_results": NaN}`, `{"max_results": Infinity}`,
	`{"max_results": "Infinity"}`, `{"max_results": "nan"}`, `{"max_results": [5]}`, `{"max_results": {}}`, `{"max_results": null}`,
	`{"max_results": 05}`, `{"max_results": 5.}`, `{"max_results": .5}`, `{"max_results": +5}`, `{"max_results": 5e}`, `{"max_results": -}`,
	`{"max_results": 1, "max_results": 2}`, `{"max_results": 1, "max_results": null}`, `{"max_results": 1, "max_results": "x"}`,
	`{"run_view_type": "ACTIVE_ONLY"}`, `{"run_view_type": 1}`, `{"run_view_type": 1.9}`, `{"run_view_type": "1"}`, `{"run_view_type": true}`,
	`{"run_view_type": "NOPE"}`, `{"run_view_type": 9}`, `{"run_view_type": 1e10}`, `{"run_view_type": 1e300}`, `{"run_view_type": NaN}`,
	`{"run_view_type": Infinity}`, `{"run_view_type": 99999999999999999999}`, `{"run_view_type": -1}`, `{"run_view_type": []}`,
	`{"run_view_type": "\ud800"}`, `{"run_view_type": " 2 "}`, `{"run_view_type": "active_only"}`, `{"run_view_type": -99999999999}`,
	`{"experiment_ids": "1"}`, `{"experiment_ids": ["1", 2]}`, `{"experiment_ids": ["1", null]}`, `{"experiment_ids": null}`,
	`{"experiment_ids": []}`, `{"experiment_ids": {}}`, `{"experiment_ids": ["\ud83d\ude00", "\/"]}`, `{"experiment_ids": ["\ud83d"]}`,
	`{"experiment_ids": ["a"], "experiment_ids": []}`, `{"experimentIds": ["a"]}`, `{"experiment_ids": ["a" "b"]}`, `{"experiment_ids": ["a",]}`,
	`{"filter": 5}`, `{"filter": ""}`, `{"filter": "\u0000"}`, "{\"filter\": \"\x01\"}", "{\"filter\": \"\x7f\"}", "{\"filter\": \"\xff\"}",
	"{\"filter\": \"\xed\xa0\x80\"}", `{"filter": "\x"}`, `{"filter": "\u12"}`, `{"filter": "\u00e9"}`, `{"\u0066ilter": "x"}`,
	`{"unknown": {"max_results": []}}`, `{"[ext]": 1}`, `{"[ext": 1}`, `{"\ud800": 1}`, `{"": 1}`, "\ufeff{}", "{}\x00", "\x00{", "{\x00}\x00",
	"\xff\xfe{\x00}\x00", "\xfe\xff\x00{\x00}", "\xff\xfe\x00\x00{\x00\x00\x00}\x00\x00\x00", "{\x00\x00\x00}\x00\x00\x00", "\x00\x00\x00{\x00\x00\x00}",
	"\xff\xfe{\x00}", `{"x": ` + strings.Repeat("9", 4300) + `}`, `{"x": ` + strings.Repeat("9", 4301) + `}`,
	`{"x": -` + strings.Repeat("9", 4300) + `}`, `{"x": ` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`,
	`{"max_results": "` + strings.Repeat("0", 5000) + `7"}`, `{"max_results": "\u20035"}`, `{"max_results": "5\u2003"}`, `{"max_results": "\u001c5"}`,
	`{"max_results": "𝟝"}`, `{"max_results": "᧚"}`, `{"max_results": "²"}`, `{"order_by": ["a"], "orderBy": ["b"]}`,
}

func TestDecodeQueryAsMLflow(t *testing.T) {
	s := newSource(3)

	kinds := append(slices.Repeat(requestTypes(), 80), slices.Repeat(messageTypes(), 3)...)
	requests := make([]sent, 0, len(kinds)+len(oddQueries))

	for _, kind := range kinds {
		requests = append(requests, sent{kind, s.query(kind)})
	}

	for _, query := range oddQueries {
		requests = append(requests, sent{(&protos.GetMetricHistory{}).ProtoReflect().Type(), []byte(query)})
	}

	compareDecoding(t, "query", requests, DecodeQuery)
}

var oddQueries = []string{
	"=", "run_id", "run_id=", "run_id=a&run_id=b", "run_id=a=b", "runId=a", "run_id=a+b%20c", "run_id=%ff", "run_id=%e6%97%a5", "run_id=%e6%97",
	"run_id=%", "run_id=%2", "run_id=%zz", "run%5fid=a", "run_id=a;metric_key=b", "&&run_id=a&", "run_id=%00", "run_id=%ed%a0%80x",
	"max_results=5", "max_results=5.0", "max_results=+5", "max_results=x", "max_results=", "max_results=1e2", "max_results=%0a5", "unknown=1",
}

// query makes a query string from a message.
func (s source) query(kind protoreflect.MessageType) []byte {
	value, err := loads(string(Encode(nil, s.message(kind))))
	if err != nil {
		panic(err)
	}

	var pairs []string

	for name, value := range value.(*Raw).All() {
		if s.one(20) {
			name = camelCase(name)
		}

		items, ok := value.([]any)
		if !ok {
			items = []any{value}
		}

		for _, item := range items {
			text, ok := item.(string)
			if !ok {
				text = string(plainStyle.append(nil, item))
			}

			if s.one(8) {
				text = s.text()
			}

			pairs = append(pairs, name+"="+s.percent(text))
		}
	}

	pairs = append(pairs, "unknown=1") // MLflow reads the body when there is no argument at all

	return []byte(strings.Join(pairs, "&"))
}

func (s source) percent(text string) string {
	var quoted strings.Builder

	for i := range len(text) {
		switch c := text[i]; {
		case s.one(60):
			quoted.WriteString(pick(s, []string{"%ff", "%", "%4", "%zz", "="}))
		case c == ' ':
			quoted.WriteByte('+')
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '-', c == '_':
			quoted.WriteByte(c)
		default:
			fmt.Fprintf(&quoted, "%%%02x", c)
		}
	}

	return quoted.String()
}

// compareDecoding sends requests both ways. Where MLflow would fail with a 500, an error of any
// kind will do.
func compareDecoding(
	t *testing.T, operation string, requests []sent, decode func([]byte, proto.Message) (*Request, error),
) {
	t.Helper()

	questions := make([]question, len(requests))
	for i, request := range requests {
		questions[i] = question{
			Operation: operation, Message: string(request.kind.Descriptor().FullName()), Sent: request.data,
		}
	}

	count := map[string]int{}

	for i, want := range ask(t, questions) {
		outcome, problem := compareDecoded(requests[i], want, decode)
		count[outcome]++

		if problem != "" {
			t.Errorf("%s %q:\n%s\nMLflow: %+v", questions[i].Message, requests[i].data, problem, want)
		}
	}

	t.Logf("%d requests: %v", len(requests), count)
}

func compareDecoded(
	request sent, want answer, decode func([]byte, proto.Message) (*Request, error),
) (outcome, problem string) {
	m := request.kind.New().Interface()
	got, err := decode(request.data, m)

	switch {
	case err != nil && want.Error != "":
		if message := contract.AsError(err).Message; message != want.Error {
			return "refused", "refused with " + message
		}

		return "refused", ""
	case want.Error != "":
		return "refused", "accepted"
	case want.Crash != "" && (err != nil || got.ParseError != nil):
		return "crash", ""
	case want.Crash != "":
		return "crash", "accepted"
	case err != nil:
		if contract.AsError(err).Code == protos.ErrorCode_BAD_REQUEST {
			return "no object", ""
		}

		return "accepted", "refused: " + err.Error()
	case errors.Is(got.ParseError, ErrMalformed):
		if !want.Parsed || len(want.Binary) != 0 {
			return "malformed", "taken for malformed: " + got.ParseError.Error()
		}

		return "malformed", ""
	case (got.ParseError == nil) != want.Parsed:
		return "parsed", fmt.Sprintf("parse error: %v", got.ParseError)
	case got.ParseError != nil:
		return "parse error", ""
	}

	expected := request.kind.New().Interface()
	if err := (proto.UnmarshalOptions{AllowPartial: true}).Unmarshal(want.Binary, expected); err != nil {
		return "parsed", "unmarshal MLflow's message: " + err.Error()
	}

	if !proto.Equal(expected, m) {
		return "parsed", fmt.Sprintf("got  %s\nwant %s", prototext.Format(m), prototext.Format(expected))
	}

	if got.Regular {
		return "regular", ""
	}

	return "parsed", ""
}
