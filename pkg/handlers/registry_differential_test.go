package handlers_test

import (
	"fmt"
	"maps"
	"strings"
)

const (
	registeredModels = "registered-models/"
	modelVersions    = "model-versions/"
)

func destroy(path string, members m) exchange { return exchange{"DELETE", path, members} }

func tagList(pairs ...string) []any {
	list := make([]any, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, m{"key": pairs[i], "value": pairs[i+1]})
	}

	return list
}

func newVersion(name string, fields m) exchange {
	whole := m{"name": name, "source": "s3://bucket/models/" + name}
	maps.Copy(whole, fields)

	return post(modelVersions+"create", whole)
}

// registryRules come by every rule for models, versions, tags, aliases and stages. PostgreSQL's driver
// refuses some of what SQLAlchemy makes of a version.
func registryRules(lax bool) []exchange {
	long := strings.Repeat("é", 100_001)
	exchanges := []exchange{
		post(registeredModels+"create", m{"name": "m", "tags": tagList("b", "1", "a", "2", "b", "3"), "description": "d"}),
		post(registeredModels+"create", m{"name": "m"}),
		post(registeredModels+"create", m{"name": "p", "tags": tagList("mlflow.prompt.is_prompt", "true", "t", "")}),
		post(registeredModels+"create", m{"name": "p"}),
		post(registeredModels+"create", m{"name": "it's", "tags": tagList("mlflow.prompt.is_prompt", "false")}),
		post(registeredModels+"create", m{"name": "p", "tags": tagList("mlflow.prompt.is_prompt", "x")}),
		post(registeredModels+"create", m{"name": "m", "tags": tagList("mlflow.prompt.is_prompt", "true")}),
		post(registeredModels+"create", m{"name": "it's"}),
	}

	for _, name := range []any{"", nil, "  ", "\x1f", "a/b", "a:b", "..", ".", "a//b", "é ü", 5, []any{}, "\u2028", "a\\b", "%41", "..x"} {
		exchanges = append(exchanges, post(registeredModels+"create", m{"name": name}))
	}

	for _, tag := range []m{
		{"key": "a/../b", "value": ""}, {"key": "ü%", "value": ""}, {"key": strings.Repeat("k", 251), "value": ""}, {"key": "", "value": ""}, {},
		{"key": "k", "value": long}, {"key": "k", "value": nil},
	} {
		exchanges = append(exchanges,
			post(registeredModels+"create", m{"name": "tagged", "tags": []any{tag}}),
			destroy(registeredModels+"delete", m{"name": "tagged"}),
			newVersion("m", m{"tags": []any{tag}}))

		set := m{"name": "m"}
		maps.Copy(set, tag)

		onVersion := m{"version": "1"}
		maps.Copy(onVersion, set)

		exchanges = append(exchanges,
			post(registeredModels+"set-tag", set), destroy(registeredModels+"delete-tag", set),
			post(modelVersions+"set-tag", onVersion), destroy(modelVersions+"delete-tag", onVersion))
	}

	exchanges = append(exchanges,
		get(registeredModels+"get", m{"name": "m"}), get(registeredModels+"get", m{"name": "none"}), get(registeredModels+"get", m{}), get(registeredModels+"get", m{"name": "a/b"}),
		patch(registeredModels+"update", m{"name": "m", "description": "é"}), patch(registeredModels+"update", m{"name": "m"}),
		patch(registeredModels+"update", m{"name": "none"}), patch(registeredModels+"update", m{"name": "a:"}), patch(registeredModels+"update", m{"name": "m", "description": 5}),
		newVersion("m", m{"tags": tagList("x", "1", "x", "2", "y", ""), "run_link": "http://link", "description": "first"}),
		newVersion("m", m{"run_id": "0123"}), newVersion("none", m{}), newVersion("a/b", m{}),
		newVersion("m", m{"tags": tagList("mlflow.prompt.text", long)}),
		newVersion("m", m{"model_id": "m-none"}), newVersion("m", m{"source": ""}), newVersion("m", m{"tags": "x"}),
		post(registeredModels+"set-tag", m{"name": "m", "key": "k", "value": 5}),
		post(registeredModels+"set-tag", m{"name": "m", "key": "k"}), post(registeredModels+"set-tag", m{"name": "none", "key": "k", "value": "v"}),
		post(registeredModels+"set-tag", m{"name": "m", "key": "k", "value": "other"}),
		destroy(registeredModels+"delete-tag", m{"name": "m", "key": "never"}), destroy(registeredModels+"delete-tag", m{"name": "none", "key": "k"}),
		destroy(registeredModels+"delete-tag", m{"name": "m", "key": "a"}),
		post(modelVersions+"set-tag", m{"name": "m", "version": "1", "key": "x", "value": "3"}), post(modelVersions+"set-tag", m{"name": "m", "version": "9", "key": "x", "value": "3"}),
		post(modelVersions+"set-tag", m{"name": "none", "version": "1", "key": "x", "value": "3"}), post(modelVersions+"set-tag", m{"name": "m", "version": "x", "key": "x"}),
		destroy(modelVersions+"delete-tag", m{"name": "m", "version": "1", "key": "never"}), destroy(modelVersions+"delete-tag", m{"name": "m", "version": "7", "key": "x"}),
		destroy(modelVersions+"delete-tag", m{"name": "m", "version": "1", "key": "y"}),
	)

	for _, version := range []any{"1", "2", " 1 ", "+1", "1_0", "0", "-1", "x", "", "1.0", "99999999999", 1, nil, "٢"} {
		if version == "99999999999" && !lax {
			continue
		}

		named := m{"name": "m", "version": version}
		exchanges = append(exchanges, get(modelVersions+"get", named), get(modelVersions+"get-download-uri", named),
			patch(modelVersions+"update", m{"name": "m", "version": version, "description": "new"}),
			post(registeredModels+"alias", m{"name": "m", "alias": "of", "version": version}),
			post(modelVersions+"transition-stage", m{"name": "m", "version": version, "stage": "staging"}))
	}

	exchanges = append(exchanges,
		get(modelVersions+"get", m{"name": "none", "version": "1"}), get(modelVersions+"get", m{"name": "a/b", "version": "x"}), get(modelVersions+"get-download-uri", m{}), get(modelVersions+"get-download-uri", m{"name": "m"}),
		patch(modelVersions+"update", m{"name": "m", "version": "1"}), patch(modelVersions+"update", m{"name": "m", "version": "1", "description": ""}), patch(modelVersions+"update", m{"name": "none", "version": "1"}),
	)

	for _, alias := range []any{"champion", "a-b_ü", "latest", "LATEST", "v1", "V٣", "v", "a b", "a.b", "", nil, "a\n", strings.Repeat("a", 256), strings.Repeat("a", 255), 5} {
		exchanges = append(exchanges, post(registeredModels+"alias", m{"name": "m", "alias": alias, "version": "1"}),
			get(registeredModels+"alias", m{"name": "m", "alias": alias}))
	}

	exchanges = append(exchanges,
		get(registeredModels+"alias", m{"name": "none", "alias": "x"}), get(registeredModels+"alias", m{"name": "none", "alias": "latest"}), get(registeredModels+"alias", m{"name": "p", "alias": "latest"}),
		get(registeredModels+"alias", m{"name": "m", "alias": "never"}),
		post(registeredModels+"alias", m{"name": "m", "alias": "champion", "version": "2"}), post(registeredModels+"alias", m{"name": "m", "alias": "champion", "version": "9"}), post(registeredModels+"alias", m{"name": "none", "alias": "champion", "version": "1"}),
		get(registeredModels+"alias", m{"name": "m", "alias": "champion"}), get(modelVersions+"get", m{"name": "m", "version": "2"}),
		destroy(registeredModels+"alias", m{"name": "m", "alias": "a-b_ü"}), destroy(registeredModels+"alias", m{"name": "m", "alias": "never"}), destroy(registeredModels+"alias", m{"name": "none", "alias": "x"}), destroy(registeredModels+"alias", m{"name": "m", "alias": "a b"}),
		get(registeredModels+"get", m{"name": "m"}),
		newVersion("m", m{}), newVersion("m", m{}), newVersion("m", m{}),
	)

	for _, move := range []m{
		{"version": "3", "stage": "Production"}, {"version": "1", "stage": "PRODUCTION", "archive_existing_versions": true}, {"version": "4", "stage": "production", "archive_existing_versions": true},
		{"version": "2", "stage": "archived", "archive_existing_versions": true}, {"version": "2", "stage": "nowhere"}, {"version": "2", "stage": ""}, {"version": "2", "stage": "None", "archive_existing_versions": "yes"},
		{"version": "9", "stage": "Staging"}, {"version": "2", "stage": "Deleted_Internal"}, {"version": "x", "stage": "nowhere"}, {"version": "2", "stage": "none"}, {"version": "2", "stage": "None", "archive_existing_versions": true},
	} {
		move["name"] = "m"
		if !lax {
			delete(move, "archive_existing_versions")
		}

		exchanges = append(exchanges, post(modelVersions+"transition-stage", move), get(registeredModels+"get", m{"name": "m"}))
	}

	for _, stages := range []any{nil, []any{}, []any{"production"}, []any{"None", "Archived"}, []any{"x"}, []any{"None", "y"}, "Staging", []any{5}} {
		exchanges = append(exchanges, post(registeredModels+"get-latest-versions", m{"name": "m", "stages": stages}))
	}

	return append(exchanges,
		post(registeredModels+"get-latest-versions", m{"name": "none", "stages": []any{"x"}}), get(registeredModels+"get-latest-versions", m{"name": "m", "stages": []any{"Staging", "Production"}}),
		post(modelVersions+"transition-stage", m{"name": "none", "version": "1", "stage": "Staging"}),
		destroy(modelVersions+"delete", m{"name": "m", "version": "2"}), destroy(modelVersions+"delete", m{"name": "m", "version": "2"}), destroy(modelVersions+"delete", m{"name": "a/b", "version": "x"}), destroy(modelVersions+"delete", m{"name": "a/b", "version": "1"}), destroy(modelVersions+"delete", m{"name": "none", "version": "1"}),
		get(registeredModels+"get", m{"name": "m"}), get(modelVersions+"get", m{"name": "m", "version": "2"}), get(registeredModels+"alias", m{"name": "m", "alias": "champion"}),
		post(registeredModels+"alias", m{"name": "m", "alias": "x", "version": "2"}), post(modelVersions+"transition-stage", m{"name": "m", "version": "2", "stage": "None"}),
		destroy(modelVersions+"delete", m{"name": "m", "version": "5"}), newVersion("m", m{}),
		get(registeredModels+"alias", m{"name": "m", "alias": "Latest"}),
		post(registeredModels+"rename", m{"name": "m", "new_name": "renamed"}), post(registeredModels+"rename", m{"name": "m", "new_name": "x"}), post(registeredModels+"rename", m{"name": "renamed", "new_name": "a/b"}), post(registeredModels+"rename", m{"name": "renamed", "new_name": " "}), post(registeredModels+"rename", m{"name": "renamed"}),
		post(registeredModels+"rename", m{"name": "p", "new_name": "renamed"}), post(registeredModels+"rename", m{"name": "renamed", "new_name": "renamed"}), post(registeredModels+"rename", m{"name": "a:b", "new_name": "renamed"}),
		get(registeredModels+"get", m{"name": "renamed"}), get(modelVersions+"get", m{"name": "renamed", "version": "1"}), get(registeredModels+"get", m{"name": "m"}),
		destroy(registeredModels+"delete", m{"name": "renamed"}), destroy(registeredModels+"delete", m{"name": "renamed"}), destroy(registeredModels+"delete", m{"name": ""}), destroy(registeredModels+"delete", m{"name": "p"}), destroy(registeredModels+"delete", m{"name": "it's"}),
	)
}

