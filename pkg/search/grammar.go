package search

import (
	"maps"
	"slices"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/search/internal/python"
)

// Grammar says what can be searched of one kind of entity, and in which words MLflow refuses the
// rest. In the sentences, names in braces stand for what was found.
type Grammar struct {
	// identifiers are the kinds of identifier; a bare word is an Attribute.
	identifiers []identifier
	// unknownKind refuses another {kind}.
	unknownKind string
	// quotedKinds lets a kind stand in backquotes.
	quotedKinds bool
	// aliases maps other names of attributes to their own. MLflow maps the keys of metrics,
	// params and tags as well: `tags.created` finds the tag `start_time`.
	aliases map[string]string
	// anyCase accepts comparators that are words in lower case.
	anyCase bool
	// invalidClauses refuses the {clauses} that aren't comparisons; quotedClauses has each of
	// them in quotes.
	quotedClauses bool
	// notNullable refuses IS NULL and IS NOT NULL for {key} of another {kind}; without it, they are
	// no comparisons at all.
	notNullable string
	// literalKeys has attributes known by what is written, quotes included.
	literalKeys bool
	// judgedLast has a comparison's comparator judged when all else was found to be right.
	judgedLast bool

	order orderRules
}

// orderRules say what entities can be sorted by.
type orderRules struct {
	// attributes are the ones that can be sorted by.
	attributes []string
	// kinds are what can be sorted by; unknownKind refuses {key} of another {kind}.
	kinds       []Kind
	unknownKind string
	// anyKind takes a key of any kind for the attribute of its name.
	anyKind bool
	// bare has clauses name attributes without their kind, and aliases other names for them;
	// unknownKey refuses another {key}.
	bare       bool
	aliases    map[string]string
	unknownKey string
	// unique refuses to sort by the same thing twice.
	unique bool
	// first has clauses judged before the filter's comparators are.
	first bool
}

// identifier is a kind of identifier and what it can be compared with.
type identifier struct {
	kind Kind
	// spellings are the names of the kind in a filter.
	spellings []string
	// keys are the allowed ones; nil allows any, compared as operand says.
	keys    map[string]*operand
	operand *operand
	// unknownKey refuses another {key}.
	unknownKey string
	nullable   bool
}

// operand says what an identifier can be compared with.
type operand struct {
	form valueForm
	// wrongValue refuses a {value} of another form for {key}.
	wrongValue string
	// lists allows parenthesised lists; otherwise wrongList refuses them, or wrongValue does
	// when there is no such sentence.
	lists     bool
	wrongList string
	// wrongNumber refuses a number where wrongValue wouldn't do.
	wrongNumber string

	comparators []Comparator
	// wrongComparator refuses another {comparator}.
	wrongComparator string
	// wholeNumbers refuses numbers with a fraction, and text that isn't a whole number.
	wholeNumbers string
	// wholeOnly does so in another sentence, which shows the {value} as Python's repr does.
	wholeOnly string
}

// valueForm is how a value is written.
type valueForm int

const (
	quotedText valueForm = iota
	numeral
	// either is a numeral or a quoted text.
	either
)

// find returns the identifier that a spelling names, or nil.
func (g *Grammar) find(spelling string) *identifier {
	for i := range g.identifiers {
		if slices.Contains(g.identifiers[i].spellings, spelling) {
			return &g.identifiers[i]
		}
	}

	return nil
}

// operandOf returns what a key of the identifier's kind can be compared with, or nil.
func (i *identifier) operandOf(key string) *operand {
	if i.keys != nil {
		return i.keys[key]
	}

	return i.operand
}

// fill puts values for the names in braces; they alternate in pairs.
func fill(sentence string, pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(sentence)
}

// setOf writes comparators as the set that MLflow's sentences show.
func setOf(comparators ...Comparator) string {
	names := make([]string, len(comparators))
	for i, comparator := range comparators {
		names[i] = string(comparator)
	}

	return python.ReprSet(names)
}

// keyed gives each of the keys the same operand.
func keyed(o *operand, keys ...string) map[string]*operand {
	all := make(map[string]*operand, len(keys))
	for _, key := range keys {
		all[key] = o
	}

	return all
}

func merged(tables ...map[string]*operand) map[string]*operand {
	all := make(map[string]*operand)

	for _, table := range tables {
		maps.Copy(all, table)
	}

	return all
}
