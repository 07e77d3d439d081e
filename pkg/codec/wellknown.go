package codec

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	nanosPerSecond = 1_000_000_000

	minTimestamp = -62135596800 // 0001-01-01
	maxTimestamp = 253402300799 // 9999-12-31T23:59:59
	maxDuration  = 315576000000
)

// timestampSeconds is time.strptime's reading of %Y-%m-%dT%H:%M:%S: leading zeros may be missing,
// digits may be any script's.
var timestampSeconds = regexp.MustCompile(
	`^(\p{Nd}{4})-(1[0-2]|0[1-9]|[1-9])-(3[0-1]|[1-2]\p{Nd}|0[1-9]|[1-9]| [1-9])T` +
		`(2[0-3]|[0-1]\p{Nd}|\p{Nd}):([0-5]\p{Nd}|\p{Nd}):(6[0-1]|[0-5]\p{Nd}|\p{Nd})`)

// setTimestamp mirrors Timestamp.FromJsonString.
func setTimestamp(m *timestamppb.Timestamp, text string) error {
	zone := strings.IndexByte(text, 'Z')
	if zone < 0 {
		zone = strings.IndexByte(text, '+')
	}

	if zone < 0 {
		zone = strings.LastIndexByte(text, '-')
	}

	if zone < 0 {
		return parseErrorf("Failed to parse timestamp: missing valid timezone offset.")
	}

	whole, fraction, _ := strings.Cut(text[:zone], ".")

	seconds, err := parseTimestampSeconds(whole)
	if err != nil {
		return err
	}

	if utf8.RuneCountInString(fraction) > len("999999999") {
		return parseErrorf("Failed to parse Timestamp: nanos %s more than 9 fractional digits.", fraction)
	}

	nanos, ok := parseFraction("0." + fraction)
	if !ok {
		return parseErrorf("could not convert string to float: '0.%s'", fraction)
	}

	offset, err := parseZone(text, text[zone:])
	if err != nil {
		return err
	}

	seconds -= offset
	if seconds < minTimestamp || seconds > maxTimestamp {
		return parseErrorf("Timestamp is not valid: Seconds %d must be in range [-62135596800, 253402300799].", seconds)
	}

	if nanos < 0 || nanos >= nanosPerSecond {
		return parseErrorf("Timestamp is not valid: Nanos %d must be in a range [0, 999999].", nanos)
	}

	m.Seconds, m.Nanos = seconds, int32(nanos)

	return nil
}

func parseTimestampSeconds(text string) (int64, error) {
	if strings.Contains(text, "t") {
		return 0, parseErrorf("time data '%s' does not match format '%%Y-%%m-%%dT%%H:%%M:%%S', "+
			"lowercase 't' is not accepted", text)
	}

	match := timestampSeconds.FindStringSubmatch(text)
	if match == nil || len(match[0]) != len(text) {
		return 0, parseErrorf("time data '%s' does not match format '%%Y-%%m-%%dT%%H:%%M:%%S'", text)
	}

	var part [6]int
	for i := range part {
		digits, _ := pythonInt(match[i+1])
		part[i], _ = strconv.Atoi(digits)
	}

	date := time.Date(part[0], time.Month(part[1]), part[2], part[3], part[4], part[5], 0, time.UTC)
	if part[0] == 0 || date.Day() != part[2] || date.Second() != part[5] {
		return 0, parseErrorf("time data '%s' is out of range", text)
	}

	return date.Unix(), nil
}

// parseZone reads what ends a timestamp and returns the seconds that local time is ahead.
func parseZone(text, zone string) (int64, error) {
	if zone[0] == 'Z' {
		if zone != "Z" {
			return 0, parseErrorf("Failed to parse timestamp: invalid trailing data %s.", text)
		}

		return 0, nil
	}

	hours, minutes, found := strings.Cut(zone[1:], ":")
	if !found {
		return 0, parseErrorf("Invalid timezone offset value: %s.", zone)
	}

	h, err := parseInt64(hours)
	if err != nil {
		return 0, err
	}

	m, err := parseInt64(minutes)
	if err != nil {
		return 0, err
	}

	const secondsPerMinute, secondsPerHour = 60, 3600
	if max(h, -h, m, -m) > math.MaxInt32*secondsPerHour {
		return 0, parseErrorf("Timestamp is not valid: offset %s is out of range.", zone)
	}

	offset := h*secondsPerHour + m*secondsPerMinute
	if zone[0] == '-' {
		offset = -offset
	}

	return offset, nil
}

