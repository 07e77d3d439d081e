package webhooks

import (
	"context"
	"mime"
	"net/http"
	"strings"
	"time"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/webhooks/ssrf"
)

const (
	// maxAnswer is how much of a receiver's answer a test shows, in bytes.
	maxAnswer = 1 << 20
	// maxTestDelay is how long a test waits on a receiver's request to come back later.
	maxTestDelay = time.Minute
)

// Service is contract.WebhookService: the store, and tests of what it keeps. Its Deliverer tells the
// webhooks in the store what happens.
type Service struct {
	*Store
	*Deliverer
}

// New makes a service on a registry's database, whose tables exist. Its deliverer is to be shut down
// before the database is closed. The error is of the encryption key.
func New(db *database.DB, options Options) (*Service, error) {
	options = options.withDefaults()

	secrets, err := newFernet(options.EncryptionKey)
	if err != nil {
		return nil, err
	}

	guard := ssrf.NewGuard(options.AllowedSchemes, options.AllowPrivate, options.Resolver)
	store := &Store{db: db, secrets: secrets, guard: guard}
	deliverer := newDeliverer(store.receiversOf, newSender(guard, options), options)
	store.changed = deliverer.forget

	return &Service{Store: store, Deliverer: deliverer}, nil
}

// TestWebhook sends an example of an event, or of the webhook's first one, and says what came of it
// (handlers._test_webhook, delivery.test_webhook). It tries as often as a delivery does.
func (s *Service) TestWebhook(
	ctx context.Context, request *protos.TestWebhook,
) (*protos.TestWebhook_Response, error) {
	var (
		wanted event
		err    error
	)

	if request.GetEvent() != nil {
		if wanted, err = readEvent(request.GetEvent()); err != nil {
			return nil, err
		}
	}

	to, unreadable, err := s.receiverOf(ctx, request.GetWebhookId())

	switch {
	case err != nil:
		return nil, err
	case unreadable != nil:
		return testFailed(unreadable), nil
	}

	if request.GetEvent() == nil {
		wanted = to.firstEvent
	}

	data, err := encodeData(examples[wanted])
	if err != nil {
		return nil, err
	}

	result := s.sendNow(ctx, write(to, wanted, data, time.Now()))
	if result.err != nil {
		return testFailed(result.err), nil //nolint:nilerr // it is the answer
	}

	return &protos.TestWebhook_Response{Result: &protos.WebhookTestResult{
		Success:        new(result.status < http.StatusBadRequest),
		ResponseStatus: new(int32(result.status)), //nolint:gosec // three digits
		ResponseBody:   new(decodeText(result.header.Get("Content-Type"), result.body)),
	}}, nil
}

func testFailed(err error) *protos.TestWebhook_Response {
	return &protos.TestWebhook_Response{Result: &protos.WebhookTestResult{
		Success: new(false), ErrorMessage: new("Failed to test webhook: " + describe(err)),
	}}
}

// sendNow sends a letter and waits for what comes of it.
func (s *Service) sendNow(ctx context.Context, letter letter) answer {
	for failed := 1; ; failed++ {
		result := s.sender.attempt(ctx, letter, maxAnswer)

		delay, again := s.sender.next(failed, result)
		if !again || delay > maxTestDelay {
			return result
		}

		timer := time.NewTimer(delay)

		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()

			return answer{err: ctx.Err()}
		}
	}
}

// decodeText is requests' Response.text.
func decodeText(contentType string, body []byte) string {
	text, err := charsetOf(contentType).NewDecoder().Bytes(body)
	if err != nil {
		text = body
	}

	return strings.ToValidUTF8(string(text), "\ufffd")
}

func charsetOf(contentType string) encoding.Encoding {
	kind, parameters, _ := mime.ParseMediaType(contentType)
	if name := parameters["charset"]; name != "" {
		if found, err := ianaindex.IANA.Encoding(strings.Trim(name, `'"`)); err == nil && found != nil {
			return found
		}

		return unicode.UTF8
	}

	if strings.Contains(kind, "text") {
		return charmap.ISO8859_1
	}

	return unicode.UTF8
}
