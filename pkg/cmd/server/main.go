// Command mlflow-go-server is the server that `mlflow-go server` becomes: it answers MLflow's HTTP
// API natively where it can and runs MLflow's Python server behind itself for the rest.
//
// It takes its configuration from the launcher (package config). With the argument "endpoints" it
// prints what is native, what is not, and why; with "index", it adds or drops indexes; with
// --version, it says which build it is.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/mlflow/mlflow-go/pkg/config"
	"github.com/mlflow/mlflow-go/pkg/server"
	"github.com/mlflow/mlflow-go/pkg/server/supervisor"
	"github.com/mlflow/mlflow-go/pkg/webhooks"
)

// version is stamped by the build of the wheel.
var version = "dev"

// lastConnections is how long connections are still accepted when the server is asked to end: closing the port
// resets those that clients have made and nobody has accepted, requests and all.
const lastConnections = 100 * time.Millisecond

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mlflow-go: error:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) > 0 {
		switch arguments[0] {
		case "endpoints":
			return printEndpoints(os.Stdout, arguments[1:])
		case "index":
			return changeIndexes(context.Background(), os.Stdout, arguments[1:])
		case "--version":
			_, err := fmt.Fprintln(os.Stdout, version)

			return err
		}
	}

	settings, err := config.Take()
	if err != nil {
		return err
	}

	limitGarbage()

	logger := newLogger(settings.Go.LogLevel)
	slog.SetDefault(logger)

	if err := shareKey(); err != nil {
		return err
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	return serve(ctx, stop, settings, logger)
}

// shareKey gives both halves of the server one key for webhooks' secrets when the operator gives none.
// MLflow makes one up in each process then, which can't read what another has written.
func shareKey() error {
	if os.Getenv(webhooks.KeyVariable) != "" {
		return nil
	}

	return os.Setenv(webhooks.KeyVariable, webhooks.GenerateKey())
}

// newLogger writes text for people and JSON for machines, to standard error.
func newLogger(level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, attribute slog.Attr) slog.Attr {
		if attribute.Value.Kind() == slog.KindDuration { // or JSON has a bare number of nanoseconds
			attribute.Value = slog.StringValue(attribute.Value.Duration().String())
		}

		return attribute
	}}
	if isatty.IsTerminal(os.Stderr.Fd()) {
		return slog.New(slog.NewTextHandler(os.Stderr, options))
	}

	return slog.New(slog.NewJSONHandler(os.Stderr, options))
}

// serve runs the server until the context ends, whose signals are then no longer caught, or until
// something fails for good.
func serve(ctx context.Context, stopCatching func(), settings *config.Config, logger *slog.Logger) error {
	gate, err := server.NewGate(server.Setting{Config: settings, Getenv: os.Getenv})
	if err != nil {
		return err
	}

	listener, err := listen(ctx, settings)
	if err != nil {
		return err
	}

	options := server.Options{Config: settings, Gate: gate, Logger: logger, Telemetry: server.NewTelemetry(os.LookupEnv)}

	var fallback *supervisor.Supervisor

	if settings.Go.Fallback != config.FallbackOff {
		if fallback, err = newFallback(ctx, settings, logger); err != nil {
			return err
		}

		options.Upstream = fallback
	}

	server, err := server.New(options) //nolint:contextcheck // requests end on their own, see Shutdown
	if err != nil {
		return err
	}

	logger.Info("listening", "url", settings.PublicURL(), "proxied_by_modes", gate.Active())

	// What ends the server: the first failure, or the context.
	failed := make(chan error, 3) //nolint:mnd // one for each goroutine that sends

	go func() { failed <- server.Serve(listener) }()

	lasting := context.WithoutCancel(ctx) // what is running when the context ends is waited for
	draining, endDraining := context.WithCancel(lasting)
	running, endRunning := context.WithCancel(lasting)

	defer endDraining()

	backend := &backend{settings: settings, logger: logger}

	var background sync.WaitGroup

	background.Go(func() {
		services, err := backend.open(running, gate)
		if err != nil {
			failed <- err

			return
		}

		server.Provide(services)

		if fallback != nil {
			failed <- fallback.Run(running, draining)
		}
	})

	select {
	case <-ctx.Done():
		logger.Info("shutting down", "timeout", settings.Go.ShutdownTimeout)
		time.Sleep(lastConnections)
	case err = <-failed:
	}

	stopCatching() // a second signal ends us at once

	deadline, cancel := context.WithTimeout(lasting, settings.Go.ShutdownTimeout)
	defer cancel()
	context.AfterFunc(deadline, endDraining)

	if err != nil {
		cancel() // nothing is worth waiting for
	}

	shutdownErr := server.Shutdown(deadline)

	endRunning()
	background.Wait()

	if err != nil {
		return err
	}

	return errors.Join(shutdownErr, backend.close(deadline))
}

func newFallback(
	ctx context.Context, settings *config.Config, logger *slog.Logger,
) (*supervisor.Supervisor, error) {
	return supervisor.New(ctx, supervisor.Options{
		Command:    settings.Fallback,
		Lazy:       settings.Go.Fallback == config.FallbackLazy,
		Timeout:    settings.Go.FallbackTimeout,
		PublicURL:  settings.PublicURL(),
		HealthPath: settings.StaticPrefix + "/health",
		Logger:     logger,
	})
}

// listen takes the user's port; with port 0 the settings learn which one it became.
func listen(ctx context.Context, settings *config.Config) (net.Listener, error) {
	secure, err := tlsConfig(settings.TLS)
	if err != nil {
		return nil, err
	}

	address := net.JoinHostPort(settings.Host, strconv.Itoa(settings.Port))

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		//nolint:err113 // for a person
		return nil, fmt.Errorf("%s is in use: stop the program that listens there, or choose another --port", address)
	}

	if err != nil {
		return nil, fmt.Errorf("can't listen on %s, see --host and --port: %w", address, err)
	}

	if bound, ok := listener.Addr().(*net.TCPAddr); ok {
		settings.Port = bound.Port
	}

	if secure != nil {
		listener = newTLSListener(listener, secure)
	}

	return listener, nil
}
