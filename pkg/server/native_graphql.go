package server

import (
	"context"

	"github.com/valyala/fasthttp"

	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/graphql"
)

// GraphQLServiceName is how the server knows the *graphql.Service.
const GraphQLServiceName = "GraphQL"

// answerGraphQL answers a query (handlers._graphql). Where MLflow stumbles over a body that isn't an
// object with a query, it fails with a 500; we say what is wrong.
func answerGraphQL(
	ctx context.Context, from plainSource, request *fasthttp.RequestCtx, body []byte,
) ([]byte, error) {
	service, _ := from.service.(*graphql.Service)

	if err := checkContentType(request); err != nil {
		return nil, err
	}

	sent, err := readQuery(body)
	if err != nil {
		return nil, err
	}

	if arguments := request.URI().QueryString(); len(arguments) > 0 {
		ctx = contract.WithQuery(ctx, string(arguments)) // of a POST, too
	}

	answer, err := service.Execute(ctx, sent)
	if err != nil {
		return nil, err
	}

	return answer.AppendJSON(nil), nil
}

func readQuery(body []byte) (graphql.Request, error) {
	parsed, err := codec.Parse(string(body))
	if err != nil {
		return graphql.Request{}, contract.InvalidParameter("The body must be a JSON object with a query.")
	}

	object, _ := parsed.(*codec.Raw)
	value, _ := object.Get("query")

	query, isText := value.(string)
	if !isText {
		return graphql.Request{}, contract.InvalidParameter("The body must be a JSON object with a query.")
	}

	operation, _ := object.Get("operationName")
	value, _ = object.Get("variables")

	variables, isObject := value.(*codec.Raw)
	if value != nil && !isObject {
		return graphql.Request{}, contract.InvalidParameter("The query's variables must be an object.")
	}

	return graphql.Request{Query: query, Variables: variables, OperationName: operation}, nil
}
