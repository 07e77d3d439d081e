package webhooks

import (
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/pythontest"
)

//go:embed testdata/oracle.py
var oracleScript string

type ask map[string]any

func oracle(t *testing.T) func(question ask) string {
	t.Helper()

	python, err := pythontest.Start(nil, "-c", oracleScript)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, python.Close()) })

	return func(question ask) (answer string) {
		python.Ask(t, question, &answer)

		return answer
	}
}

func TestFernet(t *testing.T) {
	python := oracle(t)

	for _, key := range []string{GenerateKey(), python(ask{"ask": "generate"})} {
		secrets, err := newFernet(key)
		require.NoError(t, err)

		for _, text := range []string{"", "s", strings.Repeat("x", 15), strings.Repeat("x", 16), "ключ 🔑", strings.Repeat("é", 500)} {
			require.Equal(t, text, python(ask{"ask": "decrypt", "key": key, "text": secrets.encrypt(text)}))

			got, err := secrets.decrypt(python(ask{"ask": "encrypt", "key": key, "text": text}))
			require.NoError(t, err)
			require.Equal(t, text, got)
		}
	}
}

func TestFernetKeys(t *testing.T) {
	python := oracle(t)
	good := GenerateKey()
	raw, err := base64.URLEncoding.DecodeString("__________________________________________8=")
	require.NoError(t, err)

	for _, key := range []string{
		good, good + "\n", " " + good, base64.StdEncoding.EncodeToString(raw), "short", good[:40], good + good,
	} {
		_, err := newFernet(key)
		if want := python(ask{"ask": "key", "key": key}); want == "" {
			require.NoError(t, err, key)
		} else {
			require.EqualError(t, err, want, key)
		}
	}
}

func TestFernetErrToken(t *testing.T) {
	key, err := newFernet(GenerateKey())
	require.NoError(t, err)

	other, err := newFernet(GenerateKey())
	require.NoError(t, err)

	token := key.encrypt("secret")
	raw, err := base64.URLEncoding.DecodeString(token)
	require.NoError(t, err)

	for i := range raw { // every byte counts
		raw[i] ^= 1
		_, err := key.decrypt(base64.URLEncoding.EncodeToString(raw))
		require.ErrorIs(t, err, errToken, i)

		raw[i] ^= 1
	}

	for _, bad := range []string{"", "gAAAAA", token[:len(token)-4], token + "AAAA", "é"} {
		_, err := key.decrypt(bad)
		require.ErrorIs(t, err, errToken, bad)
	}

	_, err = other.decrypt(token)
	require.ErrorIs(t, err, errToken)
}

func TestSign(t *testing.T) {
	python := oracle(t)

	for _, parts := range [][4]string{
		{"secret", "id", "123", `{"a": 1}`},
		{"ключ", "00000000-0000-0000-0000-000000000000", "0", ""},
	} {
		require.Equal(t, python(ask{"ask": "sign", "parts": parts}),
			sign(parts[0], parts[1], parts[2], []byte(parts[3])))
	}
}

func TestExamples(t *testing.T) {
	python, err := pythontest.Start(nil, "-c", oracleScript)
	require.NoError(t, err)

	defer func() { require.NoError(t, python.Close()) }()

	var want map[string]string

	python.Ask(t, ask{"ask": "examples"}, &want)

	got := map[string]string{}

	for event, example := range examples {
		data, err := encodeData(example)
		require.NoError(t, err)

		got[event.String()] = string(data)

		require.Equal(t, event, eventOf(event.message().GetEntity(), event.message().GetAction()))
	}

	require.Equal(t, want, got)
}

func TestEncodeData(t *testing.T) {
	python := oracle(t)

	for _, payload := range []any{
		nil, "", []int{}, map[string]string{}, map[string]any{"a": []any{1, "b, c: d", nil, true}, "é": "<&>\u2028\"\\\n\x01\x7f🔑"},
		struct {
			Name string  `json:"name"`
			Tags any     `json:"tags"`
			Run  *string `json:"run_id"`
		}{"\\\",:", map[string]string{"k": "\\"}, nil},
	} {
		plain, err := json.Marshal(payload)
		require.NoError(t, err)

		got, err := encodeData(payload)
		require.NoError(t, err)
		require.Equal(t, python(ask{"ask": "dumps", "json": plain}), string(got))
	}

	_, err := encodeData(func() {})
	require.Error(t, err)
}

func TestEncodePayload(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.FixedZone("", 3600))
	require.Equal(t, //nolint:testifylint // the spelling counts: it is signed
		`{"entity": "prompt", "action": "created", "timestamp": "2026-01-02T02:04:05.000006+00:00", "data": {}}`,
		string(encodePayload(event{"prompt", "created"}, []byte("{}"), at)))
	require.Contains(t, string(encodePayload(event{}, nil, at.Truncate(time.Second))), `"2026-01-02T02:04:05+00:00"`)
}
