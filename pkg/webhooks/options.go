package webhooks

import (
	"fmt"
	"log/slog"
	"math"
	"net"
	"strings"
	"time"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
	"github.com/mlflow/mlflow-go/pkg/webhooks/ssrf"
)

// KeyVariable is the environment variable with the key that secrets are encrypted with.
const KeyVariable = "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"

// MLflow's defaults.
const (
	defaultTimeout    = 30 * time.Second
	defaultMaxWorkers = 10
	defaultMaxRetries = 3
	defaultCacheTTL   = time.Minute
)

// Options are how webhooks are kept and delivered.
type Options struct {
	// EncryptionKey is the Fernet key of the secrets; empty means one that ends with the process.
	EncryptionKey string
	// AllowedSchemes are those that a webhook's URL may have (MLFLOW_WEBHOOK_ALLOWED_SCHEMES).
	AllowedSchemes []string
	// AllowPrivate lets webhooks into private networks (MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS).
	AllowPrivate bool
	// Timeout is how long connecting, and waiting for an answer, may each take
	// (MLFLOW_WEBHOOK_REQUEST_TIMEOUT).
	Timeout time.Duration
	// MaxWorkers is how many requests are under way at a time (MLFLOW_WEBHOOK_DELIVERY_MAX_WORKERS).
	MaxWorkers int
	// MaxRetries is how often a request is sent again (MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES).
	MaxRetries int
	// CacheTTL is how long it may take until what another process did to the webhooks is noticed
	// (MLFLOW_WEBHOOK_CACHE_TTL).
	CacheTTL time.Duration

	Logger *slog.Logger
	// Resolver finds the addresses of receivers; nil means the system's.
	Resolver ssrf.Resolver
}

// OptionsFromEnvironment reads MLFLOW_WEBHOOK_*. It refuses, with database.ErrInvalid, what MLflow
// fails on: at its start, or whenever it needs the value.
func OptionsFromEnvironment(getenv func(string) string) (Options, error) {
	options := Options{
		EncryptionKey: getenv(KeyVariable), AllowedSchemes: []string{"https"}, Timeout: defaultTimeout,
		MaxWorkers: defaultMaxWorkers, MaxRetries: defaultMaxRetries, CacheTTL: defaultCacheTTL,
	}

	if options.EncryptionKey != "" {
		if _, err := newFernet(options.EncryptionKey); err != nil {
			return Options{}, fmt.Errorf("%s %w: %w", KeyVariable, database.ErrInvalid, err)
		}
	}

	if text := getenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES"); text != "" {
		options.AllowedSchemes = nil
		for scheme := range strings.SplitSeq(text, ",") {
			options.AllowedSchemes = append(options.AllowedSchemes, strings.TrimFunc(scheme, pyfmt.IsSpace))
		}
	}

	const private = "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS"

	switch text := getenv(private); strings.ToLower(text) {
	case "", "false", "0":
	case "true", "1":
		options.AllowPrivate = true
	default:
		return Options{}, fmt.Errorf("%s %w: %q is none of true, false, 1, 0", private, database.ErrInvalid, text)
	}

	seconds, ttl := int(defaultTimeout/time.Second), int(defaultCacheTTL/time.Second)

	for _, number := range []struct {
		name  string
		least int
		to    *int
	}{
		{"MLFLOW_WEBHOOK_REQUEST_TIMEOUT", 1, &seconds},
		{"MLFLOW_WEBHOOK_DELIVERY_MAX_WORKERS", 1, &options.MaxWorkers},
		{"MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES", math.MinInt32, &options.MaxRetries},
		{"MLFLOW_WEBHOOK_CACHE_TTL", math.MinInt32, &ttl},
	} {
		text := getenv(number.name)
		if text == "" {
			continue
		}

		value, ok := pyfmt.ParseInt(text)
		if !ok || !value.IsInt64() || value.Int64() < int64(number.least) || value.Int64() > math.MaxInt32 {
			return Options{}, fmt.Errorf("%s %w: %q isn't a number that can be used", number.name, database.ErrInvalid, text)
		}

		*number.to = int(value.Int64())
	}

	options.Timeout, options.CacheTTL = time.Duration(seconds)*time.Second, time.Duration(ttl)*time.Second

	return options, nil
}

// withDefaults fills in what only tests and the shared library leave out.
func (o Options) withDefaults() Options {
	if o.EncryptionKey == "" {
		o.EncryptionKey = GenerateKey()
	}

	if o.AllowedSchemes == nil {
		o.AllowedSchemes = []string{"https"}
	}

	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}

	if o.MaxWorkers == 0 {
		o.MaxWorkers = defaultMaxWorkers
	}

	if o.Logger == nil {
		o.Logger = slog.Default()
	}

	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}

	return o
}
