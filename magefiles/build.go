//go:build mage

package main

// Build makes the wheel in dist/, as `pip install .` does.
func Build() error {
	return run(python(), "-m", "pip", "wheel", "--no-deps", "--wheel-dir", "dist", ".")
}
