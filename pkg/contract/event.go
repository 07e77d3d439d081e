package contract

import (
	"context"

	"github.com/mlflow/mlflow-go/pkg/protos"
)

// Event is something that webhooks may be registered for (mlflow.entities.webhook.WebhookEvent).
type Event struct {
	Entity protos.WebhookEntity
	Action protos.WebhookAction
	// Payload becomes the delivery's "data": JSON with the members of mlflow.webhooks.types, in
	// their order.
	Payload any
}

// Events is told what happened, after it was committed. Notify neither waits nor fails.
type Events interface {
	Notify(ctx context.Context, event Event)
}
