package database_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

var errRefused = errors.New("refused")

func addExperiment(tx *database.Tx, name string) error {
	_, err := tx.Exec(tx.Dialect().Insert("experiments", []string{"name", "lifecycle_stage", "workspace"}, 1),
		name, "active", "default")

	return err
}

func countExperiments(t *testing.T, db *database.DB) int {
	t.Helper()
	var count int
	require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
		return tx.QueryRow("SELECT COUNT(*) FROM experiments").Scan(&count)
	}))

	return count
}

func requireCode(t *testing.T, err error, code protos.ErrorCode) {
	t.Helper()
	require.Equal(t, code, requireMLflow(t, err).Code)
}

// requireMLflow finds MLflow's error in a chain.
func requireMLflow(t *testing.T, err error) *contract.Error {
	t.Helper()
	var found *contract.Error
	require.ErrorAs(t, err, &found)

	return found
}

func TestWrite(t *testing.T) {
	each := func(name string, test func(t *testing.T, db *database.DB)) {
		t.Run(name, func(t *testing.T) { databasetest.Each(t, test) })
	}
	each("OK", func(t *testing.T, db *database.DB) {
		var id int64
		require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
			var err error
			id, err = tx.Insert("experiments", []string{"name", "lifecycle_stage", "workspace"}, "experiment_id",
				"first", "active", "default")

			return err
		}))
		var raw, gorm string
		require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
			if err := tx.Gorm().Raw("SELECT name FROM experiments WHERE experiment_id = ?", id).Row().Scan(&gorm); err != nil {
				return err
			}

			return tx.QueryRow("SELECT name FROM experiments WHERE experiment_id = ?", id).Scan(&raw)
		}))
		require.Equal(t, "first", raw)
		require.Equal(t, "first", gorm)
	})
	each("OK/AfterCommitSeesTheRow", func(t *testing.T, db *database.DB) {
		seen := 0
		require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
			tx.AfterCommit(func() { seen = countExperiments(t, db) })

			return addExperiment(tx, "a")
		}))
		require.Equal(t, 1, seen)
	})
	each("OK/Gorm", func(t *testing.T, db *database.DB) {
		require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
			if err := addExperiment(tx, "raw"); err != nil {
				return err
			}

			return tx.Gorm().Exec("UPDATE experiments SET name = ? WHERE name = ?", "both", "raw").Error
		}))
		require.ErrorIs(t, db.Write(t.Context(), func(tx *database.Tx) error {
			if err := tx.Gorm().Exec("DELETE FROM experiments").Error; err != nil {
				return err
			}

			return errRefused
		}), errRefused)
		require.Equal(t, 1, countExperiments(t, db))
	})
	each("OK/Savepoint", func(t *testing.T, db *database.DB) {
		hooks := ""
		require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
			hooks = ""
			if err := addExperiment(tx, "a"); err != nil {
				return err
			}
			err := tx.Savepoint(func() error {
				tx.AfterCommit(func() { hooks += "inner" })
				if err := addExperiment(tx, "b"); err != nil {
					return err
				}

				return addExperiment(tx, "a")
			})
			assert.True(t, database.IsUniqueViolation(err), err)
			tx.AfterCommit(func() { hooks += "outer" })

			return tx.Savepoint(func() error { return addExperiment(tx, "c") })
		}))
		require.Equal(t, 2, countExperiments(t, db))
		require.Equal(t, "outer", hooks)
	})
	each("ErrOfFunction", func(t *testing.T, db *database.DB) {
		require.ErrorIs(t, db.Write(t.Context(), func(tx *database.Tx) error {
			tx.AfterCommit(func() { t.Error("a hook of a failed transaction") })
			if err := addExperiment(tx, "a"); err != nil {
				return err
			}

			return errRefused
		}), errRefused)
		require.Zero(t, countExperiments(t, db))
	})
	each("ErrUnique", func(t *testing.T, db *database.DB) {
		add := func(tx *database.Tx) error { return addExperiment(tx, "a") }
		require.NoError(t, db.Write(t.Context(), add))
		err := db.Write(t.Context(), add)
		requireCode(t, err, protos.ErrorCode_BAD_REQUEST)
		require.True(t, database.IsUniqueViolation(err))
		require.True(t, database.IsIntegrityViolation(err))
	})
	each("ErrForeignKey", func(t *testing.T, db *database.DB) {
		err := db.Write(t.Context(), func(tx *database.Tx) error {
			_, err := tx.Exec(tx.Dialect().Insert("tags", []string{"key", "value", "run_uuid"}, 1), "k", "v", "nobody")

			return err
		})
		requireCode(t, err, protos.ErrorCode_BAD_REQUEST)
		require.False(t, database.IsUniqueViolation(err))
		require.True(t, database.IsIntegrityViolation(err))
	})
	each("ErrPanic", func(t *testing.T, db *database.DB) {
		err := db.Write(t.Context(), func(tx *database.Tx) error {
			if err := addExperiment(tx, "a"); err != nil {
				return err
			}
			panic("oh")
		})
		var found *contract.PanicError
		require.ErrorAs(t, err, &found)
		require.Equal(t, "oh", found.Value)
		require.Contains(t, string(found.Stack), "database_test.go")
		require.Zero(t, countExperiments(t, db))
	})
	each("ErrExited", func(t *testing.T, db *database.DB) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = db.Write(t.Context(), func(tx *database.Tx) error {
				if err := addExperiment(tx, "a"); err != nil {
					return err
				}
				runtime.Goexit()

				return nil
			})
		}()
		<-done
		require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error { return addExperiment(tx, "b") }))
		require.Equal(t, 1, countExperiments(t, db))
	})
	each("ErrNested", func(t *testing.T, db *database.DB) {
		nothing := func(*database.Tx) error { return nil }
		require.ErrorIs(t, db.Write(t.Context(), func(tx *database.Tx) error { return db.Write(tx.Context(), nothing) }),
			database.ErrNested)
		require.ErrorIs(t, db.Read(t.Context(), func(tx *database.Tx) error { return db.Read(tx.Context(), nothing) }),
			database.ErrNested)
	})
	each("ErrCanceled", func(t *testing.T, db *database.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		require.ErrorIs(t, db.Write(ctx, func(tx *database.Tx) error {
			if err := addExperiment(tx, "a"); err != nil {
				return err
			}
			cancel()

			return addExperiment(tx, "b")
		}), context.Canceled)
		require.Zero(t, countExperiments(t, db))
	})
	each("ErrClosed", func(t *testing.T, db *database.DB) {
		require.NoError(t, db.Close())
		nothing := func(*database.Tx) error { return nil }
		require.ErrorIs(t, db.Write(t.Context(), nothing), database.ErrClosed)
		require.ErrorIs(t, db.Read(t.Context(), nothing), database.ErrClosed)
	})
}

