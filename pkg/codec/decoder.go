package codec

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// outcome is what the fast way made of a body.
type outcome int

const (
	// declined leaves the body to the slow way; the message may be half filled.
	declined outcome = iota
	// lenient filled the message, but it says less than the body did.
	lenient
	// regular filled the message with all that the body said.
	regular
)

// decodeRegular reads a body whose members are spelled and typed as the message has them. The
// generated code comes as an argument, which says whether it knows the message.
func decodeRegular(body []byte, m proto.Message, generated func(*decoder, proto.Message) bool) outcome {
	if !utf8.Valid(body) {
		return declined
	}

	d := decoder{reader: reader{text: string(body)}}
	if d.space(); d.pos == len(d.text) {
		return regular
	}

	if !generated(&d, m) {
		return declined
	}

	if d.space(); d.failed || d.pos != len(d.text) {
		return declined
	}

	if d.unusual {
		return lenient
	}

	return regular
}

// decoder reads a message with the help of generated code. It declines, by failing, whatever
// Python might read differently: that is for the slow way to find out. After a failure its methods
// return zeros and no loop goes on.
type decoder struct {
	reader

	failed bool
	// unusual notes that something was left out of the message: a null, an empty list.
	unusual bool
}

func (d *decoder) fail() { d.failed = true }

// object enters an object and says whether it has members.
func (d *decoder) object() bool {
	d.space()

	if d.depth++; d.failed || d.depth > maxMessageDepth || !d.take('{') {
		d.fail()

		return false
	}

	d.space()

	if d.take('}') {
		d.depth--

		return false
	}

	return true
}

// next goes on to the next member or element, or leaves the object or list.
func (d *decoder) next(end byte) bool {
	d.space()

	switch {
	case d.failed:
		return false
	case d.take(','):
		d.space()

		return true
	case d.take(end):
		if end == '}' {
			d.depth--
		}

		return false
	default:
		d.fail()

		return false
	}
}

// name reads a member's name, which must have no escapes, up to its value.
func (d *decoder) name() string {
	start := d.pos + 1

	end := start + strings.IndexByte(d.text[min(start, len(d.text)):], '"')
	if end < start || !d.take('"') {
		d.fail()

		return ""
	}

	d.pos = end + 1
	d.colon()

	return d.text[start:end]
}

// key reads a map's key up to its value.
func (d *decoder) key() string {
	key := d.string()
	d.colon()

	return key
}

func (d *decoder) colon() {
	d.space()

	if !d.take(':') {
		d.fail()
	}

	d.space()
}

// once fails when a field was set before. It says whether to read the value.
func (d *decoder) once(set bool) bool {
	if set {
		d.fail()
	}

	return !d.failed
}

// present is once, and passes over a null.
func (d *decoder) present(set bool) bool {
	if !d.once(set) {
		return false
	}

	if d.peek() == 'n' && d.word(jsonNull) {
		d.unusual = true

		return false
	}

	return true
}

// opens enters a list or map and says whether it has elements. The message can't tell an empty one
// from none.
func (d *decoder) opens(bracket byte, set bool) bool {
	if !d.present(set) {
		return false
	}

	if !d.take(bracket) {
		d.fail()

		return false
	}

	if bracket == '{' {
		d.depth++
	}

	d.space()

	if d.take(bracket + 2) { // in ASCII the closing bracket is two on
		if bracket == '{' {
			d.depth--
		}

		d.unusual = true

		return false
	}

	return true
}

// reflected reads a message that has no decoder.
func (d *decoder) reflected(m protoreflect.Message) {
	if d.failed {
		return
	}

	value, err := d.value()
	if err != nil || (!wellKnown(m.Descriptor()) && rejectConflictingAliases(value, m.Descriptor()) != nil) {
		d.fail()

		return
	}

	p := parser{depth: d.depth, path: []string{string(m.Descriptor().Name())}}
	if p.message(value, m) != nil {
		d.fail()
	}
}

func (d *decoder) string() string {
	if d.failed || d.peek() != '"' {
		d.fail()

		return ""
	}

	start := d.pos

	text, err := d.reader.string()
	if err != nil || d.pos-start != len(text)+2 && hasSurrogate(text) {
		d.fail()
	}

	return text
}

func (d *decoder) bool() bool {
	switch {
	case d.word(jsonTrue):
		return true
	case !d.word(jsonFalse):
		d.fail()
	}

	return false
}

// enum reads an enum by name.
func (d *decoder) enum(numbers map[string]int32) int32 {
	number, ok := numbers[d.string()]
	if !ok {
		d.fail()
	}

	return number
}

// integer reads the token of an int, "" if it is none.
func (d *decoder) integer() string {
	token, err := d.number()
	if err != nil || isFloat(token) {
		d.fail()

		return ""
	}

	return string(token)
}

func (d *decoder) int64() int64 { return d.signed(64) }

func (d *decoder) int32() int32 { return int32(d.signed(bits32)) } //nolint:gosec // it fits

func (d *decoder) signed(bits int) int64 {
	if d.peek() == '"' { // as protobuf's own JSON has 64 bits
		d.unusual = true

		number, err := convertInt(d.string(), bits)
		if err != nil {
			d.fail()
		}

		return number
	}

	number, err := strconv.ParseInt(d.integer(), 10, bits)
	if err != nil {
		d.fail()
	}

	return number
}

func (d *decoder) float64() float64 { return d.float(false) }

func (d *decoder) float32() float32 { return float32(d.float(true)) }

func (d *decoder) float(single bool) float64 {
	if d.peek() == '"' { // NaN and infinities
		d.unusual = true

		number, err := convertFloat(d.string(), single)
		if err != nil {
			d.fail()
		}

		return number
	}

	token, err := d.number()
	if err != nil {
		d.fail()

		return 0
	}

	number, err := strconv.ParseFloat(string(token), 64)

	switch {
	case err != nil, single && math.Abs(number) > math.MaxFloat32:
		d.fail()
	case number == 0 && !isFloat(token):
		return 0 // the int -0 has no sign
	}

	return number
}

// slab hands out memory for list elements, more at a time as the list grows.
type slab[T any] struct {
	free []T
	size int
}

func (s *slab[T]) next() *T {
	const largest = 256

	if len(s.free) == 0 {
		s.size = min(max(1, 2*s.size), largest)
		s.free = make([]T, s.size)
	}

	next := &s.free[0]
	s.free = s.free[1:]

	return next
}
