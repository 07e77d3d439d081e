package codec

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	jsonSpace = " \t\n\r"

	// maxNesting bounds arrays and objects within each other. Python gives up near its recursion
	// limit of 1,000 frames.
	maxNesting = 1000

	// maxIntDigits is Python's limit on converting strings to int (sys.int_info).
	maxIntDigits = 4300
)

// encodings are those that json.loads tells apart, by their byte order marks. The longer marks come
// first, as they begin with shorter ones.
var encodings = []struct {
	mark   string
	decode func([]byte) (string, bool)
}{
	{"\x00\x00\xfe\xff", decodeUTF32BE},
	{"\xff\xfe\x00\x00", decodeUTF32LE},
	{"\xfe\xff", decodeUTF16BE},
	{"\xff\xfe", decodeUTF16LE},
	{"\xef\xbb\xbf", decodeUTF8},
}

func decodeUTF32BE(body []byte) (string, bool) { return decodeUTF32(body, binary.BigEndian) }
func decodeUTF32LE(body []byte) (string, bool) { return decodeUTF32(body, binary.LittleEndian) }
func decodeUTF16BE(body []byte) (string, bool) { return decodeUTF16(body, binary.BigEndian) }
func decodeUTF16LE(body []byte) (string, bool) { return decodeUTF16(body, binary.LittleEndian) }

// decodeText decodes a body as json.loads does: UTF-8, UTF-16 or UTF-32, told apart by a byte
// order mark or by where NUL bytes are, with surrogates let through. The result is WTF-8.
func decodeText(body []byte) (text string, ok bool) {
	for _, encoding := range encodings {
		if rest, found := bytes.CutPrefix(body, []byte(encoding.mark)); found {
			return encoding.decode(rest)
		}
	}

	return unmarkedEncoding(body)(body)
}

// unmarkedEncoding tells an encoding from the first bytes, of which JSON has at least two that are
// ASCII. Python doesn't look at bodies of three bytes.
func unmarkedEncoding(body []byte) func([]byte) (string, bool) {
	if len(body) < 2 || len(body) == len(`""x`) {
		return decodeUTF8
	}

	first := append(bytes.Clone(body[:2]), 1, 1)
	copy(first[2:], body[2:])

	switch zero := func(i int) bool { return first[i] == 0 }; {
	case zero(0) && zero(1) && len(body) > 2:
		return decodeUTF32BE
	case zero(0):
		return decodeUTF16BE
	case bytes.Equal(first[1:4], []byte{0, 0, 0}):
		return decodeUTF32LE
	case zero(1):
		return decodeUTF16LE
	default:
		return decodeUTF8
	}
}

// decodeUTF8 checks that body is UTF-8, surrogates allowed.
func decodeUTF8(body []byte) (string, bool) {
	if !utf8.Valid(body) {
		for rest := body; len(rest) > 0; {
			_, size := decodeRune(rest)
			if size == 0 {
				return "", false
			}

			rest = rest[size:]
		}
	}

	return string(body), true
}

func decodeUTF16(body []byte, order binary.ByteOrder) (string, bool) {
	if len(body)%2 != 0 {
		return "", false
	}

	text := make([]byte, 0, len(body))

	for len(body) > 0 {
		r := rune(order.Uint16(body))
		body = body[2:]

		if len(body) > 0 {
			if pair := utf16.DecodeRune(r, rune(order.Uint16(body))); pair != utf8.RuneError {
				r = pair
				body = body[2:]
			}
		}

		text = appendRune(text, r)
	}

	return string(text), true
}

func decodeUTF32(body []byte, order binary.ByteOrder) (string, bool) {
	if len(body)%4 != 0 {
		return "", false
	}

	text := make([]byte, 0, len(body))

	for ; len(body) > 0; body = body[4:] {
		r := order.Uint32(body)
		if r > utf8.MaxRune {
			return "", false
		}

		text = appendRune(text, rune(r))
	}

	return string(text), true
}

// isSurrogate says whether r is half of a UTF-16 pair.
func isSurrogate(r rune) bool { return 0xd800 <= r && r <= 0xdfff }

// appendRune appends a code point, surrogates included.
func appendRune(dst []byte, r rune) []byte {
	if isSurrogate(r) {
		return append(dst, byte(0xe0|r>>12), byte(0x80|r>>6&0x3f), byte(0x80|r&0x3f)) //nolint:gosec,mnd // UTF-8
	}

	return utf8.AppendRune(dst, r)
}

