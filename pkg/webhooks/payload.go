package webhooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/mlflow/mlflow-go/pkg/codec"
)

// The headers of a delivery (mlflow.webhooks.constants).
const (
	signatureHeader  = "X-MLflow-Signature"
	timestampHeader  = "X-MLflow-Timestamp"
	deliveryIDHeader = "X-MLflow-Delivery-Id"
	signatureVersion = "v1"
)

// letter is a request to a receiver, the same each time it is sent.
type letter struct {
	url    string
	header http.Header
	body   []byte
}

// write makes the request that tells a receiver of an event (delivery._send_webhook_request).
func write(to receiver, event event, data []byte, now time.Time) letter {
	body := encodePayload(event, data, now)
	id, timestamp := uuid.NewString(), strconv.FormatInt(now.Unix(), 10)

	header := http.Header{ // in MLflow's spelling, which Header.Set would change
		"Content-Type":   {"application/json"},
		"Accept":         {"*/*"},
		"User-Agent":     {"mlflow-go"},
		deliveryIDHeader: {id},
		timestampHeader:  {timestamp},
	}

	if to.secret != "" {
		header[signatureHeader] = []string{sign(to.secret, id, timestamp, body)}
	}

	return letter{url: to.url, header: header, body: body}
}

// sign is delivery._generate_hmac_signature.
func sign(secret, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(fmt.Appendf(nil, "%s.%s.%s", id, timestamp, body))

	return signatureVersion + "," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func encodePayload(event event, data []byte, now time.Time) []byte {
	layout := "2006-01-02T15:04:05.000000+00:00" // datetime.isoformat, which leaves out no microseconds but none
	if now.Nanosecond() < int(time.Microsecond) {
		layout = "2006-01-02T15:04:05+00:00"
	}

	return fmt.Appendf(nil, `{"entity": "%s", "action": "%s", "timestamp": "%s", "data": %s}`,
		event.entity, event.action, now.UTC().Format(layout), data)
}

// encodeData makes JSON of an event's payload, spelled as Python's json.dumps would.
func encodeData(payload any) ([]byte, error) {
	plain, err := json.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("encoding the payload: %w", err)
	}

	value, err := codec.Parse(string(plain))
	if err != nil {
		return nil, fmt.Errorf("encoding the payload: %w", err)
	}

	return codec.AppendJSON(nil, value), nil
}
