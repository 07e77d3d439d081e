package main

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestForgetStart(t *testing.T) {
	inMemory := func() int { // KiB of files
		text, err := os.ReadFile("/proc/self/status")
		require.NoError(t, err)

		_, after, found := strings.Cut(string(text), "RssFile:")
		require.True(t, found)

		size, err := strconv.Atoi(strings.Fields(after)[0])
		require.NoError(t, err)

		return size
	}

	before := inMemory()

	forgetStart()

	require.Less(t, inMemory(), before*3/4)
	require.Panics(t, func() { panic("the program goes on") }) // by tables that were forgotten
}
