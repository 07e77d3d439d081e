"""What clients and the UI ask of the server itself."""

from tests.parity.cases import case, get, post
from tests.parity.twins import Step

_GATEWAY = "/ajax-api/2.0/mlflow/gateway-proxy"

CASES = (
    case(
        "what the server is",
        get("/api/3.0/mlflow/server-info"),
        get("/ajax-api/3.0/mlflow/server-info", {"any": "thing"}),
        Step("HEAD", "/api/3.0/mlflow/server-info", native=False),
        post("/api/3.0/mlflow/server-info", rows=False, native=False),
        get("/version"),
        get("/health"),
        get(_GATEWAY, {"gateway_path": "api/2.0/endpoints/"}),
        get(_GATEWAY),
        post(_GATEWAY, {"gateway_path": "gateway/x/invocations"}, rows=False),
        post(_GATEWAY, raw="nonsense", rows=False),
    ),
)
