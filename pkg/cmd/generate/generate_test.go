package main

import (
	"context"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/descriptorpb"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

// small is a division of the services in testdata/small.
func small() division {
	return division{
		schemas: map[string]map[string][]parameter{"ZooService": {
			"searchAnimals": {
				{"filter", "string"},
				{"max_results", "intlike,at_most=50"},
				{"order_by", "array,strings"},
			},
			"feedAnimals": {
				{"run_id", "present,string"},
				{"animals", "array,elements_have=key weight"},
			},
		}},
		parts: map[string][]part{"ZooService": {{"FeedingService", []string{"feedAnimals"}}, {"WatchingService", nil}}},
		proxied: map[string][]leftToPython{
			"ZooService":    {{"Python holds the brush", []string{"paintAnimal"}}},
			"WardenService": {{"the warden speaks Python", []string{"callWarden"}}},
		},
	}
}

func smallDescriptors(t *testing.T) *descriptorpb.FileDescriptorSet {
	t.Helper()
	set, err := descriptorsFromProtos(context.Background(), "testdata/small", "zoo.proto")
	if err != nil {
		t.Fatal(err)
	}
	if set, err = normalize(set); err != nil {
		t.Fatal(err)
	}

	return set
}

// TestGolden holds what is generated for a small service, messages apart: those are
// protoc-gen-go's.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := generate(smallDescriptors(t), small())
	if err != nil {
		t.Fatal(err)
	}
	goldens := 0
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasPrefix(files[name], marker+"\n") {
			continue
		}
		goldens++
		golden := filepath.Join("testdata", strings.ReplaceAll(name, "/", "_")+".golden")
		if *update {
			writeFile(t, golden, files[name])
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if files[name] != string(want) {
			t.Errorf("%s is not what %s holds (go test -update rewrites it):\n%s", name, golden, files[name])
		}
	}
	if goldens < 4 {
		t.Errorf("only %d files carry the marker", goldens)
	}
}

func TestDivisionErr(t *testing.T) {
	t.Parallel()
	descriptors := smallDescriptors(t)
	for _, test := range []struct {
		name   string
		change func(division)
		want   string
	}{
		{"NewProcedure", func(d division) { delete(d.proxied, "WardenService") }, "callWarden is new, it needs a schema or a reason"},
		{"Both", func(d division) {
			d.schemas["ZooService"]["paintAnimal"] = nil
		}, "paintAnimal is both in validations.go and in proxied.go"},
		{"Twice", func(d division) {
			d.proxied["ZooService"] = append(d.proxied["ZooService"], leftToPython{"again", []string{"paintAnimal"}})
		}, "paintAnimal is listed twice in proxied.go"},
		{"GoneFromSchemas", func(d division) {
			d.schemas["ZooService"]["sellAnimal"] = nil
		}, "sellAnimal is in validations.go, but MLflow does not have it"},
		{"GoneFromProxied", func(d division) {
			d.proxied["ZooService"][0].procedures = append(d.proxied["ZooService"][0].procedures, "sellAnimal")
		}, "sellAnimal is in proxied.go, but MLflow does not have it"},
		{"GoneService", func(d division) {
			d.proxied["CircusService"] = nil
		}, "service CircusService is listed, but MLflow does not have it"},
		{"ProxiedPart", func(d division) {
			d.parts["ZooService"][0].procedures[0] = "paintAnimal"
		}, "paintAnimal of FeedingService isn't native"},
		{"UnknownParameter", func(d division) {
			d.schemas["ZooService"]["feedAnimals"][0].name = "runs_id"
		}, "mlflow.FeedAnimals has no field runs_id"},
		{"UnknownMember", func(d division) {
			d.schemas["ZooService"]["feedAnimals"][1].checks = "elements_have=colour"
		}, "mlflow.Animal has no field colour"},
		{"ElementsOfScalar", func(d division) {
			d.schemas["ZooService"]["feedAnimals"][0].checks = "elements_have=key"
		}, "mlflow.FeedAnimals.run_id does not hold messages"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := small()
			test.change(d)
			if _, err := generate(descriptors, d); !errors.Is(err, errLists) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestTree(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	root, err := os.OpenRoot(directory)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	}()
	files := tree{"pkg/a/a.gen.go": marker + "\n\npackage a\n", "pkg/b.pb.go": protocMarker + "\n\npackage pkg\n"}
	wantStale := func(lines ...string) {
		t.Helper()
		err := files.check(root)
		if !errors.Is(err, errOutOfDate) {
			t.Fatalf("got %v", err)
		}
		for _, line := range lines {
			if !strings.Contains(err.Error(), line) {
				t.Errorf("%q does not say %q", err, line)
			}
		}
	}

	wantStale("pkg/a/a.gen.go (missing)", "pkg/b.pb.go (missing)")
	if err := files.write(root); err != nil {
		t.Fatal(err)
	}
	if err := files.check(root); err != nil {
		t.Fatal(err)
	}

	writeFile(t, filepath.Join(directory, "pkg/b.pb.go"), "package edited\n")
	writeFile(t, filepath.Join(directory, "pkg/old.gen.go"), marker+"\n")
	writeFile(t, filepath.Join(directory, "pkg/mine.go"), "package pkg\n\n"+marker+"\n")
	wantStale("pkg/b.pb.go (differs)", "pkg/old.gen.go (left over)")
	if err := files.write(root); err != nil {
		t.Fatal(err)
	}
	if err := files.check(root); err != nil {
		t.Fatal(err)
	}
	if _, err := root.Stat("pkg/mine.go"); err != nil {
		t.Errorf("a hand-written file is gone: %v", err)
	}
}

// TestCommittedCodeIsCurrent fails when someone forgot to generate.
func TestCommittedCodeIsCurrent(t *testing.T) {
	files, err := generate(fromWheel(t), division{schemas: schemas, parts: parts, pathUses: pathUses, proxied: proxied})
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(repository)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(files.check(root), root.Close()); err != nil {
		t.Error(err)
	}
}
