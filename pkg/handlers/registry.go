package handlers

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// ModelRegistry is a registry that the handlers can ask whether a registered model is a prompt.
type ModelRegistry interface {
	contract.ModelRegistryService

	IsPrompt(ctx context.Context, name string) (bool, error)
}

// RegistryOptions are what the rules for a model registry need.
type RegistryOptions struct {
	// Tracking holds the runs and logged models that versions are made of.
	Tracking contract.TrackingService
	// Locations is the policy for sources that name a host.
	Locations Locations
	// Events is told of what was written; nil tells nobody.
	Events contract.Events
}

// Registry adds the rules of MLflow's handlers to a model registry: what a version's source may be,
// what it has to do with runs and logged models, and that webhooks are told.
func Registry(next ModelRegistry, options RegistryOptions) contract.ModelRegistryService {
	return &registry{ModelRegistry: next, options: options}
}

type registry struct {
	ModelRegistry

	options RegistryOptions
}

// Tags that make prompts of registered models and versions (mlflow.prompt.constants).
const (
	promptTag     = "mlflow.prompt.is_prompt"
	promptTextTag = "mlflow.prompt.text"
	promptTypeTag = "_mlflow_prompt_type"
)

// CreateRegisteredModel stores no description as an empty one (handlers._create_registered_model).
func (r *registry) CreateRegisteredModel(
	ctx context.Context, request *protos.CreateRegisteredModel,
) (*protos.CreateRegisteredModel_Response, error) {
	response, err := r.ModelRegistry.CreateRegisteredModel(ctx, &protos.CreateRegisteredModel{
		Name: request.Name, Tags: request.GetTags(), Description: new(request.GetDescription()),
	})
	if err != nil {
		return nil, err
	}

	entity, tags := protos.WebhookEntity_REGISTERED_MODEL, tagsOf(request.GetTags())
	if tags.isPrompt() {
		entity, tags = protos.WebhookEntity_PROMPT, tags.without(promptTag, promptTypeTag)
	}

	r.notify(ctx, entity, protos.WebhookAction_CREATED, modelCreated{
		Name: request.GetName(), Tags: tags, Description: request.GetDescription(),
	})

	return response, nil
}

// UpdateRegisteredModel takes a missing description for an empty one
// (handlers._update_registered_model).
func (r *registry) UpdateRegisteredModel(
	ctx context.Context, request *protos.UpdateRegisteredModel,
) (*protos.UpdateRegisteredModel_Response, error) {
	return r.ModelRegistry.UpdateRegisteredModel(ctx, &protos.UpdateRegisteredModel{
		Name: request.Name, Description: new(request.GetDescription()),
	})
}

// SetRegisteredModelTag tells webhooks of the tags of prompts only
// (handlers._set_registered_model_tag).
func (r *registry) SetRegisteredModelTag(
	ctx context.Context, request *protos.SetRegisteredModelTag,
) (*protos.SetRegisteredModelTag_Response, error) {
	response, err := r.ModelRegistry.SetRegisteredModelTag(ctx, request)
	if err != nil {
		return nil, err
	}

	return response, r.ofPrompt(ctx, request.GetName(), func(isPrompt bool) {
		if isPrompt {
			r.notify(ctx, protos.WebhookEntity_PROMPT_TAG, protos.WebhookAction_SET, promptTagSet{
				Name: request.GetName(), Key: request.GetKey(), Value: request.GetValue(),
			})
		}
	})
}

// DeleteRegisteredModelTag tells webhooks of the tags of prompts only
// (handlers._delete_registered_model_tag).
func (r *registry) DeleteRegisteredModelTag(
	ctx context.Context, request *protos.DeleteRegisteredModelTag,
) (*protos.DeleteRegisteredModelTag_Response, error) {
	response, err := r.ModelRegistry.DeleteRegisteredModelTag(ctx, request)
	if err != nil {
		return nil, err
	}

	return response, r.ofPrompt(ctx, request.GetName(), func(isPrompt bool) {
		if isPrompt {
			r.notify(ctx, protos.WebhookEntity_PROMPT_TAG, protos.WebhookAction_DELETED, promptTagDeleted{
				Name: request.GetName(), Key: request.GetKey(),
			})
		}
	})
}

