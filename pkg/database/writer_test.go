package database_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3" // another process, as far as SQLite can tell
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pythontest"
)

func writeFile(name, content string) error { return os.WriteFile(name, []byte(content), 0o600) }

// grouped runs the functions so that they share one transaction: the first holds the writer until
// the others wait.
func grouped(t *testing.T, db *database.DB, functions ...func(*database.Tx) error) []error {
	t.Helper()
	errs := make([]error, len(functions))
	begun, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var wg sync.WaitGroup
	wg.Go(func() {
		errs[0] = db.Write(t.Context(), func(tx *database.Tx) error {
			once.Do(func() { close(begun) })
			<-release

			return functions[0](tx)
		})
	})
	<-begun
	for i, fn := range functions[1:] {
		wg.Go(func() { errs[i+1] = db.Write(t.Context(), fn) })
		time.Sleep(10 * time.Millisecond) // they come in order
	}
	close(release)
	wg.Wait()

	return errs
}

func add(name string) func(*database.Tx) error {
	return func(tx *database.Tx) error { return addExperiment(tx, name) }
}

func TestGroup(t *testing.T) {
	t.Run("OK/OneCommit", func(t *testing.T) {
		db := databasetest.Open(t, databasetest.SQLite(t))
		seen := -1
		errs := grouped(t, db, add("a"), add("b"), func(tx *database.Tx) error {
			seen = countExperiments(t, db) // outside of the group

			return tx.QueryRow("SELECT name FROM experiments WHERE name = ?", "b").Scan(new(string)) // inside
		})
		require.Equal(t, []error{nil, nil, nil}, errs)
		require.Zero(t, seen)
		require.Equal(t, 2, countExperiments(t, db))
	})
	t.Run("OK/WhoComesBackLater", func(t *testing.T) {
		db := databasetest.Open(t, databasetest.SQLite(t))
		errs := grouped(t, db, func(*database.Tx) error {
			time.Sleep(1600 * time.Millisecond) // an eighth of it is waited for

			return nil
		}, add("a"))
		require.Equal(t, []error{nil, nil}, errs)
		seen := make(chan int, 1)
		var wg sync.WaitGroup
		require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
			wg.Go(func() {
				assert.NoError(t, db.Write(t.Context(), func(*database.Tx) error {
					seen <- countExperiments(t, db) // outside of the group

					return nil
				}))
			})

			return addExperiment(tx, "b")
		}))
		wg.Wait()
		require.Equal(t, 1, <-seen)
	})
	t.Run("OK/LongOnesEnd", func(t *testing.T) {
		db := databasetest.Open(t, databasetest.SQLite(t))
		seen := -1
		errs := grouped(t, db, func(tx *database.Tx) error {
			values := make([]any, 10_000)
			_, err := tx.Exec("UPDATE experiments SET name = name WHERE name IN ("+
				strings.TrimSuffix(strings.Repeat("?,", len(values)), ",")+")", values...)

			return errors.Join(err, addExperiment(tx, "a"))
		}, func(*database.Tx) error {
			seen = countExperiments(t, db) // outside of the group

			return nil
		})
		require.Equal(t, []error{nil, nil}, errs)
		require.Equal(t, 1, seen)
	})
	t.Run("ErrOfOne", func(t *testing.T) {
		db := databasetest.Open(t, databasetest.SQLite(t))
		errs := grouped(t, db, add("a"), add("a"), func(tx *database.Tx) error {
			return errors.Join(addExperiment(tx, "b"), errRefused)
		}, func(tx *database.Tx) error {
			if err := addExperiment(tx, "c"); err != nil {
				return err
			}
			panic("oh")
		}, add("d"))
		require.NoError(t, errs[0])
		require.True(t, database.IsUniqueViolation(errs[1]))
		require.ErrorIs(t, errs[2], errRefused)
		require.ErrorContains(t, errs[3], "panic: oh")
		require.NoError(t, errs[4])
		require.Equal(t, 2, countExperiments(t, db))
	})
	t.Run("ErrOfCommit", func(t *testing.T) {
		db := databasetest.Open(t, databasetest.SQLite(t))
		hooks := 0
		errs := grouped(t, db, add("a"), func(tx *database.Tx) error {
			if _, err := tx.Exec("PRAGMA defer_foreign_keys = ON"); err != nil {
				return err
			}
			_, err := tx.Exec("INSERT INTO tags (key, value, run_uuid) VALUES ('k', 'v', 'nobody')")

			return err
		}, func(tx *database.Tx) error {
			tx.AfterCommit(func() { hooks++ })

			return addExperiment(tx, "b")
		})
		require.NoError(t, errs[0])
		requireCode(t, errs[1], protos.ErrorCode_BAD_REQUEST)
		require.ErrorContains(t, errs[1], "FOREIGN KEY")
		require.NoError(t, errs[2])
		require.Equal(t, 1, hooks)
		require.Equal(t, 2, countExperiments(t, db))
	})
	t.Run("ErrOfTransaction", func(t *testing.T) {
		db := databasetest.Open(t, databasetest.SQLite(t))
		errs := grouped(t, db, add("a"), func(tx *database.Tx) error {
			// Takes the whole transaction down, as a full disk would.
			_, err := tx.Exec("INSERT OR ROLLBACK INTO experiments (name, workspace) VALUES ('b', 'default'), ('b', 'default')")

			return err
		}, add("c"))
		require.NoError(t, errs[0])
		require.True(t, database.IsUniqueViolation(errs[1]), errs[1])
		require.NoError(t, errs[2])
		require.Equal(t, 2, countExperiments(t, db))
	})
	t.Run("ErrCanceled", func(t *testing.T) {
		db := databasetest.Open(t, databasetest.SQLite(t))
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		errs := grouped(t, db, func(tx *database.Tx) error {
			go func() {
				left <- db.Write(ctx, func(*database.Tx) error {
					t.Error("ran after its caller had left")

					return nil
				})
			}()
			time.Sleep(20 * time.Millisecond)
			cancel()
			if err := <-left; !errors.Is(err, context.Canceled) { // before the group ends
				return fmt.Errorf("the caller who left got %w", err)
			}

			return addExperiment(tx, "a")
		}, add("b"))
		require.Equal(t, []error{nil, nil}, errs)
		require.Equal(t, 2, countExperiments(t, db))
	})
}

