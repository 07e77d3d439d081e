package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// When the fallback is started.
const (
	// FallbackBackground starts it behind the server, at once.
	FallbackBackground = "background"
	// FallbackLazy starts it for the first request that needs it.
	FallbackLazy = "lazy"
	// FallbackOff never starts it: what isn't native is refused.
	FallbackOff = "off"
)

// What becomes of a SQLite file's journal: it is turned into a write-ahead log, or kept as it is.
const (
	SQLiteWAL  = "wal"
	SQLiteKeep = "keep"
)

// Defaults of --go-opts.
const (
	defaultShutdownTimeout = time.Minute
	defaultFallbackTimeout = 2 * time.Minute
	// defaultMaxBody bounds the JSON of one native request, in bytes. MLflow has no limit; its own
	// clients stay under a few MB (a batch of 1000 metrics with long keys is 1 MB), so this stops
	// only what would exhaust memory.
	defaultMaxBody = 256 << mb
)

// Powers of two in the units of sizes.
const (
	kb = 10
	mb = 20
	gb = 30
)

var (
	errUnknownOption = errors.New("unknown key")
	errBadOption     = errors.New("bad value")
)

// Options are the keys of --go-opts.
type Options struct {
	// LogLevel is the least level that is logged; requests are logged at debug.
	LogLevel slog.Level
	// ShutdownTimeout bounds the wait for running requests after SIGTERM or SIGINT.
	ShutdownTimeout time.Duration
	// Fallback is FallbackBackground, FallbackLazy or FallbackOff.
	Fallback string
	// FallbackTimeout bounds a request's wait for the database or the fallback to come up.
	FallbackTimeout time.Duration
	// MaxBody bounds the body of a native request, in bytes.
	MaxBody int64
	// SQLiteJournal is SQLiteWAL or SQLiteKeep.
	SQLiteJournal string
	// Proxy names routes that go to Python whatever is native, as paths or parts of paths.
	Proxy []string
}

// DefaultOptions is what holds without --go-opts.
func DefaultOptions() Options {
	return Options{
		LogLevel:        slog.LevelInfo,
		ShutdownTimeout: defaultShutdownTimeout,
		Fallback:        FallbackBackground,
		FallbackTimeout: defaultFallbackTimeout,
		MaxBody:         defaultMaxBody,
		SQLiteJournal:   SQLiteWAL,
	}
}

// option reads one key of --go-opts from the text that was given for it.
type option struct {
	key  string
	help string
	set  func(*Options, string) error
}

var options = []option{
	{"log_level", "debug, info, warning or error", func(o *Options, text string) error {
		text = strings.ToLower(text)
		if text == "warning" {
			text = "warn"
		}

		return o.LogLevel.UnmarshalText([]byte(text))
	}},
	{"shutdown_timeout", "a duration such as 30s, or seconds", func(o *Options, text string) error {
		return setDuration(&o.ShutdownTimeout, text)
	}},
	{"fallback", "background, lazy or off", func(o *Options, text string) error {
		if !slices.Contains([]string{FallbackBackground, FallbackLazy, FallbackOff}, text) {
			return errBadOption
		}

		o.Fallback = text

		return nil
	}},
	{"fallback_timeout", "a duration such as 2m, or seconds", func(o *Options, text string) error {
		return setDuration(&o.FallbackTimeout, text)
	}},
	{"max_body", "a size in bytes, or with kb, mb or gb", func(o *Options, text string) error {
		return setSize(&o.MaxBody, text)
	}},
	{"sqlite_journal", "wal or keep", func(o *Options, text string) error {
		if !slices.Contains([]string{SQLiteWAL, SQLiteKeep}, text) {
			return errBadOption
		}

		o.SQLiteJournal = text

		return nil
	}},
	{"proxy", "routes such as runs/search", func(o *Options, text string) error {
		for route := range strings.SplitSeq(text, ",") {
			if route = strings.Trim(strings.TrimSpace(route), "/"); route != "" {
				o.Proxy = append(o.Proxy, route)
			}
		}

		return nil
	}},
}

// UnmarshalJSON reads the keys from an object whose values are texts, numbers or lists.
func (o *Options) UnmarshalJSON(text []byte) error {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(text, &values); err != nil {
		return err
	}

	for key, value := range values {
		at := slices.IndexFunc(options, func(option option) bool { return option.key == key })
		if at < 0 {
			return fmt.Errorf("--go-opts: %w %q; known are %s", errUnknownOption, key, knownKeys())
		}

		plain, err := plainText(value)
		if err == nil && plain != nil {
			err = options[at].set(o, *plain)
		}

		if err != nil {
			return fmt.Errorf("--go-opts: %w for %s: expected %s", errBadOption, key, options[at].help)
		}
	}

	return nil
}

func knownKeys() string {
	keys := make([]string, len(options))
	for i, option := range options {
		keys[i] = option.key
	}

	return strings.Join(keys, ", ")
}

// plainText turns a JSON text, number or list of texts into text; null is nil: the default.
func plainText(value json.RawMessage) (*string, error) {
	var decoded any
	if err := json.Unmarshal(value, &decoded); err != nil {
		return nil, err
	}

	var text string

	switch decoded := decoded.(type) {
	case nil:
		return nil, nil //nolint:nilnil // null stands for the default, which is no error
	case string:
		text = decoded
	case float64:
		text = strconv.FormatFloat(decoded, 'f', -1, 64)
	case []any:
		parts := make([]string, len(decoded))
		for i, part := range decoded {
			parts[i] = fmt.Sprint(part)
		}

		text = strings.Join(parts, ",")
	default:
		return nil, errBadOption
	}

	return &text, nil
}

func setDuration(target *time.Duration, text string) error {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		text = strconv.FormatFloat(seconds, 'f', -1, 64) + "s"
	}

	duration, err := time.ParseDuration(text)
	if err != nil || duration < 0 {
		return errBadOption
	}

	*target = duration

	return nil
}

func setSize(target *int64, text string) error {
	text = strings.ToLower(text)

	shift := 0

	for suffix, bits := range map[string]int{"kb": kb, "mb": mb, "gb": gb} {
		if digits, found := strings.CutSuffix(text, suffix); found {
			text, shift = digits, bits
		}
	}

	size, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || size <= 0 || size > math.MaxInt64>>shift {
		return errBadOption
	}

	*target = size << shift

	return nil
}
