package database_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/database"
)

// texts is what one dialect makes of the same wishes.
type texts struct {
	quote, rebound, insert, ignore, upsert, upsertWhen, returning string
	explicitBefore, explicitAfter                                 string
	equal, notEqual, like, ilike, in, number                      string
	page, skip                                                    string
	lockHint, lockSuffix, truth                                   string
}

func TestDialects(t *testing.T) {
	for dialect, expected := range map[database.Dialect]texts{
		database.SQLite{}: {
			quote: `"a""b"`, rebound: `a = ? AND b = '?' AND "c?" = ?`,
			insert:    `INSERT INTO "t" ("k", "v") VALUES (?, ?), (?, ?)`,
			ignore:    `INSERT INTO "t" ("k", "v") VALUES (?, ?) ON CONFLICT ("k") DO NOTHING`,
			upsert:    `INSERT INTO "t" ("k", "v", "n") VALUES (?, ?, ?) ON CONFLICT ("k") DO UPDATE SET "v" = excluded."v", "n" = excluded."n"`,
			returning: `INSERT INTO "t" ("k") VALUES (?)`,
			upsertWhen: `INSERT INTO "t" ("k", "v", "n") VALUES (?, ?, ?) ON CONFLICT ("k") DO UPDATE SET ` +
				`"v" = excluded."v", "n" = excluded."n" WHERE excluded."n" > "t"."n"`,
			equal: "c = ?", notEqual: "c != ?", like: "c LIKE ?", ilike: "lower(c) LIKE lower(?)", in: "c IN (?, ?)",
			number: "c = ?", page: " LIMIT 5 OFFSET 10", skip: " LIMIT -1 OFFSET 10", truth: "1",
		},
		database.PostgreSQL{}: {
			quote: `"a""b"`, rebound: `a = $1 AND b = '?' AND "c?" = $2`,
			insert:    `INSERT INTO "t" ("k", "v") VALUES (?, ?), (?, ?)`,
			ignore:    `INSERT INTO "t" ("k", "v") VALUES (?, ?) ON CONFLICT ("k") DO NOTHING`,
			upsert:    `INSERT INTO "t" ("k", "v", "n") VALUES (?, ?, ?) ON CONFLICT ("k") DO UPDATE SET "v" = excluded."v", "n" = excluded."n"`,
			returning: `INSERT INTO "t" ("k") VALUES (?) RETURNING "id"`,
			upsertWhen: `INSERT INTO "t" ("k", "v", "n") VALUES (?, ?, ?) ON CONFLICT ("k") DO UPDATE SET ` +
				`"v" = excluded."v", "n" = excluded."n" WHERE excluded."n" > "t"."n"`,
			equal: "c = ?", notEqual: "c != ?", like: "c LIKE ?", ilike: "c ILIKE ?", in: "c IN (?, ?)",
			number: "c = ?", page: " LIMIT 5 OFFSET 10", skip: " OFFSET 10", lockSuffix: " FOR NO KEY UPDATE", truth: "TRUE",
		},
		database.MySQL{}: {
			quote: "`a\"b`", rebound: `a = ? AND b = '?' AND "c?" = ?`,
			insert:    "INSERT INTO `t` (`k`, `v`) VALUES (?, ?), (?, ?)",
			ignore:    "INSERT INTO `t` (`k`, `v`) VALUES (?, ?) ON DUPLICATE KEY UPDATE `k` = `k`",
			upsert:    "INSERT INTO `t` (`k`, `v`, `n`) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE `k` = VALUES(`k`), `v` = VALUES(`v`), `n` = VALUES(`n`)",
			returning: "INSERT INTO `t` (`k`) VALUES (?)",
			upsertWhen: "INSERT INTO `t` (`k`, `v`, `n`) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE " +
				"`v` = IF(@mlflow_changes := (VALUES(`n`) > `t`.`n`), VALUES(`v`), `t`.`v`), " +
				"`n` = IF(@mlflow_changes, VALUES(`n`), `t`.`n`)",
			explicitBefore: "SET @mlflow_sql_mode = @@SESSION.sql_mode, " +
				"SESSION sql_mode = CONCAT_WS(',', @@SESSION.sql_mode, 'NO_AUTO_VALUE_ON_ZERO')",
			explicitAfter: "SET SESSION sql_mode = @mlflow_sql_mode",
			equal:         "(c = ? AND BINARY c = ?)", notEqual: "(c != ? OR BINARY c != ?)", like: "(c LIKE ? AND BINARY c LIKE ?)",
			ilike: "lower(c) LIKE lower(?)", in: "(BINARY c IN (?, ?))", number: "c = ?",
			page: " LIMIT 5 OFFSET 10", skip: " LIMIT 18446744073709551615 OFFSET 10", lockSuffix: " FOR UPDATE", truth: "1",
		},
		database.MSSQL{}: {
			quote: `[a"b]`, rebound: `a = @p1 AND b = '?' AND "c?" = @p2`,
			insert: `INSERT INTO [t] ([k], [v]) VALUES (?, ?), (?, ?)`,
			ignore: `MERGE INTO [t] WITH (HOLDLOCK) AS stored USING (VALUES (?, ?)) AS given ([k], [v]) ON stored.[k] = given.[k] ` +
				`WHEN NOT MATCHED THEN INSERT ([k], [v]) VALUES (given.[k], given.[v]);`,
			upsert: `MERGE INTO [t] WITH (HOLDLOCK) AS stored USING (VALUES (?, ?, ?)) AS given ([k], [v], [n]) ON stored.[k] = given.[k] ` +
				`WHEN MATCHED THEN UPDATE SET [v] = given.[v], [n] = given.[n] ` +
				`WHEN NOT MATCHED THEN INSERT ([k], [v], [n]) VALUES (given.[k], given.[v], given.[n]);`,
			upsertWhen: `MERGE INTO [t] WITH (HOLDLOCK) AS stored USING (VALUES (?, ?, ?)) AS given ([k], [v], [n]) ON stored.[k] = given.[k] ` +
				`WHEN MATCHED AND (given.[n] > stored.[n]) THEN UPDATE SET [v] = given.[v], [n] = given.[n] ` +
				`WHEN NOT MATCHED THEN INSERT ([k], [v], [n]) VALUES (given.[k], given.[v], given.[n]);`,
			returning:      `INSERT INTO [t] ([k]) OUTPUT INSERTED.[id] VALUES (?)`,
			explicitBefore: "SET IDENTITY_INSERT [t] ON", explicitAfter: "SET IDENTITY_INSERT [t] OFF",
			equal:    "c COLLATE Japanese_Bushu_Kakusu_100_CS_AS_KS_WS = ?",
			notEqual: "c COLLATE Japanese_Bushu_Kakusu_100_CS_AS_KS_WS != ?",
			like:     "c COLLATE Japanese_Bushu_Kakusu_100_CS_AS_KS_WS LIKE ?",
			ilike:    "lower(c COLLATE Japanese_Bushu_Kakusu_100_CS_AS_KS_WS) LIKE lower(?)",
			in:       "c COLLATE Japanese_Bushu_Kakusu_100_CS_AS_KS_WS IN (?, ?)", number: "c = ?",
			page: " OFFSET 10 ROWS FETCH NEXT 5 ROWS ONLY", skip: " OFFSET 10 ROWS",
			lockHint: " WITH (UPDLOCK, ROWLOCK)", truth: "1",
		},
	} {
		t.Run(dialect.Name(), func(t *testing.T) {
			plain := database.Upsert{
				Table: "t", Columns: []string{"k", "v", "n"}, Key: []string{"k"}, Update: []string{"v", "n"}, Rows: 1,
			}
			conditional := plain
			conditional.When = func(stored, given func(string) string) string { return given("n") + " > " + stored("n") }
			compare := func(operator string, text bool, values int) string {
				condition, _ := dialect.Compare("c", operator, text, values)

				return condition
			}
			before, after := dialect.ExplicitID("t")
			hint, suffix := dialect.LockRows()
			require.Equal(t, expected, texts{
				quote:          dialect.Quote(`a"b`),
				rebound:        dialect.Rebind(`a = ? AND b = '?' AND "c?" = ?`),
				insert:         dialect.Insert("t", []string{"k", "v"}, 2),
				ignore:         dialect.InsertIgnore("t", []string{"k", "v"}, []string{"k"}, 1),
				upsert:         dialect.Upsert(plain),
				upsertWhen:     dialect.Upsert(conditional),
				returning:      dialect.InsertReturning("t", []string{"k"}, "id").Query,
				explicitBefore: before, explicitAfter: after,
				equal: compare("=", true, 1), notEqual: compare("!=", true, 1), like: compare("LIKE", true, 1),
				ilike: compare("ILIKE", true, 1), in: compare("IN", true, 2), number: compare("=", false, 1),
				page: dialect.Limit(5, 10), skip: dialect.Limit(-1, 10),
				lockHint: hint, lockSuffix: suffix, truth: dialect.Boolean(true),
			})
			require.Equal(t, "1 = 0", compare("IN", false, 0))
			require.Equal(t, "1 = 1", compare("NOT IN", false, 0))
			require.Empty(t, dialect.Limit(-1, 0))
			_, repeats := dialect.Compare("c", "=", true, 1)
			require.Equal(t, map[bool]int{true: 2, false: 1}[dialect.Name() == "mysql"], repeats)
		})
	}
}

