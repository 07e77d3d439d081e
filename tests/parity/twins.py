"""Two servers that must answer alike, and the comparison that says so."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import requests
import sqlalchemy
from mlflow.exceptions import MlflowException
from mlflow.utils.search_utils import SearchUtils

from tests.servers import Server

#: Response headers that clients and browsers act on.
HEADERS = (
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "allow",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-range",
    "content-type",
    "etag",
    "last-modified",
    "location",
    "vary",
    "www-authenticate",
    "x-content-type-options",
    "x-frame-options",
)
# What a server makes up: the two sides may differ, but one to one.
_MADE_UP = re.compile(
    r"(?:[a-z]+-)?[0-9a-f]{32}|[a-z]+-[a-z]+-\d{1,4}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|gAAAAA[\w=-]+"
)
_CLOCK_SKEW_MS = 120_000
_FIRST_TIME_MS = 1_600_000_000_000
# Protobuf's maps have their members in an order of the process's own.
_MAPS = ("dimensions", "values", "tags", "metadata", "trace_metadata")
# Python prints sets in an order of the process's own.
_SET = re.compile(r"\{'[^{}]*'\}")
# The tag of a file: when it was changed, its size, and the checksum of its path.
_FILE_TAG = re.compile(r'"\d+\.\d+-(\d+)-\d+"')
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Step:
    """One request, sent to both servers.

    Attributes:
        method: The HTTP verb.
        path: Below ``/api/2.0/mlflow/``, or absolute.
        json: The body; ``${name}`` in any string is a value saved by an earlier step.
        raw: The body as bytes, instead of ``json``.
        query: Arguments, or the raw query string.
        save: Names for values of the answer, each with its path (``run.info.run_id``).
        native: Whether Go must answer this itself.
        rows: Whether the tables are compared afterwards.
    """

    method: str
    path: str
    json: Any = None
    raw: bytes | str | None = None
    query: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    save: dict[str, str] = field(default_factory=dict)
    native: bool = True
    rows: bool = False


@dataclass(frozen=True)
class Case:
    """A conversation: steps that build on each other, in a fresh pair of names."""

    name: str
    steps: tuple[Step, ...]


class Difference(Protocol):
    """What judges a step on which the servers may differ."""

    def check(self, stock: requests.Response, ours: requests.Response) -> None: ...


class MismatchError(AssertionError):
    """The two servers differ."""


@dataclass
class Side:
    server: Server
    engine: sqlalchemy.Engine
    metadata: sqlalchemy.MetaData = field(default_factory=sqlalchemy.MetaData)
    saved: dict[str, str] = field(default_factory=dict)
    before: dict[str, Counter[tuple]] = field(default_factory=dict)

    @property
    def directory(self) -> str:
        """Where the server runs, and so where it keeps artifacts."""
        return str(self.server.log.parent)

    def fill(self, value: Any) -> Any:
        """Put saved values in the place of ``${name}``."""
        if isinstance(value, str):
            return _VARIABLE.sub(lambda match: self.saved.get(match[1], match[0]), value)
        if isinstance(value, dict):
            return {self.fill(key): self.fill(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.fill(item) for item in value]
        return value

    def send(self, step: Step) -> requests.Response:
        path = self.fill(step.path)
        if not path.startswith("/"):
            path = "/api/2.0/mlflow/" + path
        body: dict[str, Any] = {}
        headers = self.fill(step.headers)
        if step.json is not None:
            # Not requests' own encoder: it refuses the NaN that Python clients do send.
            body["data"] = json.dumps(self.fill(step.json)).encode()
            headers.setdefault("Content-Type", "application/json")
        elif step.raw is not None:
            raw = self.fill(step.raw)
            body["data"] = raw.encode() if isinstance(raw, str) else raw
            headers.setdefault("Content-Type", "application/json")
        return self.server.request(
            step.method,
            path,
            params=self.fill(step.query),
            headers=headers,
            allow_redirects=False,
            **body,
        )

    def save(self, step: Step, response: requests.Response) -> None:
        """Keep what later steps need; an answer without it has been a mismatch already."""
        for name, path in step.save.items():
            with contextlib.suppress(ValueError, LookupError):
                self.saved[name] = str(_dig(response.json(), path))

    def tables(self) -> dict[str, Counter[tuple]]:
        """Every row of every table."""
        if not self.metadata.tables:
            self.metadata.reflect(self.engine)
        with self.engine.connect() as connection:
            return {
                table.name: Counter(tuple(row) for row in connection.execute(table.select()))
                for table in self.metadata.tables.values()
                if table.name != "alembic_version"
            }

    def remember_tables(self) -> None:
        self.before = self.tables()

    def changes(self) -> dict[str, list[tuple[str, tuple]]]:
        """Rows added and removed since `remember_tables`, by table."""
        changed = {}
        for name, now in self.tables().items():
            before = self.before.get(name, Counter())
            rows = [("+", row) for row in (now - before).elements()]
            rows += [("-", row) for row in (before - now).elements()]
            if rows:
                changed[name] = rows
        return changed


class Twins:
    """Sends each step to both servers and compares what comes back and what was stored."""

    def __init__(self, stock: Server, ours: Server) -> None:
        self.stock = Side(stock, sqlalchemy.create_engine(stock.database))
        self.ours = Side(ours, sqlalchemy.create_engine(ours.database))
        self._twin_of: dict[str, str] = {}

    @property
    def database(self) -> str:
        """The kind of database, as SQLAlchemy names it."""
        return self.stock.engine.dialect.name

    def close(self) -> None:
        self.stock.engine.dispose()
        self.ours.engine.dispose()

    def play(self, case: Case, differences: dict[int, Difference]) -> list[str]:
        """Run a case and tell each mismatch; a step listed in ``differences`` is judged by its entry."""
        sides = (self.stock, self.ours)
        self._twin_of = {}
        compares_rows = any(step.rows for step in case.steps)
        for side in sides:
            side.saved = {"case": re.sub(r"\W+", "-", case.name), "directory": side.directory}
            if compares_rows:
                side.remember_tables()
        mismatches = []
        for number, step in enumerate(case.steps):
            stock, ours = (side.send(step) for side in sides)
            try:
                self._judge(step, differences.get(number), stock, ours)
            except MismatchError as mismatch:
                sent = str(step.json or step.raw or step.query)[:200]
                mismatches.append(
                    f"step {number}: {step.method} {step.path} {sent}\n"
                    f"  {mismatch}\n"
                    f"  stock: {stock.status_code} {stock.text[:300]}\n"
                    f"  ours:  {ours.status_code} {ours.text[:300]}"
                )
            for side, response in zip(sides, (stock, ours), strict=True):
                side.save(step, response)
        return mismatches

    def _judge(
        self,
        step: Step,
        difference: Difference | None,
        stock: requests.Response,
        ours: requests.Response,
    ) -> None:
        if step.native and "via" in ours.headers:
            raise MismatchError("answered by Python, not by Go")
        if difference:
            difference.check(stock, ours)
            for side in (self.stock, self.ours):
                side.remember_tables()  # what stock alone wrote is no mismatch of later steps
            return
        self._compare(stock, ours)
        if step.rows:
            self._compare_rows()

    def judge(
        self, step: Step, kinds: Iterable[Difference], stock: requests.Response, ours: requests.Response
    ) -> None:
        """Compare two answers that may differ in one of several ways."""
        try:
            self._judge(step, None, stock, ours)
        except MismatchError as mismatch:
            for kind in kinds:
                with contextlib.suppress(MismatchError):
                    kind.check(stock, ours)
                    return
            raise mismatch from None

    def _compare(self, stock: requests.Response, ours: requests.Response) -> None:
        if stock.status_code != ours.status_code:
            raise MismatchError(f"status {stock.status_code} became {ours.status_code}")
        for name in HEADERS:
            if not _same_header(name, _header(stock, name), _header(ours, name)):
                raise MismatchError(
                    f"header {name}: {stock.headers.get(name)} became {ours.headers.get(name)}"
                )
        if "json" in stock.headers.get("content-type", "") and stock.content:
            self._compare_values(stock.json(), ours.json(), "$")
            if _shape(stock.text) != _shape(ours.text):
                raise MismatchError("the same JSON, but spelled or ordered otherwise")
        elif _addressless(stock, stock.text) != _addressless(ours, ours.text):
            raise MismatchError("bodies differ")

    def _compare_values(self, stock: Any, ours: Any, path: str) -> None:
        if type(stock) is not type(ours):
            raise MismatchError(f"{path}: {stock!r} became {ours!r}")
        if isinstance(stock, dict):
            order = sorted if path.endswith(_MAPS) else list
            if order(stock) != order(ours):
                raise MismatchError(f"{path}: members {list(stock)} became {list(ours)}")
            for key in stock:
                if key == "next_page_token" and _same_offset(stock[key], ours[key]):
                    continue
                self._compare_values(stock[key], ours[key], f"{path}.{key}")
        elif isinstance(stock, list):
            stock, ours = self._in_order(stock, path), self._in_order(ours, path)
            if len(stock) != len(ours):
                raise MismatchError(f"{path}: {len(stock)} items became {len(ours)}")
            for index, (left, right) in enumerate(zip(stock, ours, strict=True)):
                self._compare_values(left, right, f"{path}[{index}]")
        elif not self._same(stock, ours):
            raise MismatchError(f"{path}: {stock!r} became {ours!r}")

    def _in_order(self, items: list[Any], path: str) -> list[Any]:
        """Sort what servers list as it lies on disk: tags, params, metrics, events, and versions."""
        if self.database == "sqlite" or not all(isinstance(item, dict) for item in items):
            return items
        if all("key" in item for item in items):
            return sorted(items, key=lambda item: item["key"])
        if path.endswith("events"):
            return sorted(items, key=lambda item: (item["entity"], item["action"]))
        if path.endswith(("latest_versions", ".aliases")):
            return sorted(items, key=lambda item: (item["version"], item.get("alias", "")))
        return items

    def _same(self, stock: Any, ours: Any) -> bool:
        """Whether two scalars agree, ids and times apart. Learns which id is whose twin."""
        if stock == ours or repr(stock) == repr(ours) == "nan":
            return True
        if isinstance(stock, str) and isinstance(ours, str) and (stock + ours).isdecimal():
            stock, ours = int(stock), int(ours)  # as GraphQL spells times
        if isinstance(stock, int) and isinstance(ours, int):
            return min(stock, ours) > _FIRST_TIME_MS and abs(stock - ours) < _CLOCK_SKEW_MS
        if not (isinstance(stock, str) and isinstance(ours, str)):
            return False
        stock, ours = stock.replace(self.stock.directory, "."), ours.replace(self.ours.directory, ".")
        stock, ours = (_SET.sub(_sorted_set, text) for text in (stock, ours))
        left, right = _MADE_UP.findall(stock), _MADE_UP.findall(ours)
        if len(left) != len(right):
            return False
        for one, other in zip(left, right, strict=True):
            if self._twin_of.setdefault(one, other) != other:
                return False
        return self._translate(stock) == ours

    def _translate(self, text: str) -> str:
        return _MADE_UP.sub(lambda match: self._twin_of.get(match[0], match[0]), text)

    def _compare_rows(self) -> None:
        stock, ours = self.stock.changes(), self.ours.changes()
        if set(stock) != set(ours):
            raise MismatchError(f"tables changed: {sorted(stock)} became {sorted(ours)}")
        for name in stock:
            left = sorted(repr(self._blur(row, translate=True)) for row in stock[name])
            right = sorted(repr(self._blur(row, translate=False)) for row in ours[name])
            if left != right:
                only_left = Counter(left) - Counter(right)
                only_right = Counter(right) - Counter(left)
                raise MismatchError(
                    f"rows of {name}: only stock {dict(only_left)}, only ours {dict(only_right)}"
                )

    def _blur(self, row: tuple[str, tuple], *, translate: bool) -> tuple:
        """A row without what two servers can't agree on: times, and ids never shown."""
        known = set(self._twin_of.values())

        def blur(value: Any) -> Any:
            if isinstance(value, int) and not isinstance(value, bool) and value > _FIRST_TIME_MS:
                return "<time>"
            if not isinstance(value, str):
                return value
            text = self._translate(value) if translate else value
            return _MADE_UP.sub(lambda match: match[0] if match[0] in known else "<made up>", text)

        return (row[0], *map(blur, row[1]))