// CreateModelVersion judges where the version comes from, and notes it with the logged model that it
// is made of (handlers._create_model_version).
func (r *registry) CreateModelVersion(
	ctx context.Context, request *protos.CreateModelVersion,
) (*protos.CreateModelVersion_Response, error) {
	tags := tagsOf(request.GetTags())
	isPrompt := tags.isPrompt()

	from, err := r.origin(ctx, request, isPrompt)
	if err != nil {
		return nil, err
	}

	ofModel := !isPrompt && from.modelID != nil && *from.modelID != ""
	if ofModel && !strings.HasPrefix(from.source, "models:/"+*from.modelID) { // or else the store looks it up
		if err := r.checkNotable(ctx, request.GetName(), from); err != nil {
			return nil, err
		}
	}

	response, err := r.ModelRegistry.CreateModelVersion(ctx, &protos.CreateModelVersion{
		Name: request.Name, Source: new(from.source), RunId: from.runID, ModelId: from.modelID, Tags: request.GetTags(),
		RunLink: new(request.GetRunLink()), Description: new(request.GetDescription()),
	})
	if err != nil {
		return nil, err
	}

	version := response.GetModelVersion().GetVersion()

	if isPrompt {
		r.notify(ctx, protos.WebhookEntity_PROMPT_VERSION, protos.WebhookAction_CREATED, promptVersionCreated{
			Name: request.GetName(), Version: version, Template: tags.find(promptTextTag),
			Tags:        tags.without(promptTextTag, promptTag, promptTypeTag),
			Description: nilIfEmpty(request.GetDescription()),
		})

		return response, nil
	}

	if ofModel {
		if err := r.noteVersion(ctx, *from.modelID, request.GetName(), version); err != nil {
			return nil, err
		}
	}

	runID := from.runID
	if runID != nil && *runID == "" {
		runID = nil
	}

	r.notify(ctx, protos.WebhookEntity_MODEL_VERSION, protos.WebhookAction_CREATED, versionCreated{
		Name: request.GetName(), Version: version, Source: from.source, RunID: runID, Tags: tags,
		Description: nilIfEmpty(request.GetDescription()),
	})

	return response, nil
}

// SetModelVersionTag is handlers._set_model_version_tag.
func (r *registry) SetModelVersionTag(
	ctx context.Context, request *protos.SetModelVersionTag,
) (*protos.SetModelVersionTag_Response, error) {
	response, err := r.ModelRegistry.SetModelVersionTag(ctx, request)
	if err != nil {
		return nil, err
	}

	return response, r.ofPrompt(ctx, request.GetName(), func(isPrompt bool) {
		r.notify(ctx, either(isPrompt, protos.WebhookEntity_PROMPT_VERSION_TAG, protos.WebhookEntity_MODEL_VERSION_TAG),
			protos.WebhookAction_SET, versionTagSet{
				Name: request.GetName(), Version: request.GetVersion(), Key: request.GetKey(), Value: request.GetValue(),
			})
	})
}

// DeleteModelVersionTag is handlers._delete_model_version_tag.
func (r *registry) DeleteModelVersionTag(
	ctx context.Context, request *protos.DeleteModelVersionTag,
) (*protos.DeleteModelVersionTag_Response, error) {
	response, err := r.ModelRegistry.DeleteModelVersionTag(ctx, request)
	if err != nil {
		return nil, err
	}

	return response, r.ofPrompt(ctx, request.GetName(), func(isPrompt bool) {
		r.notify(ctx, either(isPrompt, protos.WebhookEntity_PROMPT_VERSION_TAG, protos.WebhookEntity_MODEL_VERSION_TAG),
			protos.WebhookAction_DELETED, versionTagDeleted{
				Name: request.GetName(), Version: request.GetVersion(), Key: request.GetKey(),
			})
	})
}

// SetRegisteredModelAlias is handlers._set_registered_model_alias.
func (r *registry) SetRegisteredModelAlias(
	ctx context.Context, request *protos.SetRegisteredModelAlias,
) (*protos.SetRegisteredModelAlias_Response, error) {
	response, err := r.ModelRegistry.SetRegisteredModelAlias(ctx, request)
	if err != nil {
		return nil, err
	}

	return response, r.ofPrompt(ctx, request.GetName(), func(isPrompt bool) {
		r.notify(ctx, either(isPrompt, protos.WebhookEntity_PROMPT_ALIAS, protos.WebhookEntity_MODEL_VERSION_ALIAS),
			protos.WebhookAction_CREATED, aliasCreated{
				Name: request.GetName(), Alias: request.GetAlias(), Version: request.GetVersion(),
			})
	})
}