// decodeRune reads one code point, surrogates included; size is 0 when there is none.
func decodeRune[text string | []byte](s text) (r rune, size int) {
	if len(s) >= 3 && s[0] == 0xed && s[1]&0xe0 == 0xa0 && s[2]&0xc0 == 0x80 {
		return rune(s[0]&0x0f)<<12 | rune(s[1]&0x3f)<<6 | rune(s[2]&0x3f), 3 //nolint:mnd // UTF-8
	}

	r, size = utf8.DecodeRuneInString(string(s[:min(len(s), utf8.UTFMax)]))
	if r == utf8.RuneError && size <= 1 {
		return 0, 0
	}

	return r, size
}

// hasSurrogate says whether WTF-8 text has code points that UTF-8 lacks.
func hasSurrogate(s string) bool {
	for i := 0; i+1 < len(s); i++ {
		if s[i] == 0xed && s[i+1] >= 0xa0 {
			return true
		}
	}

	return false
}

// Parse parses a JSON document into the values that Raw holds, as Python's json.loads does.
func Parse(text string) (any, error) { return loads(text) }

// loads parses a JSON document as Python's json.loads does. NaN, Infinity and -Infinity are
// numbers, of equal names the last wins, and nothing may follow the value.
func loads(text string) (any, error) {
	r := reader{text: text}

	return r.document()
}

// SyntaxError says where a text stops being JSON, in the words of Python's JSONDecodeError (3.11).
type SyntaxError struct {
	// Message is what Python's decoder calls the mistake.
	Message string
	// Line and Column count from 1, Position from 0, all in code points.
	Line, Column, Position int
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s: line %d column %d (char %d)", e.Message, e.Line, e.Column, e.Position)
}

// reader is a JSON scanner over WTF-8 text.
type reader struct {
	text  string
	pos   int
	depth int
}

var (
	errNesting = errors.New("nested too deeply")
	errDigits  = errors.New("integer has more than 4300 digits")
)

// Mistakes that more than one place finds.
const (
	missingComma     = "Expecting ',' delimiter"
	controlCharacter = "Invalid control character at"
	unterminated     = "Unterminated string starting at"
)

// fail makes the error of a byte's position.
func (r *reader) fail(message string, pos int) error {
	count := func(text string) (n int) {
		for ; text != ""; n++ {
			_, size := decodeRune(text)
			text = text[max(size, 1):]
		}

		return n
	}
	before := r.text[:pos]
	line := before[strings.LastIndexByte(before, '\n')+1:]

	return &SyntaxError{message, strings.Count(before, "\n") + 1, count(line) + 1, count(before)}
}

func (r *reader) document() (any, error) {
	if strings.HasPrefix(r.text, "\ufeff") {
		return nil, r.fail("Unexpected UTF-8 BOM (decode using utf-8-sig)", 0)
	}

	r.space()

	value, err := r.value()
	if err != nil {
		return nil, err
	}

	r.space()

	if r.pos != len(r.text) {
		return nil, r.fail("Extra data", r.pos)
	}

	return value, nil
}

func (r *reader) space() {
	for r.pos < len(r.text) {
		switch r.text[r.pos] {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return
		}
	}
}

// peek returns the next byte, 0 at the end.
func (r *reader) peek() byte {
	if r.pos < len(r.text) {
		return r.text[r.pos]
	}

	return 0
}

// take consumes c if it is next.
func (r *reader) take(c byte) bool {
	if r.peek() != c || r.pos == len(r.text) {
		return false
	}

	r.pos++

	return true
}

// word consumes a literal if it is next.
func (r *reader) word(literal string) bool {
	if !strings.HasPrefix(r.text[r.pos:], literal) {
		return false
	}

	r.pos += len(literal)

	return true
}

func (r *reader) value() (any, error) {
	switch c := r.peek(); {
	case c == '"':
		return r.string()
	case c == '{':
		return nest(r, r.object)
	case c == '[':
		return nest(r, r.array)
	case isDigit(c):
		return r.number()
	}

	for _, literal := range literals {
		if r.word(literal.text) {
			return literal.value, nil
		}
	}

	return r.number()
}

// The words that Python's JSON knows.
const (
	jsonNull          = "null"
	jsonTrue          = "true"
	jsonFalse         = "false"
	jsonNaN           = "NaN"
	jsonInfinity      = "Infinity"
	jsonMinusInfinity = "-Infinity"
)

var literals = []struct {
	text  string
	value any
}{
	{jsonNull, nil},
	{jsonTrue, true},
	{jsonFalse, false},
	{jsonNaN, json.Number(jsonNaN)},
	{jsonInfinity, json.Number(jsonInfinity)},
	{jsonMinusInfinity, json.Number(jsonMinusInfinity)},
}

// nest reads an object or array one level down.
func nest[T any](r *reader, read func() (T, error)) (any, error) {
	if r.depth++; r.depth > maxNesting {
		return nil, errNesting
	}

	value, err := read()
	r.depth--

	return value, err
}

