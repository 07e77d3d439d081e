package graphql_test

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/artifacts"
	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
	"github.com/mlflow/mlflow-go/pkg/graphql"
	"github.com/mlflow/mlflow-go/pkg/handlers"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pythontest"
	"github.com/mlflow/mlflow-go/pkg/search"
	"github.com/mlflow/mlflow-go/pkg/tracing"
	"github.com/mlflow/mlflow-go/pkg/tracking"
)

//go:embed testdata/oracle.py
var oracleScript string

type answer struct {
	Status int    `json:"status"`
	Body   string `json:"body"`
}

// fixture is a service on a database with two runs.
type fixture struct {
	service *graphql.Service
	oracle  *pythontest.Oracle // MLflow's own server, on the same database
	runs    []string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()

	uri := databasetest.SQLite(t)

	options, err := tracking.OptionsFromEnvironment(func(string) string { return "" })
	require.NoError(t, err)

	options.ArtifactRoot = "mlflow-artifacts:/"
	db := databasetest.Open(t, uri)
	store, err := tracking.New(db, options)
	require.NoError(t, err)
	require.NoError(t, store.Initialize(t.Context()))

	service := handlers.Tracking(contract.Mlflow{
		TrackingService: store, TracingService: tracing.New(db),
		ArtifactsService: artifacts.New(artifacts.Options{Owners: store}),
	}, handlers.Locations{})

	oracle, err := pythontest.Start(nil, "-c", oracleScript, uri)
	require.NoError(t, err)
	t.Cleanup(func() { _ = oracle.Close() })

	fixture := &fixture{oracle: oracle}

	for i, value := range []float64{math.NaN(), math.Inf(1)} {
		created, err := service.CreateRun(t.Context(), &protos.CreateRun{
			ExperimentId: new("0"), StartTime: new(int64(1700000000000 + i)), RunName: new("run ü"),
			Tags: []*protos.RunTag{{Key: new("team"), Value: new("x")}},
		})
		require.NoError(t, err)

		id := created.GetRun().GetInfo().GetRunId()
		fixture.runs = append(fixture.runs, id)
		_, err = service.LogBatch(t.Context(), &protos.LogBatch{
			RunId: new(id),
			Metrics: []*protos.Metric{
				{Key: new("odd"), Value: new(value), Timestamp: new(int64(5)), Step: new(int64(1) << 40)},
				{Key: new("loss"), Value: new(1e16), Timestamp: new(int64(6)), Step: new(int64(2))},
			},
			Params: []*protos.Param{{Key: new("p"), Value: new("v")}},
		})
		require.NoError(t, err)
		_, err = service.LogInputs(t.Context(), &protos.LogInputs{RunId: new(id), Datasets: []*protos.DatasetInput{{
			Dataset: &protos.Dataset{Name: new("d"), Digest: new("1"), SourceType: new("s"), Source: new("{}")},
			Tags:    []*protos.InputTag{{Key: new("mlflow.data.context"), Value: new("training")}},
		}}})
		require.NoError(t, err)
	}

	fixture.service, err = graphql.New(map[string]any{
		"MlflowService": service, contract.UIServiceName: handlers.UI(store),
	}, graphql.Limits{RootFields: 10, Aliases: 10})
	require.NoError(t, err)

	return fixture
}

// request is the body of a query.
func request(query string, variables any, operation any) map[string]any {
	body := map[string]any{"query": query}
	if variables != nil {
		body["variables"] = variables
	}

	if operation != nil {
		body["operationName"] = operation
	}

	return body
}

