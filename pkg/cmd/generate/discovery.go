package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	// MLflow's protos import OpenTelemetry's; a linked-in copy serves clones that lack them.
	_ "go.opentelemetry.io/proto/otlp/trace/v1"
)

const (
	// cloneDirectory is where `mage repo:update` puts MLflow's repository.
	cloneDirectory = ".mlflow.repo"
	// pythonVariable names the interpreter whose installed mlflow is read when there is no clone.
	pythonVariable = "MLFLOW_GO_PYTHON"
)

// serviceFiles are the .proto files, below mlflow/protos, whose services MLflow's server answers
// (get_endpoints in mlflow/server/handlers.py). What they import comes along.
var serviceFiles = []string{"service.proto", "model_registry.proto", "mlflow_artifacts.proto", "webhooks.proto"}

//go:embed descriptors.py
var descriptorsScript string

// discover loads the descriptors of MLflow's services, dependencies first: from the .proto files
// of the clone below root when there is one, otherwise from the wheel of MLflow that is installed
// for Python. Both give equal descriptors.
func discover(ctx context.Context, root string) (*descriptorpb.FileDescriptorSet, error) {
	protos := filepath.Join(root, cloneDirectory, "mlflow", "protos")
	_, err := os.Stat(protos)
	var files *descriptorpb.FileDescriptorSet
	switch {
	case err == nil:
		files, err = descriptorsFromProtos(ctx, protos, serviceFiles...)
	case errors.Is(err, fs.ErrNotExist):
		files, err = descriptorsFromWheel(ctx, interpreter(root))
	}
	if err != nil {
		return nil, err
	}

	return normalize(files)
}

// descriptorsFromProtos compiles the named .proto files of a directory.
func descriptorsFromProtos(
	ctx context.Context, directory string, names ...string,
) (*descriptorpb.FileDescriptorSet, error) {
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(protocompile.CompositeResolver{
			&protocompile.SourceResolver{ImportPaths: []string{directory}},
			protocompile.ResolverFunc(linkedIn),
		}),
	}
	compiled, err := compiler.Compile(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("compile MLflow's protos in %s: %w", directory, err)
	}
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	for _, file := range compiled {
		collect(file, seen, set)
	}

	return set, nil
}

// linkedIn resolves files that are compiled into this program (OpenTelemetry's).
func linkedIn(path string) (protocompile.SearchResult, error) {
	file, err := protoregistry.GlobalFiles.FindFileByPath(path)
	if err != nil {
		return protocompile.SearchResult{}, err
	}

	return protocompile.SearchResult{Desc: file}, nil
}

// collect appends a file to the set, after the files that it imports.
func collect(file protoreflect.FileDescriptor, seen map[string]bool, set *descriptorpb.FileDescriptorSet) {
	if seen[file.Path()] {
		return
	}
	seen[file.Path()] = true
	imports := file.Imports()
	for i := range imports.Len() {
		collect(imports.Get(i).FileDescriptor, seen, set)
	}
	set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
}

// interpreter returns the Python to ask: $MLFLOW_GO_PYTHON, the project's virtual environment, or
// the one on PATH.
func interpreter(root string) string {
	if python := os.Getenv(pythonVariable); python != "" {
		return python
	}
	if python := filepath.Join(root, ".venv", "bin", "python"); isFile(python) {
		return python
	}

	return "python3"
}

func isFile(path string) bool {
	info, err := os.Stat(path)

	return err == nil && info.Mode().IsRegular()
}

// descriptorsFromWheel asks Python for the descriptors inside the installed mlflow.
func descriptorsFromWheel(ctx context.Context, python string) (*descriptorpb.FileDescriptorSet, error) {
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, python, "-c", descriptorsScript) //nolint:gosec // the caller's Python
	command.Args = append(command.Args, serviceFiles...)
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("read the descriptors of the mlflow installed for %s (set %s to another Python): %w\n%s",
			python, pythonVariable, err, strings.TrimSpace(stderr.String()))
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(stdout.Bytes(), set); err != nil {
		return nil, fmt.Errorf("parse the descriptors that %s printed: %w", python, err)
	}

	return set, nil
}

// normalize removes what differs between the two sources without changing the meaning: comments
// and positions, JSON names that equal the default, and the order in which custom options are
// encoded. Custom options (mlflow.rpc, …) are decoded on the way.
func normalize(set *descriptorpb.FileDescriptorSet) (*descriptorpb.FileDescriptorSet, error) {
	registry, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("link MLflow's descriptors: %w", err)
	}
	encoded, err := proto.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encode MLflow's descriptors: %w", err)
	}
	result := &descriptorpb.FileDescriptorSet{}
	options := proto.UnmarshalOptions{Resolver: dynamicpb.NewTypes(registry)}
	if err := options.Unmarshal(encoded, result); err != nil {
		return nil, fmt.Errorf("decode the options in MLflow's descriptors: %w", err)
	}
	for _, file := range result.GetFile() {
		file.SourceCodeInfo = nil
		for _, message := range file.GetMessageType() {
			dropDefaultJSONNames(message)
		}
		for _, extension := range file.GetExtension() {
			dropDefaultJSONName(extension)
		}
	}

	return result, nil
}

func dropDefaultJSONNames(message *descriptorpb.DescriptorProto) {
	for _, field := range message.GetField() {
		dropDefaultJSONName(field)
	}
	for _, extension := range message.GetExtension() {
		dropDefaultJSONName(extension)
	}
	for _, nested := range message.GetNestedType() {
		dropDefaultJSONNames(nested)
	}
}

func dropDefaultJSONName(field *descriptorpb.FieldDescriptorProto) {
	if field.JsonName != nil && field.GetJsonName() == defaultJSONName(field.GetName()) {
		field.JsonName = nil
	}
}

// defaultJSONName is protoc's lowerCamelCase of a field's name.
func defaultJSONName(name string) string {
	var b strings.Builder
	upper := false
	for _, r := range name {
		switch {
		case r == '_':
			upper = true

			continue
		case upper:
			b.WriteString(strings.ToUpper(string(r)))
		default:
			b.WriteRune(r)
		}
		upper = false
	}

	return b.String()
}
