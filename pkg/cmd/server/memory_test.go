package main

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestGarbagePercent(t *testing.T) {
	for _, c := range []struct {
		live, scan uint64
		expected   int
	}{
		{0, 0, 100},
		{3 << 20, 1 << 20, 100},
		{5 << 20, 5 << 20, 60},
		{8 << 20, 8 << 20, 50},
		{10 << 20, 10 << 20, 50},
		{50 << 20, 8 << 20, 8},   // buffers
		{50 << 20, 50 << 20, 50}, // pointers
		{1 << 40, 1 << 40, 50},
	} {
		require.Equal(t, c.expected, garbagePercent(c.live, c.scan), c)
	}
}

// TestLimitGarbage has the heap grow and shrink.
func TestLimitGarbage(t *testing.T) {
	t.Setenv("GOGC", "")
	limitGarbage()

	percent := func() uint64 {
		runtime.GC()

		sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(sample)

		return sample[0].Value.Uint64()
	}
	large := make([]byte, 64<<20)

	require.Eventually(t, func() bool { return percent() < mostGarbage/2 }, time.Minute, time.Millisecond)
	runtime.KeepAlive(large)
	require.Eventually(t, func() bool { return percent() == mostGarbage }, time.Minute, time.Millisecond)
}
