package codec

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// AppendString appends a JSON string as Python's json.dumps writes it: ASCII only, with lower-case
// escapes and surrogate pairs. What isn't UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0

	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++

			continue
		}

		dst = append(dst, s[start:i]...)

		if c < utf8.RuneSelf {
			dst = appendEscape(dst, c)
			i++
		} else {
			r, size := decodeRune(s[i:])
			if size == 0 {
				r, size = utf8.RuneError, 1
			}

			dst = appendCodePoint(dst, r)
			i += size
		}

		start = i
	}

	dst = append(dst, s[start:]...)

	return append(dst, '"')
}

// plain marks the bytes that a JSON string holds as they are.
var plain = func() (table [256]bool) {
	for c := ' '; c <= '~'; c++ {
		table[c] = c != '"' && c != '\\'
	}

	return table
}()

// appendEscape escapes an ASCII character.
func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	case '\f':
		return append(dst, '\\', 'f')
	case '\b':
		return append(dst, '\\', 'b')
	default:
		return appendUnit(dst, rune(c))
	}
}

// appendCodePoint escapes a character as one or two UTF-16 units.
func appendCodePoint(dst []byte, r rune) []byte {
	const first, high, low, mask = 0x10000, 0xd800, 0xdc00, 0x3ff
	if r < first {
		return appendUnit(dst, r)
	}

	r -= first

	return appendUnit(appendUnit(dst, high+r>>10), low+r&mask)
}

func appendUnit(dst []byte, unit rune) []byte {
	const digits = "0123456789abcdef"

	return append(dst, '\\', 'u',
		digits[unit>>12&0xf], digits[unit>>8&0xf], digits[unit>>4&0xf], digits[unit&0xf])
}

// jsonStyle is how json.dumps lays an object out.
type jsonStyle struct {
	item, colon string
	sorted      bool
}

var (
	plainStyle   = jsonStyle{item: ", ", colon: ": "}
	compactStyle = jsonStyle{item: ",", colon: ":", sorted: true}
)

// AppendJSON appends a value as json.dumps(value) does, with its members in their order. It takes
// what AppendCompact takes.
func AppendJSON(dst []byte, value any) []byte { return plainStyle.append(dst, value) }

// AppendCompact appends a value as json.dumps(value, sort_keys=True, separators=(",", ":")) does,
// which is how MLflow quotes values in its messages. It takes what Raw holds, and what
// encoding/json makes of Go values otherwise.
func AppendCompact(dst []byte, value any) []byte { return compactStyle.append(dst, value) }

func (s jsonStyle) append(dst []byte, value any) []byte {
	switch value := value.(type) {
	case nil:
		return append(dst, jsonNull...)
	case bool:
		return strconv.AppendBool(dst, value)
	case string:
		return AppendString(dst, value)
	case json.Number:
		return s.number(dst, value)
	case float64:
		return appendJSONFloat(dst, value)
	case []any:
		dst = append(dst, '[')

		for i, item := range value {
			if i > 0 {
				dst = append(dst, s.item...)
			}

			dst = s.append(dst, item)
		}

		return append(dst, ']')
	case *Raw:
		return s.object(dst, value)
	default:
		return s.other(dst, value)
	}
}

func (jsonStyle) number(dst []byte, value json.Number) []byte {
	if !isFloat(value) {
		return append(dst, intDigits(value)...)
	}

	number, _ := numberFloat(value)

	return appendJSONFloat(dst, number)
}

// appendJSONFloat appends a float as json.dumps does.
func appendJSONFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, jsonNaN...)
	case math.IsInf(f, 1):
		return append(dst, jsonInfinity...)
	case math.IsInf(f, -1):
		return append(dst, jsonMinusInfinity...)
	default:
		return AppendFloat(dst, f)
	}
}

func (s jsonStyle) object(dst []byte, object *Raw) []byte {
	object.load()

	members := object.members
	if s.sorted {
		members = slices.Clone(members)
		slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	}

	dst = append(dst, '{')

	for i, m := range members {
		if i > 0 {
			dst = append(dst, s.item...)
		}

		dst = AppendString(dst, m.name)
		dst = append(dst, s.colon...)
		dst = s.append(dst, m.value)
	}

	return append(dst, '}')
}

// other goes by way of encoding/json. A value that it refuses is shown as text.
func (s jsonStyle) other(dst []byte, value any) []byte {
	encoded, err := json.Marshal(value)
	if err != nil {
		return AppendString(dst, fmt.Sprint(value))
	}

	parsed, err := loads(string(encoded))
	if err != nil {
		return AppendString(dst, fmt.Sprint(value))
	}

	return s.append(dst, parsed)
}
