package tracking_test

import (
	"encoding/base64"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pythontest"
	"github.com/mlflow/mlflow-go/pkg/search"
	"github.com/mlflow/mlflow-go/pkg/tracking"
)

// searchQuestion is put to MLflow's store (testdata/search.py) and to ours.
type searchQuestion struct {
	About         string   `json:"about"`
	ExperimentIDs []string `json:"experiment_ids,omitempty"`
	Filter        string   `json:"filter_string"`
	RunViewType   int32    `json:"run_view_type,omitempty"`
	ViewType      int32    `json:"view_type,omitempty"`
	MaxResults    int32    `json:"max_results"`
	OrderBy       []string `json:"order_by"`
	PageToken     string   `json:"page_token,omitempty"`
}

type searchAnswer struct {
	Messages []string `json:"messages"`
	Token    *string  `json:"token"`
	Code     string   `json:"code"`
	Message  string   `json:"message"`
}

// overflowed tells that a driver of Python's refused a number that is too large for a column. That
// is a server's error in MLflow; here such numbers are compared like any other.
func (a searchAnswer) overflowed() bool {
	return a.Code == "INTERNAL_ERROR" && strings.Contains(a.Message, "too large to convert") ||
		strings.Contains(a.Message, "out of range")
}

// sortUnordered sorts what a database returns in no particular order, and neither MLflow sorts.
func sortUnordered(message proto.Message) {
	run, ok := message.(*protos.Run)
	if !ok {
		sortByText(message.(*protos.Experiment).GetTags())

		return
	}

	sortByText(run.GetData().GetMetrics())
	sortByText(run.GetData().GetParams())
	sortByText(run.GetData().GetTags())

	for _, input := range run.GetInputs().GetDatasetInputs() {
		sortByText(input.GetTags())
	}

	sortByText(run.GetInputs().GetDatasetInputs())
	sortByText(run.GetOutputs().GetModelOutputs())
}

func sortByText[M proto.Message](messages []M) {
	slices.SortFunc(messages, func(a, b M) int {
		return strings.Compare(prototext.MarshalOptions{}.Format(a), prototext.MarshalOptions{}.Format(b))
	})
}

