package webhooks

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
	"github.com/mlflow/mlflow-go/pkg/search"
	"github.com/mlflow/mlflow-go/pkg/webhooks/ssrf"
)

const (
	defaultPage = 100
	maxPage     = 1000
)

// Store keeps the webhooks of one database, as MLflow's registry store does.
//
// Secrets are encrypted where they are written and decrypted where something is signed. MLflow
// decrypts them with every row it reads, so that it can't even delete a webhook whose key is lost.
type Store struct {
	db      *database.DB
	secrets *fernet
	guard   *ssrf.Guard
	// changed is called after the webhooks were changed.
	changed func()
}

// CreateWebhook registers a webhook (SqlAlchemyStore.create_webhook).
func (s *Store) CreateWebhook(
	ctx context.Context, request *protos.CreateWebhook,
) (*protos.CreateWebhook_Response, error) {
	events, err := readEvents(request.GetEvents())
	if err != nil {
		return nil, err
	}

	if err := s.check(ctx, new(request.GetName()), new(request.GetUrl())); err != nil {
		return nil, err
	}

	if err := checkEvents(events); err != nil {
		return nil, err
	}

	now := time.Now().UnixMilli()
	row := webhook{
		id: uuid.NewString(), name: request.GetName(), url: request.GetUrl(), description: request.Description,
		status: request.GetStatus().String(), secret: s.encrypt(request.Secret), created: now, updated: now,
	}

	var created *protos.Webhook

	if err := s.write(ctx, func(tx *database.Tx) error {
		if err := insertWebhook(tx, row); err != nil {
			return err
		}

		if err := insertEvents(tx, row.id, events); err != nil {
			return err
		}

		created, err = loadWebhook(tx, row.id)

		return err
	}); err != nil {
		return nil, err
	}

	return &protos.CreateWebhook_Response{Webhook: created}, nil
}

// GetWebhook finds a webhook that isn't deleted (SqlAlchemyStore.get_webhook).
func (s *Store) GetWebhook(ctx context.Context, request *protos.GetWebhook) (*protos.GetWebhook_Response, error) {
	var found *protos.Webhook

	if err := s.db.Read(ctx, func(tx *database.Tx) (err error) {
		found, err = loadWebhook(tx, request.GetWebhookId())

		return err
	}); err != nil {
		return nil, err
	}

	return &protos.GetWebhook_Response{Webhook: found}, nil
}

// ListWebhooks lists a page of webhooks, the newest first (SqlAlchemyStore.list_webhooks). MLflow
// leaves open in which order those of one millisecond come; ours is the same on each page.
func (s *Store) ListWebhooks(
	ctx context.Context, request *protos.ListWebhooks,
) (*protos.ListWebhooks_Response, error) {
	size := int(request.GetMaxResults())
	if size == 0 {
		size = defaultPage
	}

	if size < 1 || size > maxPage {
		return nil, contract.InvalidParameter("max_results must be between 1 and %d.", maxPage)
	}

	offset, err := search.ParsePageToken(request.GetPageToken())
	if err != nil {
		return nil, err
	}

	response := &protos.ListWebhooks_Response{}

	err = s.db.Read(ctx, func(tx *database.Tx) error {
		rows, err := selectWebhooks(tx, size+1, int(offset))
		if err != nil {
			return err
		}

		response.NextPageToken = nil

		if len(rows) > size {
			rows = rows[:size]
			response.NextPageToken = new(search.CreatePageToken(offset + int64(size)))
		}

		response.Webhooks, err = messages(tx, rows)

		return err
	})
	if err != nil {
		return nil, err
	}

	return response, nil
}

// UpdateWebhook changes the fields that are present (SqlAlchemyStore.update_webhook). The receiver's
// name is resolved before the transaction begins: nobody waits for a name server in there.
func (s *Store) UpdateWebhook(
	ctx context.Context, request *protos.UpdateWebhook,
) (*protos.UpdateWebhook_Response, error) {
	events, err := readEvents(request.GetEvents())
	if err != nil {
		return nil, err
	}

	id := request.GetWebhookId()
	if _, err := s.GetWebhook(ctx, &protos.GetWebhook{WebhookId: &id}); err != nil {
		return nil, err
	}

	if err := s.check(ctx, request.Name, request.Url); err != nil {
		return nil, err
	}

	if err := checkUnique(events); err != nil {
		return nil, err
	}

	changes := changes{
		name: request.Name, url: request.Url, description: request.Description, secret: s.encrypt(request.Secret),
		updated: time.Now().UnixMilli(),
	}
	if request.Status != nil {
		changes.status = new(request.GetStatus().String())
	}

	var updated *protos.Webhook

	if err := s.write(ctx, func(tx *database.Tx) error {
		if err := lockWebhook(tx, id); err != nil {
			return err
		}

		if err := updateWebhook(tx, id, changes); err != nil {
			return err
		}

		if len(events) > 0 {
			if err := replaceEvents(tx, id, events); err != nil {
				return err
			}
		}

		updated, err = loadWebhook(tx, id)

		return err
	}); err != nil {
		return nil, err
	}

	return &protos.UpdateWebhook_Response{Webhook: updated}, nil
}