// registrySources are where versions may and may not come from.
func registrySources() []exchange {
	exchanges := []exchange{
		post("runs/create", m{"experiment_id": "0"}),
		post("experiments/create", m{"name": "local", "artifact_location": "/srv/artifacts"}),
		post("experiments/create", m{"name": "local uri", "artifact_location": "file:///srv/arti%20facts"}),
		post("runs/create", m{"experiment_id": "$experiment0"}),
		post("runs/create", m{"experiment_id": "$experiment1"}),
		post("logged-models", m{"experiment_id": "0", "source_run_id": "$run0"}),
		post("logged-models", m{"experiment_id": "$experiment0", "source_run_id": "$run1"}),
		post("logged-models", m{"experiment_id": "0"}),
		post(registeredModels+"create", m{"name": "src"}),
		post(registeredModels+"create", m{"name": "dst"}),
		post(registeredModels+"create", m{"name": "prompt", "tags": tagList("mlflow.prompt.is_prompt", "True")}),
		newVersion("src", m{"run_id": "abc", "source": "s3://bucket/src/1"}), newVersion("src", m{"source": "s3://bucket/src/2"}),
		post(registeredModels+"alias", m{"name": "src", "alias": "best", "version": "1"}),
		post(modelVersions+"transition-stage", m{"name": "src", "version": "1", "stage": "Staging"}),
		newVersion("prompt", m{"source": "dummy-source", "tags": tagList("mlflow.prompt.is_prompt", "true", "mlflow.prompt.text", "Hi")}),
		newVersion("prompt", m{"source": "prompt-template", "tags": tagList("mlflow.prompt.is_prompt", "TRUE", "mlflow.prompt.text", "Hi")}),
		newVersion("prompt", m{"source": "s3://b/x", "tags": tagList("mlflow.prompt.is_prompt", "true")}),
		newVersion("prompt", m{
			"source": "dummy-source", "description": "<é>",
			"tags": tagList("z", "1", "mlflow.prompt.is_prompt", "true", "_mlflow_prompt_type", "text", "a", "\"<&", "z", "2"),
		}),
		post(registeredModels+"create", m{"name": "prompt 2", "tags": tagList("mlflow.prompt.is_prompt", "true", "_mlflow_prompt_type", "chat", "b", "1", "a", "2")}),
		post(registeredModels+"set-tag", m{"name": "prompt", "key": "k", "value": "v"}), destroy(registeredModels+"delete-tag", m{"name": "prompt", "key": "k"}),
		post(modelVersions+"set-tag", m{"name": "prompt", "version": "1", "key": "k"}), destroy(modelVersions+"delete-tag", m{"name": "prompt", "version": " 1", "key": "k"}),
		post(registeredModels+"alias", m{"name": "prompt", "alias": "a", "version": "+1"}), destroy(registeredModels+"alias", m{"name": "prompt", "alias": "a"}),
		destroy(registeredModels+"delete", m{"name": "prompt 2"}),
		newVersion("prompt", m{"source": "dummy-source"}),
		newVersion("prompt", m{"source": "s3://b/x", "tags": tagList("mlflow.prompt.is_prompt", "true", "mlflow.prompt.is_prompt", "false")}),
	}

	at := "mlflow-artifacts://storage:8080/root/0/"
	for _, source := range []string{
		"runs:/$run0/model", "runs:/$run0", "runs:/other/model", "runs:", "runs:/", "runs://host/$run0/model", "RUNS:/$run0/x", "runs:/$run0//x", "runs:/$run0/../x", "runs:/$run0/a b", "runs:/$run0/a%20b",
		"models:/src/1", "models:/src/2", "models:/src/9", "models:/src@best", "models:/src@none", "models:/src/latest", "models:/src/LATEST", "models:/src/Staging", "models:/src/production", "models:/src/nowhere", "models:/dst/latest",
		"models:/none/1", "models:/prompt/1", "models://src/1", "models:/src/1/x", "models:/", "models:", "models:/src/", "models:/src@", "models:/a:b/1", "models:///src/1", "models:/ /1", "models:/src/1#f", "models:/src/٣", "models:/src/01",
		"models:/$model0", "models:/$model1", "models:/$model2", "models:/m-none", "Models:/src/1",
		at + "$run0/artifacts", at + "$run0/artifacts/model", at + "$run0/artifacts/../x", at + "other/artifacts", at + "$run0/artifacts%2Fmodel", "mlflow-artifacts:/root/0/$run0/artifacts", "mlflow-artifacts://Storage:8080/root/0/$run0/artifacts/m",
		"http://storage:8080/api/2.0/mlflow-artifacts/artifacts/x", "https://other/x", "http://storage:8080/x", "https://storage:8080/prefix/api/2.0/mlflow-artifacts/artifacts/0/$run0",
		"/srv/artifacts/$run1/artifacts/model", "/srv/artifacts/$run1/artifacts", "/srv/artifacts/$run1", "/srv/artifacts/$run1/artifacts/../x", "file:///srv/artifacts/$run1/artifacts/m", "file:/srv/artifacts/$run1/artifacts/m", "/etc/passwd", "relative/path", "./x", "..",
		"file:///srv/arti%20facts/$run2/artifacts/m", "/srv/arti facts/$run2/artifacts/m", "/srv/arti%20facts/$run2/artifacts/m",
		"file://remote/x", "file://localhost/srv/artifacts/$run1/artifacts/m", "/srv/artifacts/$model1/artifacts", "/srv/artifacts/models/$model1/artifacts/x",
		at + "models/$model0/artifacts", at + "models/$model0/artifacts/x", at + "models/$model2/artifacts",
		"s3://bucket/a", "s3://bucket/a/", "s3://bucket", "s3://bucket/a/../b", "s3://bucket/a/%2e%2e/b", "s3://bucket/a/%252e%252e/b", "s3://bucket/a//b", "s3://bucket/./a", "s3://bucket/a%00", "s3://bucket/a+b", "s3:/bucket/a", "s3:a", "s3://bucket/bin/x",
		"s3://bucket/..a", "s3://bucket/a/..", "dbfs:/x", "gs://b/x?versionId=1", "gs://b/x#frag", "gs://b/a;b", "databricks", "ftp://host/x", "hdfs://host/x", "dummy-source", "prompt-template", " s3://bucket/a", "s3://b/é", "C:/x", "x",
	} {
		exchanges = append(exchanges, newVersion("dst", m{"source": source}))

		for _, ids := range []m{{"run_id": "$run0"}, {"run_id": "$run1"}, {"run_id": "$run2"}, {"run_id": "none"}, {"model_id": "$model0"}, {"model_id": "$model1"}, {"model_id": "m-none"}, {"run_id": "abc"}, {"run_id": "", "model_id": ""}, {"run_id": "$run0", "model_id": "$model2"}} {
			fields := m{"source": source}
			maps.Copy(fields, ids)
			exchanges = append(exchanges, newVersion("dst", fields))
		}
	}

	return append(exchanges,
		get("logged-models/$model0", m{}),
		newVersion("src", m{"source": "models:/$model0", "model_id": "$model0", "tags": tagList("a", "b")}),
		get("logged-models/$model0", m{}),
		get(modelVersions+"get-download-uri", m{"name": "src", "version": "3"}),
		newVersion("src", m{"source": "models:/src/3"}),
		get(modelVersions+"get-download-uri", m{"name": "src", "version": "4"}),
		destroy(registeredModels+"delete", m{"name": "src"}), destroy(registeredModels+"delete", m{"name": "dst"}), destroy(registeredModels+"delete", m{"name": "prompt"}),
	)
}

