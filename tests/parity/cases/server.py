"""What clients and the UI ask of the server itself."""

from tests.parity.cases import case, get, post
from tests.parity.twins import Step

_GATEWAY = "/ajax-api/2.0/mlflow/gateway-proxy"
_TELEMETRY = "/ajax-api/3.0/mlflow/ui-telemetry"

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
        get("/ajax-api/3.0/mlflow/assistant/config"),
        get("/ajax-api/3.0/mlflow/assistant/providers", {"any": "thing"}),
        get("/ajax-api/2.0/mlflow/users/current"),
    ),
    case(
        "telemetry that is switched off",
        get(_TELEMETRY),
        get(_TELEMETRY, {"any": "thing"}, headers={"Origin": "http://localhost:3000"}),
        post(_TELEMETRY, {"records": []}, rows=False),
        post(_TELEMETRY, {"records": [{"event_name": "seen"}]}, rows=False),
        post(_TELEMETRY, raw="nonsense", rows=False),
        post(_TELEMETRY, raw="", headers={"Content-Type": "text/plain"}, rows=False),
        post(_TELEMETRY, headers={"Origin": "http://elsewhere.example"}, rows=False),
        get(_TELEMETRY, headers={"Origin": "http://elsewhere.example"}),
        get(_TELEMETRY, headers={"Host": "elsewhere.example"}),
        *(Step(verb, _TELEMETRY, native=False) for verb in ("HEAD", "OPTIONS", "PUT", "DELETE")),
        get(_TELEMETRY + "/", native=False),
        get(_TELEMETRY.replace("ajax-api", "api"), native=False),
    ),
    case(
        "files of the ui",
        *(
            Step(method, path, headers={"Accept-Encoding": "identity", **headers})
            for path in ("/", "/static-files/favicon.ico", "/static-files/missing.js")
            for method, headers in (
                ("GET", {}),
                ("HEAD", {}),
                ("GET", {"Range": "bytes=0-9"}),
                ("GET", {"Range": "bytes=99999999-"}),
                ("GET", {"If-None-Match": "*"}),
                ("GET", {"If-None-Match": '"other"'}),
                ("GET", {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}),
                ("GET", {"If-Modified-Since": "Fri, 01 Jan 2010 00:00:00 GMT"}),
            )
        ),
        get("/static-files/manifest.json", headers={"Accept-Encoding": "identity"}),
        get("/static-files/static", headers={"Accept-Encoding": "identity"}),
        get("/static-files/../server.py", native=False),
        Step("POST", "/static-files/manifest.json", native=False),
        get("/experiments/1", native=False),
    ),
)