def _header(response: requests.Response, name: str) -> list[str]:
    """A header's items: their order says nothing."""
    return sorted(item.strip() for item in _addressless(response, response.headers.get(name, "")).split(","))


def _same_header(name: str, stock: list[str], ours: list[str]) -> bool:
    """Whether a header agrees. Files that were uploaded to both servers differ in their times and places."""
    if stock == ours:
        return True
    if name == "last-modified":
        times = [parsedate_to_datetime(", ".join(reversed(items))).timestamp() for items in (stock, ours)]
        return abs(times[0] - times[1]) * 1000 < _CLOCK_SKEW_MS
    tags = [_FILE_TAG.fullmatch(items[0]) for items in (stock, ours)]
    return name == "etag" and all(tags) and tags[0][1] == tags[1][1]


def _addressless(response: requests.Response, text: str) -> str:
    """A text without the address of the server it came from, which redirects name."""
    return text.replace(requests.utils.urlparse(response.request.url).netloc, "<server>")


def _same_offset(stock: Any, ours: Any) -> bool:
    """Whether MLflow takes two page tokens for the same; ours may have a position as well."""
    with contextlib.suppress(MlflowException):
        offsets = {SearchUtils.parse_start_offset_from_page_token(token) for token in (stock, ours)}
        return stock != "" and len(offsets) == 1
    return False


def _sorted_set(match: re.Match[str]) -> str:
    return str(sorted(match[0].strip("{}").split(", ")))


def _shape(text: str) -> str:
    """A JSON text with its scalars taken out: indentation and order remain."""
    return re.sub(r'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*', "_", text)


def _dig(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value
