package security

import (
	"fmt"
	"regexp"
	"strings"
)

// matcher compares a text as MLflow does: as a shell pattern (Python's fnmatch) when the allowed
// text has a "*", literally otherwise.
type matcher struct {
	literal string
	pattern *regexp.Regexp
}

func (m matcher) matches(text string) bool {
	if m.pattern != nil {
		return m.pattern.MatchString(text)
	}

	return text == m.literal
}

func compile(texts []string) ([]matcher, error) {
	matchers := make([]matcher, len(texts))

	for i, text := range texts {
		matchers[i].literal = text

		if !strings.Contains(text, "*") {
			continue
		}

		pattern, err := regexp.Compile(translate(text))
		if err != nil {
			return nil, fmt.Errorf("the pattern %q: %w", text, err)
		}

		matchers[i].pattern = pattern
	}

	return matchers, nil
}

// translate turns a shell pattern into a regular expression (fnmatch.translate).
func translate(pattern string) string {
	var out strings.Builder

	out.WriteString(`(?s)\A`)

	for at := 0; at < len(pattern); at++ {
		switch pattern[at] {
		case '*':
			out.WriteString(`.*`)
		case '?':
			out.WriteByte('.')
		case '[':
			end := classEnd(pattern, at)
			if end < 0 {
				out.WriteString(`\[`)

				continue
			}

			out.WriteString(class(pattern[at+1 : end]))
			at = end
		default:
			out.WriteString(regexp.QuoteMeta(pattern[at : at+1]))
		}
	}

	out.WriteString(`\z`)

	return out.String()
}

// classEnd finds the "]" that closes the set opened at the given place, or -1: a "]" right after
// "[" or "[!" is a member.
func classEnd(pattern string, open int) int {
	first := open + 1
	if first < len(pattern) && pattern[first] == '!' {
		first++
	}

	if first < len(pattern) && pattern[first] == ']' {
		first++
	}

	if first > len(pattern) {
		return -1
	}

	if length := strings.IndexByte(pattern[first:], ']'); length >= 0 {
		return first + length
	}

	return -1
}

func class(members string) string {
	negated := ""
	if rest, found := strings.CutPrefix(members, "!"); found {
		negated, members = "^", rest
	}

	return "[" + negated + strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `^`, `\^`).Replace(members) + "]"
}
