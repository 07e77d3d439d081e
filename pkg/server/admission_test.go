package server

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestAdmission(t *testing.T) {
	// started counts the works that are begun of many that never end.
	started := func(t *testing.T, kind access, body []byte) (count int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a := newAdmission()
			end := make(chan struct{})
			begun := make(chan struct{}, 1000)

			for range cap(begun) {
				go func() {
					_ = a.admit(t.Context(), kind, body, func() error {
						begun <- struct{}{}
						<-end

						return nil
					})
				}()
			}

			synctest.Wait()
			count = len(begun)
			close(end)
			synctest.Wait()
			require.Len(t, begun, cap(begun), "those who waited have their turn")
		})

		return count
	}

	t.Run("Writes", func(t *testing.T) {
		require.Equal(t, 1000, started(t, writing, nil))
		require.Equal(t, 32, started(t, writing, make([]byte, bodiesAtWork/32)))
		require.Equal(t, 1, started(t, writing, make([]byte, bodiesAtWork+1)), "larger than all together may be")
	})

	t.Run("Reads", func(t *testing.T) {
		count := started(t, reading, make([]byte, bodiesAtWork))
		require.Positive(t, count)
		require.Less(t, count, 1000)
	})

	t.Run("ErrStopped", func(t *testing.T) {
		a := newAdmission()
		ctx, stop := context.WithCancel(t.Context())
		err := a.admit(ctx, writing, make([]byte, bodiesAtWork), func() error {
			stop()

			return a.admit(ctx, writing, []byte("{}"), func() error { return nil })
		})
		require.EqualError(t, err, "TEMPORARILY_UNAVAILABLE: the server stops: context canceled.")
	})
}
