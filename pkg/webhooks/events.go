package webhooks

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
)

// event is what a webhook may be registered for, with MLflow's names: those in its tables and in what
// it delivers.
type event struct{ entity, action string }

func (e event) String() string { return e.entity + "." + e.action }

func eventOf(entity protos.WebhookEntity, action protos.WebhookAction) event {
	return event{strings.ToLower(entity.String()), strings.ToLower(action.String())}
}

// message is the event's protobuf (WebhookEvent.to_proto).
func (e event) message() *protos.WebhookEvent {
	entity := protos.WebhookEntity(protos.WebhookEntity_value[strings.ToUpper(e.entity)])
	action := protos.WebhookAction(protos.WebhookAction_value[strings.ToUpper(e.action)])

	return &protos.WebhookEvent{Entity: &entity, Action: &action}
}

// examples are the events that exist, each with what a test of a webhook sends as its data
// (VALID_ENTITY_ACTIONS, get_example_payload_for_event).
//
//nolint:goconst,lll // a table: each line says all
var examples = map[event]json.RawMessage{
	{"registered_model", "created"}: json.RawMessage(`{"name": "example_model", "tags": {"example_key": "example_value"}, ` +
		`"description": "An example registered model"}`),
	{"model_version", "created"}: json.RawMessage(`{"name": "example_model", "version": "1", "source": "models:/123", ` +
		`"run_id": "abcd1234abcd5678", "tags": {"example_key": "example_value"}, ` +
		`"description": "An example model version"}`),
	{"model_version_tag", "set"}: json.RawMessage(`{"name": "example_model", "version": "1", "key": "example_key", ` +
		`"value": "example_value"}`),
	{"model_version_tag", "deleted"}:   json.RawMessage(`{"name": "example_model", "version": "1", "key": "example_key"}`),
	{"model_version_alias", "created"}: json.RawMessage(`{"name": "example_model", "alias": "example_alias", "version": "1"}`),
	{"model_version_alias", "deleted"}: json.RawMessage(`{"name": "example_model", "alias": "example_alias"}`),
	{"prompt", "created"}: json.RawMessage(`{"name": "example_prompt", "tags": {"example_key": "example_value"}, ` +
		`"description": "An example prompt"}`),
	{"prompt_version", "created"}: json.RawMessage(`{"name": "example_prompt", "version": "1", ` +
		`"template": "Hello {{name}}!", "tags": {"example_key": "example_value"}, ` +
		`"description": "An example prompt version"}`),
	{"prompt_tag", "set"}:     json.RawMessage(`{"name": "example_prompt", "key": "example_key", "value": "example_value"}`),
	{"prompt_tag", "deleted"}: json.RawMessage(`{"name": "example_prompt", "key": "example_key"}`),
	{"prompt_version_tag", "set"}: json.RawMessage(`{"name": "example_prompt", "version": "1", "key": "example_key", ` +
		`"value": "example_value"}`),
	{"prompt_version_tag", "deleted"}: json.RawMessage(`{"name": "example_prompt", "version": "1", "key": "example_key"}`),
	{"prompt_alias", "created"}:       json.RawMessage(`{"name": "example_prompt", "alias": "example_alias", "version": "1"}`),
	{"prompt_alias", "deleted"}:       json.RawMessage(`{"name": "example_prompt", "alias": "example_alias"}`),
	{"budget_policy", "exceeded"}: json.RawMessage(`{"budget_policy_id": "bp-abc123", "budget_unit": "USD", ` +
		`"budget_amount": 100.0, "current_spend": 105.5, "duration_unit": "MONTHS", "duration_value": 1, ` +
		`"target_scope": "ENDPOINT", "workspace": "default", "target_value": "ep-abc123", "window_start": 1704067200000}`),
}

// readEvent is WebhookEvent.from_proto. What MLflow fails on, a missing entity or action, is
// INVALID_PARAMETER_VALUE with the words of that failure.
func readEvent(sent *protos.WebhookEvent) (event, error) {
	found := eventOf(sent.GetEntity(), sent.GetAction())

	switch {
	case sent.GetEntity() == protos.WebhookEntity_ENTITY_UNSPECIFIED:
		return event{}, contract.InvalidParameter("%s is not a valid WebhookEntity", pyfmt.Repr(found.entity))
	case sent.GetAction() == protos.WebhookAction_ACTION_UNSPECIFIED:
		return event{}, contract.InvalidParameter("%s is not a valid WebhookAction", pyfmt.Repr(found.action))
	}

	if _, exists := examples[found]; exists {
		return found, nil
	}

	var actions []string

	for other := range examples {
		if other.entity == found.entity {
			actions = append(actions, other.action)
		}
	}

	slices.Sort(actions)

	return event{}, contract.InvalidParameter("Invalid action '%s' for entity '%s'. Valid actions are: %s",
		found.action, found.entity, pyfmt.ReprList(actions))
}

func readEvents(sent []*protos.WebhookEvent) ([]event, error) {
	events := make([]event, len(sent))

	for i, each := range sent {
		var err error
		if events[i], err = readEvent(each); err != nil {
			return nil, err
		}
	}

	return events, nil
}
