//go:build !linux || !cgo

package journals

// VFS gives "", the name of SQLite's own: the layer is for Linux.
func VFS() string { return "" }
