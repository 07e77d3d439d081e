package python

import (
	"errors"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrSyntax says that a text isn't a literal.
var ErrSyntax = errors.New("not a Python literal")

// ParseLiteral reads a literal as ast.literal_eval does: strings in all spellings, whole and
// floating-point numbers, True, False, None, tuples and lists. Bytes, dicts, sets and complex
// numbers, which no filter has a use for, are syntax errors here.
func ParseLiteral(text string) (Value, error) {
	p := literalParser{rest: text}
	value := p.expression(0)
	p.skipBlanks()

	if p.failed || p.rest != "" {
		return nil, ErrSyntax
	}

	return value, nil
}

// Nested deeper than this, CPython's parser gives up.
const maxLiteralDepth = 200

type literalParser struct {
	rest   string
	failed bool
}

func (p *literalParser) fail() Value {
	p.failed = true

	return nil
}

func (p *literalParser) skipBlanks() {
	for p.rest != "" {
		switch {
		case strings.IndexByte(" \t\f\r\n", p.rest[0]) >= 0:
			p.rest = p.rest[1:]
		case p.rest[0] == '#':
			p.rest = p.rest[len(p.rest)-len(strings.TrimLeftFunc(p.rest, notLineEnd)):]
		case strings.HasPrefix(p.rest, "\\\n"):
			p.rest = p.rest[2:]
		default:
			return
		}
	}
}

func notLineEnd(r rune) bool { return r != '\n' && r != '\r' }

func (p *literalParser) take(prefix string) bool {
	rest, found := strings.CutPrefix(p.rest, prefix)
	p.rest = rest

	return found
}

func (p *literalParser) expression(depth int) Value {
	p.skipBlanks()

	if p.rest == "" || depth > maxLiteralDepth {
		return p.fail()
	}

	switch c := p.rest[0]; {
	case p.take("("):
		members, isTuple := p.members(")", depth)
		if !isTuple && len(members) == 1 {
			return members[0]
		}

		return Tuple(members)
	case p.take("["):
		members, _ := p.members("]", depth)

		return List(members)
	case c == '-' || c == '+':
		p.rest = p.rest[1:]

		return p.signed(c == '-', depth)
	case c == '.' || c >= '0' && c <= '9':
		return p.number()
	}

	if value, ok := p.strings(); ok {
		return value
	}

	return p.word()
}

// members reads expressions up to the closing bracket, and tells whether there was a comma.
func (p *literalParser) members(closer string, depth int) (members []Value, comma bool) {
	for first := true; ; first = false {
		if p.skipBlanks(); p.take(closer) {
			return members, comma || len(members) == 0
		}

		if !first {
			if comma = true; !p.take(",") {
				p.fail()
			}

			if p.skipBlanks(); p.take(closer) {
				return members, comma
			}
		}

		members = append(members, p.expression(depth+1))

		if p.failed {
			return nil, false
		}
	}
}

func (p *literalParser) signed(negative bool, depth int) Value {
	switch value := p.expression(depth + 1).(type) {
	case *big.Int:
		if negative {
			return value.Neg(value)
		}

		return value
	case float64:
		if negative {
			return -value
		}

		return value
	}

	return p.fail()
}

func (p *literalParser) number() Value {
	end := strings.IndexFunc(p.rest, func(r rune) bool {
		return r != '.' && r != '_' && (r >= utf8.RuneSelf || !unicode.IsLetter(r) && !unicode.IsDigit(r))
	})
	if end < 0 {
		end = len(p.rest)
	}

	text := p.rest[:end]
	if last := text[end-1]; (last == 'e' || last == 'E') && !hasBase(text) {
		if digits := len(p.rest[end:]) - len(strings.TrimLeft(p.rest[end:], "+-0123456789")); digits > 0 {
			end += digits
			text = p.rest[:end]
		}
	}

	p.rest = p.rest[end:]

	if number, ok := parseNumber(text); ok {
		return number
	}

	return p.fail()
}

func parseNumber(text string) (Value, bool) {
	if hasBase(text) || !strings.ContainsAny(text, ".eE") {
		// 00 is a number, 01 is none.
		plain := strings.TrimLeft(text, "0_")
		number, ok := new(big.Int).SetString(text, 0)

		return number, ok && (hasBase(text) || plain == text || plain == "")
	}

	number, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)

	return number, err == nil || errors.Is(err, strconv.ErrRange)
}