func TestRead(t *testing.T) {
	t.Run("OK/Snapshot", func(t *testing.T) {
		databasetest.Each(t, func(t *testing.T, db *database.DB) {
			require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
				for range 2 {
					var count int
					if err := tx.QueryRow("SELECT COUNT(*) FROM experiments").Scan(&count); err != nil {
						return err
					}
					assert.Zero(t, count)
					name := strconv.Itoa(int(time.Now().UnixNano()))
					if err := db.Write(t.Context(), func(tx *database.Tx) error { return addExperiment(tx, name) }); err != nil {
						return err
					}
				}

				return nil
			}))
			require.Equal(t, 2, countExperiments(t, db))
		})
	})
	t.Run("OK/NestedRows", func(t *testing.T) {
		databasetest.Each(t, func(t *testing.T, db *database.DB) {
			if db.Dialect().Name() != "sqlite" {
				return // one set of rows at a time is the rule of the other protocols
			}
			prepareRuns(t, db, 3)
			query := "SELECT run_uuid FROM runs ORDER BY run_uuid"
			var seen []string
			require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
				rows, err := tx.Query(query)
				if err != nil {
					return err
				}
				defer func() { assert.NoError(t, rows.Close()) }()
				for rows.Next() {
					var outer, inner string
					if err := errors.Join(rows.Scan(&outer), tx.QueryRow(query).Scan(&inner)); err != nil {
						return err
					}
					seen = append(seen, outer+inner)
				}

				return rows.Err()
			}))
			require.Equal(t, []string{"run-0run-0", "run-1run-0", "run-2run-0"}, seen)
		})
	})
	t.Run("OK/CaseSensitiveLike", func(t *testing.T) {
		databasetest.Each(t, func(t *testing.T, db *database.DB) {
			require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error { return addExperiment(tx, "Abc") }))
			for operator, expected := range map[string]int{"LIKE": 0, "ILIKE": 1} {
				condition, repeats := db.Dialect().Compare("name", operator, true, 1)
				var count int
				require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
					return tx.QueryRow("SELECT COUNT(*) FROM experiments WHERE "+condition,
						slices.Repeat([]any{"aB%"}, repeats)...).Scan(&count)
				}))
				require.Equal(t, expected, count, operator)
			}
		})
	})
	t.Run("ErrWrite", func(t *testing.T) {
		databasetest.Each(t, func(t *testing.T, db *database.DB) {
			require.Error(t, db.Read(t.Context(), func(tx *database.Tx) error { return addExperiment(tx, "a") }))
			require.Zero(t, countExperiments(t, db))
		})
	})
	t.Run("ErrSQL", func(t *testing.T) {
		databasetest.Each(t, func(t *testing.T, db *database.DB) {
			err := db.Read(t.Context(), func(tx *database.Tx) error {
				_, err := tx.Query("SELECT secret_word FROM nowhere") //nolint:rowserrcheck,sqlclosecheck // there are no rows

				return err
			})
			var found *contract.Error
			require.ErrorAs(t, err, &found)
			require.NotContains(t, found.Message, "secret_word")
			require.Contains(t, found.Message, "nowhere")
		})
	})
}

