package tracing

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// findPercentiles fills in the percentiles among the numbers of a JSON list; there are none among none.
func (q *metricsQuery) findPercentiles(list string, numbers []*float64) error {
	values, err := parseNumbers(list)
	if err != nil || len(values) == 0 {
		return err
	}

	slices.Sort(values)

	for i, a := range q.aggregations {
		if a.isPercentile() {
			numbers[i] = new(interpolated(values, a.fraction()))
		}
	}

	return nil
}

// parseNumbers reads a JSON list that has nothing but numbers.
func parseNumbers(list string) ([]float64, error) {
	list = strings.Trim(list, "[]")
	if list == "" {
		return nil, nil
	}

	values := make([]float64, 0, strings.Count(list, ",")+1)

	for text := range strings.SplitSeq(list, ",") {
		value, err := strconv.ParseFloat(text, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) { // an infinity is 9e999
			return nil, fmt.Errorf("reading a list of numbers: %w", err)
		}

		values = append(values, value)
	}

	return values, nil
}

// interpolated is a percentile between the two of sorted values that are beside it
// (mlflow.store.db.utils.PercentileAggregate). Products are converted to have them rounded, as Python does.
func interpolated(sorted []float64, fraction float64) float64 {
	last := len(sorted) - 1
	index := float64(fraction * float64(last))
	low := int(index)
	between := float64((index - float64(low)) * (sorted[min(low+1, last)] - sorted[low]))

	return sorted[low] + between
}
