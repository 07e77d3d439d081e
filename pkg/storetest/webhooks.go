package storetest

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// webhookURL is one that needs no name server.
const webhookURL = "https://8.8.8.8/hook"

// webhookSuite is a webhook store under test and its database.
type webhookSuite struct {
	contract.WebhookService
	suite
}

// Webhooks tests a webhook store, with MLflow's default settings, on a database that has MLflow's
// schema and nothing else.
func Webhooks(t *testing.T, db *database.DB, store contract.WebhookService) {
	t.Helper()

	s := webhookSuite{WebhookService: store, suite: suite{db: db}}

	t.Run("ListWebhooks", s.list)
	t.Run("CreateWebhook", s.create)
	t.Run("UpdateWebhook", s.update)
	t.Run("DeleteWebhook", s.delete)
	t.Run("Workspaces", s.workspaces)
}

func webhookEvent(entity protos.WebhookEntity, action protos.WebhookAction) *protos.WebhookEvent {
	return &protos.WebhookEvent{Entity: &entity, Action: &action}
}

func (s webhookSuite) webhook(t *testing.T, name string, secret *string) *protos.Webhook {
	t.Helper()

	created, err := s.CreateWebhook(t.Context(), &protos.CreateWebhook{
		Name: new(name), Url: new(webhookURL), Secret: secret, Description: new("d"),
		Events: []*protos.WebhookEvent{webhookEvent(protos.WebhookEntity_PROMPT, protos.WebhookAction_CREATED)},
	})
	require.NoError(t, err)

	return created.GetWebhook()
}

func (s webhookSuite) find(t *testing.T, id string) *protos.Webhook {
	t.Helper()

	found, err := s.GetWebhook(t.Context(), &protos.GetWebhook{WebhookId: new(id)})
	require.NoError(t, err)

	return found.GetWebhook()
}

func (s webhookSuite) create(t *testing.T) {
	t.Helper()

	t.Run("OK", func(t *testing.T) {
		created := s.webhook(t, "ok", nil)
		require.Equal(t, "ok", created.GetName())
		require.Equal(t, webhookURL, created.GetUrl())
		require.Equal(t, "d", created.GetDescription())
		require.Equal(t, protos.WebhookStatus_ACTIVE, created.GetStatus())
		require.Positive(t, created.GetCreationTimestamp())
		require.Equal(t, created.GetCreationTimestamp(), created.GetLastUpdatedTimestamp())
		requireMessage(t, created, s.find(t, created.GetWebhookId()))
		require.Equal(t, "default",
			value[string](t, s.suite, "SELECT workspace FROM webhooks WHERE webhook_id = ?", created.GetWebhookId()))
	})

	t.Run("Secret", func(t *testing.T) {
		created := s.webhook(t, "secret", new("in the clear"))
		require.NotContains(t, created.String(), "clear")
		require.NotContains(t,
			value[string](t, s.suite, "SELECT secret FROM webhooks WHERE webhook_id = ?", created.GetWebhookId()), "clear")
	})

	t.Run("ErrName", func(t *testing.T) {
		_, err := s.CreateWebhook(t.Context(), &protos.CreateWebhook{
			Name: new("-"), Url: new(webhookURL),
			Events: []*protos.WebhookEvent{webhookEvent(protos.WebhookEntity_PROMPT, protos.WebhookAction_CREATED)},
		})
		requireInvalidf(t, err, "Webhook name '-' is invalid. It must start and end with a letter or digit, be less than "+
			"63 characters long, and contain only letters, digits, dots (.), underscores (_), and hyphens (-).")
	})

	t.Run("ErrURL", func(t *testing.T) {
		_, err := s.CreateWebhook(t.Context(), &protos.CreateWebhook{
			Name: new("n"), Url: new("https://127.0.0.1"),
			Events: []*protos.WebhookEvent{webhookEvent(protos.WebhookEntity_PROMPT, protos.WebhookAction_CREATED)},
		})
		requireInvalidf(t, err, "Webhook URL must not resolve to a non-public IP address. "+
			"'127.0.0.1' resolves to 127.0.0.1.")
	})

	t.Run("ErrEvents", func(t *testing.T) {
		for _, events := range [][]*protos.WebhookEvent{nil, {}} {
			_, err := s.CreateWebhook(t.Context(), &protos.CreateWebhook{
				Name: new("n"), Url: new(webhookURL), Events: events,
			})
			requireInvalidf(t, err, "Webhook events must be a non-empty list of WebhookEvent objects: [].")
		}
	})

	t.Run("ErrEventTwice", func(t *testing.T) {
		event := webhookEvent(protos.WebhookEntity_PROMPT, protos.WebhookAction_CREATED)
		_, err := s.CreateWebhook(t.Context(), &protos.CreateWebhook{
			Name: new("n"), Url: new(webhookURL), Events: []*protos.WebhookEvent{event, event},
		})
		requireErrorf(t, err, protos.ErrorCode_BAD_REQUEST, "The webhook event prompt.created is given twice.")
	})
}

