//go:build !windows

package rules

// Names may hold a colon everywhere but on Windows.
var colon = struct {
	allowed bool
	name    string
}{allowed: true, name: ", colon(:)"}
