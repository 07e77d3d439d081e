package pyfmt_test

import (
	_ "embed"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/pyfmt"
	"github.com/mlflow/mlflow-go/pkg/pythontest"
)

//go:embed testdata/oracle.py
var oracle string

// TestAgreesWithPython goes through every character that Python's Unicode version knows.
func TestAgreesWithPython(t *testing.T) {
	var want struct {
		Characters [][4]any `json:"characters"`
	}

	pythontest.Ask(t, nil, &want, "-c", oracle)
	require.Greater(t, len(want.Characters), 100_000)

	for _, w := range want.Characters {
		character := w[0].(string)
		require.Equal(t, w[1], pyfmt.Repr(character), "repr of %U", []rune(character))
		require.Equal(t, w[2], parsed("1"+character), "int of 1 and %U", []rune(character))
		require.Equal(t, w[3], parsed(character+"1"), "int of %U and 1", []rune(character))
	}
}

// parsed is an integer as encoding/json reads one, or nil.
func parsed(text string) any {
	number, ok := pyfmt.ParseInt(text)
	if !ok {
		return nil
	}

	return float64(number.Int64())
}

func TestRepr(t *testing.T) {
	for given, want := range map[string]string{
		"":      `''`,
		`it's`:  `"it's"`,
		`'"`:    `'\'"'`,
		`a\b`:   `'a\\b'`,
		"\x00é": `'\x00é'`,
	} {
		require.Equal(t, want, pyfmt.Repr(given))
	}

	require.Equal(t, `['a', "'"]`, pyfmt.ReprList([]string{"a", "'"}))
	require.Equal(t, `[]`, pyfmt.ReprList(nil))
}

func TestParseInt(t *testing.T) {
	for given, want := range map[string]string{
		"+1_000": "1000", "-0": "0", "٣٤": "34", "99999999999999999999": "99999999999999999999",
	} {
		number, ok := pyfmt.ParseInt(given)
		require.True(t, ok, given)
		require.Equal(t, want, number.String())
	}

	number, ok := pyfmt.ParseInt(" 12\n")
	require.True(t, ok)
	require.Equal(t, "12", number.String())

	for _, given := range []string{"", " ", "+", "1_", "_1", "1__0", "+_1", "0x1", "1.0", "1e3", "- 1", "²"} {
		_, ok := pyfmt.ParseInt(given)
		require.False(t, ok, given)
	}
}

func TestPrefix(t *testing.T) {
	require.Equal(t, "éé", pyfmt.Prefix("ééé", 2))
	require.Equal(t, "é", pyfmt.Prefix("é", 2))
	require.Empty(t, pyfmt.Prefix("é", 0))
	require.Equal(t, 3, pyfmt.Len("é😀a"))
}
