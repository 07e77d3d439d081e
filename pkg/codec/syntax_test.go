package codec

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/pythontest"
)

// loadsScript tells why json.loads refuses each text; null is no error.
const loadsScript = `
import json, sys
def refusal(text):
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return str(error)
print(json.dumps([refusal(text) for text in json.load(sys.stdin)]))`

func TestSyntaxErrorsAreThoseOfPython(t *testing.T) {
	whole := []string{
		"", " \n ", "\ufeff{}", "nul", "-", "-x", "+1", "1.", "1.e5", "1e", "1e+", "01", "- 1", ".5", "tru", "NaN1", "-Inf",
		`{"a": [1, 2.5e-3, "x\u00e9\ud83d\ude00\ud800 \\ \"/\b\f\n\r\t", null], "b": {"c": {}, "d": []}, "e": -0.0}`,
		"{\n  \"é\": \"åñ\u2028\",\n  \"\U0001f600\" :\t[true , false,\r\n NaN, Infinity, -Infinity]\n}\n", `"\ud83d\u0041"`,
		`[[[]], {"": ""}, "é😀\u1234"]`, `{"experiment_ids": ["1"], "filter_string": null, "offset": 2}`,
	}
	pieces := append(strings.Split(`{ } [ ] : , " \ \u \ud83d \ude00 \x 0 1 - + . e E n t null true NaN / é 😀`, " "),
		" ", "\n", "\t", "\x00", "\x1f", "\x7f", "\ufeff", "\u2028")
	random := rand.New(rand.NewPCG(1, 2))
	texts := whole

	for range 20_000 {
		text := []rune(whole[random.IntN(len(whole))])

		for range 1 + random.IntN(3) {
			at := random.IntN(len(text) + 1)
			end := min(at+random.IntN(3), len(text))
			piece := pieces[random.IntN(len(pieces))]

			switch random.IntN(4) {
			case 0:
				text = text[:at]
			case 1:
				text = append(text[:at:at], text[end:]...)
			default:
				text = append(append(text[:at:at], []rune(piece)...), text[end:]...)
			}
		}

		texts = append(texts, string(text))
	}

	var refusals []*string

	pythontest.Ask(t, texts, &refusals, "-c", loadsScript)
	require.Len(t, refusals, len(texts))

	kinds := map[string]int{}

	for i, text := range texts {
		require.True(t, utf8.ValidString(text))

		_, err := Parse(text)
		if refusals[i] == nil {
			require.NoError(t, err, "%q", text)

			continue
		}

		require.EqualError(t, err, *refusals[i], "%q", text)

		syntax, ok := errors.AsType[*SyntaxError](err)
		require.True(t, ok)

		kinds[syntax.Message]++
	}

	require.Len(t, kinds, 10, "every mistake that there is was made")
}