// parseFraction reads a decimal fraction of a second as nanoseconds, rounding half to even. A lone
// "0." or "" is none.
func parseFraction(text string) (int64, bool) {
	if text == "0." {
		return 0, true
	}

	value, ok := pythonFloat(text)

	return int64(math.RoundToEven(value * nanosPerSecond)), ok
}

func parseInt64(text string) (int64, error) {
	digits, ok := pythonInt(text)
	if !ok {
		return 0, parseErrorf("invalid literal for int() with base 10: '%s'", text)
	}

	value, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, parseErrorf("Value out of range: %s", digits)
	}

	return value, nil
}

// formatTimestamp mirrors Timestamp.ToJsonString. Where that raises, it writes what comes nearest.
func formatTimestamp(m *timestamppb.Timestamp) string {
	return time.Unix(m.GetSeconds(), 0).UTC().Format("2006-01-02T15:04:05") + formatFraction(int64(m.GetNanos())) + "Z"
}

// formatFraction writes nanoseconds with as many of 0, 3, 6 and 9 digits as they need.
func formatFraction(nanos int64) string {
	const micro, milli = 1_000, 1_000_000

	switch {
	case nanos == 0:
		return ""
	case nanos%milli == 0:
		return fmt.Sprintf(".%03d", nanos/milli)
	case nanos%micro == 0:
		return fmt.Sprintf(".%06d", nanos/micro)
	default:
		return fmt.Sprintf(".%09d", nanos)
	}
}

// setDuration mirrors Duration.FromJsonString.
func setDuration(m *durationpb.Duration, text string) error {
	number, ok := strings.CutSuffix(text, "s")
	if !ok {
		return parseErrorf("Duration must end with letter \"s\": %s.", text)
	}

	whole, fraction, _ := strings.Cut(number, ".")

	seconds, err := parseInt64(whole)
	if err != nil {
		return parseErrorf("Couldn't parse duration: %s : %v.", text, err)
	}

	var nanos int64

	if found := strings.Contains(number, "."); found {
		sign := ""
		if text[0] == '-' {
			sign = "-"
		}

		value, ok := pythonFloat(sign + "0." + fraction)
		if !ok || math.IsInf(value, 0) {
			return parseErrorf("Couldn't parse duration: %s.", text)
		}

		nanos = int64(math.RoundToEven(value * nanosPerSecond))
	}

	switch {
	case max(seconds, -seconds) > maxDuration:
		return parseErrorf("Couldn't parse duration: %s : Duration is not valid: Seconds %d must be in range "+
			"[-315576000000, 315576000000]..", text, seconds)
	case max(nanos, -nanos) >= nanosPerSecond:
		return parseErrorf("Couldn't parse duration: %s : Duration is not valid: Nanos %d must be in range "+
			"[-999999999, 999999999]..", text, nanos)
	case nanos < 0 && seconds > 0, nanos > 0 && seconds < 0:
		return parseErrorf("Couldn't parse duration: %s : Duration is not valid: Sign mismatch..", text)
	}

	m.Seconds, m.Nanos = seconds, int32(nanos)

	return nil
}

// formatDuration mirrors Duration.ToJsonString.
func formatDuration(m *durationpb.Duration) string {
	seconds, nanos := m.GetSeconds(), int64(m.GetNanos())

	sign := ""
	if seconds < 0 || nanos < 0 {
		sign, seconds, nanos = "-", -seconds, -nanos
	}

	return sign + strconv.FormatInt(seconds, 10) + formatFraction(nanos) + "s"
}

// setFieldMask mirrors FieldMask.FromJsonString: camelCase paths, separated by commas.
func setFieldMask(m *fieldmaskpb.FieldMask, text string) error {
	m.Paths = nil
	if text == "" {
		return nil
	}

	for path := range strings.SplitSeq(text, ",") {
		var snake strings.Builder

		for _, c := range path {
			switch {
			case c == '_':
				return parseErrorf("Failed to parse FieldMask: Path name %s must not contain \"_\"s.", path)
			case unicode.IsUpper(c):
				snake.WriteByte('_')
				snake.WriteRune(unicode.ToLower(c))
			default:
				snake.WriteRune(c)
			}
		}

		m.Paths = append(m.Paths, snake.String())
	}

	return nil
}

// formatFieldMask mirrors FieldMask.ToJsonString, without its refusals.
func formatFieldMask(m *fieldmaskpb.FieldMask) string {
	var text strings.Builder

	for i, path := range m.GetPaths() {
		if i > 0 {
			text.WriteByte(',')
		}

		upper := false

		for _, c := range path {
			switch {
			case c == '_':
				upper = true
			case upper:
				text.WriteRune(unicode.ToUpper(c))

				upper = false
			default:
				text.WriteRune(c)
			}
		}
	}

	return text.String()
}
