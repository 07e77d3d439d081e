package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// What the registry is seeded with: models, each with versions, tags and an alias.
const (
	seededModels   = 120
	seededVersions = 3
	modelPrefix    = "mlbench-model-"
	seededAlias    = "champion"
)

// registerModel makes a model, or finds it.
func (b *bench) registerModel(name string) error {
	err := b.post(api2+"registered-models/create", obj{
		"name": name, "description": "benchmark", "tags": []kv{{"team", "bench"}, {"stage", "test"}},
	}, nil)

	var refused *apiError
	if errors.As(err, &refused) && refused.status == http.StatusBadRequest {
		return errExists
	}
	return err
}

var errExists = errors.New("it exists")

// versionBody is the body that creates a version of a model.
func versionBody(name string) ([]byte, error) {
	return json.Marshal(obj{
		"name": name, "source": "s3://bucket/models/" + name, "run_id": "0123456789abcdef0123456789abcdef",
		"tags": []kv{{"framework", "sklearn"}, {"validated", "true"}},
	})
}

// seedRegistry makes what reads are measured on, once per server.
func (b *bench) seedRegistry() error {
	return b.parallel(seededModels, func(i int) error {
		name := modelPrefix + strconv.Itoa(i)
		if err := b.registerModel(name); err != nil {
			if errors.Is(err, errExists) {
				return nil
			}
			return err
		}
		body, err := versionBody(name)
		if err != nil {
			return err
		}
		for range seededVersions {
			if err := b.post(api2+"model-versions/create", json.RawMessage(body), nil); err != nil {
				return err
			}
		}
		return b.post(api2+"registered-models/alias",
			obj{"name": name, "alias": seededAlias, "version": strconv.Itoa(seededVersions)}, nil)
	})
}

func setupCreateVersion(b *bench) (*opState, error) {
	st := &opState{acked: make([]int64, b.cfg.clients)}
	names := make([]string, b.cfg.clients)
	bodies := make([][]byte, b.cfg.clients)
	for w := range names {
		names[w] = fmt.Sprintf("mlbench-create-%d-%d", time.Now().UnixNano(), w)
		if err := b.registerModel(names[w]); err != nil {
			return nil, err
		}
		var err error
		if bodies[w], err = versionBody(names[w]); err != nil {
			return nil, err
		}
	}
	st.next = func(w int, r *request) bool {
		*r = request{method: "POST", path: api2 + "model-versions/create", ctype: jsonType, body: bodies[w]}
		return true
	}
	st.check = func(b *bench) (string, error) {
		stored := 0
		for _, name := range names {
			var got struct {
				Version struct {
					Version string `json:"version"`
				} `json:"model_version"`
			}
			if err := b.get(api2+"registered-models/alias?alias=latest&name="+name, &got); err != nil {
				return "", err
			}
			n, err := strconv.Atoi(got.Version.Version)
			if err != nil {
				return "", err
			}
			stored += n
		}
		return compare("versions", sum(st.acked), stored, nil)
	}
	return st, nil
}

// fixedGet reads one address per worker, over and over.
func fixedGet(paths []string) func(int, *request) bool {
	return func(w int, r *request) bool {
		*r = request{method: "GET", path: paths[w%len(paths)]}
		return true
	}
}

func setupGetByAlias(b *bench) (*opState, error) {
	if err := b.seedRegistry(); err != nil {
		return nil, err
	}
	paths := make([]string, b.cfg.clients)
	for w := range paths {
		paths[w] = api2 + "registered-models/alias?alias=" + seededAlias + "&name=" + modelPrefix + strconv.Itoa(w%seededModels)
	}
	st := &opState{next: fixedGet(paths)}
	st.check = func(b *bench) (string, error) {
		var got struct {
			Version struct {
				Version string   `json:"version"`
				Tags    []kv     `json:"tags"`
				Aliases []string `json:"aliases"`
			} `json:"model_version"`
		}
		if err := b.get(paths[0], &got); err != nil {
			return "", err
		}
		if v := got.Version; v.Version != strconv.Itoa(seededVersions) || len(v.Tags) != 2 || len(v.Aliases) != 1 {
			return "", fmt.Errorf("version %s with %d tags and %d aliases", v.Version, len(v.Tags), len(v.Aliases))
		}
		return "the version with its tags and alias", nil
	}
	return st, nil
}

func setupSearchModels(b *bench) (*opState, error) {
	if err := b.seedRegistry(); err != nil {
		return nil, err
	}
	path := api2 + "registered-models/search?max_results=100&filter=" + url.QueryEscape("name LIKE '"+modelPrefix+"%'")
	st := &opState{next: fixedGet([]string{path})}
	st.check = func(b *bench) (string, error) {
		var got struct {
			Models []struct {
				Tags     []kv `json:"tags"`
				Versions []struct {
					Tags []kv `json:"tags"`
				} `json:"latest_versions"`
			} `json:"registered_models"`
		}
		if err := b.get(path, &got); err != nil {
			return "", err
		}
		for _, m := range got.Models {
			if len(m.Tags) != 2 || len(m.Versions) != 1 || len(m.Versions[0].Tags) != 2 {
				return "", errors.New("a model without its tags or latest version")
			}
		}
		return compare("models", 100, len(got.Models), nil)
	}
	return st, nil
}

func setupSearchVersions(b *bench) (*opState, error) {
	if err := b.seedRegistry(); err != nil {
		return nil, err
	}
	path := api2 + "model-versions/search?max_results=100&filter=" + url.QueryEscape("name LIKE '"+modelPrefix+"%'")
	st := &opState{next: fixedGet([]string{path})}
	st.check = func(b *bench) (string, error) {
		var got struct {
			Versions []struct {
				Tags []kv `json:"tags"`
			} `json:"model_versions"`
		}
		if err := b.get(path, &got); err != nil {
			return "", err
		}
		for _, v := range got.Versions {
			if len(v.Tags) != 2 {
				return "", errors.New("a version without its tags")
			}
		}
		return compare("versions", 100, len(got.Versions), nil)
	}
	return st, nil
}
