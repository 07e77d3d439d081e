// Command lib is the shared library: MLflow's stores for a program in another language, in that
// program's process.
//
// It exports five functions in the manner of C. What goes in stays the caller's and is read only
// during the call; what comes out is the caller's and goes back through MlflowFree. A status of
// 0 means that the payload is the answer; any other is the number of one of MLflow's error codes
// (databricks.proto's ErrorCode), and the payload is the body that MLflow's server would have
// answered with: JSON with error_code, message and what else the error tells.
//
// No panic leaves an export. All may be called from any thread at any time, but not in a child
// made by fork: Go's threads don't survive one.
package main

/*
#include <stdint.h>
#include <stdlib.h>
*/
import "C"

import (
	"context"
	"math"
	"runtime"
	"unsafe"
)

// version is stamped by the build. A caller compares it with its own before anything else.
var version = "dev"

// versionText is what MlflowVersion hands out, made once and never freed.
var versionText = C.CString(version)

var open sessions

// headroom is never touched, so that it takes no memory, but Go's garbage collector counts it: garbage of this
// size piles up between two runs. With the heap of one or two MiB that there is otherwise, every other search of
// 100 runs had the collector run.
var headroom = make([]byte, headroomSize)

const headroomSize = 16 << 20

// MlflowVersion returns the library's version, NUL-terminated. It is never to be freed.
//
//export MlflowVersion
func MlflowVersion() *C.char {
	return versionText
}

// MlflowOpen opens stores. The configuration is JSON, see the type config. The handle is for
// MlflowCall and MlflowClose; the payload of a success is empty.
//
//export MlflowOpen
func MlflowOpen(
	configuration *C.uint8_t, configurationSize C.size_t,
	handle *C.uint64_t,
	payload **C.uint8_t, payloadSize *C.size_t,
) C.int32_t {
	runtime.KeepAlive(headroom)

	return answer(payload, payloadSize, func() ([]byte, error) {
		id, err := open.open(context.Background(), borrow(configuration, configurationSize))
		if err != nil {
			return nil, err
		}

		*handle = C.uint64_t(id)

		return nil, nil
	})
}

// MlflowCall calls a method, named by service and procedure as in "MlflowService.createRun". The
// request is its message in the binary encoding of protocol buffers, and so is the answer.
//
//export MlflowCall
func MlflowCall(
	handle C.uint64_t,
	method *C.uint8_t, methodSize C.size_t,
	request *C.uint8_t, requestSize C.size_t,
	payload **C.uint8_t, payloadSize *C.size_t,
) C.int32_t {
	return answer(payload, payloadSize, func() ([]byte, error) {
		return open.call(uint64(handle), borrow(method, methodSize), borrow(request, requestSize))
	})
}

// MlflowClose waits for the calls under way and closes what MlflowOpen opened. The payload of a
// success is empty.
//
//export MlflowClose
func MlflowClose(handle C.uint64_t, payload **C.uint8_t, payloadSize *C.size_t) C.int32_t {
	return answer(payload, payloadSize, func() ([]byte, error) {
		return nil, open.close(uint64(handle))
	})
}

// MlflowFree takes a payload back.
//
//export MlflowFree
func MlflowFree(payload *C.uint8_t) {
	C.free(unsafe.Pointer(payload))
}

// answer runs an export's work and hands its outcome to the caller.
func answer(payload **C.uint8_t, size *C.size_t, work func() ([]byte, error)) C.int32_t {
	status, bytes := outcome(work)

	*payload, *size = nil, C.size_t(len(bytes))
	if len(bytes) > 0 {
		*payload = (*C.uint8_t)(C.CBytes(bytes))
	}

	return C.int32_t(status)
}

// borrow lends C's memory to Go for the time of a call.
func borrow(data *C.uint8_t, size C.size_t) []byte {
	if data == nil || size == 0 {
		return nil
	}

	if uint64(size) > math.MaxInt {
		panic("a size beyond the address space")
	}

	return unsafe.Slice((*byte)(data), int(size))
}

func main() {}
