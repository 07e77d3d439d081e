package codec

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// slowly decodes a body without the generated code.
func slowly(body []byte, m proto.Message) (*decoded, error) {
	raw, err := parseObject(body)
	if err != nil {
		return nil, err
	}

	d := &decoded{}
	d.Message, d.Raw = m, raw

	return d, d.parse()
}

// agree reports where generated code takes a body that it should not, or reads it differently.
func agree(t *testing.T, body []byte, kind protoreflect.MessageType) outcome {
	t.Helper()

	fast, slow := kind.New().Interface(), kind.New().Interface()

	result := decodeRegular(body, fast, func(d *decoder, m proto.Message) bool {
		return decodeGenerated(d, m) || decodeSample(d, m)
	})
	if result == declined {
		return result
	}

	d, err := slowly(body, slow)

	switch {
	case err != nil:
		t.Errorf("%s %q: taken, but %v", kind.Descriptor().Name(), body, err)
	case d.ParseError != nil:
		t.Errorf("%s %q: taken, but %v", kind.Descriptor().Name(), body, d.ParseError)
	case !proto.Equal(fast, slow):
		t.Errorf("%s %q:\nread as %s\nnot     %s", kind.Descriptor().Name(), body, prototext.Format(fast), prototext.Format(slow))
	}

	return result
}

func TestGeneratedDecodersAgreeWithReflection(t *testing.T) {
	s := newSource(4)
	count := map[outcome]int{}
	kinds := append(requestTypes(), sampleTypes()...)

	for range 1000 {
		for _, kind := range kinds {
			count[agree(t, s.body(kind), kind)]++
		}
	}

	t.Logf("declined %d, lenient %d, regular %d", count[declined], count[lenient], count[regular])

	if count[regular] == 0 || count[lenient] == 0 {
		t.Error("the generated code took nothing")
	}
}

func TestDecodeWhatWasEncoded(t *testing.T) {
	s := newSource(5)

	for range 20 {
		for _, kind := range messageTypes() {
			roundTrip(t, s.message(kind))
		}
	}
}

func roundTrip(t *testing.T, m proto.Message) {
	t.Helper()

	body := Encode(nil, m)
	got := m.ProtoReflect().New().Interface()

	r, err := DecodeBody(body, got)
	if err != nil || r.ParseError != nil {
		t.Fatalf("%s: %v, %v", body, err, r)
	}

	if again := Encode(nil, got); string(again) != string(body) {
		t.Fatalf("%s\nbecame %s", body, again)
	}
}