// registrySearch finds models and versions in every way; numbers that are too large for a version only
// where the database takes them.
// registrySearch has no two names that are one to the database, where case doesn't count: versions
// created by the other spelling make MLflow's search fail.
func registrySearch(lax, folds bool) []exchange {
	var exchanges []exchange

	other := "A"
	if folds {
		other = "Ac"
	}

	for i, name := range []string{"a", "B", "ab", other, "%_", "é", "prompt 1", "prompt 2", "empty"} {
		tags := tagList("t", []string{"V", "v"}[i%2])
		if strings.HasPrefix(name, "prompt") {
			tags = append(tags, tagList("mlflow.prompt.is_prompt", "true")...)
		}

		exchanges = append(exchanges, post(registeredModels+"create", m{"name": name, "tags": tags}))

		for j := range 3 {
			fields := m{"tags": append(tagList("n", []string{"1", "2", "3"}[j]), tags...), "run_id": []string{"r1", "r2", ""}[j]}
			if strings.HasPrefix(name, "prompt") {
				fields["source"] = "dummy-source"
			}

			if name == "%_" {
				fields["source"] = "s3://bucket/percent"
			}

			if name != "empty" {
				exchanges = append(exchanges, newVersion(name, fields))
			}
		}
	}

	exchanges = append(exchanges,
		post(modelVersions+"transition-stage", m{"name": "a", "version": "1", "stage": "Staging"}), post(modelVersions+"transition-stage", m{"name": "a", "version": "2", "stage": "Archived"}),
		post(registeredModels+"alias", m{"name": "a", "alias": "x", "version": "2"}), destroy(modelVersions+"delete", m{"name": "B", "version": "3"}))

	for _, filter := range []string{
		"", "name = 'a'", "name LIKE 'A%'", "name ILIKE 'a%'", "name != 'a'", "name IN ('a', 'B')", "name NOT IN ('a', 'B')", "name LIKE '\\%%'", "tags.t = 'v'", "tags.t != 'v'", "tags.t LIKE 'V'", "tags.t ILIKE 'v' AND name = 'a'",
		"tags.t = 'v' AND tags.t != 'V'", "tags.t = 'v' AND tags.n = '1'", "tags.none = 'x'", "tags.`mlflow.prompt.is_prompt` = 'true'", "tags.`mlflow.prompt.is_prompt` = 'TRUE'", "tags.`mlflow.prompt.is_prompt` != 'false'", "tags.`mlflow.prompt.is_prompt` = 'false'",
		"tags.`mlflow.prompt.is_prompt` != 'true' AND name LIKE '%'", "tags.`mlflow.prompt.is_prompt` = 'true' AND name LIKE '%1' AND tags.t = 'V'", "tags.`mlflow.prompt.is_prompt` LIKE 'true'", "tags.`mlflow.prompt.is_prompt` = 'true' AND tags.`mlflow.prompt.is_prompt` = 'false'",
		"run_id = 'r1'", "run_id IN ('r1', 'r2')", "run_id = ''", "run_id != 'r1'", "source_path = 's3://bucket/models/a'", "source_path LIKE '%percent'", "version_number = 1", "version_number > 1", "version_number <= '2'", "version_number != 2", "version_number > 99999999999", "version_number > -99999999999",
		"version_number != 99999999999", "version_number < -5", "version_number = 1.0", "name = 'a' AND version_number = 2 AND run_id = 'r2' AND tags.n = '2'", "name = a", "foo = 'x'", "name = 'a' OR name = 'b'", "creation_timestamp > 5",
	} {
		if strings.Contains(filter, "99999999999") && !lax {
			continue
		}

		exchanges = append(exchanges, get(registeredModels+"search", m{"filter": filter}),
			get(modelVersions+"search", m{"filter": filter, "order_by": []any{"name", "version_number"}}))
	}

	for _, orders := range [][]any{
		{"name"}, {"name DESC"}, {"timestamp"}, {"last_updated_timestamp DESC", "name DESC"}, {"timestamp", "last_updated_timestamp"}, {"name", "name"}, {"creation_timestamp"}, {"version_number DESC"}, {"version_number", "name DESC"}, {"nope"}, {"name foo"}, {"tags.t"}, {"attribute.name"}, {"tag.name", "version_number ASC"}, {5}, {""},
	} {
		exchanges = append(exchanges, get(registeredModels+"search", m{"order_by": orders}))

		if strings.Contains(fmt.Sprint(orders[0]), "timestamp") {
			continue // equal times are in no order
		}

		exchanges = append(exchanges, get(modelVersions+"search", m{"order_by": orders}))
	}

	for _, size := range []any{0, 1, 3, 7, 1000, 1001, 200_000, 200_001, "x", ""} {
		exchanges = append(exchanges, get(registeredModels+"search", m{"max_results": size}),
			get(modelVersions+"search", m{"max_results": size, "order_by": []any{"name", "version_number"}}))
	}

	for _, token := range []string{"eyJvZmZzZXQiOiAxfQ==", "eyJvZmZzZXQiOiAyMH0=", "x", "e30=", ""} {
		exchanges = append(exchanges,
			get(registeredModels+"search", m{"max_results": 2, "page_token": token}), get(registeredModels+"search", m{"filter": "name > 'a'", "page_token": token}), get(registeredModels+"search", m{"order_by": []any{"x"}, "page_token": token}),
			get(modelVersions+"search", m{"max_results": 2, "page_token": token, "order_by": []any{"name"}}), get(modelVersions+"search", m{"filter": "name > 'a'", "page_token": token}))
	}

	return append(exchanges, get(modelVersions+"search", m{"max_results": -1}), get(registeredModels+"search", m{"filter": "name = 'x' AND"}))
}
