package clone

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// newRemote makes a git repository with the tags v1 and v2, whose file "version" says which.
func newRemote(t *testing.T) string {
	t.Helper()
	remote := t.TempDir()
	runGit(t, remote, "init", "--quiet")
	for _, tag := range []string{"v1", "v2"} {
		writeFile(t, filepath.Join(remote, "version"), tag)
		runGit(t, remote, "add", "version")
		runGit(t, remote, "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "-m", tag)
		runGit(t, remote, "tag", tag)
	}

	return remote
}

func runGit(t *testing.T, directory string, arguments ...string) {
	t.Helper()
	if out, err := exec.Command("git", append([]string{"-C", directory}, arguments...)...).CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", arguments, err, out)
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// open opens the clone below root after pointing it at a reference.
func open(t *testing.T, root, reference string) *Clone {
	t.Helper()
	writeFile(t, filepath.Join(root, ReferenceFile), reference+"\n")
	c, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}

	return c
}

func TestClone(t *testing.T) {
	t.Setenv(RemoteVariable, "")
	remote := newRemote(t)
	root := t.TempDir()
	version := func() string {
		content, err := os.ReadFile(filepath.Join(root, Directory, "version"))
		if err != nil {
			t.Fatal(err)
		}

		return string(content)
	}

	v1 := open(t, root, remote+"#v1")
	if err := v1.Check(); !errors.Is(err, ErrMissing) {
		t.Fatalf("before the first update: %v", err)
	}
	if err := v1.Update(); err != nil {
		t.Fatal(err)
	}
	if err := v1.Check(); err != nil || version() != "v1" {
		t.Fatalf("after the first update: %v, version %s", err, version())
	}

	v2 := open(t, root, remote+"#v2")
	if err := v2.Check(); !errors.Is(err, ErrOutOfDate) {
		t.Fatalf("after the reference moved: %v", err)
	}
	if err := v2.Update(); err != nil {
		t.Fatal(err)
	}
	if err := v2.Check(); err != nil || version() != "v2" {
		t.Fatalf("after the second update: %v, version %s", err, version())
	}

	runGit(t, filepath.Join(root, Directory), "checkout", "--quiet", "--detach", pinned+"v1")
	if err := v2.Check(); !errors.Is(err, ErrOutOfDate) {
		t.Fatalf("after a checkout by hand: %v", err)
	}
}

func TestCloneErrUnknownReference(t *testing.T) {
	t.Setenv(RemoteVariable, "")
	c := open(t, t.TempDir(), newRemote(t)+"#v3")
	if err := c.Update(); err == nil || !strings.Contains(err.Error(), "fetch v3") {
		t.Fatalf("got %v", err)
	}
	if err := c.Check(); !errors.Is(err, ErrOutOfDate) {
		t.Fatalf("a clone without a commit passes: %v", err)
	}
}

func TestOpen(t *testing.T) {
	t.Run("OtherRemote", func(t *testing.T) {
		remote := newRemote(t)
		t.Setenv(RemoteVariable, remote)
		c := open(t, t.TempDir(), "https://unreachable.invalid/mlflow.git#v1")
		if err := c.Update(); err != nil {
			t.Fatal(err)
		}
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("ErrNoReference", func(t *testing.T) {
		root := t.TempDir()
		writeFile(t, filepath.Join(root, ReferenceFile), "https://example.com/mlflow.git\n")
		if _, err := Open(root); err == nil {
			t.Fatal("a file without a reference passes")
		}
	})
}
