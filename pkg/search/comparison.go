package search

import (
	"math"
	"strconv"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/pyfmt"
)

// Kind is what an identifier refers to, by MLflow's name.
type Kind string

// The kinds of identifier.
const (
	Attribute Kind = "attribute"
	Metric    Kind = "metric"
	Param     Kind = "parameter"
	Tag       Kind = "tag"
	Dataset   Kind = "dataset"
)

// Comparator relates an identifier to a value. It is always in upper case.
type Comparator string

// The comparators.
const (
	Equal          Comparator = "="
	NotEqual       Comparator = "!="
	Less           Comparator = "<"
	LessOrEqual    Comparator = "<="
	Greater        Comparator = ">"
	GreaterOrEqual Comparator = ">="
	Like           Comparator = "LIKE"
	ILike          Comparator = "ILIKE"
	In             Comparator = "IN"
	NotIn          Comparator = "NOT IN"
	IsNull         Comparator = "IS NULL"
	IsNotNull      Comparator = "IS NOT NULL"
)

// Comparison is one condition of a filter. A filter means that all of its comparisons hold.
type Comparison struct {
	Kind Kind
	// Key is the attribute's own name (aliases are resolved), or a metric's, param's or tag's
	// key as logged.
	Key        string
	Comparator Comparator
	// Value is a Number for metrics and numeric attributes, a List with In and NotIn, nil with
	// IsNull and IsNotNull, and otherwise a Text. The grammar's tables say which.
	Value Value
}

// Value is what an identifier is compared with: a Text, a List or a Number.
type Value interface{ isValue() }

// Text is a string value without its quotes.
type Text string

// List holds the string values of IN and NOT IN.
type List []string

// Texts are the strings of a value; none of a number.
func Texts(value Value) []string {
	if text, isText := value.(Text); isText {
		return []string{string(text)}
	}

	list, _ := value.(List)

	return list
}

// Number is a numeric value of any size, as written.
type Number struct {
	digits string
	whole  bool
}

func (Text) isValue() {}
func (List) isValue() {}

// Float64 is the nearest float; an infinity when the number is out of range.
func (n Number) Float64() float64 {
	f, _ := strconv.ParseFloat(n.digits, 64) // digits are digits; out of range it returns ±Inf

	return f
}

// Whole tells whether the number is written without a fraction and an exponent.
func (n Number) Whole() bool { return n.whole }

// String is the number in digits of ASCII.
func (n Number) String() string { return n.digits }

// Ceil is the smallest whole number not below n, kept within the range of int64; exact tells
// whether it is n itself. With it a column of whole numbers can be compared with any number.
func (n Number) Ceil() (ceil int64, exact bool) {
	if n.whole {
		if i, err := strconv.ParseInt(n.digits, 10, 64); err == nil {
			return i, true
		}

		if strings.HasPrefix(n.digits, "-") {
			return math.MinInt64, false
		}

		return math.MaxInt64, false
	}

	f := n.Float64()
	up := math.Ceil(f)

	const limit = 1 << 63

	switch {
	case up >= limit:
		return math.MaxInt64, false
	case up < -limit:
		return math.MinInt64, false
	}

	return int64(up), up == f
}

func (Number) isValue() {}

// numberOf is a number that isn't written in digits, perhaps none at all.
func numberOf(f float64) Number {
	return Number{digits: strconv.FormatFloat(f, 'f', -1, 64), whole: f == math.Trunc(f) && !math.IsInf(f, 0)}
}

func newNumber(text string, whole bool) Number {
	return Number{digits: pyfmt.ASCIIDigits(text), whole: whole}
}
