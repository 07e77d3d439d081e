package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

var (
	errLists      = errors.New("validations.go and proxied.go do not fit MLflow")
	errDescriptor = errors.New("unexpected descriptor")
)

// An endpoint is one HTTP address in the options of a remote procedure (mlflow.HttpEndpoint).
type endpoint struct {
	verb    string
	path    string
	version int64 // the N of /api/N.0
}

// A procedure is one remote procedure of MLflow's and who answers it.
type procedure struct {
	*protogen.Method

	endpoints []endpoint
	// native procedures have a schema, the others a reason.
	native  bool
	schema  []parameter
	pathUse string
	reason  string
}

// A service is a protobuf service with its procedures in the order of the .proto file.
type service struct {
	*protogen.Service

	procedures []procedure
	// parts are the interfaces that its native procedures are divided into; none for a service of one domain.
	parts []part
}

// native returns the procedures that Go answers.
func (s service) native() []procedure {
	return slices.DeleteFunc(slices.Clone(s.procedures), func(p procedure) bool { return !p.native })
}

// checkParts refuses a part with a procedure that isn't native.
func (s service) checkParts() error {
	native := s.native()
	for _, p := range s.parts {
		for _, name := range p.procedures {
			if !slices.ContainsFunc(native, func(p procedure) bool { return string(p.Desc.Name()) == name }) {
				return fmt.Errorf("%w: %s of %s isn't native", errLists, name, p.name)
			}
		}
	}

	return nil
}

// divided returns the native procedures of each part.
func (s service) divided() [][]procedure {
	rest := s.native()
	divided := make([][]procedure, len(s.parts))
	for i, p := range s.parts {
		if i == len(s.parts)-1 {
			divided[i] = rest

			break
		}
		for _, candidate := range rest {
			if slices.Contains(p.procedures, string(candidate.Desc.Name())) {
				divided[i] = append(divided[i], candidate)
			}
		}
		rest = slices.DeleteFunc(rest, func(candidate procedure) bool {
			return slices.Contains(p.procedures, string(candidate.Desc.Name()))
		})
	}

	return divided
}

// A division says who answers what: schemas for Go, in parts by domain, proxied for Python, per service.
type division struct {
	schemas  map[string]map[string][]parameter
	parts    map[string][]part
	pathUses map[string]map[string]string
	proxied  map[string][]leftToPython
}

// collectServices finds the services of all generated files and sorts their procedures into
// native and proxied ones. It fails unless the division names each procedure exactly once and
// nothing else.
func collectServices(plugin *protogen.Plugin, d division) ([]service, error) {
	var (
		services []service
		errs     []error
		found    = map[string]bool{}
	)
	for _, file := range plugin.Files {
		if !file.Generate {
			continue
		}
		for _, s := range file.Services {
			name := string(s.Desc.Name())
			found[name] = true
			procedures, err := d.divide(s)
			if err != nil {
				errs = append(errs, fmt.Errorf("service %s: %w", name, err))
			}
			collected := service{Service: s, procedures: procedures, parts: d.parts[name]}
			if err := collected.checkParts(); err != nil {
				errs = append(errs, err)
			}
			services = append(services, collected)
		}
	}
	named := map[string]bool{}
	for name := range d.schemas {
		named[name] = true
	}
	for name := range d.proxied {
		named[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if !found[name] {
			errs = append(errs, fmt.Errorf("%w: service %s is listed, but MLflow does not have it", errLists, name))
		}
	}

	return services, errors.Join(errs...)
}

// divide decides for every procedure of one service.
func (d division) divide(s *protogen.Service) ([]procedure, error) {
	var (
		name    = string(s.Desc.Name())
		schemas = maps.Clone(d.schemas[name])
		reasons = map[string]string{}
		result  = make([]procedure, 0, len(s.Methods))
		errs    []error
	)
	for _, group := range d.proxied[name] {
		for _, procedure := range group.procedures {
			if _, twice := reasons[procedure]; twice {
				errs = append(errs, fmt.Errorf("%w: %s is listed twice in proxied.go", errLists, procedure))
			}
			reasons[procedure] = group.reason
		}
	}
	for _, method := range s.Methods {
		rpc := string(method.Desc.Name())
		schema, native := schemas[rpc]
		reason, left := reasons[rpc]
		switch {
		case native && left:
			errs = append(errs, fmt.Errorf("%w: %s is both in validations.go and in proxied.go", errLists, rpc))
		case !native && !left:
			errs = append(errs, fmt.Errorf("%w: %s is new, it needs a schema or a reason", errLists, rpc))
		}
		delete(schemas, rpc)
		delete(reasons, rpc)
		endpoints, err := endpointsOf(method)
		errs = append(errs, err, checkParameters(method, schema))
		use, named := d.pathUses[name][rpc]
		if named && !native {
			errs = append(errs, fmt.Errorf("%w: %s has a path use, but it isn't native", errLists, rpc))
		}
		result = append(result, procedure{method, endpoints, native, schema, use, reason})
	}
	for _, rpc := range slices.Sorted(maps.Keys(schemas)) {
		errs = append(errs, fmt.Errorf("%w: %s is in validations.go, but MLflow does not have it", errLists, rpc))
	}
	for _, rpc := range slices.Sorted(maps.Keys(reasons)) {
		errs = append(errs, fmt.Errorf("%w: %s is in proxied.go, but MLflow does not have it", errLists, rpc))
	}

	return result, errors.Join(errs...)
}

// checkParameters refuses a schema that names a field which the request message does not have.
func checkParameters(method *protogen.Method, schema []parameter) error {
	for _, p := range schema {
		if method.Input.Desc.Fields().ByName(protoreflect.Name(p.name)) == nil {
			return fmt.Errorf("%w: %s: %s has no field %s", errLists, method.Desc.Name(), method.Input.Desc.FullName(), p.name)
		}
	}

	return nil
}

// endpointsOf reads the endpoints in a procedure's mlflow.rpc option. The option's message type is
// taken from the descriptors that were loaded, so the generator never depends on its own output.
func endpointsOf(method *protogen.Method) ([]endpoint, error) {
	options, ok := method.Desc.Options().(*descriptorpb.MethodOptions)
	if !ok {
		return nil, fmt.Errorf("%w: %s has options of type %T", errDescriptor, method.Desc.Name(), method.Desc.Options())
	}
	var endpoints []endpoint
	options.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if field.FullName() != "mlflow.rpc" {
			return true
		}
		rpc := value.Message()
		list := rpc.Get(rpc.Descriptor().Fields().ByName("endpoints")).List()
		for i := range list.Len() {
			endpoints = append(endpoints, readEndpoint(list.Get(i).Message()))
		}

		return false
	})
	if len(endpoints) == 0 {
		return nil, fmt.Errorf("%w: %s has no endpoint in its options", errDescriptor, method.Desc.Name())
	}

	return endpoints, nil
}

func readEndpoint(m protoreflect.Message) endpoint {
	fields := m.Descriptor().Fields()
	since := m.Get(fields.ByName("since")).Message()

	return endpoint{
		verb:    m.Get(fields.ByName("method")).String(),
		path:    m.Get(fields.ByName("path")).String(),
		version: since.Get(since.Descriptor().Fields().ByName("major")).Int(),
	}
}
