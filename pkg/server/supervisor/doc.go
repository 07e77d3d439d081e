// Package supervisor keeps MLflow's Python server running behind ours: it owns the loopback port
// that the server listens on, starts it, tells when it answers, replaces it with back-off when it
// dies, and ends it. The child dies with us, however we end.
package supervisor