// TestConcurrency has many callers write and fail at random; what succeeded is there, once.
func TestConcurrency(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		var wg sync.WaitGroup
		var written, hooked atomic.Int64
		for caller := range 16 {
			wg.Go(func() {
				for i := range 25 {
					name := strconv.Itoa(caller) + "-" + strconv.Itoa(i)
					err := db.Write(t.Context(), func(tx *database.Tx) error {
						tx.AfterCommit(func() { hooked.Add(1) })
						if err := addExperiment(tx, name); err != nil {
							return err
						}
						switch i % 5 {
						case 1:
							return errRefused
						case 2:
							return addExperiment(tx, name)
						case 3:
							panic(name)
						}

						return nil
					})
					if (err == nil) != (i%5 == 0 || i%5 == 4) {
						t.Errorf("%s: %v", name, err)
					}
					if err == nil {
						written.Add(1)
					}
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 160, written.Load())
		require.EqualValues(t, 160, hooked.Load())
		require.Equal(t, 160, countExperiments(t, db))
	})
}

// TestClose lets the transactions under way end.
func TestClose(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		begun, finish := make(chan struct{}), make(chan struct{})
		written := make(chan error)
		var once sync.Once
		go func() {
			written <- db.Write(t.Context(), func(tx *database.Tx) error {
				once.Do(func() { close(begun) })
				<-finish

				return addExperiment(tx, "late")
			})
		}()
		<-begun
		closed := make(chan error)
		go func() { closed <- db.Close() }()
		select {
		case err := <-closed:
			require.NoError(t, err)
			t.Fatal("closed under a transaction")
		case <-time.After(50 * time.Millisecond):
		}
		close(finish)
		require.NoError(t, <-written)
		require.NoError(t, <-closed)
	})
}

