//go:build mage

// Builds, generates, checks and measures mlflow-go.
package main
