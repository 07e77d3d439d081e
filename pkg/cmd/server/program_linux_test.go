package main

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestForgetStart(t *testing.T) {
	inMemory := func(status []byte) int { // KiB of files
		_, after, found := strings.Cut(string(status), "RssFile:")
		require.True(t, found)

		size, err := strconv.Atoi(strings.Fields(after)[0])
		require.NoError(t, err)

		return size
	}

	before, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)

	forgetStart()

	after, err := os.ReadFile("/proc/self/status") // before anything else comes back
	require.NoError(t, err)
	require.Less(t, inMemory(after), inMemory(before)*3/4)
	require.Panics(t, func() { panic("the program goes on") }) // by tables that were forgotten
}
