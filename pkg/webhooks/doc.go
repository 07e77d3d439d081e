// Package webhooks answers MLflow's webhook service and tells receivers what happened: the webhooks of
// a registry's database (mlflow.store.model_registry.sqlalchemy_store) and their delivery
// (mlflow.webhooks.delivery).
//
// Store keeps the webhooks, Deliverer sends to them, Service is both as contract.WebhookService.
package webhooks
