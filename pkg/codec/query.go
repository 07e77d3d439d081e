package codec

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// parseQuery splits a query into its arguments as werkzeug does: '+' is a space, blank values
// count, and escaped bytes that aren't UTF-8 stay escaped.
func parseQuery(query string) map[string][]string {
	arguments := map[string][]string{}

	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}

		name, value, _ := strings.Cut(pair, "=")
		name = unquote(name)
		arguments[name] = append(arguments[name], unquote(value))
	}

	return arguments
}

// unquote decodes one name or value.
func unquote(text string) string {
	text = strings.ReplaceAll(text, "+", " ")
	if !strings.Contains(text, "%") && utf8.ValidString(text) {
		return text
	}

	decoded := percentDecode(text)
	if utf8.Valid(decoded) {
		return string(decoded)
	}

	return quoteInvalid(decoded)
}

// percentDecode replaces what is escaped; an escape that isn't one stays.
func percentDecode(text string) []byte {
	decoded := make([]byte, 0, len(text))

	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) && unhex(text[i+1]) >= 0 && unhex(text[i+2]) >= 0 {
			decoded = append(decoded, byte(unhex(text[i+1])<<4|unhex(text[i+2]))) //nolint:gosec // it fits
			i += 2
		} else {
			decoded = append(decoded, text[i])
		}
	}

	return decoded
}

// Arguments returns the values of a query's arguments by their names (flask.Request.args).
func Arguments(rawQuery string) map[string][]string { return parseQuery(rawQuery) }

// PathParameter decodes a segment of a path as the WSGI server in front of Flask does. It is no
// parameter to Flask when a slash was escaped in it: the path is another one then. Nor is ok what
// isn't UTF-8, of which Python keeps only parts.
func PathParameter(segment string) (value string, ok bool) {
	decoded := percentDecode(segment)

	return string(decoded), utf8.Valid(decoded) && !bytes.ContainsRune(decoded, '/')
}

// SetParameter puts a path's parameter into the message's field of that name, which must hold text.
func SetParameter(m proto.Message, name, value string) {
	message := m.ProtoReflect()
	message.Set(message.Descriptor().Fields().ByName(protoreflect.Name(name)), protoreflect.ValueOfString(value))
}

// quoteInvalid escapes the bytes that aren't part of UTF-8.
func quoteInvalid(text []byte) string {
	const digits = "0123456789ABCDEF"

	quoted := make([]byte, 0, len(text))

	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			quoted = append(quoted, '%', digits[text[0]>>4], digits[text[0]&0xf])
		} else {
			quoted = append(quoted, text[:size]...)
		}

		text = text[size:]
	}

	return string(quoted)
}
