package server

import (
	"bufio"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
)

func TestSharing(t *testing.T) {
	// text is an answer of a pool's.
	text := func(words string) *answerText { return &answerText{buffer: []byte(words)} }

	t.Run("OK", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSharing()

			var executions atomic.Int32

			gate := make(chan struct{})
			work := func() (*answerText, error) { //nolint:unparam // what is shared may fail
				number := executions.Add(1)
				<-gate

				return text(strconv.Itoa(int(number))), nil
			}

			got := make(chan string, 10)
			ask := func(question string) {
				answer, err := s.answer([]byte(question), work)
				if err == nil {
					got <- string(answer.buffer)
				}
			}

			go ask("one")
			synctest.Wait()

			for range 8 {
				go ask("one")
			}

			go ask("another")
			synctest.Wait()
			require.EqualValues(t, 2, executions.Load(), "another question waits for nobody")

			gate <- struct{}{}
			gate <- struct{}{}

			synctest.Wait()
			require.EqualValues(t, 3, executions.Load(), "who came late is answered by the next execution")
			require.Len(t, got, 2, "and not by the one that had begun")

			<-got
			<-got
			gate <- struct{}{}

			synctest.Wait()
			require.Len(t, got, 8)

			for range 8 {
				require.Equal(t, "3", <-got)
			}

			require.Empty(t, s.running)
		})
	})

	t.Run("ErrPanic", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSharing()
			gate := make(chan struct{})
			failed := make(chan error, 3)

			for range cap(failed) {
				go func() {
					_, err := s.answer(nil, func() (*answerText, error) {
						<-gate

						return recovered(func() (*answerText, error) { panic("broken") })
					})
					failed <- err
				}()
			}

			synctest.Wait()
			close(gate)
			synctest.Wait()

			for range cap(failed) {
				require.ErrorContains(t, <-failed, "broken")
			}

			require.Empty(t, s.running)
		})
	})

	t.Run("ReleasedOnce", func(t *testing.T) {
		answer := text("shared")
		answer.shareWith(2)

		for left := range 3 {
			require.EqualValues(t, 2-left, answer.others.Load())

			sent := answer.send()
			require.NoError(t, sent.Close())
			require.NoError(t, sent.Close(), "twice does no harm")
		}

		require.Zero(t, answer.others.Load())
	})
}

// TestQuestions holds that requests whose answers may differ are different questions.
func TestQuestions(t *testing.T) {
	const (
		plain = "POST /a HTTP/1.1\r\nHost: h\r\n\r\n"
		empty = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Type:\r\n\r\n"
	)

	seen := map[string]string{}

	for name, request := range map[string]struct{ head, body string }{
		"Plain":       {plain, "{}"},
		"EmptyType":   {empty, "{}"},
		"Type":        {"POST /a HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\r\n", "{}"},
		"Verb":        {"PUT /a HTTP/1.1\r\nHost: h\r\n\r\n", "{}"},
		"Path":        {"POST /b HTTP/1.1\r\nHost: h\r\n\r\n", "{}"},
		"Query":       {"POST /a?b HTTP/1.1\r\nHost: h\r\n\r\n", "{}"},
		"Body":        {plain, "{ }"},
		"BodyLooksSo": {"POST /a HTTP/1.1\r\nHost: h\r\n\r\n", "{}POST/a"},
	} {
		ctx := &fasthttp.RequestCtx{}
		require.NoError(t, ctx.Request.Header.Read(bufio.NewReader(strings.NewReader(request.head))))

		question := string(appendQuestion([]byte(request.body), ctx))
		require.Empty(t, seen[question], name)
		seen[question] = name
	}
}
