package files_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/server/files"
)

func TestAttachment(t *testing.T) {
	for name, want := range map[string]string{
		"MLmodel":       `attachment; filename=MLmodel`,
		"a b.txt":       `attachment; filename="a b.txt"`,
		`a"b\c`:         `attachment; filename="a\"b\\c"`,
		"100%+~.txt":    `attachment; filename=100%+~.txt`,
		"café.txt":      `attachment; filename=cafe.txt; filename*=UTF-8''caf%C3%A9.txt`,
		"ﬁn ½ é.txt":    `attachment; filename="fin 12 e.txt"; filename*=UTF-8''%EF%AC%81n%20%C2%BD%20%C3%A9.txt`,
		"жук":           `attachment; filename=download; filename*=UTF-8''%D0%B6%D1%83%D0%BA`,
		"жук(1)%20.txt": `attachment; filename="(1)%20.txt"; filename*=UTF-8''%D0%B6%D1%83%D0%BA%281%29%2520.txt`,
	} {
		require.Equal(t, want, files.Attachment(name), name)
	}
}
