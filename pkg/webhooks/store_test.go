package webhooks

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/storetest"
)

func newService(t *testing.T, db *database.DB, options Options) *Service {
	t.Helper()

	service, err := New(db, options)
	require.NoError(t, err)
	t.Cleanup(func() { service.Shutdown(t.Context()) })

	return service
}

func TestStore(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		storetest.Webhooks(t, db, newService(t, db, Options{}))
	})
}

// create registers a webhook for the event of these tests.
func create(t *testing.T, service *Service, url string, secret *string) string {
	t.Helper()

	made, err := service.CreateWebhook(t.Context(), &protos.CreateWebhook{
		Name: new("n"), Url: new(url), Secret: secret, Events: []*protos.WebhookEvent{
			event{"prompt", "created"}.message(), event{"prompt_tag", "set"}.message(),
		},
	})
	require.NoError(t, err)

	return made.GetWebhook().GetWebhookId()
}

func TestServiceDelivers(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		box := newMailbox(t, nil)
		options, log := local()
		service := newService(t, db, options)

		var events contract.Events = service

		events.Notify(t.Context(), created)
		require.Eventually(t, func() bool { // which is cached
			return service.isForNobody(subject{contract.DefaultWorkspace, eventOf(created.Entity, created.Action)})
		}, 10*time.Second, time.Millisecond)

		id := create(t, service, box.URL, new("s"))
		lost := create(t, service, box.URL, new("t"))
		_, err := service.UpdateWebhook(t.Context(), &protos.UpdateWebhook{
			WebhookId: new(create(t, service, box.URL, nil)), Status: protos.WebhookStatus_DISABLED.Enum(),
		})
		require.NoError(t, err)
		require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
			_, err := tx.Exec("UPDATE webhooks SET secret = 'gAAAAA' WHERE webhook_id = ?", lost)

			return err
		}))

		events.Notify(t.Context(), created) // its own changes are known at once
		require.NotEmpty(t, box.wait(t, 1)[0].header.Get("X-Mlflow-Signature"))

		other := created
		other.Entity, other.Action = protos.WebhookEntity_MODEL_VERSION, protos.WebhookAction_CREATED
		events.Notify(t.Context(), other)

		_, err = service.DeleteWebhook(t.Context(), &protos.DeleteWebhook{WebhookId: new(id)})
		require.NoError(t, err)
		events.Notify(t.Context(), created)

		service.Shutdown(t.Context())
		require.Len(t, box.got(), 1)
		require.Contains(t, log.String(), "decrypting the secret of webhook "+lost)
	})
}

