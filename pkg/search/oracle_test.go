package search_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/pythontest"
	"github.com/mlflow/mlflow-go/pkg/search"
)

// question is put to MLflow's parser (testdata/oracle.py) and to ours.
type question struct {
	About     string   `json:"about"`
	Filter    *string  `json:"filter,omitempty"`
	OrderBy   []string `json:"order_by,omitempty"`
	PageToken *string  `json:"page_token,omitempty"`
}

func (q question) String() string {
	text, err := json.Marshal(q)
	if err != nil {
		return err.Error()
	}

	return string(text)
}

type answer struct {
	Result    json.RawMessage `json:"result,omitempty"`
	Code      string          `json:"code,omitempty"`
	Message   string          `json:"message,omitempty"`
	Exception string          `json:"exception,omitempty"`
}

// askMLflow parses as MLflow does.
func askMLflow(t *testing.T, questions []question) []answer {
	t.Helper()

	var answers []answer
	pythontest.Ask(t, questions, &answers, "testdata/oracle.py")
	require.Len(t, answers, len(questions))

	return answers
}

// ours answers a question as the oracle does.
func ours(q question) (any, error) {
	grammar := grammars[q.About]

	parseFilter := search.LoggedModels.ParseFilter
	if grammar != nil {
		parseFilter = grammar.ParseFilter
	}

	switch {
	case q.About == traceMetrics:
		c, err := search.ParseTraceMetricsFilter(*q.Filter)

		return []any{c.View, c.Entity, c.Key, c.Value}, err
	case q.Filter != nil:
		comparisons, err := parseFilter(*q.Filter)
		result := make([]any, len(comparisons))

		for i, c := range comparisons {
			result[i] = []any{c.Kind, c.Key, c.Comparator, valueForOracle(q.About, c)}
		}

		return result, err
	case q.OrderBy != nil:
		orders, err := grammar.ParseOrderBy(q.OrderBy)
		result := make([]any, len(orders))

		for i, o := range orders {
			result[i] = []any{o.Kind, o.Key, o.Ascending}
		}

		return result, err
	default:
		return search.ParsePageToken(*q.PageToken)
	}
}

// What a question may be about.
const (
	loggedModels = "logged_models"
	traceMetrics = "trace_metrics"
)

var (
	grammars = map[string]*search.Grammar{
		"runs": &search.Runs, "experiments": &search.Experiments, "registered_models": &search.RegisteredModels,
		"model_versions": &search.ModelVersions,
	}
	entities = slices.Sorted(maps.Keys(grammars))
)

func valueForOracle(about string, c search.Comparison) any {
	number, ok := c.Value.(search.Number)
	if !ok {
		return c.Value
	}

	if number.Whole() && c.Kind != search.Metric && about != loggedModels {
		return map[string]string{"whole": number.Python(false)}
	}

	return map[string]string{"float": number.Python(true)}
}

var setPattern = regexp.MustCompile(`\{('[^{}]*')\}`)

// sortSets makes the order of the sets that Python writes into messages, which changes from
// process to process, irrelevant.
func sortSets(message string) string {
	return setPattern.ReplaceAllStringFunc(message, func(set string) string {
		members := strings.Split(set[1:len(set)-1], ", ")
		slices.Sort(members)

		return "{" + strings.Join(members, ", ") + "}"
	})
}

// intended lists the answers that differ from MLflow's on purpose.
var intended = []struct {
	reason string
	holds  func(q question, theirs answer, ourError *contract.Error) bool
}{
	{
		"what isn't an MlflowException in MLflow's parser, a 500, is the client's mistake here",
		func(_ question, theirs answer, ourError *contract.Error) bool {
			return theirs.Exception != "" && ourError != nil && ourError.Code.String() == "INVALID_PARAMETER_VALUE"
		},
	},
	{
		"a list with another comparator than IN, which the database refuses later on",
		func(_ question, theirs answer, ourError *contract.Error) bool {
			return theirs.Result != nil && ourError != nil &&
				strings.HasSuffix(ourError.Message, "can't be used with a list of values; use IN or NOT IN")
		},
	},
	{
		"a list of something else than texts in a filter of logged models, which databases refuse later on",
		func(q question, theirs answer, ourError *contract.Error) bool {
			return q.About == loggedModels && theirs.Result != nil && ourError != nil &&
				(strings.HasPrefix(ourError.Message, "Expected a list of texts in the filter, found ") ||
					strings.HasPrefix(ourError.Message, "Ill-formed list in the filter: "))
		},
	},
	{
		"an offset below zero or so great that a page's end is out of range",
		func(q question, theirs answer, ourError *contract.Error) bool {
			offset := string(theirs.Result)

			return q.PageToken != nil && ourError != nil && (strings.HasPrefix(offset, "-") || len(offset) >= 19)
		},
	},
	{
		"bytes, sets, dicts and complex numbers in a list are called ill-formed, not of another type",
		func(_ question, theirs answer, ourError *contract.Error) bool {
			return ourError != nil && strings.HasSuffix(ourError.Message, "ill-formed list.") &&
				regexp.MustCompile(`got different type in list: .*([bB]['"]|\{|set\(|\dj|Ellipsis)`).MatchString(theirs.Message)
		},
	},
}

