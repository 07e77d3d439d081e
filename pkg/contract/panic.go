package contract

import (
	"fmt"
	"runtime/debug"
)

// PanicError is what became of a panic.
type PanicError struct {
	Value any
	Stack []byte // of the goroutine that panicked
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.Value, e.Stack) }

// Recover makes an error of the panic of the function that defers it, for the function's caller:
//
//	func run() (err error) {
//		defer contract.Recover(&err)
//
// Every goroutine that the shared library may start needs it: a panic that nobody recovers ends the
// program that loaded the library.
func Recover(err *error) {
	if value := recover(); value != nil {
		*err = &PanicError{Value: value, Stack: debug.Stack()}
	}
}