func askMLflow(t *testing.T, uri string, questions []searchQuestion) []searchAnswer {
	t.Helper()

	var answers []searchAnswer
	pythontest.Ask(t, map[string]any{"uri": uri, "questions": questions}, &answers, "testdata/search.py")
	require.Len(t, answers, len(questions))

	return answers
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func several(r *rand.Rand, most int, next func(*rand.Rand) string) []string {
	all := make([]string, r.IntN(most+1))
	for i := range all {
		all[i] = next(r)
	}

	return all
}

var (
	keys  = []string{"a", "b", "A", "`a b`", "\"a b\"", "start_time", "created", "mlflow.note", "missing"}
	texts = []string{
		"'alpha'", "'Alpha'", "'ALPHA'", "'a_b'", "'a%b'", "'%a%'", "'A%'", "'_lpha'", "'ünï'", "'ÜNÏ'", "'Ü%'", "''", "'%'",
		"\"it's\"", "'1'", "'10'", "' '", "'a\\b'", "'%train%'", "'train'", "'eval'", "'one'", "'One'", "'d1'", "'FINISHED'", "'RUNNING'",
	}
	numbers = []string{
		"0", "-0", "1", "-1", "1.5", "2", "0.1", "1e300", "1e400", "-1e400", "1e16", "1000", "1000.0", "999.5", "1600000000000",
		"1600000000000.5", "2147483648", "9223372036854775808", "-99999999999999999999", "1e30",
	}
	numeric = []string{"=", "!=", "<", "<=", ">", ">="}
	textual = []string{"=", "!=", "LIKE", "ILIKE", "like", "ilike"}
	lists   = []string{"('alpha')", "('one', 'two')", "('d1', 'x')", "('train',)", "('1', '2', '99999999999999999999')", "('x', ' 1_0 ')"}
)

func runComparison(r *rand.Rand) string {
	switch r.IntN(9) {
	case 0, 1:
		return "metrics." + pick(r, keys...) + " " + pick(r, numeric...) + " " + pick(r, numbers...)
	case 2:
		return pick(r, "params.", "tags.") + pick(r, keys...) + " " + pick(r, textual...) + " " + pick(r, texts...)
	case 3:
		return pick(r, "params.", "tags.") + pick(r, keys...) + pick(r, " IS NULL", " IS NOT NULL")
	case 4:
		return pick(r, "start_time", "attributes.end_time", "created") + " " + pick(r, numeric...) + " " + pick(r, numbers...)
	case 5:
		return pick(r, "run_name", "`run name`", "user_id", "status", "artifact_uri", "run_id") + " " + pick(r, textual...) + " " +
			pick(r, texts...)
	case 6:
		return "run_id " + pick(r, "IN ", "NOT IN ") + pick(r, lists...)
	case 7:
		return "dataset." + pick(r, "name", "digest", "context") + " " + pick(r, textual...) + " " + pick(r, texts...)
	default:
		return "dataset." + pick(r, "name", "digest", "context") + " " + pick(r, "IN ", "NOT IN ") + pick(r, lists...)
	}
}

func runOrder(r *rand.Rand) string {
	direction := pick(r, "", " ASC", " DESC")

	if r.IntN(2) == 0 {
		return pick(r, "start_time", "end_time", "run_name", "user_id", "status", "artifact_uri", "run_id", "created") + direction
	}

	return pick(r, "metrics.", "params.", "tags.", "metrics.") + pick(r, keys...) + direction
}

func experimentComparison(r *rand.Rand) string {
	switch r.IntN(6) {
	case 0:
		return "name " + pick(r, textual[:4]...) + " " + pick(r, "'alpha0'", "'Alpha%'", "'%LPHA%'", "'a_b%'", "'%ü%'", "'xxx'")
	case 1:
		return pick(r, "creation_time", "last_update_time") + " " + pick(r, numeric...) + " " + pick(r, numbers...)
	case 2:
		return "experiment_id " + pick(r, "IN ", "NOT IN ") + pick(r, lists[4:]...)
	case 3:
		return "experiment_id " + pick(r, "=", "!=", "<") + " " + pick(r, "'1'", "'0'", "'99999999999'", "'x'", "' 1_1'")
	case 4:
		return "tags." + pick(r, keys...) + pick(r, " IS NULL", " IS NOT NULL")
	default:
		return "tags." + pick(r, keys...) + " " + pick(r, textual[:4]...) + " " + pick(r, texts...)
	}
}

func experimentOrder(r *rand.Rand) string {
	return pick(r, "name", "experiment_id", "creation_time", "last_update_time", "tags.a") + pick(r, "", " ASC", " DESC", " desc")
}

// searchQuestions are the same each time; MLFLOW_GO_TEST_SEED asks for others, and more of them.
func searchQuestions(t *testing.T) []searchQuestion {
	t.Helper()

	n, seed := 300, uint64(1)

	if text := os.Getenv("MLFLOW_GO_TEST_SEED"); text != "" {
		var err error

		n = 1500
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}

	r := rand.New(rand.NewPCG(1, seed))
	questions := make([]searchQuestion, n)

	for i := range questions {
		q := searchQuestion{About: "runs", MaxResults: pick[int32](r, 1, 3, 10, 50, 1000, 50000)}
		comparison, order := runComparison, runOrder

		if r.IntN(3) == 0 {
			q.About, q.ViewType = "experiments", pick[int32](r, 1, 1, 2, 3)
			comparison, order = experimentComparison, experimentOrder
		} else {
			q.RunViewType = pick[int32](r, 1, 1, 2, 3)
			q.ExperimentIDs = pick(r, []string{"1", "2", "3"}, []string{"1"}, []string{"3", "1", "1"}, []string{" 0_2 ", "77"}, []string{"2", "x"})
		}

		q.Filter = strings.Join(several(r, 3, comparison), " AND ")
		q.OrderBy = several(r, 3, order)

		if r.IntN(3) == 0 {
			q.PageToken = search.CreatePageToken(int64(1 + r.IntN(40)))
		}

		if r.IntN(40) == 0 {
			q.MaxResults = pick[int32](r, 0, -1, 50001)
		}

		questions[i] = q
	}

	return questions
}

// ask answers a question as testdata/search.py does.
func (q searchQuestion) ask(t *testing.T, store *tracking.Store) (found []proto.Message, token *string, err error) {
	t.Helper()

	if q.About == "experiments" {
		response, err := store.SearchExperiments(t.Context(), &protos.SearchExperiments{
			MaxResults: new(int64(q.MaxResults)), Filter: &q.Filter, OrderBy: q.OrderBy, PageToken: &q.PageToken,
			ViewType: protos.ViewType(q.ViewType).Enum(),
		})
		if err != nil {
			return nil, nil, err
		}

		for _, experiment := range response.GetExperiments() {
			found = append(found, experiment)
		}

		return found, response.NextPageToken, nil
	}

	response, err := store.SearchRuns(t.Context(), &protos.SearchRuns{
		ExperimentIds: q.ExperimentIDs, MaxResults: &q.MaxResults, Filter: &q.Filter, OrderBy: q.OrderBy,
		PageToken: &q.PageToken, RunViewType: protos.ViewType(q.RunViewType).Enum(),
	})
	if err != nil {
		return nil, nil, err
	}

	for _, run := range response.GetRuns() {
		found = append(found, run)
	}

	return found, response.NextPageToken, nil
}

func requireSameMessages(t *testing.T, question searchQuestion, want []string, got []proto.Message, ordered bool) {
	t.Helper()
	require.Len(t, got, len(want), "%+v", question)

	for i, text := range want {
		data, err := base64.StdEncoding.DecodeString(text)
		require.NoError(t, err)

		message := got[i].ProtoReflect().New().Interface()
		require.NoError(t, proto.Unmarshal(data, message))

		if !ordered {
			sortUnordered(message)
			sortUnordered(got[i])
		}

		if !proto.Equal(message, got[i]) {
			t.Fatalf("%+v: at %d\n MLflow: %v\n   ours: %v", question, i, message, got[i])
		}
	}
}

// requireSameOffset compares page tokens as MLflow reads them.
func requireSameOffset(t *testing.T, question searchQuestion, want, got *string) {
	t.Helper()
	require.Equal(t, want == nil, got == nil, "%+v", question)

	if want == nil {
		return
	}

	expected, err := search.ParsePageToken(*want)
	require.NoError(t, err)

	offset, err := search.ParsePageToken(*got)
	require.NoError(t, err)
	require.Equal(t, expected, offset, "%+v", question)
}

// requirePageOfOffset compares the page of a token, which has a position, with that of its offset
// alone, which is MLflow's.
func requirePageOfOffset(t *testing.T, question searchQuestion, store *tracking.Store, token *string) {
	t.Helper()

	if token == nil {
		return
	}

	offset, err := search.ParsePageToken(*token)
	require.NoError(t, err)

	question.PageToken = *token
	byPosition, next, err := question.ask(t, store)
	require.NoError(t, err, "%+v", question)

	question.PageToken = search.CreatePageToken(offset)
	byOffset, nextByOffset, err := question.ask(t, store)
	require.NoError(t, err, "%+v", question)

	require.Len(t, byPosition, len(byOffset), "%+v", question)

	for i := range byOffset {
		// A database may plan the two in different ways, and another one once it has gathered statistics.
		sortUnordered(byOffset[i])
		sortUnordered(byPosition[i])
		require.True(t, proto.Equal(byOffset[i], byPosition[i]), "%+v: at %d\n by offset: %v\nby position: %v",
			question, i, byOffset[i], byPosition[i])
	}

	requireSameOffset(t, question, nextByOffset, next)
}

func TestSearchFindsWhatMLflowFinds(t *testing.T) {
	for _, source := range databasetest.Sources() {
		t.Run(source.Name, func(t *testing.T) {
			uri := source.URI(t)
			questions := searchQuestions(t)
			answers := askMLflow(t, uri, questions)
			store := open(t, databasetest.Open(t, uri), tracking.Options{ArtifactRoot: "s3://bucket/root"})

			found, refused, overflowed := 0, 0, 0

			for i, question := range questions {
				got, token, err := question.ask(t, store)

				switch theirs := answers[i]; {
				case theirs.overflowed():
					overflowed++

					require.NoError(t, err, "%+v", question)
				case strings.Contains(theirs.Message, "can not be used with MySQL"):
					// PyMySQL refuses infinities. Of whole numbers they say something sensible.
					refused++

					if err != nil {
						require.Equal(t, theirs.Code, contract.AsError(err).Code.String(), "%+v", question)
					}
				case theirs.Code != "":
					refused++

					require.Error(t, err, "%+v: %+v", question, theirs)
					require.Equal(t, theirs.Message, contract.AsError(err).Message, "%+v", question)
					require.Equal(t, theirs.Code, contract.AsError(err).Code.String(), "%+v", question)
				default:
					require.NoError(t, err, "%+v", question)
					requireSameOffset(t, question, theirs.Token, token)
					requireSameMessages(t, question, theirs.Messages, got, source.Name == "sqlite")
					requirePageOfOffset(t, question, store, token)

					found += min(len(got), 1)
				}
			}

			require.Greater(t, found, len(questions)/4, "too few of the questions find anything")
			t.Logf("%d questions: %d found something, %d were refused, %d overflowed in MLflow",
				len(questions), found, refused, overflowed)
		})
	}
}

func TestSearchTakesMoreExperimentsThanAStatementTakesParameters(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := open(t, db, tracking.Options{ArtifactRoot: "s3://bucket/root"})

		created, err := store.CreateExperiment(t.Context(), &protos.CreateExperiment{Name: new("found")})
		require.NoError(t, err)

		run, err := store.CreateRun(t.Context(), &protos.CreateRun{ExperimentId: created.ExperimentId, StartTime: new(int64(1))})
		require.NoError(t, err)

		ids := make([]string, 70_000)
		for i := range ids {
			ids[i] = strconv.Itoa(1000 + i)
		}

		ids[0] = created.GetExperimentId()

		found, err := store.SearchRuns(t.Context(), &protos.SearchRuns{ExperimentIds: ids})
		require.NoError(t, err)
		require.Len(t, found.GetRuns(), 1)
		require.Equal(t, run.GetRun().GetInfo().GetRunId(), found.GetRuns()[0].GetInfo().GetRunId())
	})
}