func TestTestWebhook(t *testing.T) {
	options, _ := local()
	options.MaxRetries = 1
	service := newService(t, databasetest.Open(t, databasetest.SQLite(t)), options)
	test := func(t *testing.T, url string, event *protos.WebhookEvent) *protos.WebhookTestResult {
		t.Helper()

		tested, err := service.TestWebhook(t.Context(), &protos.TestWebhook{
			WebhookId: new(create(t, service, url, new("s"))), Event: event,
		})
		require.NoError(t, err)

		return tested.GetResult()
	}

	t.Run("OK", func(t *testing.T) {
		box := newMailbox(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte("thanks \xe9"))
		})

		result := test(t, box.URL, nil)
		require.Equal(t, `success:true response_status:201 response_body:"thanks é"`, compact(result))
		require.Contains(t, string(box.got()[0].body), `"entity": "prompt", "action": "created"`)
		require.Contains(t, string(box.got()[0].body), `"data": {"name": "example_prompt", "tags": `)

		test(t, box.URL, event{"budget_policy", "exceeded"}.message())
		require.Contains(t, string(box.got()[1].body), `"budget_amount": 100.0, "current_spend": 105.5`)
	})

	t.Run("Refused", func(t *testing.T) {
		box := newMailbox(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusServiceUnavailable) })

		require.Equal(t, `success:false response_status:503 response_body:""`, compact(test(t, box.URL, nil)))
		require.Len(t, box.got(), 2)
	})

	t.Run("AskedToComeBackMuchLater", func(t *testing.T) {
		box := newMailbox(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
		})
		begun := time.Now()

		require.Equal(t, `success:false response_status:429 response_body:""`, compact(test(t, box.URL, nil)))
		require.Less(t, time.Since(begun), 5*time.Second)
	})

	t.Run("Unreachable", func(t *testing.T) {
		result := test(t, "http://127.0.0.1:1/token", nil)
		require.Contains(t, result.GetErrorMessage(), "Failed to test webhook: ConnectionError(")
		require.NotContains(t, result.GetErrorMessage(), "token")
		require.Nil(t, result.ResponseStatus)
		require.Nil(t, result.ResponseBody)
	})

	t.Run("ErrEvent", func(t *testing.T) {
		_, err := service.TestWebhook(t.Context(), &protos.TestWebhook{
			WebhookId: new("nobody"), Event: event{"prompt", "set"}.message(),
		})
		require.Equal(t, "Invalid action 'set' for entity 'prompt'. Valid actions are: ['created']",
			contract.AsError(err).Message)
	})

	t.Run("ErrPrivate", func(t *testing.T) {
		// As when a webhook was made while private addresses were allowed, or its name moved.
		id := create(t, service, "http://127.0.0.1", nil)
		strict, _ := local()
		strict.AllowPrivate = false

		tested, err := newService(t, service.db, strict).TestWebhook(t.Context(), &protos.TestWebhook{WebhookId: &id})
		require.NoError(t, err)
		require.Equal(t, `Failed to test webhook: MlflowException("Webhook URL must not resolve to a non-public IP `+
			`address. '127.0.0.1' resolves to 127.0.0.1.")`, tested.GetResult().GetErrorMessage())
	})
}

// compact prints a result without protobuf's moods.
func compact(result *protos.WebhookTestResult) string {
	text := "success:" + strconv.FormatBool(result.GetSuccess())
	if result.ResponseStatus != nil {
		text += " response_status:" + strconv.Itoa(int(result.GetResponseStatus()))
	}

	if result.ResponseBody != nil {
		text += ` response_body:"` + result.GetResponseBody() + `"`
	}

	return text + result.GetErrorMessage()
}

func TestOptionsFromEnvironment(t *testing.T) {
	read := func(values map[string]string) (Options, error) {
		return OptionsFromEnvironment(func(name string) string { return values[name] })
	}

	options, err := read(nil)
	require.NoError(t, err)
	require.Equal(t, Options{
		AllowedSchemes: []string{"https"}, Timeout: 30 * time.Second, MaxWorkers: 10, MaxRetries: 3, CacheTTL: time.Minute,
	}, options)

	key := GenerateKey()
	options, err = read(map[string]string{
		"MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": key, "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": " http , https",
		"MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "TRUE", "MLFLOW_WEBHOOK_REQUEST_TIMEOUT": "1_0",
		"MLFLOW_WEBHOOK_DELIVERY_MAX_WORKERS": "1", "MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES": "-1", "MLFLOW_WEBHOOK_CACHE_TTL": "0",
	})
	require.NoError(t, err)
	require.Equal(t, Options{
		EncryptionKey: key, AllowedSchemes: []string{"http", "https"}, AllowPrivate: true, Timeout: 10 * time.Second,
		MaxWorkers: 1, MaxRetries: -1,
	}, options)

	for name, value := range map[string]string{
		"MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": "short", "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "yes",
		"MLFLOW_WEBHOOK_REQUEST_TIMEOUT": "0", "MLFLOW_WEBHOOK_DELIVERY_MAX_WORKERS": "0",
		"MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES": "x", "MLFLOW_WEBHOOK_CACHE_TTL": "1.5",
	} {
		_, err := read(map[string]string{name: value})
		require.ErrorIs(t, err, database.ErrInvalid, name)
		require.ErrorContains(t, err, name)
	}
}
