package webhooks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// webhook is a row of webhooks.
type webhook struct {
	id, name, url, status string
	description, secret   *string
	created, updated      int64
}

const (
	columns = "w.webhook_id, w.name, w.url, w.status, w.description, w.secret, " +
		"COALESCE(w.creation_timestamp, 0), COALESCE(w.last_updated_timestamp, 0)"
	// living are the caller's webhooks that aren't deleted.
	living = " WHERE w.workspace = ? AND w.deleted_timestamp IS NULL"
	// newestFirst is MLflow's order, which is none within a millisecond, made whole.
	newestFirst = " ORDER BY w.creation_timestamp DESC, w.webhook_id"
)

func selection(rows *[]webhook, query string, args ...any) database.Selection {
	*rows = nil

	return database.Selection{
		Statement: database.Statement{Query: query, Args: args},
		Row: func(scan func(...any) error) error {
			var row webhook

			err := scan(&row.id, &row.name, &row.url, &row.status, &row.description, &row.secret, &row.created, &row.updated)
			*rows = append(*rows, row)

			return err
		},
	}
}

func query(tx *database.Tx, statement string, args ...any) (rows []webhook, err error) {
	if err := tx.Select(selection(&rows, statement, args...)); err != nil {
		return nil, fmt.Errorf("reading webhooks: %w", err)
	}

	return rows, nil
}

func findWebhook(tx *database.Tx, id string) (webhook, error) {
	rows, err := query(tx, "SELECT "+columns+" FROM webhooks w"+living+" AND w.webhook_id = ?", tx.Workspace(), id)

	switch {
	case err != nil:
		return webhook{}, err
	case len(rows) == 0:
		return webhook{}, errNoWebhook(id)
	default:
		return rows[0], nil
	}
}

func errNoWebhook(id string) error {
	return contract.Errorf(protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, "Webhook with ID %s not found.", id)
}

// lockWebhook keeps others from changing a webhook until the transaction ends.
func lockWebhook(tx *database.Tx, id string) error {
	hint, suffix := tx.Dialect().LockRows()

	rows, err := query(tx, "SELECT "+columns+" FROM webhooks w"+hint+living+" AND w.webhook_id = ?"+suffix,
		tx.Workspace(), id)
	if err == nil && len(rows) == 0 {
		err = errNoWebhook(id)
	}

	return err
}

func selectWebhooks(tx *database.Tx, limit, offset int) ([]webhook, error) {
	return query(tx, "SELECT "+columns+" FROM webhooks w"+living+newestFirst+tx.Dialect().Limit(limit, offset),
		tx.Workspace())
}

// selectActive lists the webhooks that are registered for an event and switched on.
func selectActive(tx *database.Tx, event event) ([]webhook, error) {
	return query(tx, "SELECT "+columns+" FROM webhooks w JOIN webhook_events e ON e.webhook_id = w.webhook_id"+living+
		" AND e.entity = ? AND e.action = ? AND w.status = ?"+newestFirst,
		tx.Workspace(), event.entity, event.action, protos.WebhookStatus_ACTIVE.String())
}

// selectEvents lists the events of webhooks, in the order of their key, which is how SQLite gives them
// to MLflow; MLflow asks for none.
func selectEvents(tx *database.Tx, of []webhook) (map[string][]event, error) {
	events := make(map[string][]event, len(of))

	for piece := range slices.Chunk(of, min(tx.Dialect().MaxParameters(), maxPage)) {
		ids := make([]any, len(piece))
		for i, row := range piece {
			ids[i] = row.id
		}

		if err := tx.Select(database.Selection{
			Statement: database.Statement{
				Query: "SELECT webhook_id, entity, action FROM webhook_events WHERE webhook_id IN (?" +
					strings.Repeat(", ?", len(ids)-1) + ") ORDER BY webhook_id, entity, action",
				Args: ids,
			},
			Row: func(scan func(...any) error) error {
				var (
					id  string
					one event
				)

				err := scan(&id, &one.entity, &one.action)
				events[id] = append(events[id], one)

				return err
			},
		}); err != nil {
			return nil, fmt.Errorf("reading the events of webhooks: %w", err)
		}
	}

	return events, nil
}