func TestOpen(t *testing.T) {
	t.Run("ErrUnreachable", func(t *testing.T) {
		_, err := database.Open(t.Context(), "postgresql://me:hunter2@127.0.0.1:1/none?sslpassword=hunter2",
			database.Options{ConnectAttempts: 2})
		require.ErrorContains(t, err, "postgresql://me:***@127.0.0.1:1/none?sslpassword=***")
		require.NotContains(t, err.Error(), "hunter2")
		requireCode(t, database.Translate(err), protos.ErrorCode_TEMPORARILY_UNAVAILABLE)
	})
	t.Run("ErrRefused", func(t *testing.T) {
		uri, err := url.Parse(databasetest.PostgreSQL(t))
		require.NoError(t, err)
		uri.Path = "/there_is_none"
		var log strings.Builder
		_, err = database.Open(t.Context(), uri.String(), database.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.ErrorIs(t, err, database.ErrUnreachable)
		require.ErrorContains(t, err, `: FATAL: database "there_is_none" does not exist`)
		require.NotContains(t, err.Error(), "\n")
		require.Empty(t, log.String(), "it was asked again")
	})
	t.Run("ErrFolder", func(t *testing.T) {
		_, err := database.Open(t.Context(), "sqlite:///"+t.TempDir(), database.Options{ConnectAttempts: 1})
		require.ErrorContains(t, err, "is a folder")
	})
	t.Run("ErrNotADatabase", func(t *testing.T) {
		file := t.TempDir() + "/text.db"
		require.NoError(t, writeFile(file, strings.Repeat("no database ", 1000)))
		_, err := database.Open(t.Context(), "sqlite:///"+file, database.Options{ConnectAttempts: 1})
		require.ErrorContains(t, err, "not a database")
	})
	t.Run("ErrUnsupported", func(t *testing.T) {
		for _, uri := range []string{
			"sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true", "sqlite+pysqlcipher:///x.db",
			"postgresql+asyncpg://u@h/d", "postgresql://u@h/d?sslcrl=x",
			"postgresql://u@h/d?client_encoding=latin1",
		} {
			_, err := database.Open(t.Context(), uri, database.Options{ConnectAttempts: 1})
			require.ErrorIs(t, err, database.ErrUnsupported, uri)
		}
	})
}

// deadlock has two transactions take two rows in opposite orders: one of them is run again.
func deadlock(t *testing.T, db *database.DB) {
	t.Helper()
	prepareRuns(t, db, 2)
	var attempts atomic.Int64
	meet := make(chan struct{}, 2)
	cross := func(first, second string) error {
		return db.Write(t.Context(), func(tx *database.Tx) error {
			for i, run := range []string{first, second} {
				if _, err := tx.Exec("UPDATE runs SET name = ? WHERE run_uuid = ?", first, run); err != nil {
					return err
				}
				if i == 0 && attempts.Add(1) <= 2 {
					meet <- struct{}{}
					for len(meet) < 2 {
						time.Sleep(time.Millisecond)
					}
				}
			}

			return nil
		})
	}
	other := make(chan error)
	go func() { other <- cross(runName(0), runName(1)) }()
	require.NoError(t, cross(runName(1), runName(0)))
	require.NoError(t, <-other)
	require.Greater(t, attempts.Load(), int64(2))
}

func TestPostgreSQL(t *testing.T) {
	t.Run("OK/Deadlock", func(t *testing.T) {
		db := databasetest.Open(t, databasetest.PostgreSQL(t))
		deadlock(t, db)
	})
	t.Run("OK/PreparedStatementsVanish", func(t *testing.T) {
		db := databasetest.Open(t, databasetest.PostgreSQL(t))
		read := func(tx *database.Tx) error {
			var count int

			return tx.QueryRow("SELECT COUNT(*) FROM experiments WHERE name = ?", "x").Scan(&count)
		}
		require.NoError(t, db.Read(t.Context(), read))
		require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
			_, err := tx.Exec("DEALLOCATE ALL")

			return err
		}))
		require.NoError(t, db.Read(t.Context(), read))
		require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
			var prepared int
			if err := tx.QueryRow("SELECT COUNT(*) FROM pg_prepared_statements").Scan(&prepared); err != nil {
				return err
			}
			assert.Zero(t, prepared)

			return nil
		}))
	})
	t.Run("ErrSpoiled", func(t *testing.T) {
		db := databasetest.Open(t, databasetest.PostgreSQL(t))
		require.ErrorContains(t, db.Write(t.Context(), func(tx *database.Tx) error {
			_, _ = tx.Exec("SELECT nothing") // and goes on as if it had worked

			return nil
		}), "rolled back")
	})
	t.Run("ErrConnectionLost", func(t *testing.T) {
		db := databasetest.Open(t, databasetest.PostgreSQL(t))
		err := db.Write(t.Context(), func(tx *database.Tx) error {
			var dead bool

			return tx.QueryRow("SELECT pg_terminate_backend(pg_backend_pid())").Scan(&dead)
		})
		requireCode(t, err, protos.ErrorCode_TEMPORARILY_UNAVAILABLE)
		require.Zero(t, countExperiments(t, db))
	})
	t.Run("OK/LockTimeoutAndIsolation", func(t *testing.T) {
		db := databasetest.Open(t, databasetest.PostgreSQL(t))
		require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
			var timeout, isolation string
			if err := errors.Join(tx.QueryRow("SHOW lock_timeout").Scan(&timeout),
				tx.QueryRow("SHOW transaction_isolation").Scan(&isolation)); err != nil {
				return err
			}
			assert.Equal(t, "20s", timeout)
			assert.Equal(t, "read committed", isolation)

			return nil
		}))
	})
}

