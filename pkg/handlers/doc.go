// Package handlers holds what MLflow's HTTP handlers add to its stores: decorators around the
// services that the server puts between its routes and the domains. The shared library calls the
// domains without them, as a Python client calls a store without a server.
//
// The schema checks of requests come before (pkg/validation); what a store does itself is in its
// domain.
package handlers
