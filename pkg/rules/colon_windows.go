package rules

// On Windows, a colon in a name would be a drive or a stream.
var colon = struct {
	allowed bool
	name    string
}{}
