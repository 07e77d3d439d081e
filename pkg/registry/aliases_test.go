package registry

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// TestGetModelVersionByAliasAtOnce has many ask for different aliases while some of those move to higher versions: each
// is given a version that was true after they asked, with all that belongs to it, or their own error.
func TestGetModelVersionByAliasAtOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		const (
			clients, models, versions = 64, 4, 9
			moving, still, missing    = "moving", "still", "missing"
		)

		var (
			store = New(db, nil)
			moved [models]atomic.Int64 // to which version at least
			all   sync.WaitGroup
		)

		fill(t, db, "model", models, versions, false)

		move := func(model int, alias string, version int) error {
			_, err := store.SetRegisteredModelAlias(t.Context(), &protos.SetRegisteredModelAlias{
				Name: new("model " + strconv.Itoa(model)), Alias: new(alias), Version: new(strconv.Itoa(version)),
			})

			return err
		}

		for model := range models {
			require.NoError(t, move(model, moving, 1))
			require.NoError(t, move(model, still, model+1))
			moved[model].Store(1)
		}

		read := func(ctx context.Context, model int, alias string) error {
			name, least := "model "+strconv.Itoa(model), moved[model].Load()
			response, err := store.GetModelVersionByAlias(ctx,
				&protos.GetModelVersionByAlias{Name: new(name), Alias: new(alias)})
			if err != nil {
				return err
			}

			found := response.GetModelVersion()

			number, err := strconv.ParseInt(found.GetVersion(), 10, 64)
			if err != nil || found.GetName() != name || len(found.GetTags()) != 1 ||
				!slices.Contains(found.GetAliases(), alias) || alias == still && number != int64(model+1) ||
				number < least && alias == moving {
				return fmt.Errorf("%s of %s is %v, expected at least %d: %w", alias, name, found, least, errUnreadable)
			}

			return nil
		}

		for model := range models {
			all.Go(func() {
				defer moved[model].Store(versions) // or who reads would wait for it

				for version := 2; version <= versions; version++ {
					if err := move(model, moving, version); err != nil {
						t.Error(err)

						return
					}

					moved[model].Store(int64(version))
				}
			})
		}

		for client := range clients {
			model, alias := client%models, []string{moving, still, missing, moving}[client/models%4]

			all.Go(func() {
				for last := false; !last; {
					last = moved[model].Load() == versions
					err := read(t.Context(), model, alias)

					switch {
					case alias == missing:
						if err == nil || err.Error() != "INVALID_PARAMETER_VALUE: Registered model alias missing not found." {
							t.Errorf("an alias that isn't there: %v", err)
						}
					case err != nil:
						t.Error(err)
					}
				}
			})
		}

		all.Wait()
	})
}
