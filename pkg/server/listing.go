package server

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"

	"github.com/mlflow/mlflow-go/pkg/contract"
)

// Listing is one route as `mlflow-go endpoints` shows it.
type Listing struct {
	Verb string `json:"verb"`
	Path string `json:"path"`
	// Name is the remote procedure's, or that of MLflow's function.
	Name   string `json:"name"`
	Native bool   `json:"native"`
	// Reason says why a proxied route is.
	Reason string `json:"reason,omitempty"`
}

// Routes lists all of MLflow's routes, native ones first, each kind by path.
func Routes() []Listing {
	listings := listPlainRoutes()

	for _, method := range contract.Methods {
		for _, path := range methodPaths(method.Endpoints) {
			listings = append(listings, Listing{Verb: path.verb, Path: path.path, Name: method.Name, Native: true})
		}
	}

	for _, route := range nativePlainRoutes {
		listings = append(listings, Listing{Verb: route.verb, Path: route.path, Name: route.name, Native: true})
	}

	for _, route := range fileRoutes {
		listings = append(listings, Listing{Verb: http.MethodGet, Path: route.path, Name: route.name, Native: true})
	}

	for _, route := range uiRoutes {
		listings = append(listings, Listing{Verb: http.MethodGet, Path: route.path, Name: route.name, Native: true})
	}

	for _, method := range contract.Proxied {
		for _, path := range methodPaths(method.Endpoints) {
			listings = append(listings, Listing{
				Verb: path.verb, Path: path.path, Name: method.Name, Reason: method.Reason,
			})
		}
	}

	slices.SortStableFunc(listings, func(a, b Listing) int {
		if a.Native != b.Native {
			if a.Native {
				return -1
			}

			return 1
		}

		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Verb, b.Verb))
	})

	return listings
}

type methodPath struct{ verb, path string }

// methodPaths spells out a method's addresses below the static prefix (handlers._get_paths).
func methodPaths(endpoints []contract.Endpoint) []methodPath {
	paths := make([]methodPath, 0, 2*len(endpoints))

	for _, endpoint := range endpoints {
		for _, api := range []string{"api", "ajax-api"} {
			paths = append(paths, methodPath{
				verb: endpoint.Verb,
				path: fmt.Sprintf("/%s/%d.0%s", api, endpoint.Version, endpoint.Path),
			})
		}
	}

	return paths
}
