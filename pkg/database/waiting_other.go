//go:build !unix

package database

// waitingItself leaves connections as they are.
func waitingItself(dial dialFunc, _ func() bool) dialFunc { return dial }