// compare fails for each answer of MLflow's that differs unintentionally from ours. It returns
// the number of questions that both accepted.
func compare(t *testing.T, questions []question, answers []answer) (accepted int) {
	t.Helper()

	reported := 0

	for i, theirs := range answers {
		result, err := ours(questions[i])

		var (
			ourError *contract.Error
			same     bool
		)

		if errors.As(err, &ourError) {
			same = theirs.Code == ourError.Code.String() && sortSets(theirs.Message) == sortSets(ourError.Message)
		} else {
			require.NoError(t, err)

			text, err := json.Marshal(result)
			require.NoError(t, err)

			same = theirs.Result != nil && jsonEqual(text, theirs.Result)
			if same {
				accepted++
			}
		}

		for _, difference := range intended {
			same = same || difference.holds(questions[i], theirs, ourError)
		}

		if !same && reported < 20 {
			reported++

			t.Errorf("%s\n MLflow: %s %s %s %s\n   ours: %v %v", questions[i],
				theirs.Result, theirs.Code, theirs.Message, theirs.Exception, result, err)
		}
	}

	return accepted
}

func jsonEqual(a, b []byte) bool {
	var left, right any

	return json.Unmarshal(a, &left) == nil && json.Unmarshal(b, &right) == nil &&
		fmt.Sprint(left) == fmt.Sprint(right)
}

// seed is fixed, so that a failure can be repeated; MLFLOW_GO_TEST_SEED tries other filters.
func seed(t *testing.T) uint64 {
	t.Helper()

	text := os.Getenv("MLFLOW_GO_TEST_SEED")
	if text == "" {
		return 1
	}

	number, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err)

	return number
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

var (
	kinds = []string{
		"metric", "metrics", "parameter", "parameters", "param", "params", "tag", "tags", "attribute", "attributes",
		"attr", "run", "dataset", "datasets", "`metrics`", "'tags'", "Metrics", "trace", "", "`tag`",
	}
	keys = []string{
		"a", "run_id", "version_number", "source_path", "last_updated_timestamp", "creation_timestamp", "run_name", "`run name`", "'Run Name'", "\"run name\"", "created", "Created", "start_time",
		"end_time", "status", "user_id", "artifact_uri", "name", "digest", "context", "experiment_id",
		"creation_time", "last_update_time", "`a b`", "\"a.b\"", "`mlflow.runName`", "mlflow.source.type", "a-b",
		"a/b", "in", "as", "like", "order", "key", "value", "date", "type", "_x", "x1", "1x", "ünï", "é‿", "m$", "`a``b`",
		"timestamp", "a b", "*", "desc", "END", "null", "values", "'it''s'", "ab::int", "a[1]", "f(x)", "x->y",
	}
	comparators = []string{
		"=", "!=", "<", "<=", ">", ">=", "LIKE", "ILIKE", "like", "iLike", "==", "<>", "~", "NOT LIKE", "not  ilike",
		"RLIKE", "REGEXP", "IN", "in", "NOT IN", "not in", "IS", "IS NOT", "is not", ":=", "+", "",
	}
	values = []string{
		"'x'", "\"x\"", "`x`", "x", "''", "'it''s'", `'a\'b'`, "'%x_'", "'é‿'", "1", "-1", "0", "-0", "1.5", "1.", ".5", "-.5",
		"1e5", "1E-5", "1e+5", "1e400", "-1e400", "1.5e3", "0x1F", "-0x1f", "00", "007", "1_000", "12a", "1.2a", "1.25a",
		"1.a", "99999999999999999999", "1234567890123", "nan", "inf", "NaN", "Infinity", "'nan'", "NULL", "null",
		"NOT NULL", "true", "('a')", "('a','b')", "('a', 'b',)", "(\"a\", 'b')", "()", "(1)", "('a', 1)", "('a', 2.50)",
		"(a)", "('a' 'b')", `('a\n\x41\u00e9', r'\n')`, "('a'", "'a')", "(('a'),)", "(['a','b'])", "('a',None,True)",
		"('it''s')", "(-1, +2)", "(0x10, 1e16, 1_0)", "(b'a')", "('''t''')", "('a' if 1 else 'b')", "('1','2')", "('1', ' 1_0 ')",
		"'1'", "'x1'", "1 + 2", "date '2020-01-01'", "current_date", "?", ":x", "$1", "%s", "$$x$$", "-- c", "/* c */", "# c",
		"case when 1 then 2 end", "\"a\" b", "x.y", "*", "١٢", "1 2", "x as y", "'a", "\"a", "a'", "[x]",
	}
	joints = []string{
		" AND ", " and ", " And ", " OR ", " ", "  AND\n", " AND AND ", //nolint:dupword // as users mistype it
		", ", ";", "; ", " /* c */ AND ", " -- c\n AND ",
		"\tAND\t", " NOT ", " WHERE ", " AND NOT ", ")", " AND (", " ORDER BY ", "\r\n", " ; AND ", " GO ", " go 2 ",
	}
	fragments = []string{
		"'", "\"", "`", "(", ")", "[", "]", ".", ",", ";", " ", "\n", "\t", "-", "--", "/*", "*/", "$", "$$", "#", "# ", "@x1",
		":", "::", ":=", "=", "!", "<", ">", "~", "?", "%", "\\", "\\'", "a", "1", "e", "E5", "0x", "_", "é", "´", "\u00a0", "\u2028",
		"\x1c", "\x00", "😀", " AND ", " IS NULL", " IS NOT NULL", " IN ", " NOT ", " AS ", "NULL", " ASC", " DESC",
		" asc nulls last", "timestamp", "WHERE ", "CASE ", " END", "OVER", "VALUES", "JOIN", " DAY", "->", "->>", "#>", "<@",
		"LIKE", "LEFT  JOIN", "order by", "IF ", "FOR ", "END LOOP", "at time zone 'x'", "double precision", "GO 1",
		"create table ", "union all", "not null", "Not\tNull", "ſ", "İ",
	}
)

