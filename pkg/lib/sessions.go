package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// methods is the dispatch table by the names that callers use.
var methods = func() map[string]contract.Method {
	named := make(map[string]contract.Method, len(contract.Methods))
	for _, method := range contract.Methods {
		named[method.Service+"."+method.Name] = method
	}

	return named
}()

// session is what one MlflowOpen opened.
type session struct {
	// calls is held for reading by every call, and for writing by who closes.
	calls sync.RWMutex
	// services holds the implementation of each service, by the service's name. Closing takes it
	// away.
	services map[string]any
	// release closes what the services stand on.
	release func() error
}

// sessions is the open sessions by handle. A handle is never given out twice, so that an old one
// can't reach a newer session. The zero value is ready.
type sessions struct {
	mutex    sync.RWMutex
	last     uint64
	byHandle map[uint64]*session
}

func (s *sessions) open(ctx context.Context, configuration []byte) (uint64, error) {
	settings, err := parseConfig(configuration)
	if err != nil {
		return 0, err
	}

	services, release, err := bind(ctx, settings)
	if err != nil {
		return 0, err
	}

	s.mutex.Lock()
	defer s.mutex.Unlock()

	if s.byHandle == nil {
		s.byHandle = make(map[uint64]*session)
	}

	s.last++
	s.byHandle[s.last] = &session{services: services, release: release}

	return s.last, nil
}

func (s *sessions) call(handle uint64, name, request []byte) ([]byte, error) {
	method, known := methods[string(name)]
	if !known {
		return nil, contract.Errorf(protos.ErrorCode_ENDPOINT_NOT_FOUND, "The library has no method %q", name)
	}

	s.mutex.RLock()
	found := s.byHandle[handle]
	s.mutex.RUnlock()

	if found == nil {
		return nil, unknownHandle(handle)
	}

	found.calls.RLock()
	defer found.calls.RUnlock()

	if found.services == nil {
		return nil, unknownHandle(handle)
	}

	service, implemented := found.services[method.Service]
	if !implemented {
		return nil, contract.Errorf(protos.ErrorCode_NOT_IMPLEMENTED, "The library has no store for %q", name)
	}

	message := method.NewRequest()
	if err := proto.Unmarshal(request, message); err != nil {
		return nil, contract.Errorf(protos.ErrorCode_MALFORMED_REQUEST, "Invalid request for %q: %v", name, err)
	}

	response, err := method.Call(context.Background(), service, message)
	if err != nil {
		return nil, err
	}

	encoded, err := proto.Marshal(response)
	if err != nil {
		return nil, fmt.Errorf("encode the response of %s: %w", name, err)
	}

	return encoded, nil
}

func (s *sessions) close(handle uint64) error {
	s.mutex.Lock()
	found := s.byHandle[handle]
	delete(s.byHandle, handle)
	s.mutex.Unlock()

	if found == nil {
		return unknownHandle(handle)
	}

	found.calls.Lock()
	defer found.calls.Unlock()

	found.services = nil

	if err := found.release(); err != nil {
		return fmt.Errorf("close the stores: %w", err)
	}

	return nil
}

func unknownHandle(handle uint64) error {
	return contract.Errorf(protos.ErrorCode_INVALID_STATE, "No stores are open under handle %d", handle)
}

// outcome runs work and says how it went: 0 and the answer, or the error's code and body. A panic
// is an internal error.
func outcome(work func() ([]byte, error)) (status protos.ErrorCode, payload []byte) {
	payload, err := guarded(work)
	if err != nil {
		return failure(err)
	}

	return 0, payload
}

func guarded(work func() ([]byte, error)) (payload []byte, err error) {
	defer contract.Recover(&err)

	return work()
}

// failure is the status and payload of an error. The cause of an internal error is not for the
// caller's users, as on the server, and goes to the log.
func failure(err error) (protos.ErrorCode, []byte) {
	e := contract.AsError(err)
	if e.Code == protos.ErrorCode_INTERNAL_ERROR && e.Cause != nil { // some of MLflow's own have that code
		slog.Error("internal error in the shared library", "error", err)
	}

	return e.Code, codec.EncodeError(nil, e)
}
