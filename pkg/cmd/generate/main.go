package main

import (
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

const module = "github.com/mlflow/mlflow-go"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// ownPackages reuse names of MLflow's main package (Dataset, ListArtifacts, …) and get a Go
// package each; everything else shares one, as the files import each other both ways.
var ownPackages = map[string]string{
	"mlflow.artifacts": "artifacts",
	"mlflow.datasets":  "datasets",
}

func goPackage(f *descriptorpb.FileDescriptorProto) string {
	return path.Join(module, "pkg/protos", ownPackages[f.GetPackage()])
}

func run() error {
	raw, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(raw, &set); err != nil {
		return err
	}
	req := &pluginpb.CodeGeneratorRequest{ProtoFile: set.File}
	params := []string{"module=" + module}
	for _, f := range set.File {
		fmt.Fprintln(os.Stderr, f.GetName(), f.GetPackage())
		if strings.HasPrefix(f.GetName(), "google/") {
			continue
		}
		if strings.HasPrefix(f.GetName(), "opentelemetry/") {
			continue
		}
		req.FileToGenerate = append(req.FileToGenerate, f.GetName())
		params = append(params, "M"+f.GetName()+"="+goPackage(f))
	}
	p := strings.Join(params, ",")
	req.Parameter = &p
	plugin, err := protogen.Options{}.New(req)
	if err != nil {
		return err
	}
	for _, f := range plugin.Files {
		if f.Generate {
			internal_gengo.GenerateFile(plugin, f)
		}
	}
	for _, f := range plugin.Response().File {
		if err := os.MkdirAll(filepath.Dir(f.GetName()), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(f.GetName(), []byte(f.GetContent()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
