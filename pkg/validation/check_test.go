package validation

import (
	"errors"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pythontest"
)

// A wireCase is one request, for MLflow's handlers and for ours.
type wireCase struct {
	RPC   string `json:"rpc"`
	Verb  string `json:"verb"`
	Query string `json:"query"`
	Body  string `json:"body"`

	method contract.Method
}

// A verdict is what MLflow says about a case; see testdata/oracle.py.
type verdict struct {
	Error     string `json:"error"`
	Crash     string `json:"crash"`
	Parsed    bool   `json:"parsed"`
	Malformed bool   `json:"malformed"`
}

// askMLflow runs the cases through MLflow's own handlers.
func askMLflow(t *testing.T, cases []wireCase) []verdict {
	t.Helper()
	var verdicts []verdict
	pythontest.Ask(t, cases, &verdicts, "testdata/oracle.py")
	if len(verdicts) != len(cases) {
		t.Fatalf("MLflow answered %d of %d cases", len(verdicts), len(cases))
	}

	return verdicts
}

// judge runs a case through the codec and Check.
func judge(c wireCase) error {
	var (
		request *codec.Request
		err     error
	)
	if c.Verb == "GET" && codec.HasArguments([]byte(c.Query)) {
		request, err = codec.DecodeQuery([]byte(c.Query), c.method.NewRequest())
	} else {
		request, err = codec.DecodeBody([]byte(c.Body), c.method.NewRequest())
	}
	if err != nil {
		return err
	}

	return Check(c.method, request)
}

// values are what a client might put where a parameter belongs.
var values = []string{
	`null`, `""`, `"x"`, `"5"`, `" 7 "`, `"1_000"`, `"1.5"`, `"\u00e9\ud83d\ude00\"\\\n\u0000\u007f"`, `"nan"`, `"0x1p3"`,
	`0`, `-0`, `5`, `-1`, `50000`, `50001`, `"50001"`, `12345678901234567890123`, `9223372036854775807`,
	`1.5`, `-0.0`, `5.0`, `50001.0`, `1e3`, `1E+16`, `0.00001`, `123456789.125`, `1e400`, `NaN`, `Infinity`, `-Infinity`,
	`true`, `false`, `[]`, `["a"]`, `["a",1]`, `[null]`, `{}`, `{"b":[1.50,null],"a":"\u00e9","B":{}}`,
	`[{}]`, `[{"key":"k"}]`, `[{"key":"k","value":"v"}]`, `[{"key":"k","value":1,"timestamp":2}]`,
	`[{"key":"k","value":1,"timestamp":2},{"key":"","value":1,"timestamp":2}]`,
	`[{"key":"k","value":0,"timestamp":0},{"key":"k","timestamp":2}]`,
	`[{"key":"k","value":0,"timestamp":0},{"key":"k","value":null,"timestamp":2}]`,
	`[{"key":5,"value":"x"}]`, `[{"Key":"k"}]`, `["key"]`, `[[]]`,
}

// valid are values that pass, by parameter; what is not listed is a string.
var valid = map[string]string{
	"tags":           `[{"key":"k","value":"v"}]`,
	"params":         `[{"key":"k","value":"v"}]`,
	"metrics":        `[{"key":"k","value":1.5,"timestamp":2}]`,
	"experiment_ids": `["1"]`,
	"order_by":       `["a"]`,
	"view_type":      `"ALL"`,
	"max_results":    `10`,
	"start_time":     `1`,
	"end_time":       `1`,
	"status":         `"RUNNING"`,
	"run_ids":        `["r"]`,
	"models":         `[{"model_id":"m"}]`,
	"datasets":       `[{}]`,
	"timestamp":      `1`,
	"step":           `1`,
}

// parametersOf lists the schema's parameters and, for its side effects, run_uuid.
func parametersOf(method contract.Method) []string {
	var names []string
	for _, p := range schemas[procedure{method.Service, method.Name}] {
		names = append(names, p.name)
	}
	if slices.Contains(names, "run_id") && method.NewRequest().ProtoReflect().Descriptor().Fields().ByName("run_uuid") != nil {
		names = append(names, "run_uuid")
	}

	return names
}

func validValue(name string) string {
	if value, ok := valid[name]; ok && name != "value" {
		return value
	}

	return `"5"` // a string to every parameter, a number to those that want one
}

// encode writes members in the order of the names.
func encode(members map[string]string) string {
	encoded := make([]string, 0, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		encoded = append(encoded, strconv.Quote(name)+":"+members[name])
	}

	return "{" + strings.Join(encoded, ",") + "}"
}