// compare sends a request both ways. Where MLflow fails, we must refuse.
func (f *fixture) compare(t *testing.T, body map[string]any) {
	t.Helper()

	text, err := json.Marshal(body)
	require.NoError(t, err)

	var want answer

	f.oracle.Ask(t, body, &want)

	parsed, err := codec.Parse(string(text))
	require.NoError(t, err)

	sent, _ := parsed.(*codec.Raw)
	variables, _ := sent.Get("variables")
	operation, _ := sent.Get("operationName")
	object, _ := variables.(*codec.Raw)
	query, _ := body["query"].(string)

	got, err := f.service.Execute(t.Context(), graphql.Request{Query: query, Variables: object, OperationName: operation})
	if want.Status == http.StatusInternalServerError {
		require.Error(t, err, "%s", text)
		require.NotErrorIs(t, err, contract.ErrLeftToPython, "%s", text)
		require.Equal(t, protos.ErrorCode_INVALID_PARAMETER_VALUE, contract.AsError(err).Code)

		return
	}

	require.NoError(t, err, "%s\nMLflow: %s", text, want.Body)
	require.Equal(t, want.Body, withOffsets(t, string(got.AppendJSON(nil))), "%s", text)
}

// withOffsets has page tokens say what MLflow's do: ours say a position as well.
func withOffsets(t *testing.T, body string) string {
	t.Helper()

	return tokenPattern.ReplaceAllStringFunc(body, func(token string) string {
		offset, err := search.ParsePageToken(token)
		require.NoError(t, err)

		return search.CreatePageToken(offset)
	})
}

var tokenPattern = regexp.MustCompile(`\beyJ[\w+/]+=*`) // a JSON object in base64

const everything = `query All($data: MlflowGetRunInput!) @component(name: "x") {
  mlflowGetRun(input: $data) { apiError { code message helpUrl traceId errorDetails { field } __typename }
    run { info { runId runUuid runName experimentId userId status startTime endTime artifactUri lifecycleStage }
      experiment { experimentId name tags { key } artifactLocation lifecycleStage lastUpdateTime creationTime
        effectiveTraceArchivalRetention workspace }
      data { metrics { key value timestamp step datasetName datasetDigest modelId runId } params { key value }
        tags { key value } }
      inputs { datasetInputs { dataset { name digest sourceType source schema profile } tags { key value } }
        modelInputs { modelId } } outputs { modelOutputs { modelId step } } __typename } } }`

// The oracle takes seconds to start, so all share one.
func TestAnswersAreMLflows(t *testing.T) {
	f := newFixture(t)

	for _, test := range []struct {
		name string
		run  func(t *testing.T, f *fixture)
	}{
		{"Queries", testQueries},
		{"MutilatedQueries", testMutilatedQueries},
		{"Limits", testLimits},
		{"Introspection", testIntrospection},
		{"LeftToPython", testLeftToPython},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, f) })
	}
}

func testQueries(t *testing.T, f *fixture) {
	t.Helper()

	run := map[string]any{"data": map[string]any{"runId": f.runs[0]}}

	f.compare(t, request(everything, run, nil))
	f.compare(t, request(everything, map[string]any{"data": map[string]any{"runUuid": f.runs[1]}}, "All"))
	f.compare(t, request(everything, map[string]any{"data": map[string]any{"runId": "none"}}, nil))

	for _, query := range queries {
		query = strings.ReplaceAll(query, "RUN0", f.runs[0])
		query = strings.ReplaceAll(query, "RUN1", f.runs[1])
		f.compare(t, request(query, nil, nil))
	}

	for _, variables := range variableSets {
		f.compare(t, request("query($i:MlflowSearchRunsInput){mlflowSearchRuns(input:$i){runs{info{runName}} nextPageToken}}",
			map[string]any{"i": variables}, nil))
		f.compare(t, request("query($i:MlflowSearchRunsInput!,$s:String=\"d\"){mlflowSearchRuns(input:$i){nextPageToken}"+
			" test(inputString:$s){output}}", map[string]any{"i": variables, "s": variables}, nil))
	}

	for _, name := range []any{"A", "B", "C", "", 5, true, []any{"A"}} {
		f.compare(t, request("query A{test(inputString:\"1\"){output}} query B{b:test(inputString:\"2\"){output}}", nil, name))
		f.compare(t, request("{test(inputString:\"1\"){output}}", nil, name))
	}
}

