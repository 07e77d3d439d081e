package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/mlflow/mlflow-go/pkg/pythontest"
)

// repository is the root of the project.
const repository = "../../.."

// fromWheel loads the descriptors of the installed MLflow.
func fromWheel(t *testing.T) *descriptorpb.FileDescriptorSet {
	t.Helper()
	python, err := pythontest.Python()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(pythonVariable, python)
	set, err := discover(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}

	return set
}

// newRemote makes a git repository with MLflow's protos, printed from descriptors, at tag v1.
func newRemote(t *testing.T, set *descriptorpb.FileDescriptorSet) string {
	t.Helper()
	files, err := protodesc.NewFiles(set)
	if err != nil {
		t.Fatal(err)
	}
	remote := t.TempDir()
	protos := filepath.Join(remote, "mlflow", "protos")
	for _, file := range set.GetFile() {
		if isForeign(file.GetName()) {
			continue
		}
		descriptor, err := files.FindFileByPath(file.GetName())
		if err != nil {
			t.Fatal(err)
		}
		var source printer
		source.file(descriptor)
		writeFile(t, filepath.Join(protos, filepath.FromSlash(file.GetName())), source.String())
	}
	git := func(arguments ...string) {
		t.Helper()
		runIn(t, remote, "git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com"}, arguments...)...)
	}
	git("init", "--quiet")
	git("add", ".")
	git("commit", "--quiet", "-m", "protos")
	git("tag", "v1")

	return remote
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func runIn(t *testing.T, directory, name string, arguments ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, arguments...)
	command.Dir = directory
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, arguments, err, out)
	}
}

// TestBothSourcesGenerateTheSame clones MLflow with `mage repo:update` from a remote that has the
// wheel's protos, and generates from either.
func TestBothSourcesGenerateTheSame(t *testing.T) {
	wheel := fromWheel(t)
	want, err := generate(wheel, division{schemas: schemas, parts: parts, pathUses: pathUses, proxied: proxied})
	if err != nil {
		t.Fatal(err)
	}

	root := t.TempDir()
	writeFile(t, filepath.Join(root, ".mlflow.ref"), "https://unreachable.invalid/mlflow.git#v1\n")
	t.Setenv("MLFLOW_GO_REPO_REMOTE", newRemote(t, wheel))
	runIn(t, repository, "go", "tool", "mage", "-d", "magefiles", "-w", root, "repo:update")
	t.Setenv(pythonVariable, "/nowhere/python") // the clone comes first
	clone, err := discover(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := generate(clone, division{schemas: schemas, parts: parts, pathUses: pathUses, proxied: proxied})
	if err != nil {
		t.Fatal(err)
	}

	if len(got) != len(want) {
		t.Errorf("%d files from the clone, %d from the wheel", len(got), len(want))
	}
	for name, content := range want {
		if got[name] != content {
			t.Errorf("%s differs between clone and wheel", name)
		}
	}
}

func TestDiscoverErr(t *testing.T) {
	t.Run("NoPython", func(t *testing.T) {
		t.Setenv(pythonVariable, "/nowhere/python")
		if _, err := discover(t.Context(), t.TempDir()); err == nil {
			t.Fatal("an interpreter that does not exist passes")
		}
	})
	t.Run("BadProto", func(t *testing.T) {
		root := t.TempDir()
		writeFile(t, filepath.Join(root, cloneDirectory, "mlflow", "protos", "service.proto"), "syntax = 'proto2'; message {")
		if _, err := discover(t.Context(), root); err == nil {
			t.Fatal("a broken .proto file passes")
		}
	})
}

func TestNormalize(t *testing.T) {
	t.Parallel()
	set := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{
		Name:           new("a.proto"),
		SourceCodeInfo: &descriptorpb.SourceCodeInfo{},
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: new("M"),
			Field: []*descriptorpb.FieldDescriptorProto{
				newField("run_id", "runId", 1),
				newField("_a_1b", "A1b", 2),
				newField("own", "other", 3),
			},
		}},
	}}}
	result, err := normalize(set)
	if err != nil {
		t.Fatal(err)
	}
	file := result.GetFile()[0]
	if file.GetSourceCodeInfo() != nil {
		t.Error("comments stay")
	}
	for i, want := range []string{"", "", "other"} {
		if got := file.GetMessageType()[0].GetField()[i].GetJsonName(); got != want {
			t.Errorf("field %d has JSON name %q, want %q", i, got, want)
		}
	}
}

func newField(name, jsonName string, number int32) *descriptorpb.FieldDescriptorProto {
	return &descriptorpb.FieldDescriptorProto{
		Name: &name, JsonName: &jsonName, Number: &number,
		Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		Type:  descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(),
	}
}