func hasBase(text string) bool {
	return len(text) > 1 && text[0] == '0' && strings.IndexByte("xXoObB", text[1]) >= 0
}

func (p *literalParser) word() Value {
	end := strings.IndexFunc(p.rest, func(r rune) bool { return !unicode.IsLetter(r) })
	if end < 0 {
		end = len(p.rest)
	}

	word := p.rest[:end]
	p.rest = p.rest[end:]

	switch word {
	case "None":
		return nil
	case "True":
		return true
	case "False":
		return false
	}

	return p.fail()
}

// strings reads one or more adjacent string literals, which make one string.
func (p *literalParser) strings() (text string, ok bool) {
	var joined strings.Builder

	for {
		p.skipBlanks()

		rest := p.rest
		raw := false

		if len(rest) > 1 && strings.IndexByte("rRuU", rest[0]) >= 0 {
			raw = rest[0] == 'r' || rest[0] == 'R'
			rest = rest[1:]
		}

		if rest == "" || rest[0] != '\'' && rest[0] != '"' {
			return joined.String(), ok
		}

		p.rest = rest
		p.quoted(&joined, raw)

		if ok = true; p.failed {
			return "", true
		}
	}
}

func (p *literalParser) quoted(out *strings.Builder, raw bool) {
	quote := p.rest[:1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(p.rest, triple) { //nolint:mnd // as the name says
		quote = triple
	}

	p.rest = p.rest[len(quote):]

	for p.rest != "" {
		switch c := p.rest[0]; {
		case p.take(quote):
			return
		case c == '\n' && len(quote) == 1, c == 0:
			p.fail()

			return
		case c == '\\' && raw && len(p.rest) > 1:
			out.WriteString(p.rest[:2])
			p.rest = p.rest[2:]
		case c == '\\' && len(p.rest) > 1:
			p.escape(out)
		default:
			out.WriteByte(c)
			p.rest = p.rest[1:]
		}
	}

	p.fail()
}

var simpleEscapes = map[byte]string{
	'\n': "", '\\': `\`, '\'': "'", '"': `"`, 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r",
	't': "\t", 'v': "\v",
}

// hexEscapes have a fixed number of digits.
var hexEscapes = map[byte]int{'x': len("41"), 'u': len("0041"), 'U': len("00000041")}

// escape reads a backslash and what it stands for; before an unknown character it stands for
// itself. \N{name} isn't known here.
func (p *literalParser) escape(out *strings.Builder) {
	c := p.rest[1]

	if text, ok := simpleEscapes[c]; ok {
		out.WriteString(text)
		p.rest = p.rest[2:]

		return
	}

	digits, base, bits := p.rest[2:], 16, 32

	switch length, isHex := hexEscapes[c]; {
	case isHex && len(digits) >= length:
		digits = digits[:length]
		p.rest = p.rest[2+length:]
	case isHex || c == 'N':
		p.fail()

		return
	case c >= '0' && c <= '7':
		digits, base = p.rest[1:], 8
		length = len(digits) - len(strings.TrimLeft(digits, "01234567"))
		digits = digits[:min(length, 3)] //nolint:mnd // an octal escape has up to three digits
		p.rest = p.rest[1+len(digits):]
	default:
		out.WriteByte('\\')
		p.rest = p.rest[1:]

		return
	}

	code, err := strconv.ParseUint(digits, base, bits)
	if err != nil || code > unicode.MaxRune {
		p.fail()

		return
	}

	out.WriteRune(rune(code))
}
