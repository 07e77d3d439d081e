package search

import (
	"math/big"

	"github.com/mlflow/mlflow-go/pkg/search/internal/python"
)

// Python writes a number as Python does: what has no fraction as a whole number of any size.
func (n Number) Python(asFloat bool) string {
	if n.whole && !asFloat {
		whole, _ := new(big.Int).SetString(n.digits, 10)

		return whole.String()
	}

	return python.ReprFloat(n.Float64())
}
