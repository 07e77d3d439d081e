package database_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"
	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/registry"
	"github.com/mlflow/mlflow-go/pkg/storetest"
	"github.com/mlflow/mlflow-go/pkg/tracing"
	"github.com/mlflow/mlflow-go/pkg/tracking"
	"github.com/mlflow/mlflow-go/pkg/webhooks"
)

var update = flag.Bool("update", false, "write the golden files")

// bilingual speaks to SQLite and writes down what it would have said to SQL Server. Its texts are
// marks, which end up wherever a store puts them; a statement that is sent has them put into words.
type bilingual struct {
	database.SQLite

	mu    sync.Mutex
	words [][2]string // by mark: SQLite's and SQL Server's
	heard map[string]bool
}

var markPattern = regexp.MustCompile(`«(\d+)»`)

func (b *bilingual) Rebind(text string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heard[database.MSSQL{}.Rebind(b.say(text, 1))] = true

	return b.say(text, 0)
}

func (*bilingual) MaxParameters() int { return database.MSSQL{}.MaxParameters() }
func (*bilingual) FoldsKeys() bool    { return database.MSSQL{}.FoldsKeys() }
func (b *bilingual) Quote(identifier string) string {
	return b.mark(b.SQLite.Quote(identifier), database.MSSQL{}.Quote(identifier))
}

func (b *bilingual) Boolean(value bool) string {
	return b.mark(b.SQLite.Boolean(value), database.MSSQL{}.Boolean(value))
}

func (b *bilingual) Insert(table string, columns []string, rows int) string {
	return b.mark(b.SQLite.Insert(table, columns, rows), database.MSSQL{}.Insert(table, columns, rows))
}

func (b *bilingual) InsertIgnore(table string, columns, key []string, rows int) string {
	return b.mark(b.SQLite.InsertIgnore(table, columns, key, rows), database.MSSQL{}.InsertIgnore(table, columns, key, rows))
}

func (b *bilingual) Upsert(u database.Upsert) string {
	return b.mark(b.SQLite.Upsert(u), database.MSSQL{}.Upsert(u))
}

func (b *bilingual) InsertReturning(table string, columns []string, generated string) database.InsertReturning {
	insert := b.SQLite.InsertReturning(table, columns, generated)
	insert.Query = b.mark(insert.Query, database.MSSQL{}.InsertReturning(table, columns, generated).Query)

	return insert
}

func (b *bilingual) ExplicitID(table string) (before, after string) {
	before, after = database.MSSQL{}.ExplicitID(table)

	return b.mark("SELECT 1", before), b.mark("SELECT 1", after)
}

func (b *bilingual) LockRows() (hint, suffix string) {
	hint, suffix = database.MSSQL{}.LockRows()

	return b.mark("", hint), b.mark("", suffix)
}

func (b *bilingual) Limit(limit, offset int) string {
	return b.mark(b.SQLite.Limit(limit, offset), database.MSSQL{}.Limit(limit, offset))
}

func (b *bilingual) NullsLast(expression string, descending bool) string {
	return b.mark(b.SQLite.NullsLast(expression, descending), database.MSSQL{}.NullsLast(expression, descending))
}

func (b *bilingual) Compare(column, operator string, text bool, values int) (condition string, repeats int) {
	sqlite, repeats := b.SQLite.Compare(column, operator, text, values)
	condition, same := database.MSSQL{}.Compare(column, operator, text, values)
	if repeats != same {
		panic("the two bind different values")
	}

	return b.mark(sqlite, condition), repeats
}

func (b *bilingual) TimeBucket(column string, perMillisecond, seconds int64) string {
	return b.mark(b.SQLite.TimeBucket(column, perMillisecond, seconds),
		database.MSSQL{}.TimeBucket(column, perMillisecond, seconds))
}

// Percentiles has SQLite interpolate between numbered rows, as SQL Server's own function does.
func (b *bilingual) Percentiles(fractions []float64, expression string, groups []string) database.Percentiles {
	percentiles := database.MSSQL{}.Percentiles(fractions, expression, groups)
	over := "("
	if len(groups) > 0 {
		over += "PARTITION BY " + strings.Join(groups, ", ")
	}
	percentiles.Columns = b.mark("ROW_NUMBER() OVER "+over+" ORDER BY "+expression+") - 1 AS place, "+
		"COUNT(*) OVER "+over+") - 1 AS last", percentiles.Columns)
	for i, fraction := range fractions {
		index := fmt.Sprint(fraction, " * last")
		whole := "CAST(" + index + " AS INTEGER)"
		low := "MAX(CASE WHEN place = " + whole + " THEN percentile_value END)"
		high := "MAX(CASE WHEN place = MIN(" + whole + " + 1, last) THEN percentile_value END)"
		percentiles.Aggregates[i] = b.mark(low+" + MAX("+index+" - "+whole+") * ("+high+" - "+low+")", percentiles.Aggregates[i])
	}

	return percentiles
}