// DeleteRegisteredModelAlias is handlers._delete_registered_model_alias.
func (r *registry) DeleteRegisteredModelAlias(
	ctx context.Context, request *protos.DeleteRegisteredModelAlias,
) (*protos.DeleteRegisteredModelAlias_Response, error) {
	response, err := r.ModelRegistry.DeleteRegisteredModelAlias(ctx, request)
	if err != nil {
		return nil, err
	}

	return response, r.ofPrompt(ctx, request.GetName(), func(isPrompt bool) {
		r.notify(ctx, either(isPrompt, protos.WebhookEntity_PROMPT_ALIAS, protos.WebhookEntity_MODEL_VERSION_ALIAS),
			protos.WebhookAction_DELETED, aliasDeleted{Name: request.GetName(), Alias: request.GetAlias()})
	})
}

// modelVersionsTag is a logged model's list of the versions that it was registered as.
const modelVersionsTag = "mlflow.modelVersions"

// checkNotable refuses a version whose logged model can't list it, before anything is written: MLflow
// finds out when the version is there already, and leaves it there. That there is no such registered
// model is said first, as in MLflow; but of a version without a run, the store looks for the logged
// model's before it does for the registered model.
func (r *registry) checkNotable(ctx context.Context, name string, from origin) error {
	_, err := r.notedVersions(ctx, *from.modelID)
	if err == nil {
		return nil
	}

	ofNoRun := from.runID == nil || *from.runID == ""
	if ofNoRun && contract.AsError(err).Code == protos.ErrorCode_RESOURCE_DOES_NOT_EXIST {
		return nil // said by the store, after what it finds wrong with the request
	}

	if _, missing := r.GetRegisteredModel(ctx, &protos.GetRegisteredModel{Name: new(name)}); missing != nil {
		return missing
	}

	return err
}

// notedVersions is a logged model's list of versions.
func (r *registry) notedVersions(ctx context.Context, modelID string) ([]any, error) {
	found, err := r.options.Tracking.GetLoggedModel(ctx, &protos.GetLoggedModel{ModelId: new(modelID)})
	if err != nil {
		return nil, err
	}

	for _, tag := range found.GetModel().GetInfo().GetTags() {
		if tag.GetKey() != modelVersionsTag || tag.GetValue() == "" {
			continue
		}

		parsed, err := codec.Parse(tag.GetValue())
		if err != nil {
			return nil, contract.Errorf(protos.ErrorCode_INTERNAL_ERROR, "The tag %s of logged model %s isn't JSON.",
				modelVersionsTag, modelID)
		}

		noted, _ := parsed.([]any)

		return noted, nil
	}

	return nil, nil
}

// noteVersion adds a version to the list of its logged model; one that is listed becomes the only
// one, as in MLflow (AbstractStore.set_model_versions_tags).
func (r *registry) noteVersion(ctx context.Context, modelID, name, version string) error {
	known, err := r.notedVersions(ctx, modelID)
	if err != nil {
		return err
	}

	entry := &codec.Raw{}
	entry.Set("name", name)
	entry.Set("version", json.Number(version))

	versions := []any{entry}
	if !lists(known, entry) {
		versions = slices.Concat(known, versions)
	}

	_, err = r.options.Tracking.SetLoggedModelTags(ctx, &protos.SetLoggedModelTags{
		ModelId: new(modelID),
		Tags: []*protos.LoggedModelTag{{
			Key: new(modelVersionsTag), Value: new(string(codec.AppendJSON(nil, versions))),
		}},
	})

	return err
}

func lists(known []any, entry *codec.Raw) bool {
	wanted := string(codec.AppendCompact(nil, entry))

	for _, item := range known {
		if string(codec.AppendCompact(nil, item)) == wanted {
			return true
		}
	}

	return false
}

// ofPrompt looks whether a registered model is a prompt, if there is anybody to be told.
func (r *registry) ofPrompt(ctx context.Context, name string, then func(isPrompt bool)) error {
	if r.options.Events == nil {
		return nil
	}

	isPrompt, err := r.IsPrompt(ctx, name)
	if err != nil {
		return err
	}

	then(isPrompt)

	return nil
}

func (r *registry) notify(
	ctx context.Context, entity protos.WebhookEntity, action protos.WebhookAction, payload any,
) {
	if r.options.Events != nil {
		r.options.Events.Notify(ctx, contract.Event{Entity: entity, Action: action, Payload: payload})
	}
}

func either[T any](condition bool, a, b T) T {
	if condition {
		return a
	}

	return b
}

func nilIfEmpty(text string) *string {
	if text == "" {
		return nil
	}

	return &text
}

// isPrompt tells whether tags are a prompt's (handlers._is_prompt_request).
func (t tags) isPrompt() bool {
	value := t.find(promptTag)

	return value != nil && strings.ToLower(*value) == "true"
}
