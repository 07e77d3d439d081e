package main

import (
	"path"
	"strings"

	"google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// module is the Go module that the output belongs to.
const module = "github.com/mlflow/mlflow-go"

// Where generated code lives.
const (
	protosPath     = module + "/pkg/protos"
	contractPath   = module + "/pkg/contract"
	validationPath = module + "/pkg/validation"
)

// ownPackages names the Go packages of protobuf packages that use names of the main one again
// (Dataset, ListArtifacts, …). All others share pkg/protos, as their files import each other both
// ways.
var ownPackages = map[string]string{
	"mlflow.artifacts": "artifacts",
	"mlflow.datasets":  "datasets", //nolint:goconst // a table
}

// foreignPrefixes are the paths of .proto files whose Go code comes from other modules.
var foreignPrefixes = []string{"google/", "opentelemetry/"}

// newPlugin prepares protoc-gen-go's own machinery: no protoc is involved.
func newPlugin(set *descriptorpb.FileDescriptorSet) (*protogen.Plugin, error) {
	set = proto.CloneOf(set) // protogen writes to what it is given
	request := &pluginpb.CodeGeneratorRequest{ProtoFile: set.GetFile()}
	parameters := []string{"module=" + module}
	for _, file := range set.GetFile() {
		if isForeign(file.GetName()) {
			continue
		}
		request.FileToGenerate = append(request.FileToGenerate, file.GetName())
		goPackage := path.Join(protosPath, ownPackages[file.GetPackage()])
		parameters = append(parameters, "M"+file.GetName()+"="+goPackage)
	}
	parameter := strings.Join(parameters, ",")
	request.Parameter = &parameter

	return protogen.Options{}.New(request)
}

func isForeign(file string) bool {
	for _, prefix := range foreignPrefixes {
		if strings.HasPrefix(file, prefix) {
			return true
		}
	}

	return false
}

// generateMessages writes the messages and enums of all files, as protoc-gen-go does.
func generateMessages(plugin *protogen.Plugin) {
	for _, file := range plugin.Files {
		if file.Generate {
			internal_gengo.GenerateFile(plugin, file)
		}
	}
}