func identifierOf(r *rand.Rand) string {
	switch r.IntN(8) {
	case 0:
		return pick(r, keys)
	case 1:
		return pick(r, kinds) + pick(r, []string{". ", " .", "..", " . "}) + pick(r, keys)
	default:
		return pick(r, kinds) + "." + pick(r, keys)
	}
}

// wellFormed are comparisons that at least one of the entities accepts.
func wellFormed(r *rand.Rand) string {
	key := pick(r, []string{"a", "`a b`", "\"a.b\"", "mlflow.user", "created", "ünï"})
	text := pick(r, []string{"'x'", "\"x y\"", "''", "'%a_'", "'é‿'", "'a''b'"})
	textual := pick(r, []string{"=", "!=", "LIKE", "ILIKE", " like ", "ilike"})
	number := pick(r, []string{"1", "-1", "1.5", "-0", "1e5", ".5", "1.", "1234567890123", "1e400", "0.1", "1e16", "12345678901234567"})
	numeric := pick(r, []string{"=", "!=", "<", "<=", ">", ">="})
	list := pick(r, []string{"('1')", "('1','2')", "(\"1\",)", "('1', '2', '3')"})

	switch r.IntN(13) {
	case 12:
		return pick(r, []string{"name", "tags.a", "tags.`a b`", "attribute.name", "tag.\"x\""}) + " " + textual + " " + text
	case 10:
		return pick(r, []string{"version_number", "attribute.version_number", "version_number"}) + pick(r, []string{numeric, " " + numeric + " "}) +
			pick(r, []string{number, number, "'1'", "' 1_0 '", "'x'", "1.5", "007"})
	case 11:
		return pick(r, []string{"source_path", "run_id", "attribute.name", "name", "tags.`mlflow.prompt.is_prompt`", "tag.a"}) +
			pick(r, []string{" " + textual + " ", " IN ", " NOT IN ", numeric}) + pick(r, []string{text, list, "'true'", "'false'", number})
	case 8:
		return pick(r, []string{"metrics.", "attributes.creation_timestamp_ms", "creation_time", "metrics."}) + key + numeric +
			pick(r, []string{number, "nan", "-inf", "1_0", " x", "'1'"})
	case 9:
		attribute := pick(r, []string{"name", "status", "model_type", "attributes.model_id", "tags.a", "params." + key, "attributes.`name`"})

		return attribute + " " + pick(r, []string{textual + " " + text, "= x", "!= 0.1", "in ('a', 2)", "NOT IN ()", "IN ()"})
	case 0:
		return pick(r, []string{"metrics", "metric"}) + "." + key + " " + numeric + " " + number
	case 1:
		return pick(r, []string{"params", "param", "parameter", "tags", "tag"}) + "." + key + " " + textual + " " + text
	case 2:
		return pick(r, []string{"params", "tags", "tag"}) + "." + key + pick(r, []string{" IS NULL", " IS NOT NULL", " is  not  null"})
	case 3:
		return pick(r, []string{"attributes", "attr", "run", "attribute"}) + "." +
			pick(r, []string{"status", "run_name", "`run name`", "user_id", "artifact_uri", "run_id"}) + " " + textual + " " + text
	case 4:
		return pick(r, []string{"", "attribute.", "run."}) + pick(r, []string{"start_time", "end_time", "created", "creation_time", "last_update_time"}) +
			numeric + number
	case 5:
		return pick(r, []string{"", "attribute."}) + pick(r, []string{"run_id", "experiment_id"}) +
			pick(r, []string{" IN ", " NOT IN ", " in ", " not in "}) + list
	case 6:
		return pick(r, []string{"dataset", "datasets"}) + "." + pick(r, []string{"name", "digest", "context"}) + " " +
			pick(r, []string{textual + " " + text, "IN " + list, "NOT IN" + list})
	default:
		return pick(r, []string{"name", "attribute.name"}) + " " + textual + " " + text
	}
}