// newCases makes requests for every native method: each parameter with each value among valid
// ones, random mixtures, and bodies that are odd as a whole.
func newCases() []wireCase {
	const mixtures = 40
	random := rand.New(rand.NewPCG(1, 2))
	var cases []wireCase
	for _, method := range contract.Methods {
		if method.Path == contract.PathOnly {
			continue // its handler reads no message
		}
		add := func(verb, query, body string) {
			rpc := string(method.NewRequest().ProtoReflect().Descriptor().Name())
			cases = append(cases, wireCase{RPC: rpc, Verb: verb, Query: query, Body: body, method: method})
		}
		names := parametersOf(method)
		all := map[string]string{}
		for _, name := range names {
			if name != "run_uuid" {
				all[name] = validValue(name)
			}
		}
		add("POST", "", encode(all))
		for _, name := range names {
			changed := maps.Clone(all)
			delete(changed, name)
			add("POST", "", encode(changed))
			for _, value := range values {
				changed[name] = value
				add("POST", "", encode(changed))
				if name == "run_uuid" {
					alone := maps.Clone(changed)
					delete(alone, "run_id")
					add("POST", "", encode(alone))
				}
			}
		}
		for range mixtures {
			mixture := map[string]string{}
			query := url.Values{}
			for _, name := range names {
				switch random.IntN(3) {
				case 0:
					mixture[name] = values[random.IntN(len(values))]
					query.Add(name, strings.Trim(mixture[name], `"`))
				case 1:
					mixture[name] = validValue(name)
					query.Add(name, strings.Trim(mixture[name], `"`))
				}
			}
			add("POST", "", encode(mixture))
			if slices.ContainsFunc(method.Endpoints, func(e contract.Endpoint) bool { return e.Verb == "GET" }) {
				add("GET", query.Encode(), "")
			}
		}
		for _, body := range []string{
			``, ` `, `null`, `{`, `nonsense`, `{}`, `"{}"`, `{"unknown":1}`, `{"runId":"r","metricKey":"k","experimentId":"e"}`,
			`{"run_id":"a","run_id":null}`, `{"run_id":1,"runId":"a"}`,
		} {
			add("POST", "", body)
		}
	}

	return cases
}

// TestCheckAgreesWithMLflow holds every sentence equal to MLflow's.
func TestCheckAgreesWithMLflow(t *testing.T) {
	t.Parallel()
	cases := newCases()
	counts := map[string]int{}
	for i, said := range askMLflow(t, cases) {
		c := cases[i]
		err := judge(c)
		message := ""
		if err != nil {
			message = contract.AsError(err).Message
		}
		var agrees bool
		var outcome string
		switch {
		case said.Error != "":
			outcome, agrees = "refused", message == said.Error
		case said.Crash != "":
			outcome, agrees = "crashed", err != nil && contract.AsError(err).Code != protos.ErrorCode_INTERNAL_ERROR
		case (!said.Parsed || said.Malformed) && c.RPC == "GetMetricHistoryBulkInterval":
			outcome, agrees = "left to the handler", err == nil || strings.HasPrefix(message, "Cannot read the request: ")
		case !said.Parsed || said.Malformed:
			outcome, agrees = "half parsed", strings.HasPrefix(message, "Cannot read the request: ")
		default:
			outcome, agrees = "accepted", err == nil
		}
		counts[outcome]++
		if !agrees {
			t.Errorf("%s %s?%s %s\n MLflow %s: %s%s\n ours: %v", c.Verb, c.RPC, c.Query, c.Body, outcome, said.Error, said.Crash, err)
		}
	}
	t.Logf("%d cases: %v", len(cases), counts)
	for _, outcome := range []string{"refused", "accepted"} {
		if counts[outcome] < 300 {
			t.Errorf("only %d cases were %s: the generator of cases has gone blind", counts[outcome], outcome)
		}
	}
}

// TestFastPathAgreesWithSlowPath holds the rules for messages to those for raw values.
func TestFastPathAgreesWithSlowPath(t *testing.T) {
	t.Parallel()
	regular := 0
	for _, c := range newCases() {
		if c.Verb != "POST" {
			continue
		}
		request, err := codec.DecodeBody([]byte(c.Body), c.method.NewRequest())
		if err != nil || !request.Regular {
			continue
		}
		regular++
		fast := validate.Struct(request.Message)
		slow := checkRaw(schemas[procedure{c.method.Service, c.method.Name}], request)
		// A run_uuid in place of the run_id is for the slow path to see.
		if (fast == nil) != (slow == nil) && !strings.Contains(c.Body, "run_uuid") {
			t.Errorf("%s %s\n message: %v\n raw: %v", c.RPC, c.Body, fast, slow)
		}
	}
	if regular < 300 {
		t.Errorf("only %d regular requests: the generator of cases has gone blind", regular)
	}
}

func TestEveryNativeMethodHasASchema(t *testing.T) {
	t.Parallel()
	for _, method := range contract.Methods {
		if _, ok := schemas[procedure{method.Service, method.Name}]; !ok {
			t.Errorf("%s.%s has no schema", method.Service, method.Name)
		}
	}
	if len(schemas) != len(contract.Methods) {
		t.Errorf("%d schemas for %d methods", len(schemas), len(contract.Methods))
	}
}

func TestCheckErrMalformed(t *testing.T) {
	t.Parallel()
	request := &codec.Request{Message: &protos.CreateRun{}, ParseError: codec.ErrMalformed}
	method := contract.Method{Service: "MlflowService", Name: "createRun"}
	var found *contract.Error
	if err := Check(method, request); !errors.As(err, &found) || found.Code != protos.ErrorCode_INVALID_PARAMETER_VALUE {
		t.Fatalf("got %v", err)
	}
}

func BenchmarkCheckLogBatch(b *testing.B) {
	message := &protos.LogBatch{RunId: new("r")}
	for range 10 {
		message.Metrics = append(message.Metrics, &protos.Metric{Key: new("k"), Value: new(1.0), Timestamp: new(int64(1))})
	}
	request := &codec.Request{Message: message, Regular: true}
	method := contract.Method{Service: "MlflowService", Name: "logBatch"}
	for b.Loop() {
		if err := Check(method, request); err != nil {
			b.Fatal(err)
		}
	}
}
