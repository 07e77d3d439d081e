"""Artifacts on the servers' disks: of runs, of logged models and of model versions."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.parity.cases import case, get, new_experiment, new_run, post
from tests.parity.twins import Step

_OF_RUN = "${exp}/${run}/artifacts"
_FILE = "/get-artifact"
_VERSION_FILE = "/model-versions/get-artifact"
_MODEL_FILE = "/ajax-api/2.0/mlflow/logged-models/${model}/artifacts/files"
#: Names, each in the way that needs the most care.
_NAMES = (
    "MLmodel",
    "plain.txt",
    "é ü 日本.txt",
    "日本.json",
    "a b.txt",
    "a+b&c=d.txt",
    "quoted\"name'.txt",
    "picture.png",
    "page.html",
    "data.csv",
    "notes.md",
    ".hidden.txt",
    "txt",
    "~tilde,(1).log",
    "two..dots.txt",
)
#: What only Python may judge, as clients spell it in a query.
_TRAVERSALS = (
    "..",
    "../secret.txt",
    "dir/../../secret.txt",
    "dir/../plain.txt",
    "/etc/passwd",
    "//etc/passwd",
    "%2e%2e/secret.txt",
    "%252e%252e%252fsecret.txt",
    "..%2fsecret.txt",
    "..\\secret.txt",
    "C:\\secret.txt",
    "C:/secret.txt",
    "file:///etc/passwd",
    "file:plain.txt",
    "plain.txt\x00",
    "plain.txt%00",
    "plain.txt#x",
    "plain.txt?x",
    "plain.txt;x",
    " plain.txt",
    "plain%2etxt",
    "\tplain.txt",
    "100%.txt",
)
_CONDITIONS: tuple[dict[str, str], ...] = (
    {"Range": "bytes=0-2"},
    {"Range": "bytes=3-"},
    {"Range": "bytes=-2"},
    {"Range": "bytes=2-99999"},
    {"Range": "bytes=99999-"},
    {"Range": "bytes=3-2"},
    {"If-None-Match": "*"},
    {"If-None-Match": '"other"'},
    {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
    {"If-Modified-Since": "Fri, 01 Jan 2010 00:00:00 GMT"},
    {"If-Modified-Since": "yesterday"},
    {"If-None-Match": "*", "Range": "bytes=0-2"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "http://elsewhere.example"},
    {"Host": "elsewhere.example"},
    {"Accept-Encoding": "gzip"},
)
_PYTHONS_CONDITIONS: tuple[dict[str, str], ...] = (
    {"Range": "bytes=0-1,3-4"},
    {"Range": "lines=0-1"},
    {"If-Match": '"other"'},
    {"If-Range": '"other"', "Range": "bytes=0-2"},
)


def _put(path: str, content: str = "content") -> Step:
    """Upload a file to where the server keeps artifacts."""
    return Step(
        "PUT", f"/api/2.0/mlflow-artifacts/artifacts/{quote(path, safe='/${}')}", raw=content, native=False
    )


def _list(path: str | None = None, **options: Any) -> Step:
    return get("artifacts/list", {"run_id": "${run}"} | ({} if path is None else {"path": path}), **options)


def _file(path: str, **options: Any) -> Step:
    return get(_FILE, {"path": path, "run_id": "${run}"}, **options)


def _version_file(path: str, version: str = "1", **options: Any) -> Step:
    return get(_VERSION_FILE, {"path": path, "name": "${case}-m", "version": version}, **options)


_FILES = (
    *(_put(f"{_OF_RUN}/{name}", f"content of {name}") for name in _NAMES),
    _put(f"{_OF_RUN}/100%.txt"),
    _put(f"{_OF_RUN}/empty.txt", ""),
    _put(f"{_OF_RUN}/dir/sub/deep.txt"),
    _put(f"{_OF_RUN}/dir/a.unknown-type"),
)


def _anywhere(where: str, root: str) -> tuple[Step, ...]:
    """Ask for files of a run wherever its experiment's artifacts are, by any spelling of the location."""
    below = f"{root}/${{run}}/artifacts"
    return (
        new_experiment(artifact_location=where),
        new_run(),
        _list(),
        _put(f"{below}/a.txt"),
        _put(f"{below}/dir/b.txt"),
        _list(),
        _list("dir"),
        _list("dir//."),
        _file("a.txt"),
        _file("./dir//b.txt"),
        _file("missing.txt"),
        _file("dir"),
    )


