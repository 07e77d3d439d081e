package server

import (
	"encoding/binary"
	"sync"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/mlflow/mlflow-go/pkg/contract"
)

// longestQuestion is how long a question, in bytes, may be to be compared with others.
const longestQuestion = 16 << 10

// sharing has reads that ask the same, and wait at the same time, answered by one execution: the tabs of a
// dashboard, workers that load one model by its alias. Who comes while an equal question is being answered
// doesn't get that answer, which may be older than what the client was told meanwhile, of its own write
// for example: it waits, and shares the next with those who came since. So no answer is older than its question.
type sharing struct {
	mu sync.Mutex
	// running has the questions that are being answered, and who waits for that to end; nil for nobody yet.
	running map[string]*round
}

// round is one execution that has yet to begin.
type round struct {
	begin   chan struct{} // closed when its first member is to execute it
	done    chan struct{} // closed once there are text and err
	members int           // final when it begins
	text    *answerText
	err     error
}

func newSharing() *sharing { return &sharing{running: map[string]*round{}} }

// answer has a question answered. The caller releases the text.
func (s *sharing) answer(question []byte, work func() (*answerText, error)) (*answerText, error) {
	s.mu.Lock()

	next, isRunning := s.running[string(question)]

	switch {
	case !isRunning:
		key := string(question)
		s.running[key] = nil
		s.mu.Unlock()

		defer s.end(key)

		return work()
	case next != nil:
		next.members++
		s.mu.Unlock()
		<-next.done

		return next.text, next.err
	}

	key := string(question)
	mine := &round{begin: make(chan struct{}), done: make(chan struct{}), members: 1}
	s.running[key] = mine
	s.mu.Unlock()
	<-mine.begin

	defer s.end(key)
	defer close(mine.done)

	if mine.text, mine.err = recovered(work); mine.text != nil {
		mine.text.shareWith(mine.members - 1)
	}

	return mine.text, mine.err
}

// end has those who wait for a question begin.
func (s *sharing) end(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()

	next := s.running[key]
	if next == nil {
		delete(s.running, key)

		return
	}

	s.running[key] = nil

	close(next.begin)
}

// recovered makes an error of a panic, since others wait.
func recovered(work func() (*answerText, error)) (text *answerText, err error) {
	defer contract.Recover(&err)

	return work()
}

// appendQuestion appends to a request's body what else the answer of a method depends on; the result is equal
// for equal requests only.
func appendQuestion(body []byte, request *fasthttp.RequestCtx) []byte {
	header := &request.Request.Header
	uri, kind := header.RequestURI(), header.ContentType()
	lengths := [...]int{len(body), len(uri), len(kind)}

	question := body
	for _, part := range [...][]byte{header.Method(), uri, kind} {
		question = append(question, part...)
	}

	if len(kind) == 0 && isSent(header, fiber.HeaderContentType) {
		question = append(question, '!') // an empty header isn't a missing one
	}

	for _, length := range lengths {
		question = binary.BigEndian.AppendUint32(question, uint32(length)) //nolint:gosec // all are in memory
	}

	return question
}