func TestDecodeBody(t *testing.T) {
	t.Run("Regular", func(t *testing.T) {
		for body, want := range map[string]bool{
			``:                                  true,
			`{}`:                                true,
			`{"filter": "a", "max_results": 5}`: true,
			`{"filter": null}`:                  false,
			`{"experiment_ids": []}`:            false,
			`{"max_results": "5"}`:              false,
			`{"maxResults": 5}`:                 false,
			`{"max_results": 5.0}`:              false,
			`{"unknown": 5}`:                    false,
			`{"filter": "a", "filter": "b"}`:    false,
			`null`:                              false,
		} {
			r, err := DecodeBody([]byte(body), &protos.SearchRuns{})
			if err != nil || r.ParseError != nil || r.Regular != want {
				t.Errorf("%s: regular %v, %v, %v", body, r.Regular, r.ParseError, err)
			}
		}
	})

	t.Run("Raw", func(t *testing.T) {
		body := `{"filter": "a", "max_results": 1e2, "experiment_ids": ["1"], "x": {"y": [null, true]}, "filter": "b"}`

		r, err := DecodeBody([]byte(body), &protos.SearchRuns{})
		if err != nil {
			t.Fatal(err)
		}

		want := `{"experiment_ids":["1"],"filter":"b","max_results":100.0,"x":{"y":[null,true]}}`
		if got := string(AppendCompact(nil, r.Raw)); got != want {
			t.Errorf("got %s", got)
		}

		if _, present := r.Raw.Get("order_by"); present {
			t.Error("order_by is present")
		}
	})

	t.Run("RawOfRegular", func(t *testing.T) {
		r, err := DecodeBody([]byte(`{"filter": "a"}`), &protos.SearchRuns{})
		if err != nil || !r.Regular {
			t.Fatalf("%+v, %v", r, err)
		}

		if value, present := r.Raw.Get("filter"); value != "a" || !present {
			t.Errorf("got %v, %v", value, present)
		}
	})

	t.Run("ErrMalformed", func(t *testing.T) {
		r, err := DecodeBody([]byte(`{"filter": `), &protos.SearchRuns{})
		if err != nil || !errors.Is(r.ParseError, ErrMalformed) || r.Raw.Len() != 0 || r.Message.(*protos.SearchRuns).Filter != nil {
			t.Errorf("%+v, %v", r, err)
		}
	})

	t.Run("ErrParse", func(t *testing.T) {
		r, err := DecodeBody([]byte(`{"max_results": 1.5}`), &protos.SearchRuns{})
		want := "Failed to parse max_results field: Couldn't parse integer: 1.5 at SearchRuns.max_results."

		if err != nil || r.ParseError == nil || r.ParseError.Error() != want {
			t.Errorf("%v, %v", r.ParseError, err)
		}
	})

	for name, test := range map[string]struct {
		body, message string
		code          protos.ErrorCode
	}{
		"ErrNoObject": {`[1]`, "Request body must be a JSON object, got an array.", protos.ErrorCode_BAD_REQUEST},
		"ErrAliases": {
			`{"max_results": 1, "maxResults": 1}`,
			"Request specifies both 'max_results' and 'maxResults'; provide only one of them.",
			protos.ErrorCode_INVALID_PARAMETER_VALUE,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeBody([]byte(test.body), &protos.SearchRuns{})
			if got := contract.AsError(err); got.Code != test.code || got.Message != test.message {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestHasArguments(t *testing.T) {
	for query, want := range map[string]bool{"": false, "&&": false, "=": true, "&a": true, "a=1": true} {
		if got := HasArguments([]byte(query)); got != want {
			t.Errorf("%q: %v", query, got)
		}
	}
}

func TestErrorsAsMLflow(t *testing.T) {
	var (
		errs      = make([]*contract.Error, 0, len(protos.ErrorCode_name))
		questions = make([]question, 0, len(protos.ErrorCode_name))
	)

	for code := range protos.ErrorCode_name {
		for _, fields := range []map[string]any{
			{},
			{"retryable": true},
			{"error_class": "SCHEMA_ENFORCEMENT_FAILED"},
			{"error_class": "FEATURE_DISABLED", "details": map[string]any{"é": []string{"x"}}},
			{"sqlstate": "12345"},
		} {
			e := &contract.Error{Code: protos.ErrorCode(code), Message: "No \"Run\" with id=😀\n", Fields: fields}
			errs = append(errs, e)
			questions = append(questions, question{Operation: "error", Message: e.Message, Code: code, Fields: fields})
		}
	}

	for i, want := range ask(t, questions) {
		if got := string(EncodeError(nil, errs[i])); got != want.Text {
			t.Errorf("got  %s\nwant %+v", got, want)
		}

		if got := HTTPStatus(errs[i].Code); got != want.Status {
			t.Errorf("%s: status %d, want %d", errs[i].Code, got, want.Status)
		}
	}
}

func TestAppendCompactAsMLflow(t *testing.T) {
	s := newSource(6)

	values := make([]any, 2000)
	questions := make([]question, len(values))

	for i := range values {
		values[i] = s.json(0)
		questions[i] = question{Operation: "compact", Sent: plainStyle.append(nil, values[i])}
	}

	for i, want := range ask(t, questions) {
		if got := string(AppendCompact(nil, values[i])); got != want.Text {
			t.Errorf("got  %s\nwant %s %s", got, want.Text, want.Crash)
		}
	}
}

func FuzzDecodeBody(f *testing.F) {
	for _, body := range oddBodies {
		f.Add([]byte(body))
	}

	s := newSource(7)
	kinds := append(requestTypes(), sampleTypes()...)

	for _, kind := range kinds {
		f.Add(s.body(kind))
	}

	f.Fuzz(func(t *testing.T, body []byte) {
		for _, kind := range kinds {
			agree(t, body, kind)

			m := kind.New().Interface()

			r, err := DecodeBody(body, m)
			if err != nil {
				continue
			}

			r.Raw.Get("run_id")

			if r.ParseError == nil {
				roundTrip(t, m)
			}
		}
	})
}

func FuzzDecodeQuery(f *testing.F) {
	for _, query := range oddQueries {
		f.Add([]byte(query))
	}

	kinds := requestTypes()

	f.Fuzz(func(t *testing.T, query []byte) {
		for _, kind := range kinds {
			m := kind.New().Interface()
			if r, err := DecodeQuery(query, m); err == nil && r.ParseError == nil {
				roundTrip(t, m)
			}
		}
	})
}

func FuzzEncodeString(f *testing.F) {
	f.Add("a\"\\\x00é😀\xff\xed\xa0\x80")
	f.Fuzz(func(t *testing.T, text string) {
		value, err := loads(string(AppendString(nil, text)))
		if err != nil {
			t.Fatal(err)
		}

		if again := string(AppendString(nil, value.(string))); again != string(AppendString(nil, text)) {
			t.Errorf("%q became %s", text, again)
		}
	})
}