// messages makes protobufs of rows, in their order (SqlWebhook.to_mlflow_entity, Webhook.to_proto).
func messages(tx *database.Tx, rows []webhook) ([]*protos.Webhook, error) {
	events, err := selectEvents(tx, rows)
	if err != nil {
		return nil, err
	}

	list := make([]*protos.Webhook, len(rows))

	for i, row := range rows {
		list[i] = &protos.Webhook{
			WebhookId: new(row.id), Name: new(row.name), Url: new(row.url),
			Status:            protos.WebhookStatus(protos.WebhookStatus_value[row.status]).Enum(),
			CreationTimestamp: new(row.created), LastUpdatedTimestamp: new(row.updated),
		}
		if row.description != nil && *row.description != "" {
			list[i].Description = row.description
		}

		for _, event := range events[row.id] {
			list[i].Events = append(list[i].Events, event.message())
		}
	}

	return list, nil
}

func loadWebhook(tx *database.Tx, id string) (*protos.Webhook, error) {
	row, err := findWebhook(tx, id)
	if err != nil {
		return nil, err
	}

	list, err := messages(tx, []webhook{row})
	if err != nil {
		return nil, err
	}

	return list[0], nil
}

//nolint:goconst // columns are named where a statement uses them, as in SQL
func insertWebhook(tx *database.Tx, row webhook) error {
	statement := tx.Dialect().Insert("webhooks", []string{
		"workspace", "webhook_id", "name", "description", "url", "status", "secret", "creation_timestamp",
		"last_updated_timestamp",
	}, 1)
	if _, err := tx.Exec(statement, tx.Workspace(), row.id, row.name, row.description, row.url, row.status, row.secret,
		row.created, row.updated); err != nil {
		return fmt.Errorf("writing webhook %s: %w", row.id, err)
	}

	return nil
}

func insertEvents(tx *database.Tx, id string, events []event) error {
	args := make([]any, 0, len(events)*len([]string{"webhook_id", "entity", "action"}))
	for _, event := range events {
		args = append(args, id, event.entity, event.action)
	}

	statement := tx.Dialect().Insert("webhook_events", []string{"webhook_id", "entity", "action"}, len(events))
	if _, err := tx.Exec(statement, args...); err != nil {
		return fmt.Errorf("writing the events of webhook %s: %w", id, err)
	}

	return nil
}

func replaceEvents(tx *database.Tx, id string, events []event) error {
	if _, err := tx.Exec("DELETE FROM webhook_events WHERE webhook_id = ?", id); err != nil {
		return fmt.Errorf("removing the events of webhook %s: %w", id, err)
	}

	return insertEvents(tx, id, events)
}

// changes are new values of a webhook's columns; nil leaves one alone.
type changes struct {
	name, url, description, secret, status *string
	updated                                int64
	deleted                                *int64
}

func updateWebhook(tx *database.Tx, id string, c changes) error {
	set, args := []string{"last_updated_timestamp = ?"}, []any{c.updated}

	for _, column := range []struct {
		name  string
		value *string
	}{
		{"name", c.name},
		{"url", c.url},
		{"description", c.description},
		{"secret", c.secret},
		{"status", c.status},
	} {
		if column.value != nil {
			set, args = append(set, tx.Dialect().Quote(column.name)+" = ?"), append(args, *column.value)
		}
	}

	if c.deleted != nil {
		set, args = append(set, "deleted_timestamp = ?"), append(args, *c.deleted)
	}

	if _, err := tx.Exec("UPDATE webhooks SET "+strings.Join(set, ", ")+" WHERE webhook_id = ?",
		append(args, id)...); err != nil {
		return fmt.Errorf("changing webhook %s: %w", id, err)
	}

	return nil
}
