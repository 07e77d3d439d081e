package codec

import (
	"encoding/json"
	"iter"
)

// Raw is a JSON object as it was sent. Its values are nil, bool, json.Number, string, []any and
// *Raw. Strings may hold lone surrogates, encoded like other code points (WTF-8); numbers may be
// NaN, Infinity and -Infinity, which Python reads.
type Raw struct {
	source  []byte // parsed on first use when not nil
	members []member
	index   map[string]int // positions in members; only for many
}

type member struct {
	name  string
	value any
}

// indexFrom is the number of members from which a map beats looking at each.
const indexFrom = 12

// Get returns a member's value and whether the object has it. A nil object has none.
func (r *Raw) Get(name string) (value any, present bool) {
	if i := r.find(name); i >= 0 {
		return r.members[i].value, true
	}

	return nil, false
}

// Len counts the members.
func (r *Raw) Len() int {
	if r == nil {
		return 0
	}

	r.load()

	return len(r.members)
}

// All goes over the members in the order in which their names first appeared.
func (r *Raw) All() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		if r == nil {
			return
		}

		r.load()

		for _, m := range r.members {
			if !yield(m.name, m.value) {
				return
			}
		}
	}
}

// Set adds or replaces a member; a replaced one keeps its place, as in a Python dict.
func (r *Raw) Set(name string, value any) {
	if i := r.find(name); i >= 0 {
		r.members[i].value = value

		return
	}

	if r.index != nil {
		r.index[name] = len(r.members)
	}

	r.members = append(r.members, member{name, value})

	if r.index == nil && len(r.members) == indexFrom {
		r.index = make(map[string]int, 2*indexFrom)
		for i, m := range r.members {
			r.index[m.name] = i
		}
	}
}

func (r *Raw) find(name string) int {
	if r == nil {
		return -1
	}

	r.load()

	if r.index != nil {
		if i, ok := r.index[name]; ok {
			return i
		}

		return -1
	}

	for i := range r.members {
		if r.members[i].name == name {
			return i
		}
	}

	return -1
}

// load parses the source. It was decoded once already, so it holds an object.
func (r *Raw) load() {
	if r.source == nil {
		return
	}

	source := r.source
	r.source = nil

	if parsed, err := parseObject(source); err == nil {
		r.members, r.index = parsed.members, parsed.index
	}
}

// typeName says what kind of JSON a value is.
func typeName(value any) string {
	switch value.(type) {
	case nil:
		return jsonNull
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "an array"
	default:
		return "an object"
	}
}