func TestDialectsSortNullsLast(t *testing.T) {
	t.Parallel()

	for dialect, expected := range map[database.Dialect][2]string{
		database.SQLite{}:     {"c NULLS LAST", "c DESC"},
		database.PostgreSQL{}: {"c", "c DESC NULLS LAST"},
		database.MySQL{}:      {"CASE WHEN c IS NULL THEN 1 ELSE 0 END, c", "CASE WHEN c IS NULL THEN 1 ELSE 0 END, c DESC"},
		database.MSSQL{}:      {"CASE WHEN c IS NULL THEN 1 ELSE 0 END, c", "CASE WHEN c IS NULL THEN 1 ELSE 0 END, c DESC"},
	} {
		require.Equal(t, expected, [2]string{dialect.NullsLast("c", false), dialect.NullsLast("c", true)}, dialect.Name())
	}
}

func TestPostgreSQLInsertsArrays(t *testing.T) {
	t.Parallel()

	insert := database.PostgreSQL{}.InsertIgnore("t", []string{"a", "b"}, []string{"a"}, 1)

	t.Run("OK", func(t *testing.T) {
		t.Parallel()

		text, args, ok := database.PostgreSQL{}.Many(insert, [][]any{{"x", int64(1)}, {"y", int64(2)}})
		require.True(t, ok)
		require.Equal(t, `INSERT INTO "t" ("a", "b") SELECT c0, c1 FROM unnest(?::text[], ?::bigint[]) AS given (c0, c1) `+
			`ON CONFLICT ("a") DO NOTHING`, text)
		require.Equal(t, []any{[]string{"x", "y"}, []int64{1, 2}}, args)
	})

	t.Run("ErrMixed", func(t *testing.T) {
		t.Parallel()

		_, _, ok := database.PostgreSQL{}.Many(insert, [][]any{{"x", int64(1)}, {"y", nil}})
		require.False(t, ok)
	})
}