func testMutilatedQueries(t *testing.T, f *fixture) {
	t.Helper()

	random := rand.New(rand.NewPCG(1, 2))
	pieces := strings.Fields(strings.NewReplacer("{", " { ", "}", " } ", "(", " ( ", ")", " ) ", ":", " : ", "$", " $").
		Replace(everything + ` ... on Test Query fragment F ...F name 5 "x" null [ ] true ALL mlflowSearchRuns`))

	for range mutilations {
		words := strings.Fields(strings.NewReplacer("{", " { ", "}", " } ", "(", " ( ", ")", " ) ", ":", " : ").
			Replace(everything))

		for range 1 + random.IntN(2) { // few, so that many still parse
			at := random.IntN(len(words))

			switch random.IntN(3) {
			case 0:
				words[at] = pieces[random.IntN(len(pieces))]
			case 1:
				words = append(words[:at], words[at+1:]...)
			default:
				words[at] += string(rune('a' + random.IntN(26)))
			}
		}

		query := strings.Join(words, " ")
		if strings.Contains(query, "modelVersions") {
			continue
		}

		f.compare(t, request(query, map[string]any{"data": map[string]any{"runId": f.runs[0]}}, nil))
	}
}

// mutilations is how many queries with random mistakes are tried.
const mutilations = 200

func testLimits(t *testing.T, f *fixture) {
	t.Helper()

	for n := range 13 {
		var fields, nested, aliases strings.Builder
		for i := range n + 1 {
			fmt.Fprintf(&fields, "test(inputString:\"x\"){output} ")
			fmt.Fprintf(&aliases, "a%d:output ", i)
			nested.WriteString("{ofType")
		}

		f.compare(t, request("{"+fields.String()+"}", nil, nil))
		f.compare(t, request("{test(inputString:\"x\"){"+aliases.String()+"}}", nil, nil))
		f.compare(t, request("{test(inputString:\"x\"){...F ... on Test {"+aliases.String()+"}}} fragment F on Test {b:output}", nil, nil))
		f.compare(t, request("{__type(name:\"Test\")"+nested.String()+"{name}"+strings.Repeat("}", n+1)+"}", nil, nil))
	}

	f.compare(t, request("{test(inputString:\"x\"){"+strings.Repeat("output ", 1001)+"}}", nil, nil))
	f.compare(t, request(strings.Repeat("{a", 250)+strings.Repeat("}", 250), nil, nil))
}

func testIntrospection(t *testing.T, f *fixture) {
	t.Helper()

	for _, query := range []string{
		`{__schema{queryType{name fields{name}} mutationType{name kind} subscriptionType{name} description
			directives{name description locations isRepeatable args{name type{kind ofType{name fields{name}}} defaultValue}}}}`,
		`{__schema{types{kind name description specifiedByURL isOneOf fields(includeDeprecated:true){name description
			args{name description type{name kind ofType{name}} defaultValue isDeprecated} type{kind name ofType{name kind
			fields{name} ofType{name}}} isDeprecated deprecationReason} inputFields{name defaultValue type{name enumValues{name}}}
			interfaces{name} enumValues(includeDeprecated:true){name description isDeprecated} possibleTypes{name} __typename}}}`,
		`{__type(name:"MlflowRunExtension"){name fields{name type{name fields{name type{name fields{name}}}}}}}`,
		`{a:__type(name:"Nope"){name} __typename b:__type(name:"__Type"){fields{name}}}`,
		`mutation{__typename}`,
	} {
		f.compare(t, request(query, nil, nil))
	}
}

func testLeftToPython(t *testing.T, f *fixture) {
	t.Helper()

	for _, query := range []string{
		`{mlflowListArtifacts(input:{runId:"` + f.runs[0] + `"}){rootUri}}`,
		`{a: mlflowListArtifacts(input:{runId:"x"}){rootUri} b: mlflowListArtifacts(input:{runId:"x", path:".."}){rootUri}}`,
		`{mlflowSearchModelVersions(input:{filter:""}){nextPageToken}}`,
		`{mlflowGetRun(input:{runId:"x"}){run{...F}}} fragment F on MlflowRunExtension {modelVersions{name}}`,
		`{mlflowGetRun(input:{runId:"x"}){run{... on MlflowRunExtension {modelVersions{name}}}}}`,
	} {
		_, err := f.service.Execute(t.Context(), graphql.Request{Query: query})
		require.ErrorIs(t, err, contract.ErrLeftToPython, query)
	}
}