func (b *bilingual) CurrentMillis() string {
	return b.mark(b.SQLite.CurrentMillis(), database.MSSQL{}.CurrentMillis())
}

func (b *bilingual) Tables() string { return b.mark(b.SQLite.Tables(), database.MSSQL{}.Tables()) }

func (b *bilingual) mark(sqlite, mssql string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.words = append(b.words, [2]string{sqlite, mssql})

	return "«" + strconv.Itoa(len(b.words)-1) + "»"
}

func (b *bilingual) say(text string, language int) string {
	for markPattern.MatchString(text) {
		text = markPattern.ReplaceAllStringFunc(text, func(mark string) string {
			number, _ := strconv.Atoi(strings.Trim(mark, "«»"))

			return b.words[number][language]
		})
	}

	return text
}

// TestMSSQLStatements has every suite of the stores run on SQLite and keeps what SQL Server would
// have been sent, in each shape once. `mage lint:sql` reads it by SQL Server's grammar.
func TestMSSQLStatements(t *testing.T) {
	uri := databasetest.SQLite(t)
	db, suites := databasetest.Open(t, uri), databasetest.Open(t, uri) // what suites ask for themselves isn't kept
	translated := &bilingual{heard: map[string]bool{}}
	db.SetDialect(translated)
	store, err := tracking.New(db, tracking.Options{ArtifactRoot: storetest.ArtifactRoot})
	require.NoError(t, err)
	t.Run("Suites", func(t *testing.T) {
		require.NoError(t, store.Initialize(t.Context()))
		storetest.Tracking(t, suites, store)
	})
	t.Run("Registry", func(t *testing.T) { storetest.Registry(t, suites, registry.New(db, store), store) })
	t.Run("Webhooks", func(t *testing.T) {
		hooks, err := webhooks.New(db, webhooks.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { hooks.Shutdown(t.Context()) })
		storetest.Webhooks(t, suites, hooks)
	})
	t.Run("Tracing", func(t *testing.T) { storetest.Tracing(t, suites, tracing.New(db)) })
	t.Run("Searches", func(t *testing.T) { searchAll(t, store) })
	t.Run("Large", func(t *testing.T) { logMuch(t, store) })

	var shapes []string
	for statement := range translated.heard {
		require.LessOrEqual(t, strings.Count(statement, "@p"), 2098)
		requireTransactSQL(t, statement)
		shapes = append(shapes, shape(statement))
	}
	slices.Sort(shapes)
	shapes = slices.Compact(shapes)
	golden := filepath.Join("testdata", "mssql_statements.sql")
	text := "-- What the stores send to SQL Server. Written by `go test ./pkg/database -run MSSQLStatements -update`.\n" +
		strings.Join(shapes, "\n") + "\n"
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(text), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), text)
}

// searchAll asks for every kind of comparison and order.
func searchAll(t *testing.T, store *tracking.Store) {
	t.Helper()
	for _, filter := range []string{
		"metrics.m > 1", "metrics.m != 1", "params.p = 'a'", "params.p != 'a'", "params.p LIKE 'a%'", "params.p ILIKE 'a%'",
		"tags.t IS NULL", "tags.t IS NOT NULL", "attributes.status = 'FINISHED'",
		"attributes.start_time >= 1.5", "attributes.run_name = 'x'", "run_id IN ('a', 'b')", "run_id NOT IN ('a')", "dataset.name = 'd'", "dataset.context = 'train'",
	} {
		_, err := store.SearchRuns(t.Context(), &protos.SearchRuns{
			ExperimentIds: []string{"0", "1"}, Filter: new(filter), MaxResults: new(int32(5)),
			OrderBy: []string{"metrics.m DESC", "params.p", "tags.t", "run_id", "status ASC"},
		})
		require.NoError(t, err, filter)
	}
	for _, filter := range []string{"name LIKE 'a%'", "tags.t = 'x'", "creation_time > 1", "tags.t IS NULL"} {
		_, err := store.SearchExperiments(t.Context(), &protos.SearchExperiments{
			Filter: new(filter), MaxResults: new(int64(5)), OrderBy: []string{"name DESC", "experiment_id"},
		})
		require.NoError(t, err, filter)
	}
	_, err := store.SearchDatasets(t.Context(), &protos.SearchDatasets{ExperimentIds: []string{"0"}})
	require.NoError(t, err)
	_, err = store.GetMetricHistoryBulk(t.Context(), &protos.GetMetricHistoryBulkInterval{
		RunIds: []string{"a", "b"}, MetricKey: new("m"), MaxResults: new(int32(5)),
	})
	require.NoError(t, err)
	_, err = store.GetMetricHistoryBulkInterval(t.Context(), &protos.GetMetricHistoryBulkInterval{
		RunIds: []string{"a"}, MetricKey: new("m"), MaxResults: new(int32(5)), StartStep: new(int32(1)), EndStep: new(int32(2)),
	})
	require.NoError(t, err)
}