func TestPostgreSQLLooksUpValues(t *testing.T) {
	condition, args := database.PostgreSQL{}.AnyOf("run_uuid", []string{"a", "b"})
	require.Equal(t, "run_uuid IN (?, ?)", condition)
	require.Equal(t, []any{"a", "b"}, args)

	many := slices.Repeat([]string{"a"}, 17)
	condition, args = database.PostgreSQL{}.AnyOf("run_uuid", many)
	require.Equal(t, "run_uuid = ANY(?::varchar[])", condition)
	require.Equal(t, []any{many}, args)
}

func TestDialectsMakeIndexes(t *testing.T) {
	t.Parallel()

	index := database.Index{Name: "i", Table: "t", Columns: []database.IndexColumn{{Name: "a"}, {Name: "b", Descending: true}}}

	for dialect, expected := range map[database.Dialect][2]string{
		database.SQLite{}: {`CREATE INDEX IF NOT EXISTS "i" ON "t" ("a", "b")`, `DROP INDEX IF EXISTS "i"`},
		database.PostgreSQL{}: {
			`CREATE INDEX CONCURRENTLY "i" ON "t" ("a", "b" DESC NULLS LAST)`, `DROP INDEX CONCURRENTLY IF EXISTS "i"`,
		},
		database.MySQL{}: {"CREATE INDEX `i` ON `t` (`a`, `b` DESC)", "DROP INDEX `i` ON `t`"},
		database.MSSQL{}: {"CREATE INDEX [i] ON [t] ([a], [b] DESC)", "DROP INDEX IF EXISTS [i] ON [t]"},
	} {
		statements := dialect.Index(index)
		require.Contains(t, statements.Create, expected[0])
		require.Equal(t, expected[1], statements.Drop)
	}
}