func TestPanicOfTheWriter(t *testing.T) {
	db := databasetest.Open(t, databasetest.SQLite(t))
	mend := db.BreakWriter()
	var panicked *contract.PanicError
	require.ErrorAs(t, db.Write(t.Context(), add("a")), &panicked)
	mend()
	require.NoError(t, db.Write(t.Context(), add("b")))
	require.Equal(t, 1, countExperiments(t, db))
}

// TestOtherProcess has somebody else hold the file.
func TestOtherProcess(t *testing.T) {
	hold := func(t *testing.T, uri string) (release func()) {
		t.Helper()
		other, err := sql.Open("sqlite3", strings.TrimPrefix(uri, "sqlite:///"))
		require.NoError(t, err)
		conn, err := other.Conn(t.Context())
		require.NoError(t, err)
		_, err = conn.ExecContext(t.Context(), "BEGIN IMMEDIATE")
		require.NoError(t, err)

		return func() {
			_, err := conn.ExecContext(context.Background(), "COMMIT")
			assert.NoError(t, errors.Join(err, conn.Close(), other.Close()))
		}
	}
	t.Run("OK/Waits", func(t *testing.T) {
		uri := databasetest.SQLite(t)
		db := databasetest.Open(t, uri)
		release := hold(t, uri)
		time.AfterFunc(700*time.Millisecond, release) // longer than one turn of the writer
		start := time.Now()
		require.NoError(t, db.Write(t.Context(), add("a")))
		require.Greater(t, time.Since(start), 600*time.Millisecond)
	})
	t.Run("OK/Python", func(t *testing.T) {
		const rows = 100
		uri := databasetest.SQLite(t)
		db := databasetest.Open(t, uri)
		script := `import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=20)
for i in range(int(sys.argv[2])):
    connection.execute("INSERT INTO experiments (name, workspace) VALUES (?, 'default')", (f"python-{i}",))
    connection.commit()
`
		command, err := pythontest.Command(t.Context(), "-c", script, strings.TrimPrefix(uri, "sqlite:///"), strconv.Itoa(rows))
		require.NoError(t, err)
		require.NoError(t, command.Start())
		var wg sync.WaitGroup
		for caller := range 4 {
			wg.Go(func() {
				for i := range rows {
					if err := db.Write(t.Context(), add(strconv.Itoa(caller)+"-"+strconv.Itoa(i))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		require.NoError(t, command.Wait())
		require.Equal(t, 5*rows, countExperiments(t, db))
	})
	t.Run("ErrBusy", func(t *testing.T) {
		uri := databasetest.SQLite(t)
		db := databasetest.Open(t, uri)
		db.SetPatience(time.Second)
		release := hold(t, uri)
		defer release()
		require.Zero(t, countExperiments(t, db)) // readers go on
		found := requireMLflow(t, db.Write(t.Context(), add("a")))
		require.Equal(t, protos.ErrorCode_TEMPORARILY_UNAVAILABLE, found.Code)
		require.Equal(t, "(sqlite3.OperationalError) database is locked", found.Message)
	})
	t.Run("ErrCanceled", func(t *testing.T) {
		uri := databasetest.SQLite(t)
		db := databasetest.Open(t, uri)
		release := hold(t, uri)
		defer release()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, db.Write(ctx, add("a")), context.DeadlineExceeded)
		require.Less(t, time.Since(start), 400*time.Millisecond)
	})
}

const writeForever = "MLFLOW_GO_TEST_WRITE_FOREVER"

// TestMain lets TestDurability run this binary as the process that is killed.
func TestMain(m *testing.M) {
	if uri := os.Getenv(writeForever); uri != "" {
		fmt.Fprintln(os.Stderr, acknowledge(uri))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// acknowledge writes from many goroutines, and prints each name once its write has returned.
func acknowledge(uri string) error {
	ctx := context.Background()
	db, err := database.Open(ctx, uri, database.Options{})
	if err != nil {
		return err
	}
	errs := make(chan error)
	for caller := range 16 {
		go func() {
			for i := 0; ; i++ {
				name := strconv.Itoa(caller) + "-" + strconv.Itoa(i)
				if err := db.Write(ctx, add(name)); err != nil {
					errs <- err

					return
				}
				if _, err := os.Stdout.WriteString(name + "\n"); err != nil {
					errs <- err

					return
				}
			}
		}()
	}

	return <-errs
}

// TestDurability kills a process while it writes: what it acknowledged is there.
func TestDurability(t *testing.T) {
	for round := range 3 {
		uri := databasetest.SQLite(t)
		command := exec.Command(os.Args[0])
		command.Env = append(os.Environ(), writeForever+"="+uri)
		command.Stderr = os.Stderr
		output, err := command.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, command.Start())
		lines := bufio.NewReader(output)
		var acknowledged []string
		for len(acknowledged) < 200*(round+1) {
			line, err := lines.ReadString('\n')
			require.NoError(t, err)
			acknowledged = append(acknowledged, strings.TrimSpace(line))
		}
		require.NoError(t, command.Process.Kill())
		rest, err := io.ReadAll(lines)
		require.NoError(t, err)
		_ = command.Wait() // killed, as it should be
		for line := range strings.Lines(string(rest)) {
			if name, whole := strings.CutSuffix(line, "\n"); whole {
				acknowledged = append(acknowledged, name)
			}
		}

		db := databasetest.Open(t, uri)
		stored := map[string]bool{}
		require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
			rows, err := tx.Query("SELECT name FROM experiments")
			if err != nil {
				return err
			}
			defer func() { require.NoError(t, rows.Close()) }()
			for rows.Next() {
				var name string
				if err := rows.Scan(&name); err != nil {
					return err
				}
				stored[name] = true
			}

			return rows.Err()
		}))
		for _, name := range acknowledged {
			require.True(t, stored[name], "%s was acknowledged and is lost", name)
		}
		var verdict string
		require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
			return tx.QueryRow("PRAGMA integrity_check").Scan(&verdict)
		}))
		require.Equal(t, "ok", verdict)
	}
}
