package handlers

import (
	"context"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// Webhooks adds what MLflow's handlers make of empty fields to a webhook service.
func Webhooks(next contract.WebhookService) contract.WebhookService {
	return &webhooks{WebhookService: next}
}

type webhooks struct{ contract.WebhookService }

// CreateWebhook takes an empty description or secret for none (handlers._create_webhook).
func (w *webhooks) CreateWebhook(
	ctx context.Context, request *protos.CreateWebhook,
) (*protos.CreateWebhook_Response, error) {
	return w.WebhookService.CreateWebhook(ctx, &protos.CreateWebhook{
		Name: request.Name, Url: request.Url, Events: request.GetEvents(), Status: request.Status,
		Description: nilIfEmpty(request.GetDescription()), Secret: nilIfEmpty(request.GetSecret()),
	})
}

// UpdateWebhook leaves the name and the URL alone when they are empty (handlers._update_webhook).
func (w *webhooks) UpdateWebhook(
	ctx context.Context, request *protos.UpdateWebhook,
) (*protos.UpdateWebhook_Response, error) {
	return w.WebhookService.UpdateWebhook(ctx, &protos.UpdateWebhook{
		WebhookId: request.WebhookId, Name: nilIfEmpty(request.GetName()), Url: nilIfEmpty(request.GetUrl()),
		Description: request.Description, Events: request.GetEvents(), Secret: request.Secret, Status: request.Status,
	})
}
