package server

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/valyala/fasthttp"
)

// gatewayVariable switches the AI gateway off.
const gatewayVariable = "MLFLOW_ENABLE_AI_GATEWAY"

// serverInfo tells clients how the server is set up (handlers.build_server_info_payload). What isn't
// constant here belongs to modes that the gate leaves to Python: other stores, workspaces, trace
// archival, and artifact storage that takes uploads in parts.
func serverInfo(context.Context, plainSource, *fasthttp.RequestCtx, []byte) ([]byte, error) {
	return fmt.Appendf(nil, `{"store_type":"SqlStore","workspaces_enabled":false,"trace_archival_enabled":false,`+
		`"multipart_uploads_enabled":false,"multipart_downloads_enabled":false,`+
		`"presigned_upload_run_id_supported":true,"presigned_upload_model_id_supported":true,`+
		`"features_enabled":{"gateway":%t}}`, !isFalse(orTrue(os.Getenv(gatewayVariable)))), nil
}

func orTrue(value string) string {
	if value == "" {
		return "true"
	}

	return value
}

// storesInParts tells of artifact storage that may take uploads in parts: all but local directories.
func storesInParts(s Setting) bool {
	destination := s.Config.ArtifactsDest

	return s.Config.ServeArtifacts && strings.Contains(destination, ":") && scheme(destination) != fileScheme
}