func (s webhookSuite) update(t *testing.T) {
	t.Helper()

	t.Run("OK", func(t *testing.T) {
		before := s.webhook(t, "before", new("s"))
		id := before.GetWebhookId()
		secret := func() string {
			return value[string](t, s.suite, "SELECT secret FROM webhooks WHERE webhook_id = ?", id)
		}
		stored := secret()

		for _, change := range []*protos.UpdateWebhook{
			{},
			{Name: new("after")},
			{Url: new("https://8.8.4.4")},
			{Description: new("")},
			{Status: protos.WebhookStatus_DISABLED.Enum()},
			{Events: []*protos.WebhookEvent{
				webhookEvent(protos.WebhookEntity_PROMPT, protos.WebhookAction_CREATED),
				webhookEvent(protos.WebhookEntity_MODEL_VERSION, protos.WebhookAction_CREATED),
			}},
		} {
			change.WebhookId = new(id)
			updated, err := s.UpdateWebhook(t.Context(), change)
			require.NoError(t, err)
			requireMessage(t, updated.GetWebhook(), s.find(t, id))
		}

		after := s.find(t, id)
		require.Equal(t, "after", after.GetName())
		require.Equal(t, "https://8.8.4.4", after.GetUrl())
		require.Nil(t, after.Description)
		require.Equal(t, protos.WebhookStatus_DISABLED, after.GetStatus())
		require.Len(t, after.GetEvents(), 2)
		require.GreaterOrEqual(t, after.GetLastUpdatedTimestamp(), before.GetLastUpdatedTimestamp())
		require.Equal(t, stored, secret())

		_, err := s.UpdateWebhook(t.Context(), &protos.UpdateWebhook{WebhookId: new(id), Secret: new("t")})
		require.NoError(t, err)
		require.NotEqual(t, stored, secret())
	})

	t.Run("LostKey", func(t *testing.T) {
		// A secret of another key is nobody's but the deliveries' concern.
		id := s.webhook(t, "lost", new("s")).GetWebhookId()
		s.exec(t, "UPDATE webhooks SET secret = 'gAAAAA' WHERE webhook_id = ?", id)
		require.Equal(t, "lost", s.find(t, id).GetName())

		_, err := s.UpdateWebhook(t.Context(), &protos.UpdateWebhook{WebhookId: new(id), Name: new("found")})
		require.NoError(t, err)

		tested, err := s.TestWebhook(t.Context(), &protos.TestWebhook{WebhookId: new(id)})
		require.NoError(t, err)
		require.False(t, tested.GetResult().GetSuccess())
		require.Contains(t, tested.GetResult().GetErrorMessage(), "Failed to test webhook: InvalidToken(")
	})

	t.Run("ErrUnknown", func(t *testing.T) {
		_, err := s.UpdateWebhook(t.Context(), &protos.UpdateWebhook{WebhookId: new("nobody"), Name: new("-")})
		requireErrorf(t, err, protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, "Webhook with ID nobody not found.")
	})

	t.Run("ErrChange", func(t *testing.T) {
		before := s.webhook(t, "unchanged", nil)

		for _, change := range []*protos.UpdateWebhook{
			{Name: new("")}, {Url: new("http://8.8.8.8")}, {Url: new("")}, {Events: []*protos.WebhookEvent{{}}},
			{Name: new("good"), Events: []*protos.WebhookEvent{
				webhookEvent(protos.WebhookEntity_PROMPT, protos.WebhookAction_SET),
			}},
		} {
			change.WebhookId = before.WebhookId
			_, err := s.UpdateWebhook(t.Context(), change)
			require.Equal(t, protos.ErrorCode_INVALID_PARAMETER_VALUE, contract.AsError(err).Code)
		}

		requireMessage(t, before, s.find(t, before.GetWebhookId()))
	})
}

