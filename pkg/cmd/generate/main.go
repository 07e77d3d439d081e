// Command generate writes all Go code that follows from MLflow's protobufs: the messages, the
// interfaces and tables of pkg/contract, the validation rules and the JSON codec.
//
// Run it from the root of the repository, or through `mage generate`. With -check nothing is
// written: it lists the files that are out of date and fails when there are any.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/types/descriptorpb"
)

func main() {
	root := flag.String("root", ".", "the `directory` of the repository")
	check := flag.Bool("check", false, "write nothing, fail when a file is out of date")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *root, *check)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root string, check bool) error {
	descriptors, err := discover(ctx, root)
	if err != nil {
		return err
	}
	files, err := generate(descriptors, division{schemas: schemas, parts: parts, pathUses: pathUses, proxied: proxied})
	if err != nil {
		return err
	}
	directory, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	if check {
		err = files.check(directory)
	} else {
		err = files.write(directory)
	}

	return errors.Join(err, directory.Close())
}

// generate makes all output, by path below the repository's root.
func generate(descriptors *descriptorpb.FileDescriptorSet, d division) (tree, error) {
	plugin, err := newPlugin(descriptors)
	if err != nil {
		return nil, fmt.Errorf("prepare generation: %w", err)
	}
	services, err := collectServices(plugin, d)
	if err != nil {
		return nil, err
	}
	generateMessages(plugin)
	generateInterfaces(plugin, services)
	generateMethods(plugin, services)
	if err := generateRules(plugin, services); err != nil {
		return nil, fmt.Errorf("translate validations.go: %w", err)
	}
	if err := generateCodec(plugin, services); err != nil {
		return nil, fmt.Errorf("generate the codec: %w", err)
	}

	return render(plugin)
}

// errRender means that a template of ours made something that isn't Go.
var errRender = errors.New("generated code does not parse")

// render collects what the plugin's files contain, formatted.
func render(plugin *protogen.Plugin) (tree, error) {
	response := plugin.Response()
	if response.Error != nil {
		return nil, fmt.Errorf("%w: %s", errRender, response.GetError())
	}
	files := tree{}
	for _, file := range response.GetFile() {
		files[file.GetName()] = file.GetContent()
	}

	return files, nil
}
