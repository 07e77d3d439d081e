package tracking

import (
	"encoding/json"
	"time"

	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
)

// parseJSON reads a JSON document; nil if it isn't one.
func parseJSON(text string) any {
	value, err := codec.Parse(text)
	if err != nil {
		return nil
	}

	return value
}

// formatJSON writes a value as json.dumps does.
func formatJSON(value any) string { return string(codec.AppendJSON(nil, value)) }

// modelHistoryEntry is what a run's tag says of a model: some of the model's members, and its
// flavors without their configuration (Model.from_dict, then Model.get_tags_dict).
func modelHistoryEntry(modelJSON string) (*codec.Raw, error) {
	model, ok := parseJSON(modelJSON).(*codec.Raw)
	if !ok {
		return nil, contract.InvalidParameter("Malformed model info. \n %s \n is not a JSON object.", modelJSON)
	}

	entry := &codec.Raw{}

	for _, name := range []string{"run_id", "artifact_path"} {
		if value, _ := model.Get(name); value != nil {
			entry.Set(name, value)
		}
	}

	created, _ := model.Get("utc_time_created")
	if isTrue(created) {
		entry.Set("utc_time_created", codec.Str(created))
	} else {
		entry.Set("utc_time_created", time.Now().UTC().Format("2006-01-02 15:04:05.000000"))
	}

	id, _ := model.Get("model_uuid")
	entry.Set("model_uuid", id)

	flavors, err := flavorsWithoutConfig(model)
	entry.Set("flavors", flavors)

	return entry, err
}

func flavorsWithoutConfig(model *codec.Raw) (*codec.Raw, error) {
	flavors := &codec.Raw{}

	given, _ := model.Get("flavors")
	if given == nil {
		return flavors, nil
	}

	object, ok := given.(*codec.Raw)
	if !ok {
		return nil, contract.InvalidParameter("The flavors of a model must be a JSON object, got %s.", codec.Str(given))
	}

	for flavor, settings := range object.All() {
		members, ok := settings.(*codec.Raw)
		if !ok {
			flavors.Set(flavor, settings)

			continue
		}

		kept := &codec.Raw{}

		for name, value := range members.All() {
			if name != "config" {
				kept.Set(name, value)
			}
		}

		flavors.Set(flavor, kept)
	}

	return flavors, nil
}

// isTrue is Python's bool(value).
func isTrue(value any) bool {
	switch value := value.(type) {
	case nil:
		return false
	case bool:
		return value
	case string:
		return value != ""
	case json.Number:
		number, err := value.Float64()

		return err != nil || number != 0 // an error means out of range
	case []any:
		return len(value) > 0
	case *codec.Raw:
		return value.Len() > 0
	default:
		return true
	}
}
