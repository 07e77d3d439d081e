package search

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
	"github.com/mlflow/mlflow-go/pkg/search/internal/python"
)

// CreatePageToken makes the token of the page that begins at an offset
// (SearchUtils.create_page_token).
func CreatePageToken(offset int64) string {
	return base64.StdEncoding.EncodeToString([]byte(`{"offset": ` + strconv.FormatInt(offset, 10) + "}"))
}

// Position is where a page begins, beside the offset that MLflow knows: what comes after a row whose
// sort keys are these, each a JSON value. An offset counts what other clients add meanwhile, and
// costs more the further it is.
type Position struct {
	// After are the sort keys of the last row of the page before.
	After []json.RawMessage `json:"after"`
	// Query tells apart what is searched for; a position says nothing in another query.
	Query string `json:"query"`
}

// CreatePositionToken makes the token of the page at an offset that begins at a position. MLflow
// takes it for one of CreatePageToken.
func CreatePositionToken(offset int64, position Position) (string, error) {
	token, err := json.Marshal(struct {
		Position

		Offset int64 `json:"offset"`
	}{position, offset})
	if err != nil {
		return "", fmt.Errorf("making a page token: %w", err)
	}

	return base64.StdEncoding.EncodeToString(token), nil
}

// parsePosition returns the position in a page token, nil if it has none, as those of MLflow.
func parsePosition(token string) *Position {
	decoded, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return nil
	}

	var position Position
	if json.Unmarshal(decoded, &position) != nil || len(position.After) == 0 {
		return nil
	}

	return &position
}

// ParsePageToken returns the offset in a page token, 0 for an empty one
// (SearchUtils.parse_start_offset_from_page_token). Every token that CreatePageToken can't have
// made is INVALID_PARAMETER_VALUE, also where MLflow fails in other ways or goes on with a
// negative offset.
func ParsePageToken(token string) (int64, error) {
	if token == "" {
		return 0, nil
	}

	decoded, err := pyfmt.DecodeBase64(token)
	if err != nil {
		return 0, contract.InvalidParameter("Invalid page token, could not base64-decode")
	}

	parsed, err := python.DecodeJSON(decoded)
	if err != nil {
		return 0, contract.InvalidParameter("Invalid page token, decoded value=%s", python.Repr(python.Bytes(decoded)))
	}

	members, _ := parsed.(python.Dict)
	value := members.Get("offset")

	offset, isNumber := wholeNumber(value)
	if python.Truth(value) && !isNumber {
		return 0, contract.InvalidParameter("Invalid page token, not stringable %s", python.Str(value))
	}

	if !isNumber || offset.Sign() < 0 || !offset.IsInt64() || offset.Int64() > math.MaxInt64/2 {
		return 0, contract.InvalidParameter("Invalid page token, parsed value=%s", python.Repr(parsed))
	}

	return offset.Int64(), nil
}

// wholeNumber is Python's int, applied to a value that counts as true.
func wholeNumber(value python.Value) (*big.Int, bool) {
	if !python.Truth(value) {
		return nil, false
	}

	switch v := value.(type) {
	case bool:
		return big.NewInt(1), true
	case *big.Int:
		return v, true
	case string:
		return pyfmt.ParseInt(v)
	case float64:
		if math.IsInf(v, 0) {
			return nil, false
		}

		whole, _ := big.NewFloat(v).Int(nil)

		return whole, true
	}

	return nil, false
}
