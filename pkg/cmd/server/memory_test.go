package main

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestGarbagePercent(t *testing.T) {
	for live, expected := range map[uint64]int{0: 100, 5 << 20: 100, 8 << 20: 62, 10 << 20: 50, 1 << 40: 50} {
		require.Equal(t, expected, garbagePercent(live), live)
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

	require.Eventually(t, func() bool { return percent() == leastGarbage }, time.Minute, time.Millisecond)
	runtime.KeepAlive(large)
	require.Eventually(t, func() bool { return percent() == mostGarbage }, time.Minute, time.Millisecond)
}