// logMuch needs more parameters than a statement takes.
func logMuch(t *testing.T, store *tracking.Store) {
	t.Helper()
	run, err := store.CreateRun(t.Context(), &protos.CreateRun{ExperimentId: new("0"), StartTime: new(int64(1))})
	require.NoError(t, err)
	batch := &protos.LogBatch{RunId: run.GetRun().GetInfo().RunId}
	for i := range 800 {
		batch.Metrics = append(batch.Metrics, &protos.Metric{
			Key: new(fmt.Sprint("m", i)), Value: new(1.0), Timestamp: new(int64(1)), Step: new(int64(0)),
		})
	}
	_, err = store.LogBatch(t.Context(), batch)
	require.NoError(t, err)
}

var (
	listPattern   = regexp.MustCompile(`@p\d+(, @p\d+)+`)
	rowsPattern   = regexp.MustCompile(`\(@ps\)(, \(@ps\))+`)
	numberPattern = regexp.MustCompile(`@p\d+`)
	idsPattern    = regexp.MustCompile(`experiment_id IN \([-\d, ]+\)`)
)

// shape is a statement with lists of any length made short.
func shape(statement string) string {
	statement = listPattern.ReplaceAllString(statement, "@ps")
	statement = rowsPattern.ReplaceAllString(statement, "(@ps), (@ps)")
	statement = numberPattern.ReplaceAllString(statement, "@p")
	statement = idsPattern.ReplaceAllString(statement, "experiment_id IN (1, 2)")
	statement = regexp.MustCompile(`(OFFSET|NEXT|NTILE\() ?\d+`).ReplaceAllString(statement, "$1 5")
	statement = strings.ReplaceAll(statement, "NTILE( 5", "NTILE(5")
	statement = strings.Join(strings.Fields(statement), " ")
	statement = regexp.MustCompile(`( OR \[?name\]? = @p AND digest = @p)+`).ReplaceAllString(statement, " OR name = @p AND digest = @p")

	return strings.TrimSuffix(statement, ";") + ";"
}

// foreign is what other databases say and SQL Server doesn't.
var foreign = regexp.MustCompile("(?i)`|\\bLIMIT\\b|\\bRETURNING\\b|ON CONFLICT|ON DUPLICATE|\\bTRUE\\b|\\bFALSE\\b|\\|\\||\\?|\\bPRAGMA\\b|" +
	"FOR UPDATE|\\bILIKE\\b|[(, .]key[), ]|NULLS (FIRST|LAST)|\\bIS (NOT )?[01]\\b|\"")

func requireTransactSQL(t *testing.T, statement string) {
	t.Helper()
	require.NotRegexp(t, foreign, statement)
	if strings.Contains(statement, " OFFSET ") {
		require.Contains(t, statement, "ORDER BY", "OFFSET without an order")
	}
	if strings.HasPrefix(statement, "MERGE") {
		require.True(t, strings.HasSuffix(statement, ";"), statement)
	}
	if _, orders, ordered := strings.Cut(statement, "\nORDER BY "); ordered {
		orders, _, _ = strings.Cut(orders, " OFFSET ")
		var columns []string
		for column := range strings.SplitSeq(orders, ", ") {
			columns = append(columns, strings.TrimSuffix(column, " DESC"))
		}
		slices.Sort(columns)
		require.Len(t, slices.Compact(slices.Clone(columns)), len(columns), "sorted twice by one column: %s", statement)
	}
}

