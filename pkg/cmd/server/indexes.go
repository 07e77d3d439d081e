package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/schema"
	"github.com/mlflow/mlflow-go/pkg/tracking"
)

// databaseVariable holds the URI of the database whose indexes are to change; an argument would show
// its password in the list of processes.
const databaseVariable = "_MLFLOW_GO_DATABASE_URI"

var errIndexUsage = errors.New("usage: mlflow-go-server index add|drop, with the database's URI in " + databaseVariable)

// changeIndexes adds or drops the indexes of our own and says what it did.
func changeIndexes(ctx context.Context, out io.Writer, arguments []string) (err error) {
	uri := os.Getenv(databaseVariable)
	if len(arguments) != 1 || arguments[0] != "add" && arguments[0] != "drop" || uri == "" {
		return errIndexUsage
	}

	options, err := database.OptionsFromEnvironment(os.Getenv)
	if err != nil {
		return err
	}

	db, err := database.Open(ctx, uri, options)
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, db.Close()) }()

	if err := schema.Check(ctx, db); err != nil {
		return err
	}

	for _, index := range tracking.Indexes() {
		did, err := changeIndex(ctx, db, index, arguments[0] == "add")
		if err != nil {
			return err
		}

		if _, err := fmt.Fprintf(out, "%s on %s: %s\n", index.Name, index.Table, did); err != nil {
			return err
		}
	}

	return nil
}

func changeIndex(ctx context.Context, db *database.DB, index database.Index, add bool) (did string, err error) {
	there, err := db.HasIndex(ctx, index)

	switch {
	case err != nil:
		return "", fmt.Errorf("looking for the index %s: %w", index.Name, err)
	case add && there:
		return "already there", nil
	case add:
		return "added", db.AddIndex(ctx, index)
	case there:
		return "dropped", db.DropIndex(ctx, index)
	default:
		return "not there", nil
	}
}