// DeleteWebhook marks a webhook as deleted (SqlAlchemyStore.delete_webhook).
func (s *Store) DeleteWebhook(
	ctx context.Context, request *protos.DeleteWebhook,
) (*protos.DeleteWebhook_Response, error) {
	now := time.Now().UnixMilli()

	if err := s.write(ctx, func(tx *database.Tx) error {
		if err := lockWebhook(tx, request.GetWebhookId()); err != nil {
			return err
		}

		return updateWebhook(tx, request.GetWebhookId(), changes{updated: now, deleted: &now})
	}); err != nil {
		return nil, err
	}

	return &protos.DeleteWebhook_Response{}, nil
}

// write runs a transaction that changes the caller's webhooks.
func (s *Store) write(ctx context.Context, fn func(tx *database.Tx) error) error {
	return s.db.Write(ctx, func(tx *database.Tx) error {
		tx.AfterCommit(s.changed)

		return fn(tx)
	})
}

func (s *Store) encrypt(secret *string) *string {
	if secret == nil {
		return nil
	}

	return new(s.secrets.encrypt(*secret))
}

// receiver is what a delivery needs to know of a webhook.
type receiver struct {
	id, name, url string
	secret        string // in the clear; "" without one
	firstEvent    event
}

// open makes a receiver of a row.
func (s *Store) open(row webhook) (receiver, error) {
	found := receiver{id: row.id, name: row.name, url: row.url}
	if row.secret == nil {
		return found, nil
	}

	var err error
	if found.secret, err = s.secrets.decrypt(*row.secret); err != nil {
		return receiver{}, fmt.Errorf("decrypting the secret of webhook %s, see %s: %w", row.id, KeyVariable, err)
	}

	return found, nil
}

// receiverOf is the receiver of one webhook, active or not; unreadable says that its secret can't be
// decrypted.
func (s *Store) receiverOf(ctx context.Context, id string) (found receiver, unreadable, err error) {
	var (
		row    webhook
		events map[string][]event
	)

	if err := s.db.Read(ctx, func(tx *database.Tx) error {
		if row, err = findWebhook(tx, id); err != nil {
			return err
		}

		events, err = selectEvents(tx, []webhook{row})

		return err
	}); err != nil {
		return receiver{}, nil, err
	}

	found, unreadable = s.open(row)
	if len(events[id]) > 0 {
		found.firstEvent = events[id][0]
	}

	return found, unreadable, nil
}

// receiversOf lists who is to be told of an event (delivery._get_cached_webhooks_by_event). A webhook
// whose secret can't be decrypted is left out and keeps nobody else from being told; unreadable says
// why.
func (s *Store) receiversOf(ctx context.Context, event event) (found []receiver, unreadable, err error) {
	var rows []webhook

	if err := s.db.Read(ctx, func(tx *database.Tx) error {
		rows, err = selectActive(tx, event)

		return err
	}); err != nil {
		return nil, nil, err
	}

	for _, row := range rows {
		opened, err := s.open(row)
		if err != nil {
			unreadable = err

			continue
		}

		found = append(found, opened)
	}

	return found, unreadable, nil
}

// nameEdge is what a name begins and ends with: letters and digits, with what Python takes for letters
// of the other case.
const nameEdge = `[a-zA-Z0-9\x{130}\x{131}\x{17f}\x{212a}]`

// namePattern is MLflow's but for the length.
var namePattern = regexp.MustCompile(`^` + nameEdge + `(?:(?:` + nameEdge + `|[._-])*` + nameEdge + `)?$`)

const maxName = 63

// check judges those of a webhook's fields that are there (_validate_webhook_name and
// _validate_webhook_url).
func (s *Store) check(ctx context.Context, name, url *string) error {
	if name != nil && (!namePattern.MatchString(*name) || pyfmt.Len(*name) > maxName) {
		return contract.InvalidParameter("Webhook name %s is invalid. It must start and end with a letter or digit, "+
			"be less than 63 characters long, and contain only letters, digits, dots (.), underscores (_), and hyphens (-).",
			pyfmt.Repr(*name))
	}

	if url != nil {
		return s.guard.CheckURL(ctx, *url)
	}

	return nil
}

// checkEvents wants at least one event, each once.
func checkEvents(events []event) error {
	if len(events) == 0 {
		return contract.InvalidParameter("Webhook events must be a non-empty list of WebhookEvent objects: [].")
	}

	return checkUnique(events)
}

// checkUnique refuses what breaks the key of webhook_events.
func checkUnique(events []event) error {
	for i, event := range events {
		if slices.Contains(events[:min(i, len(examples))], event) {
			return contract.Errorf(protos.ErrorCode_BAD_REQUEST, "The webhook event %s is given twice.", event)
		}
	}

	return nil
}