func (r *reader) object() (*Raw, error) {
	r.pos++
	r.space()

	object := &Raw{}
	if r.take('}') {
		return object, nil
	}

	for {
		if r.peek() != '"' {
			return nil, r.fail("Expecting property name enclosed in double quotes", r.pos)
		}

		name, err := r.string()
		if err != nil {
			return nil, err
		}

		r.space()

		if !r.take(':') {
			return nil, r.fail("Expecting ':' delimiter", r.pos)
		}

		r.space()

		value, err := r.value()
		if err != nil {
			return nil, err
		}

		object.Set(name, value)
		r.space()

		if r.take('}') {
			return object, nil
		}

		if !r.take(',') {
			return nil, r.fail(missingComma, r.pos)
		}

		r.space()
	}
}

func (r *reader) array() ([]any, error) {
	r.pos++
	r.space()

	list := []any{}
	if r.take(']') {
		return list, nil
	}

	for {
		value, err := r.value()
		if err != nil {
			return nil, err
		}

		list = append(list, value)
		r.space()

		if r.take(']') {
			return list, nil
		}

		if !r.take(',') {
			return nil, r.fail(missingComma, r.pos)
		}

		r.space()
	}
}

// string reads a string. The usual one without escapes is part of the text.
func (r *reader) string() (string, error) {
	r.pos++
	start := r.pos

	for ; r.pos < len(r.text); r.pos++ {
		switch c := r.text[r.pos]; {
		case c == '"':
			r.pos++

			return r.text[start : r.pos-1], nil
		case c == '\\':
			return r.escaped(start)
		case c < ' ':
			return "", r.fail(controlCharacter, r.pos)
		}
	}

	return "", r.fail(unterminated, start-1)
}

// escaped reads the rest of a string that has escapes, and that began at a byte's position.
func (r *reader) escaped(start int) (string, error) {
	buffer := []byte(r.text[start:r.pos])

	for r.pos < len(r.text) {
		c := r.text[r.pos]
		r.pos++

		switch {
		case c == '"':
			return string(buffer), nil
		case c < ' ':
			return "", r.fail(controlCharacter, r.pos-1)
		case c != '\\':
			buffer = append(buffer, c)
		case r.pos == len(r.text):
			return "", r.fail(unterminated, start-1)
		default:
			char, err := r.escape()
			if err != nil {
				return "", err
			}

			buffer = appendRune(buffer, char)
		}
	}

	return "", r.fail(unterminated, start-1)
}

// escape reads what follows a backslash.
func (r *reader) escape() (rune, error) {
	c := r.text[r.pos]
	r.pos++

	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
	default:
		return 0, r.fail(`Invalid \escape`, r.pos-len(`\u`))
	}

	mark := r.pos - 1

	char, ok := r.hex()
	if !ok {
		return 0, r.fail(`Invalid \uXXXX escape`, mark)
	}

	if !utf16.IsSurrogate(char) {
		return char, nil
	}

	// A pair makes one character; half of one stays as it is.
	rest := *r
	if rest.word(`\u`) {
		if second, ok := rest.hex(); ok {
			if pair := utf16.DecodeRune(char, second); pair != utf8.RuneError {
				*r = rest

				return pair, nil
			}
		}
	}

	return char, nil
}

// hex reads four hexadecimal digits, which aren't the last of the text.
func (r *reader) hex() (rune, bool) {
	const digits = 4
	if len(r.text)-r.pos <= digits {
		return 0, false
	}

	var char rune

	for range digits {
		value := unhex(r.text[r.pos])
		if value < 0 {
			return 0, false
		}

		char = char*16 + value
		r.pos++
	}

	return char, true
}

// unhex returns a hexadecimal digit's value, or -1.
func unhex(c byte) rune {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0')
	case 'a' <= c && c <= 'f':
		return rune(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return rune(c-'A') + 10
	default:
		return -1
	}
}

func (r *reader) number() (json.Number, error) {
	start := r.pos
	r.take('-')

	first := r.pos
	if !r.take('0') && !r.digits() {
		r.pos = start

		return "", r.fail("Expecting value", r.pos)
	}

	integer := true
	whole := r.pos

	if r.take('.') {
		if r.digits() {
			integer = false
		} else {
			r.pos = whole
		}
	}

	mark := r.pos
	if r.take('e') || r.take('E') {
		if !r.take('+') {
			r.take('-')
		}

		if r.digits() {
			integer = false
		} else {
			r.pos = mark
		}
	}

	if integer && r.pos-first > maxIntDigits {
		return "", errDigits
	}

	return json.Number(r.text[start:r.pos]), nil
}

// digits consumes decimal digits and says whether there was any.
func (r *reader) digits() bool {
	start := r.pos
	for c := r.peek(); '0' <= c && c <= '9'; c = r.peek() {
		r.pos++
	}

	return r.pos > start
}