func TestSQLiteSettings(t *testing.T) {
	db := databasetest.Open(t, databasetest.SQLite(t))
	check := func(tx *database.Tx) error {
		for pragma, expected := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1",
		} {
			var value string
			if err := tx.QueryRow("PRAGMA " + pragma).Scan(&value); err != nil {
				return err
			}
			assert.Equal(t, expected, value, pragma)
		}

		return nil
	}
	require.NoError(t, db.Read(t.Context(), check))
	require.NoError(t, db.Write(t.Context(), check))
	require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
		var timeout int64
		if err := tx.QueryRow("PRAGMA busy_timeout").Scan(&timeout); err != nil {
			return err
		}
		assert.Equal(t, database.DefaultPatience.Milliseconds(), timeout)

		return nil
	}))
	require.ErrorIs(t, db.Read(t.Context(), func(tx *database.Tx) error {
		return tx.QueryRow("SELECT name FROM experiments").Scan(new(string))
	}), sql.ErrNoRows)
}

// TestSQLiteShrinksItsLog has a reader stay while more is written than the log may hold for long.
func TestSQLiteShrinksItsLog(t *testing.T) {
	uri := databasetest.SQLite(t)
	db := databasetest.Open(t, uri)
	filling := 'a'
	grow := func(times int) {
		for range times {
			filling ^= 1 // SQLite writes nothing where nothing changes

			require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
				_, err := tx.Exec("UPDATE experiments SET artifact_location = ?", strings.Repeat(string(filling), 8<<20))

				return err
			}))
		}
	}
	size := func() int64 {
		info, err := os.Stat(strings.TrimPrefix(uri, "sqlite:///") + "-wal")
		require.NoError(t, err)

		return info.Size()
	}
	require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error { return addExperiment(tx, "a") }))
	require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
		if err := tx.QueryRow("SELECT name FROM experiments").Scan(new(string)); err != nil {
			return err
		}
		grow(20)

		return nil
	}))
	require.Greater(t, size(), int64(150<<20))
	require.Eventually(t, func() bool {
		grow(1)

		return size() <= 128<<20
	}, time.Minute, time.Millisecond)
}

// TestSQLiteKeepsItsJournal lets readers and writers take turns on a file without write-ahead log.
func TestSQLiteKeepsItsJournal(t *testing.T) {
	uri := databasetest.SQLite(t)
	db, err := database.Open(t.Context(), uri, database.Options{ConnectAttempts: 1, KeepJournal: true})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for caller := range 4 {
		wg.Go(func() {
			for i := range 25 {
				name := strconv.Itoa(caller) + "-" + strconv.Itoa(i)
				assert.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error { return addExperiment(tx, name) }))
				assert.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
					return tx.QueryRow("SELECT name FROM experiments WHERE name = ?", name).Scan(new(string))
				}))
			}
		})
	}
	wg.Wait()
	require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
		var mode string
		err := tx.QueryRow("PRAGMA journal_mode").Scan(&mode)
		assert.Equal(t, "delete", mode)

		return err
	}))
	journal := strings.TrimPrefix(uri, "sqlite:///") + "-journal"
	assert.FileExists(t, journal)
	require.NoError(t, db.Close())
	assert.NoFileExists(t, journal)
}
