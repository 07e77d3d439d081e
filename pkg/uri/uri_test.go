package uri_test

import (
	_ "embed"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/pythontest"
	"github.com/mlflow/mlflow-go/pkg/uri"
)

//go:embed testdata/oracle.py
var oracle string

// locations are what people write, and random text of what matters in a URI.
func locations() []string {
	const generated = 1500

	all := slices.Grow([]string{
		"s3://bucket/path", "s3://bucket/path/?x=1#y", "s3:/path", "s3:path", "file:relative", "file:/a", "file:///a?q#f",
		"file://localhost/a", "file://remote/a", "file:./a//b/../c", "relative", "./relative/", "../up", "/absolute/", "", ".",
		"mlflow-artifacts:/", "mlflow-artifacts:", "dbfs:/databricks/x", "dbfs://profile@databricks/x", "http://h:1/p;params?q",
		"ftp://h/a;b/c;d", "a b%20c", "/a%2Fb", "x?y=..", "s3://b?x=%2e%2e", "s3://b?x=%252e%252e/", "HTTP://Host/A", "a:b:c",
		"C:\\path", "//host/path", "///a", "hdfs://user:pass@host:8020/x", "s3://[::1]/x", "s3://[::1/x", "http://ℂ.example/℀",
	}, generated)
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"s3", "file", "http", ":", "/", "//", "?", "#", ";", ".", "..", "%2e", "%25", "%", "a", "é", " ", "@", "[", "]"}

	for range generated {
		var text strings.Builder
		for range 1 + random.IntN(7) {
			text.WriteString(pieces[random.IntN(len(pieces))])
		}

		all = append(all, text.String())
	}

	return all
}

// TestAgreesWithMLflow compares what becomes of locations.
func TestAgreesWithMLflow(t *testing.T) {
	var want [][3]*string

	pythontest.Ask(t, locations(), &want, "-c", oracle)

	for i, location := range locations() {
		appended, appendErr := uri.AppendPath(location, "run", "/artifacts")
		resolved, resolveErr := uri.ResolveLocal(location)
		got := [3]*string{outcome(appended, appendErr), outcome(resolved, resolveErr), outcome("", uri.CheckQuery(location))}

		if got[2] != nil && *got[2] == "" {
			got[2] = nil // None
		}

		require.Equal(t, want[i], got, "%q", location)
	}
}

// outcome is a result, or MLflow's message after an exclamation mark.
func outcome(result string, err error) *string {
	var mlflow *contract.Error

	switch {
	case errors.As(err, &mlflow):
		result = "!" + mlflow.Message
	case err != nil:
		result = "!"
	}

	return &result
}

func TestNormPath(t *testing.T) {
	for given, want := range map[string]string{
		"": ".", "a/../b": "b", "a//b/.": "a/b", "/..": "/", "//a": "//a", "//": "//", "///a": "/a", "a/": "a", "../..": "../..",
	} {
		require.Equal(t, want, uri.NormPath(given), given)
	}
}
