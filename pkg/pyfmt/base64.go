package pyfmt

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// ErrBase64 says that a text has too few or too many characters to be base64.
var ErrBase64 = errors.New("not base64")

// DecodeBase64 decodes as base64.b64decode does: characters outside of the alphabet are skipped,
// and what follows the padding is ignored. Characters beyond ASCII are an error.
func DecodeBase64(text string) ([]byte, error) {
	const (
		alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
		quad     = 4
		sextet   = 6
		octet    = 8
	)

	if strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		return nil, ErrBase64
	}

	decoded := make([]byte, 0, len(text))
	position, pads, bits, pending := 0, 0, 0, uint(0)

	for i := range len(text) {
		if text[i] == '=' {
			if position >= 2 {
				pads++
			}

			if position+pads >= quad {
				return decoded, nil
			}

			continue
		}

		value := strings.IndexByte(alphabet, text[i])
		if value < 0 {
			continue
		}

		pads = 0
		position = (position + 1) % quad
		pending = pending<<sextet | uint(value)

		if bits += sextet; bits >= octet {
			bits -= octet
			decoded = append(decoded, byte(pending>>bits)) //nolint:gosec // the eight bits that are due
		}
	}

	if position != 0 {
		return nil, ErrBase64
	}

	return decoded, nil
}