func (s webhookSuite) delete(t *testing.T) {
	t.Helper()

	id := s.webhook(t, "deleted", nil).GetWebhookId()
	_, err := s.DeleteWebhook(t.Context(), &protos.DeleteWebhook{WebhookId: new(id)})
	require.NoError(t, err)

	require.Positive(t, value[int64](t, s.suite, "SELECT deleted_timestamp FROM webhooks WHERE webhook_id = ?", id))

	for name, again := range map[string]func() error{
		"ErrDelete": func() error {
			_, err := s.DeleteWebhook(t.Context(), &protos.DeleteWebhook{WebhookId: new(id)})

			return err
		},
		"ErrGet": func() error {
			_, err := s.GetWebhook(t.Context(), &protos.GetWebhook{WebhookId: new(id)})

			return err
		},
		"ErrUpdate": func() error {
			_, err := s.UpdateWebhook(t.Context(), &protos.UpdateWebhook{WebhookId: new(id)})

			return err
		},
		"ErrTest": func() error {
			_, err := s.TestWebhook(t.Context(), &protos.TestWebhook{WebhookId: new(id)})

			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			requireErrorf(t, again(), protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, "Webhook with ID %s not found.", id)
		})
	}
}

func (s webhookSuite) list(t *testing.T) {
	t.Helper()

	t.Run("OK", func(t *testing.T) {
		for i := range 5 {
			s.webhook(t, "l"+strconv.Itoa(i), nil)
		}

		s.exec(t, "UPDATE webhooks SET creation_timestamp = 1 WHERE name <> 'l4'") // at the same time

		var (
			names = make([]string, 0, 5)
			token *string
		)

		for range 3 {
			page, err := s.ListWebhooks(t.Context(), &protos.ListWebhooks{MaxResults: new(int32(2)), PageToken: token})
			require.NoError(t, err)

			for _, webhook := range page.GetWebhooks() {
				names = append(names, webhook.GetName())

				require.Len(t, webhook.GetEvents(), 1)
			}

			token = page.NextPageToken
		}

		require.Nil(t, token)
		require.Equal(t, "l4", names[0])
		require.ElementsMatch(t, []string{"l0", "l1", "l2", "l3", "l4"}, names)

		all, err := s.ListWebhooks(t.Context(), &protos.ListWebhooks{MaxResults: new(int32(0))})
		require.NoError(t, err)
		require.Len(t, all.GetWebhooks(), 5)
	})

	t.Run("ErrMaxResults", func(t *testing.T) {
		for _, size := range []int32{-1, 1001} {
			_, err := s.ListWebhooks(t.Context(), &protos.ListWebhooks{MaxResults: &size, PageToken: new("x")})
			requireInvalidf(t, err, "max_results must be between 1 and 1000.")
		}
	})

	t.Run("ErrPageToken", func(t *testing.T) {
		_, err := s.ListWebhooks(t.Context(), &protos.ListWebhooks{PageToken: new("x")})
		requireInvalidf(t, err, "Invalid page token, could not base64-decode")
	})
}
