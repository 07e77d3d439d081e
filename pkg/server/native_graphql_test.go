package server

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/config"
	"github.com/mlflow/mlflow-go/pkg/graphql"
)

func startGraphQL(t *testing.T, settings *config.Config) string {
	t.Helper()

	server, url := start(t, settings, noEnvironment)
	services := map[string]any{"MlflowService": service{}}
	answering, err := graphql.New(services, graphql.Limits{RootFields: 10, Aliases: 10})
	require.NoError(t, err)

	services[GraphQLServiceName] = answering
	server.Provide(services)

	return url + "/graphql"
}

const (
	nativeQuery  = `{"query": "{test(inputString: \"é\") {output}}"}`
	proxiedQuery = `{"query": "{mlflowListArtifacts(input: {runId: \"é\"}) {rootUri}}"}`
)

func TestGraphQL(t *testing.T) {
	url := startGraphQL(t, settings(t))

	t.Run("OK", func(t *testing.T) {
		for _, verb := range []string{http.MethodGet, http.MethodPost} {
			response, body := ask(t, verb, url, nativeQuery, typed)
			require.Equal(t, http.StatusOK, response.StatusCode)
			require.Equal(t, "application/json", response.Header.Get("Content-Type"))
			require.Equal(t, "nosniff", response.Header.Get("X-Content-Type-Options"))
			//nolint:testifylint // the spelling counts
			require.Equal(t, `{"data":{"test":{"output":"\u00e9"}},"errors":null}`+"\n", body)
		}
	})
	t.Run("OKPassedOnWhole", func(t *testing.T) {
		for range 3 { // on one connection, where what is left of a body would be the next request
			response, body := ask(t, http.MethodPost, url, proxiedQuery, typed)
			require.Equal(t, 299, response.StatusCode)
			require.Equal(t, proxiedQuery, body) //nolint:testifylint // each byte counts

			response, _ = ask(t, http.MethodPost, url, nativeQuery, typed)
			require.Equal(t, http.StatusOK, response.StatusCode)
		}
	})

	for name, body := range map[string]string{
		"ErrNoJSON": `{`, "ErrNoObject": `[]`, "ErrNoQuery": `{}`, "ErrQueryIsNoText": `{"query": 5}`,
		"ErrVariables": `{"query": "{__typename}", "variables": []}`, "ErrSyntax": `{"query": "{"}`,
		"ErrEmpty": `{"query": "# nothing"}`,
	} {
		t.Run(name, func(t *testing.T) {
			response, text := ask(t, http.MethodPost, url, body, typed)
			require.Equal(t, http.StatusBadRequest, response.StatusCode)
			require.Contains(t, text, `"error_code": "INVALID_PARAMETER_VALUE"`)
		})
	}

	t.Run("ErrContentType", func(t *testing.T) {
		response, text := ask(t, http.MethodPost, url, nativeQuery, "Content-Type: text/plain")
		require.Equal(t, http.StatusBadRequest, response.StatusCode)
		require.Contains(t, text, "Content-Type must be one of")
	})
	t.Run("ErrNobody", func(t *testing.T) {
		options := settings(t)
		options.Go.Fallback = config.FallbackOff

		response, text := ask(t, http.MethodPost, startGraphQL(t, options), proxiedQuery, typed)
		require.Equal(t, http.StatusNotImplemented, response.StatusCode)
		require.Contains(t, text, "fallback=off")
	})
}

func TestServerInfo(t *testing.T) {
	server, url := start(t, settings(t), noEnvironment)
	server.Provide(map[string]any{"UIService": nil})

	for gateway, shown := range map[string]string{"": "true", "true": "true", "false": "false", "0": "false"} {
		t.Setenv(gatewayVariable, gateway)

		response, body := ask(t, http.MethodGet, url+"/api/3.0/mlflow/server-info", "")
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.Contains(t, body, `"features_enabled":{"gateway":`+shown+`}`)
	}
}
