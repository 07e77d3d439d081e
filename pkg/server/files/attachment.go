package files

import (
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// asciiLetters are those and the digits.
const asciiLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// Attachment is the Content-Disposition of a file that is to be saved under a name, which has no control
// characters (handlers._content_disposition_attachment).
func Attachment(name string) string {
	plain := keepASCII(name)
	if plain == name {
		return "attachment; filename=" + quote(name)
	}

	if plain = keepASCII(norm.NFKD.String(name)); plain == "" {
		plain = "download"
	}

	return "attachment; filename=" + quote(plain) + "; filename*=UTF-8''" + escape(name)
}

func keepASCII(text string) string {
	return strings.Map(func(r rune) rune {
		if r > '\x7f' {
			return -1
		}

		return r
	}, text)
}

// quote puts what isn't a token in quotes (werkzeug.http.quote_header_value).
func quote(value string) string {
	if value != "" && strings.Trim(value, asciiLetters+"!#$%&'*+-.^_`|~") == "" {
		return value
	}

	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}

// escape leaves the characters of an attribute in a header as they are (RFC 5987).
func escape(text string) string {
	var escaped strings.Builder

	for _, c := range []byte(text) {
		if strings.IndexByte(asciiLetters+"!#$&+-.^_`|~", c) >= 0 {
			escaped.WriteByte(c)
		} else {
			fmt.Fprintf(&escaped, "%%%02X", c)
		}
	}

	return escaped.String()
}
