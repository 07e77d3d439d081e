package handlers

import (
	"bytes"
	"encoding/json"
	"slices"
)

// What webhooks are told of the registry (mlflow.webhooks.types), member by member in MLflow's order.
type (
	modelCreated struct {
		Name        string `json:"name"`
		Tags        tags   `json:"tags"`
		Description string `json:"description"`
	}
	versionCreated struct {
		Name        string  `json:"name"`
		Version     string  `json:"version"`
		Source      string  `json:"source"`
		RunID       *string `json:"run_id"`
		Tags        tags    `json:"tags"`
		Description *string `json:"description"`
	}
	promptVersionCreated struct {
		Name        string  `json:"name"`
		Version     string  `json:"version"`
		Template    *string `json:"template"`
		Tags        tags    `json:"tags"`
		Description *string `json:"description"`
	}
	versionTagSet struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		Key     string `json:"key"`
		Value   string `json:"value"`
	}
	versionTagDeleted struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		Key     string `json:"key"`
	}
	promptTagSet struct {
		Name  string `json:"name"`
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	promptTagDeleted struct {
		Name string `json:"name"`
		Key  string `json:"key"`
	}
	aliasCreated struct {
		Name    string `json:"name"`
		Alias   string `json:"alias"`
		Version string `json:"version"`
	}
	aliasDeleted struct {
		Name  string `json:"name"`
		Alias string `json:"alias"`
	}
)

// tags are a Python dict of tags: in the order in which their keys came first, each with the value
// that came last. They are an object in JSON.
type tags []tag

type tag struct{ key, value string }

func tagsOf[T interface {
	GetKey() string
	GetValue() string
}](given []T) tags {
	var all tags

	for _, t := range given {
		if i := all.index(t.GetKey()); i >= 0 {
			all[i].value = t.GetValue()
		} else {
			all = append(all, tag{t.GetKey(), t.GetValue()})
		}
	}

	return all
}

// MarshalJSON writes an object.
func (t tags) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer

	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)

	for i, tag := range t {
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}

		out.WriteByte(separator)

		if err := encoder.Encode(tag.key); err != nil {
			return nil, err
		}

		out.WriteByte(':')

		if err := encoder.Encode(tag.value); err != nil {
			return nil, err
		}
	}

	if len(t) == 0 {
		out.WriteByte('{')
	}

	out.WriteByte('}')

	return out.Bytes(), nil
}

func (t tags) index(key string) int {
	return slices.IndexFunc(t, func(other tag) bool { return other.key == key })
}

// find gives a tag's value, nil without the tag.
func (t tags) find(key string) *string {
	if i := t.index(key); i >= 0 {
		return &t[i].value
	}

	return nil
}

func (t tags) without(keys ...string) tags {
	return slices.DeleteFunc(slices.Clone(t), func(other tag) bool { return slices.Contains(keys, other.key) })
}
