package contract

import (
	"context"

	"github.com/mlflow/mlflow-go/pkg/protos"
)

// UIServiceName is how the server knows what implements UIService.
const UIServiceName = "UIService"

// UIService is the native part of what MLflow's UI asks at routes that no protobuf describes. The
// messages are those that say the same.
type UIService interface {
	GetMetricHistoryBulk(
		ctx context.Context, request *protos.GetMetricHistoryBulkInterval,
	) (*protos.GetMetricHistoryBulkInterval_Response, error)
	SearchDatasets(ctx context.Context, request *protos.SearchDatasets) (*protos.SearchDatasets_Response, error)
	// HasGatewayEndpoints tells whether the AI gateway has any endpoint.
	HasGatewayEndpoints(ctx context.Context) (bool, error)
}
