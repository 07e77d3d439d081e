package tracking

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunIDs(t *testing.T) {
	letters := strings.Repeat("é", 255)
	for id, good := range map[string]bool{
		"a": true, "a-b_c": true, "a" + letters: true, "a" + letters + "\n": true, "a\n": true,
		"": false, "-a": false, "a b": false, "a" + letters + "é": false, "a\n\n": false,
	} {
		require.Equal(t, good, checkRunID(id) == nil, "%q", id)
	}
}
