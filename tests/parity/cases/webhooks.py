"""Webhooks: what is kept of them, and which addresses they may have. Nothing is sent anywhere."""

from __future__ import annotations

from typing import Any

from tests.parity.cases import case, get, post
from tests.parity.twins import Step

_CREATED = {"entity": "MODEL_VERSION", "action": "CREATED"}
_TAGGED = {"entity": "PROMPT_TAG", "action": "SET"}
_URL = "https://8.8.8.8/hook"


def _create(name: str = "${case}", **fields: Any) -> Step:
    return post("webhooks", {"name": name, "url": _URL, "events": [_CREATED], **fields})


def _new(name: str = "hook", **fields: Any) -> Step:
    return post(
        "webhooks",
        {"name": "h-" + name, "url": _URL, "events": [_CREATED, _TAGGED], **fields},
        save={name: "webhook.webhook_id"},
    )


def _update(json: Any = None, hook: str = "hook", **options: Any) -> Step:
    return Step("PATCH", "webhooks/${" + hook + "}", json=json, rows=True, **options)


def _delete(hook: str = "${hook}", **options: Any) -> Step:
    return Step("DELETE", "webhooks/" + hook, rows=True, **options)


CASES = (
    case(
        "webhook is created",
        _create("a"),
        _create("A1.b_c-9", description="d", secret="s", status="DISABLED"),
        _create("b", description="", secret="", status="ACTIVE"),
        _create("c", description="é\n'", secret="ключ 🔑"),
        _create("x" * 63),
        _create("\u017f\u0130.\u0131\u212a"),
        _create("d", events=[_TAGGED, _CREATED, {"entity": "BUDGET_POLICY", "action": "EXCEEDED"}]),
        _create("e", events=[{"entity": 1, "action": 1}]),
        _create("f", url=_URL + "?q=1#f", status=2),
        _create("g", url="HTTPS://user:pass@8.8.8.8:99999/x y\tz"),
        _create("h", extra=1, webhook_id="mine"),
        Step(
            "POST",
            "/ajax-api/2.0/mlflow/webhooks",
            json={"name": "i", "url": _URL, "events": [_CREATED]},
            rows=True,
        ),
    ),
    case(
        "webhook fields refused",
        post("webhooks", {}),
        post("webhooks", {"name": "n"}),
        post("webhooks", {"name": "n", "url": _URL}),
        _create(""),
        _create(url=""),
        _create(events=[]),
        _create(name=1),
        _create(url=1),
        _create(events="x"),
        _create(events={}),
        _create(description=1),
        _create(secret=["x"]),
        _create(status=["x"]),
        _create(status="NOPE"),
        _create(name=None),
        _create(events=None),
        post("webhooks", raw="[]"),
        post("webhooks", raw="{"),
        post("webhooks", raw=""),
        post("webhooks", raw="{}", headers={"Content-Type": "text/plain"}),
    ),
    case(
        "webhook names refused",
        *(
            _create(name)
            for name in (
                " ",
                "-a",
                "a-",
                ".a",
                "a.",
                "_a",
                "a b",
                "a/b",
                "é",
                "a\n",
                "x" * 64,
                "it's",
                'a"',
                "😀",
            )
        ),
    ),
    case(
        "webhook events refused",
        _create(events=[{"entity": "MODEL_VERSION", "action": "SET"}]),
        _create(events=[{"entity": "PROMPT_TAG", "action": "CREATED"}]),
        _create(events=[{"entity": "REGISTERED_MODEL", "action": "UPDATED"}]),
        _create(events=[_CREATED, {"entity": "BUDGET_POLICY", "action": "CREATED"}], name="-"),
        _create(events=[{}]),
        _create(events=[{"entity": "MODEL_VERSION"}]),
        _create(events=[{"action": "SET"}]),
        _create(events=[{"entity": "NOPE", "action": "SET"}]),
        _create(events=[_CREATED, _CREATED]),
        _create(events=[1]),
        _create(events=[None]),
    ),
    case(
        "webhook addresses refused",
        *(
            _create(url=url)
            for url in (
                " ",
                "\t\n",
                "x",
                "http://8.8.8.8/",
                "ftp://8.8.8.8/",
                "//8.8.8.8/",
                "https://",
                "https:///x",
                "https://:443/",
                "https://user@/",
                "https://[::1",
                "https://[x]/",
                "https://[127.0.0.1]/",
                "https://[v1]/",
                "https://a\u2100b/",
                "https://localhost/",
                "https://LOCALHOST:8080/",
                "https://127.0.0.1/",
                "https://127.1/",
                "https://2130706433/",
                "https://0x7f000001/",
                "https://0177.0.0.1/",
                "https://0x7f.0.0.0x1/",
                "https://127.0.0.1./",
                "https://0/",
                "https://10.0.0.1/",
                "https://172.16.0.1/",
                "https://192.168.1.1/",
                "https://100.64.0.1/",
                "https://169.254.169.254/latest/meta-data/",
                "https://192.0.0.1/",
                "https://198.18.0.1/",
                "https://255.255.255.255/",
                "https://240.0.0.1/",
                "https://[::1]/",
                "https://[::]/",
                "https://[::ffff:127.0.0.1]/",
                "https://[::ffff:7f00:1]/",
                "https://[64:ff9b::7f00:1]/",
                "https://[64:ff9b::a9fe:a9fe]/",
                "https://[2002:7f00:1::]/",
                "https://[2001:db8::1]/",
                "https://[fe80::1]/",
                "https://[fc00::1]/",
                "https://user:pass@127.0.0.1/",
                "https://8.8.8.8@127.0.0.1/",
                "https://8.8.8.8\\@127.0.0.1/",
                "https://127.0.0.1#@8.8.8.8/",
                "https://\uff11\uff12\uff17.0.0.1/",
                "https://a..b/",
                "https://" + "x" * 64 + ".test/",
                "https://1.2.3.4.5/",
                "https://256.1.1.1/",
                "https://08.1.1.1/",
                "https://4294967296/",
                "https://%31%32%37.0.0.1/",
                "https://nobody.invalid/",
            )
        ),
    ),
    case(
        "webhook addresses in other spellings",
        *(
            _create(f"s{number}", url=url)
            for number, url in enumerate(
                (
                    "https://134744072/",
                    "https://0x08080808/",
                    "https://8.8.2056/",
                    "https://010.8.8.8/",
                    "https://[2606:4700:4700::1111]/",
                    "https://[::ffff:8.8.8.8]/",
                    "https://[64:ff9b::808:808]/",
                    "https://[2002:808:808::]/",
                    " https://8.8.8.8/",
                    "https://8.8.8.8",
                    "https://8.8.8.8?x",
                )
            )
        ),
    ),
    case(
        "webhook lives",
        _new(secret="s", description="d"),
        get("webhooks/${hook}"),
        get("webhooks/${hook}", {"webhook_id": "other"}),
        _update({"name": "h-renamed"}),
        _update({"name": "", "url": ""}),
        _update({"url": "https://8.8.4.4/"}),
        _update({"description": ""}),
        _update({"description": "d2", "secret": ""}),
        _update({"secret": "s2", "status": "DISABLED"}),
        _update({"events": [_TAGGED]}),
        _update({"events": []}),
        _update({"events": [{"entity": "PROMPT", "action": "CREATED"}, _CREATED]}),
        _update({}),
        _update({"webhook_id": "other", "status": "ACTIVE"}),
        _update(raw=""),
        get("webhooks/${hook}"),
        _delete(),
        get("webhooks/${hook}"),
        _update({"name": "again"}),
        _delete(),
    ),
    case(
        "webhook changes refused",
        _new(),
        _update({"name": "-"}),
        _update({"url": "http://8.8.8.8"}),
        _update({"url": "https://127.0.0.1/", "name": "fine"}),
        _update({"events": [{"entity": "PROMPT", "action": "SET"}]}),
        _update({"events": [_CREATED, _CREATED]}),
        _update({"events": [{}]}),
        _update({"name": 1}),
        _update({"events": "x"}),
        _update({"status": "NOPE"}),
        _update({"description": 1}),
        _update({"secret": 1}),
        _update({"url": 1}),
        _update({"name": "-", "events": [{"entity": "PROMPT", "action": "SET"}]}),
        get("webhooks/${hook}"),
    ),
    case(
        "webhooks that aren't there",
        get("webhooks/nobody"),
        get("webhooks/nobody%2Fx", native=False),
        get("webhooks/%C3%A9"),
        Step("PATCH", "webhooks/nobody", json={"name": "-"}, rows=True),
        Step("PATCH", "webhooks/nobody", json={"events": [{"entity": "PROMPT", "action": "SET"}]}, rows=True),
        _delete("nobody"),
        post("webhooks/nobody/test", {}),
        post("webhooks/nobody/test", {"event": {"entity": "PROMPT", "action": "SET"}}),
        post("webhooks/nobody/test", raw="", headers={"Content-Type": "application/json"}),
        post("webhooks/nobody/test", raw="{}", headers={"Content-Type": "text/plain"}),
        post("webhooks/nobody/test", {"event": {}}),
    ),
    case(
        "webhooks are listed",
        *(_create(f"l{number}") for number in range(5)),
        get("webhooks", {"max_results": "2"}, save={"token": "next_page_token"}),
        get("webhooks", {"max_results": "2", "page_token": "${token}"}, save={"token": "next_page_token"}),
        get("webhooks", {"max_results": "2", "page_token": "${token}"}),
        get("webhooks", {"max_results": "1000"}),
        get("webhooks", {"max_results": "0"}),
        get("webhooks", {"max_results": "1001"}),
        get("webhooks", {"max_results": "-1"}),
        get("webhooks", {"max_results": "x"}),
        get("webhooks", {"max_results": ""}),
        get("webhooks", {"page_token": "x"}),
        get("webhooks", {"page_token": ""}),
        get("webhooks", {"page_token": "eyJvZmZzZXQiOiA5OTk5fQ=="}),
    ),
)