def _version(source: str) -> Step:
    return post(
        "model-versions/create", {"name": "${case}-m", "run_id": "${run}", "source": source}, rows=False
    )


def _model_list(path: str, **options: Any) -> Step:
    return get("logged-models/${model}/artifacts/directories", {"artifact_directory_path": path}, **options)


CASES = (
    case(
        "artifacts of a run",
        new_experiment(),
        new_run(),
        _list(),
        *_FILES,
        _list(),
        get("/ajax-api/2.0/mlflow/artifacts/list", {"run_id": "${run}"}),
        get("artifacts/list", {"run_uuid": "${run}"}),
        *(
            _list(path)
            for path in ("", ".", "dir", "dir/", "./dir", "dir//sub", "dir/sub/.", "missing", "MLmodel", "é")
        ),
        *(_list(path, native=False) for path in _TRAVERSALS),
        _list("plain.txt/below", native=False),
        get("artifacts/list", {"run_id": "missing"}),
        get("artifacts/list", {"run_id": "missing", "path": ".."}, native=False),
        get("artifacts/list", {"run_id": ""}),
        get("artifacts/list"),
        get("artifacts/list", {"run_id": "${run}", "path": ["dir", "x"]}),
        get("artifacts/list", {"run_id": "${run}", "page_token": "any"}),
        Step("HEAD", "artifacts/list", query={"run_id": "${run}"}, native=False),
        post("runs/delete", {"run_id": "${run}"}, rows=False),
        _list(),
    ),
    case(
        "files of a run",
        new_experiment(),
        new_run(),
        *_FILES,
        *(_file(name) for name in _NAMES),
        *(
            _file(path)
            for path in ("dir", "dir/", ".", "MLmodel/", "dir/sub/deep.txt", "./dir//sub/deep.txt")
        ),
        *(_file(path) for path in ("missing", "missing/MLmodel", "dir/missing.txt", "é/ü.txt")),
        *(_file(path, native=False) for path in _TRAVERSALS),
        _file("plain.txt/below", native=False),
        _file("dir/a.unknown-type", native=False),
        _file("", native=False),
        *(_file("plain.txt", headers=headers) for headers in _CONDITIONS),
        *(_file("plain.txt", headers=headers, native=False) for headers in _PYTHONS_CONDITIONS),
        *(_file("empty.txt", headers=headers) for headers in ({}, *_CONDITIONS)),
        *(
            Step("HEAD", _FILE, query={"path": path, "run_id": "${run}"}, native=False)
            for path in ("MLmodel", "missing")
        ),
        *(
            Step(verb, _FILE, query={"path": "MLmodel", "run_id": "${run}"}, native=False)
            for verb in ("POST", "OPTIONS", "DELETE")
        ),
        get(_FILE, {"path": "plain.txt", "run_uuid": "${run}"}),
        get(_FILE, {"path": "plain.txt", "run_id": "", "run_uuid": "${run}"}),
        get(_FILE, {"path": "plain.txt", "run_id": "missing"}),
        get(_FILE, {"path": ["plain.txt", "x"], "run_id": "${run}"}),
        get(_FILE, {"path": "plain.txt"}, native=False),
        get(_FILE, {"run_id": "${run}"}, native=False),
        get(_FILE, "path=caf%E9.txt&run_id=${run}", native=False),
        get(_FILE, "path=a+b.txt&run_id=${run}"),
    ),
    case(
        "files of a model version",
        new_experiment(),
        new_run(),
        *_FILES,
        post("registered-models/create", {"name": "${case}-m"}, rows=False),
        *(_version(f"mlflow-artifacts:/{_OF_RUN}{below}") for below in ("", "/dir", "/missing/")),
        *(_version_file(name) for name in _NAMES),
        *(_version_file(path) for path in ("missing", "dir", "dir/sub/deep.txt")),
        *(_version_file("sub/deep.txt", version) for version in ("1", "2", "3", "9", "x")),
        _version_file("sub", "2"),
        _version_file("a.unknown-type", "2", native=False),
        *(_version_file(path, native=False) for path in _TRAVERSALS),
        *(_version_file(path, "2", native=False) for path in _TRAVERSALS),
        *(_version_file("MLmodel", headers=headers) for headers in _CONDITIONS),
        *(_version_file("MLmodel", headers=headers, native=False) for headers in _PYTHONS_CONDITIONS),
        Step(
            "HEAD",
            _VERSION_FILE,
            query={"path": "MLmodel", "name": "${case}-m", "version": "1"},
            native=False,
        ),
        get(_VERSION_FILE, {"path": "MLmodel", "name": "${case}-none", "version": "1"}),
        get(_VERSION_FILE, {"path": "..", "name": "${case}-none", "version": "1"}, native=False),
        get(_VERSION_FILE, {"path": "MLmodel", "version": "1"}, native=False),
        get(_VERSION_FILE, {"path": "MLmodel", "name": "${case}-m"}, native=False),
        get(_VERSION_FILE, {"name": "${case}-m", "version": "1"}, native=False),
    ),
    case(
        "artifacts of a logged model",
        new_experiment(),
        post(
            "logged-models",
            {"experiment_id": "${exp}", "name": "m"},
            save={"model": "model.info.model_id"},
            rows=False,
        ),
        get("logged-models/${model}/artifacts/directories"),
        *(
            _put(f"${{exp}}/models/${{model}}/artifacts/{name}")
            for name in ("MLmodel", "a b.txt", "dir/é.txt", "weights.unknown-type")
        ),
        get("logged-models/${model}/artifacts/directories"),
        *(_model_list(path) for path in ("", "dir", "dir/", "missing", "MLmodel")),
        *(_model_list(path, native=False) for path in _TRAVERSALS),
        get("logged-models/missing/artifacts/directories"),
        *(
            get(_MODEL_FILE, {"artifact_file_path": path})
            for path in ("MLmodel", "a b.txt", "dir/é.txt", "dir", "missing")
        ),
        *(get(_MODEL_FILE, {"artifact_file_path": path}, native=False) for path in _TRAVERSALS),
        get(_MODEL_FILE, {"artifact_file_path": "weights.unknown-type"}, native=False),
        get(_MODEL_FILE, native=False),
        get(_MODEL_FILE, {"artifact_file_path": "MLmodel"}, headers={"Range": "bytes=0-2"}),
        get("/ajax-api/2.0/mlflow/logged-models/missing/artifacts/files", {"artifact_file_path": "MLmodel"}),
        Step("DELETE", "logged-models/${model}"),
        get(_MODEL_FILE, {"artifact_file_path": "MLmodel"}),
        get("logged-models/${model}/artifacts/directories", {"allow_deleted": "true"}),
    ),
    case("artifacts at a path", *_anywhere("${directory}/mlartifacts/by path", "by path")),
    case("artifacts at a uri", *_anywhere("file://${directory}/mlartifacts/by-uri", "by-uri")),
    case("artifacts at a short uri", *_anywhere("file:${directory}/mlartifacts/short", "short")),
    case(
        "artifacts elsewhere",
        new_experiment("host", artifact_location="file://localhost${directory}/mlartifacts/host"),
        new_run("hosted", "host"),
        new_experiment("escaped", artifact_location="file://${directory}/mlartifacts/%65scaped"),
        new_run("unescaped", "escaped"),
        *(
            get(path, {"run_id": f"${{{run}}}", "path": "a.txt"}, native=False)
            for path in ("artifacts/list", _FILE)
            for run in ("hosted", "unescaped")
        ),
    ),
)