func clauseOf(r *rand.Rand) string {
	if r.IntN(4) > 0 {
		return wellFormed(r)
	}

	space := pick(r, []string{" ", " ", "", "  ", "\n", "\t "})

	return identifierOf(r) + space + pick(r, comparators) + space + pick(r, values)
}

func filterOf(r *rand.Rand) string {
	var filter strings.Builder

	wellJoined := r.IntN(4) > 0

	for i := range 1 + r.IntN(4) {
		switch {
		case i == 0:
		case wellJoined:
			filter.WriteString(pick(r, joints[:3]))
		default:
			filter.WriteString(pick(r, joints))
		}

		filter.WriteString(clauseOf(r))
	}

	return filter.String()
}

// mutate changes a text in up to three places.
func mutate(r *rand.Rand, text string) string {
	for range 1 + r.IntN(3) {
		runes := []rune(text)
		at := r.IntN(len(runes) + 1)
		end := min(len(runes), at+r.IntN(4))

		switch r.IntN(4) {
		case 0:
			text = string(runes[:at]) + string(runes[end:])
		case 1:
			text = string(runes[:at]) + pick(r, fragments) + string(runes[at:])
		case 2:
			text = string(runes[:at]) + pick(r, fragments) + string(runes[end:])
		default:
			text = string(runes[:at]) + string(runes[at:end]) + string(runes[at:])
		}
	}

	return text
}

func orderOf(r *rand.Rand) string {
	direction := pick(r, []string{"", "", " ASC", " DESC", " asc", " desc", " DESC NULLS LAST", " down", " DESC ", "\tdesc"})

	if r.IntN(4) > 0 {
		return pick(r, []string{
			"metrics.a", "metrics.`a b`", "params.\"a\"", "tags.a", "tags.`mlflow.user`", "start_time", "attribute.end_time",
			"created", "name", "experiment_id", "creation_time", "run_id", "attr.status", "last_update_time", "timestamp",
			"dataset.name", "tag.created", "tag.start_time", "version_number", "creation_timestamp", "last_updated_timestamp",
			"attribute.name", "attribute.version_number", "name",
		}) + direction
	}

	return identifierOf(r) + direction
}

func filterQuestions(r *rand.Rand) []question {
	const filters = 4000

	questions := make([]question, 0, 5*filters)

	for range filters {
		filter := filterOf(r)
		if r.IntN(4) == 0 {
			filter = mutate(r, filter)
		}

		for _, about := range append([]string{loggedModels}, entities...) {
			questions = append(questions, question{About: about, Filter: &filter})
		}
	}

	return questions
}

func orderQuestions(r *rand.Rand) []question {
	const lists = 3000

	questions := make([]question, 0, 4*lists)

	for range lists {
		clauses := []string{orderOf(r)}
		for r.IntN(3) == 0 {
			clauses = append(clauses, orderOf(r))
		}

		if r.IntN(4) == 0 {
			clauses[0] = mutate(r, clauses[0])
		}

		for _, about := range entities {
			questions = append(questions, question{About: about, OrderBy: clauses})
		}
	}

	return questions
}