func TestMSSQLConfig(t *testing.T) {
	parse := func(t *testing.T, text string) msdsn.Config {
		t.Helper()
		config, err := database.MSSQLConfig(parseURI(t, text))
		require.NoError(t, err)

		return config
	}
	t.Run("OK/pyodbc", func(t *testing.T) {
		c := parse(t, "mssql+pyodbc://us%40er:p%40s%3Bs@db.example.com:1444/ml%20flow?driver=ODBC+Driver+18+for+SQL+Server"+
			"&ApplicationIntent=ReadOnly&APP=mine&LoginTimeout=7&MultiSubnetFailover=yes")
		require.Equal(t, []any{"us@er", "p@s;s", "db.example.com", uint64(1444), "ml flow", "mine"},
			[]any{c.User, c.Password, c.Host, c.Port, c.Database, c.AppName})
		require.True(t, c.ReadOnlyIntent)
		require.InDelta(t, 7, c.DialTimeout.Seconds(), 0)
		require.EqualValues(t, msdsn.EncryptionRequired, c.Encryption, "ODBC's driver 18 encrypts")
		require.False(t, c.TrustServerCertificate)
	})
	t.Run("OK/Encryption", func(t *testing.T) {
		for query, want := range map[string]struct {
			encryption msdsn.Encryption
			trusts     bool
		}{
			"driver=ODBC+Driver+17+for+SQL+Server":                                        {msdsn.EncryptionOff, true},
			"driver=ODBC+Driver+17+for+SQL+Server&Encrypt=yes":                            {msdsn.EncryptionRequired, false},
			"Encrypt=optional&driver=ODBC+Driver+18+for+SQL+Server":                       {msdsn.EncryptionOff, true},
			"driver=ODBC+Driver+18+for+SQL+Server&Encrypt=strict":                         {msdsn.EncryptionStrict, false},
			"driver={ODBC+Driver+18+for+SQL+Server}&TrustServerCertificate=yes":           {msdsn.EncryptionRequired, true},
			"driver=ODBC+Driver+17+for+SQL+Server&Encrypt=yes&TrustServerCertificate=yes": {msdsn.EncryptionRequired, true},
		} {
			c := parse(t, "mssql+pyodbc://u:p@h/d?"+query)
			require.Equal(t, want.encryption, c.Encryption, query)
			require.Equal(t, want.trusts, c.TrustServerCertificate, query)
		}
	})
	t.Run("OK/Instance", func(t *testing.T) {
		c := parse(t, `mssql+pyodbc://u:p@h\inst/d?driver=ODBC+Driver+17+for+SQL+Server`)
		require.Equal(t, []string{"h", "inst"}, []string{c.Host, c.Instance})
	})
	t.Run("OK/pymssql", func(t *testing.T) {
		c := parse(t, "mssql+pymssql://u:p@h:1433/d?charset=utf8&login_timeout=9&appname=a")
		require.Equal(t, []any{"h", "d", "a"}, []any{c.Host, c.Database, c.AppName})
	})
	for _, uri := range []string{
		"mssql+pyodbc://u:hunter2@dsn", "mssql+pyodbc://h/d?driver=ODBC+Driver+17+for+SQL+Server", "mssql+pyodbc:///?odbc_connect=PWD%3Dhunter2",
		"mssql+pyodbc://u:hunter2@h/d?driver=FreeTDS", "mssql+pyodbc://u:hunter2@h/d?Authentication=ActiveDirectoryMsi",
		"mssql+pymssql://u:hunter2@h/d?tds_version=7.0", "mssql+pytds://u:hunter2@h/d", "mssql+pymssql://u:hunter2@h/d?charset=cp1252",
	} {
		t.Run("ErrUnsupported/"+uri, func(t *testing.T) {
			_, err := database.MSSQLConfig(parseURI(t, uri))
			require.ErrorIs(t, err, database.ErrUnsupported)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestMSSQLValues(t *testing.T) {
	long := strings.Repeat("x", 8001)
	bound, err := database.BindMSSQL([]any{"plain", "ünï", long, new("pointer"), (*string)(nil), 1, true, nil})
	require.NoError(t, err)
	require.Equal(t, []any{
		mssql.VarChar("plain"), "ünï", mssql.VarCharMax(long), mssql.VarChar("pointer"), (*string)(nil), 1, true, nil,
	}, bound)
}

func TestMSSQLErrors(t *testing.T) {
	for number, want := range map[int32]struct {
		code    protos.ErrorCode
		message string
		unique  bool
	}{
		2627:  {protos.ErrorCode_BAD_REQUEST, "(pyodbc.IntegrityError) said", true},
		2601:  {protos.ErrorCode_BAD_REQUEST, "(pyodbc.IntegrityError) said", true},
		547:   {protos.ErrorCode_BAD_REQUEST, "(pyodbc.IntegrityError) said", false},
		208:   {protos.ErrorCode_BAD_REQUEST, "(pyodbc.ProgrammingError) said", false},
		1205:  {protos.ErrorCode_TEMPORARILY_UNAVAILABLE, "(pyodbc.OperationalError) said", false},
		1222:  {protos.ErrorCode_TEMPORARILY_UNAVAILABLE, "(pyodbc.OperationalError) said", false},
		18456: {protos.ErrorCode_TEMPORARILY_UNAVAILABLE, "(pyodbc.InterfaceError) said", false},
	} {
		err := fmt.Errorf("wrapped: %w", mssql.Error{Number: number, Message: "said"})
		found := requireMLflow(t, database.Translate(err))
		require.Equal(t, want.code, found.Code, number)
		require.Equal(t, want.message, found.Message, number)
		require.Equal(t, want.unique, database.IsUniqueViolation(err), number)
	}
}
