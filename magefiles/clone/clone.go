// Package clone keeps a checkout of MLflow's repository: its .proto files are a source for the
// generator, its tests run against our server.
package clone

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	// Directory is where the clone lives, below the repository's root.
	Directory = ".mlflow.repo"
	// ReferenceFile says what to clone, as remote#reference.
	ReferenceFile = ".mlflow.ref"
	// RemoteVariable names another remote to fetch from, for those who cannot reach the usual one.
	RemoteVariable = "MLFLOW_GO_REPO_REMOTE"

	// permissions are those of the clone's directory.
	permissions = 0o755

	// pinned is the ref in the clone that remembers what was fetched, by the reference's name; the
	// clone is up to date while its HEAD is there.
	pinned = "refs/mlflow-go/"
)

// Errors that Check returns, wrapped.
var (
	ErrMissing   = errors.New("no clone of MLflow's repository")
	ErrOutOfDate = errors.New("the clone of MLflow's repository is out of date")
)

var errReference = errors.New("want remote#reference")

// Clone is the checkout below a root.
type Clone struct {
	directory string
	remote    string
	reference string
}

// Open reads what the repository at root wants cloned. Nothing needs to be there yet.
func Open(root string) (*Clone, error) {
	content, err := os.ReadFile(filepath.Join(root, ReferenceFile))
	if err != nil {
		return nil, err
	}
	remote, reference, ok := strings.Cut(strings.TrimSpace(string(content)), "#")
	if !ok || remote == "" || reference == "" {
		return nil, fmt.Errorf("%s: %w, not %q", ReferenceFile, errReference, content)
	}
	if other := os.Getenv(RemoteVariable); other != "" {
		remote = other
	}

	return &Clone{filepath.Join(root, Directory), remote, reference}, nil
}

// Path returns the directory of the clone.
func (c *Clone) Path() string { return c.directory }

// Exists tells whether there is a clone at all, up to date or not.
func (c *Clone) Exists() (bool, error) {
	_, err := os.Stat(filepath.Join(c.directory, ".git"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}

	return err == nil, err
}

// Check returns ErrMissing without a clone and ErrOutOfDate with one of another reference.
func (c *Clone) Check() error {
	exists, err := c.Exists()
	if err != nil {
		return err
	}
	if !exists {
		return fmt.Errorf("%w in %s: run `go tool mage repo:update` (set %s if %s is out of reach)",
			ErrMissing, c.directory, RemoteVariable, c.remote)
	}
	wanted, err := c.git("rev-parse", "--verify", "--quiet", pinned+c.reference+"^{commit}")
	if err == nil {
		var head string
		if head, err = c.git("rev-parse", "HEAD"); err == nil && head == wanted {
			return nil
		}
	}

	return fmt.Errorf("%w: %s asks for %s; run `go tool mage repo:update`", ErrOutOfDate, ReferenceFile, c.reference)
}

// Update clones, or brings the clone to the wanted reference. Only that commit is fetched. It
// refuses to overwrite changes made in the clone.
func (c *Clone) Update() error {
	exists, err := c.Exists()
	if err != nil {
		return err
	}
	if !exists {
		if err := os.MkdirAll(c.directory, permissions); err != nil {
			return err
		}
		if _, err := c.git("init", "--quiet"); err != nil {
			return err
		}
	}
	if _, err := c.git("fetch", "--quiet", "--depth=1", "--force", "--no-tags",
		c.remote, c.reference+":"+pinned+c.reference); err != nil {
		return fmt.Errorf("fetch %s (set %s to fetch from elsewhere): %w", c.reference, RemoteVariable, err)
	}
	_, err = c.git("-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", pinned+c.reference)

	return err
}

// git runs a git command in the clone and returns its output without the last line's end.
func (c *Clone) git(arguments ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	command := exec.Command("git", append([]string{"-C", c.directory}, arguments...)...)
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w: %s", arguments[0], err, strings.TrimSpace(stderr.String()))
	}

	return strings.TrimSpace(stdout.String()), nil
}
