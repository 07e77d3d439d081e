package tracking

import (
	"context"
	"fmt"

	"github.com/mlflow/mlflow-go/pkg/database"
)

// HasGatewayEndpoints tells whether the AI gateway has any endpoint, of whatever workspace
// (SqlAlchemyStore.list_gateway_endpoints).
func (s *Store) HasGatewayEndpoints(ctx context.Context) (bool, error) {
	found, err := database.Read(ctx, s.db, func(tx *database.Tx) ([]string, error) {
		return database.Query(tx, database.Value[string], "SELECT endpoint_id FROM endpoints ORDER BY endpoint_id"+
			tx.Dialect().Limit(1, 0))
	})
	if err != nil {
		return false, fmt.Errorf("looking for endpoints of the gateway: %w", err)
	}

	return len(found) > 0, nil
}