func pageTokenQuestions(r *rand.Rand) []question {
	const tokens = 1500

	contents := []string{
		`{"offset": 1}`, `{"offset": 10}`, `{"offset": 99}`, `{"offset":12345678901}`, `{"offset": "7"}`, `{"offset": " 1_0 "}`,
		`{"offset": 1.9}`, `{"offset": true}`, `{"offset": 0}`, `{"offset": -1}`, `{"offset": null}`, `{"offset": "x"}`,
		`{"offset": [1]}`, `{"offset": {}}`, `{}`, `[]`, `[1]`, `1`, `"x"`, `null`, `{"a": "é", "b": [1, 2.50, "'"]}`,
		`{"offset":20,"after":[0,0.1,"it\u0027s \u003c",null,"ab"],"query":"k3"}`, `{"offset": 1e3}`, `{"offset": 1e999}`, `{"offset": 99999999999999999999}`, `{"offset": 1, "offset": 2}`, `{"offset": 1} x`,
		`{"offset": 1`, "\xff\xfe", "", " ", `{'offset': 1}`, `{"offset": "a\u00e9\t'"}`, `{"a": {"b": null, "c": [true, false]}}`,
	}
	questions := make([]question, 0, tokens)

	for range tokens {
		content := pick(r, contents)
		if r.IntN(4) == 0 {
			content = mutate(r, content)
		}

		token := encode(content)
		if r.IntN(3) == 0 {
			token = mutate(r, token)
		}

		questions = append(questions, question{About: "page_token", PageToken: &token})
	}

	return questions
}

func TestMLflowReadsTheSame(t *testing.T) {
	seed := seed(t)
	tests := []struct {
		name      string
		questions []question
	}{
		{"filters", filterQuestions(rand.New(rand.NewPCG(1, seed)))},
		{"order_by clauses", orderQuestions(rand.New(rand.NewPCG(2, seed)))},
		{"filters of trace metrics", traceMetricsQuestions(rand.New(rand.NewPCG(4, seed)))},
		{"page tokens", pageTokenQuestions(rand.New(rand.NewPCG(3, seed)))},
	}

	var questions []question
	for _, test := range tests {
		questions = append(questions, test.questions...)
	}

	answers := askMLflow(t, questions)

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			accepted := compare(t, test.questions, answers[:len(test.questions)])
			answers = answers[len(test.questions):]

			require.Greater(t, accepted, len(test.questions)/20, "too few of the generated questions are valid")
			t.Logf("%d questions, %d of them valid", len(test.questions), accepted)
		})
	}
}

// traceMetricsQuestions are filters of trace metrics, right and wrong ones.
func traceMetricsQuestions(r *rand.Rand) []question {
	views := []string{"trace", "span", "assessment", "`trace`", "'span'", "Trace", "traces", "attribute", ""}
	names := []string{"status", "tag", "metadata", "name", "type", "`name`", "Status", "tags", ""}
	wellFormed := []string{
		"trace.status", "trace.tag.a", "trace.tag.`mlflow.traceName`", "trace.metadata.`mlflow.trace.session`", "span.name",
		"trace.metadata.\"a.b\"", "trace.tag.'a'", "span.status", "span.type", "assessment.name", "assessment.type",
		"`span`.name", "trace.tag.mlflow.user", "trace.metadata.ünï",
	}

	questions := make([]question, 0, 4002)
	questions = append(questions, question{About: traceMetrics, Filter: new("")}, question{About: traceMetrics, Filter: new(" ")})

	for len(questions) < cap(questions) {
		var identifier string

		switch r.IntN(5) {
		case 0:
			identifier = identifierOf(r)
		case 1:
			identifier = pick(r, views) + "." + pick(r, names) + pick(r, []string{"", "", ".", ".."}) + pick(r, append(keys, ""))
		default:
			identifier = pick(r, wellFormed)
		}

		comparator, value := "=", pick(r, []string{"'x'", "\"x y\"", "''", "'é‿'", "'a''b'"})
		if r.IntN(4) == 0 {
			comparator = pick(r, comparators)
		}

		if r.IntN(4) == 0 {
			value = pick(r, values)
		}

		filter := identifier + pick(r, []string{"", " ", "  "}) + comparator + pick(r, []string{"", " "}) + value
		if r.IntN(8) == 0 {
			filter += pick(r, joints) + pick(r, wellFormed) + " = 'y'"
		}

		if r.IntN(10) == 0 {
			filter = pick(r, fragments) + filter
		}

		questions = append(questions, question{About: traceMetrics, Filter: &filter})
	}

	return questions
}

func TestPageTokensAreReadBack(t *testing.T) {
	t.Parallel()

	for offset := range int64(2000) {
		parsed, err := search.ParsePageToken(search.CreatePageToken(offset + 1))
		require.NoError(t, err)
		require.Equal(t, offset+1, parsed)
	}
}
