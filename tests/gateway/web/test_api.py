"""The operations, asked over real sockets."""

from datetime import date
from typing import Any

import httpx
import pytest

from gateway.web.api import Api
from gateway.web.errors import Busy
from gateway.web.feed import Feed
from gateway.web.site import Site

EXACT = str(2**53 + 1)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/healthz", "ok"),
        ("/api/v1/status", "gateway"),
        ("/api/v1/devices", "devices"),
        ("/api/v1/history?device=pv-pergola", "power_W"),
        ("/api/v1/chart?device=pv-pergola&from_ms=0&to_ms=3600000", "readings"),
        ("/api/v1/ledger/totals", "registers"),
        ("/api/v1/ledger/entries", "entries"),
        ("/api/v1/ledger/verify", "records"),
        ("/api/v1/sync", "backlog_records"),
    ],
)
async def test_answers_json_through_both_doors(
    unix: httpx.AsyncClient, tcp: httpx.AsyncClient, path: str, key: str
) -> None:
    for client in (unix, tcp):
        answer = await client.get(path)
        assert answer.status_code == 200, answer.text
        assert key in answer.json()


async def test_answers_are_what_the_site_says(unix: httpx.AsyncClient, site: Any) -> None:
    assert (await unix.get("/api/v1/status")).json() == await site.status()
    assert (await unix.get("/api/v1/devices")).json() == await site.devices()
    assert (await unix.get("/api/v1/sync")).json() == (await site.status())["sync"]


async def test_carbon_and_raw_counters_leave_as_exact_strings(unix: httpx.AsyncClient) -> None:
    totals = (await unix.get("/api/v1/ledger/totals")).json()
    entries = (await unix.get("/api/v1/ledger/entries")).json()
    assert totals["registers"][0]["emitted_ng"] == EXACT
    assert entries["entries"][0]["raw_begin"] == EXACT


@pytest.mark.parametrize(
    ("key", "value"), [("energy_mWh", 2**53), ("emitted_ng", 14_040_000_000), ("emitted_ng", "1e9")]
)
async def test_what_does_not_fit_the_contract_is_refused_not_rounded(
    unix: httpx.AsyncClient, site: Any, monkeypatch: pytest.MonkeyPatch, key: str, value: object
) -> None:
    answer = await site.ledger.totals(date(2025, 1, 1), date(2025, 1, 2), None, None)
    answer["registers"][0][key] = value

    async def totals(*of: object) -> dict[str, Any]:
        return dict(answer)

    monkeypatch.setattr(site.ledger, "totals", totals)
    refused = await unix.get("/api/v1/ledger/totals")
    assert refused.status_code == 500
    assert refused.json()["remedy"] == "its log says why: journalctl -u huxi"


async def test_parameters_reach_the_site(unix: httpx.AsyncClient, site: Any) -> None:
    await unix.get("/api/v1/history", params={"device": "pv-pergola", "minutes": 5})
    await unix.get("/api/v1/chart", params={"device": "pv-pergola", "from_ms": 0, "to_ms": 900_000})
    await unix.get("/api/v1/chart", params={"device": "pv", "point": "u", "from_ms": 1, "to_ms": 93 * 86_400_000})
    await unix.get("/api/v1/ledger/totals", params={"from": "2025-01-01", "to": "2025-01-31"})
    await unix.get("/api/v1/ledger/totals")
    await unix.get("/api/v1/ledger/totals", params={"lens": "market", "as_of": "2025-02-10"})
    await unix.get("/api/v1/ledger/entries", params={"limit": 7, "before_seq": 99})
    await unix.get("/api/v1/ledger/export", params={"format": "jsonl"})
    await unix.get("/api/v1/ledger/export", params={"rebuilt": "true"})
    await unix.get("/api/v1/ledger/trace/day", params={"day": "2025-01-15", "device": "pv"})
    subject = {"device": "pv", "register": "yield", "account": "memo", "lens": "market"}
    await unix.get("/api/v1/ledger/trace/day", params={"day": "2025-01-15", **subject})
    await unix.get("/api/v1/ledger/trace/entry", params={"seq": 12, "row": 0})
    assert site.asked == [
        ("history", "pv-pergola", 5),
        ("chart", "pv-pergola", None, 0, 900_000),
        ("chart", "pv", "u", 1, 93 * 86_400_000),
        ("totals", date(2025, 1, 1), date(2025, 1, 31), None, None),
        ("totals", date.min, date.max, None, None),
        ("totals", date.min, date.max, "market", date(2025, 2, 10)),
        ("entries", 7, 99),
        ("export", "jsonl", False),
        ("export", "csv", True),
        ("trace_day", date(2025, 1, 15), "pv", None, None, None),
        ("trace_day", date(2025, 1, 15), "pv", "yield", "memo", "market"),
        ("trace_entry", 12, 0),
    ]


@pytest.mark.parametrize(
    ("path", "error", "remedy"),
    [
        (
            "/api/v1/history?device=pv-pergola&minutes=1441",
            "the parameter 'minutes' of /api/v1/history cannot be '1441'",
            "minutes of history: 1 to 60",
        ),
        *(
            (
                f"/api/v1/chart?device=pv-pergola&from_ms=5&to_ms={to_ms}",
                f"the parameter 'to_ms' of /api/v1/chart cannot be '{to_ms}'",
                "end: after the begin, by at most 8035200000 ms (93 days)",
            )
            for to_ms in (5, 4, 8035200006)
        ),
        (
            "/api/v1/history",
            "the parameter 'device' of /api/v1/history is missing",
            "name of a device, as in /api/v1/devices",
        ),
        (
            "/api/v1/ledger/totals?from=2025-02-30",
            "the parameter 'from' of /api/v1/ledger/totals cannot be '2025-02-30'",
            "first day: YYYY-MM-DD",
        ),
        (
            "/api/v1/ledger/totals?from=2025-02-02&to=2025-02-01",
            "from=2025-02-02 is after to=2025-02-01",
            "give the earlier day as from",
        ),
        (
            "/api/v1/ledger/entries?limit=1001",
            "the parameter 'limit' of /api/v1/ledger/entries cannot be '1001'",
            "about how many entries: 1 to 1000",
        ),
        (
            "/api/v1/ledger/entries?before_seq=0",
            "the parameter 'before_seq' of /api/v1/ledger/entries cannot be '0'",
            "only records below this sequence number: 1 or above",
        ),
        (
            "/api/v1/ledger/export?format=xml",
            "the parameter 'format' of /api/v1/ledger/export cannot be 'xml'",
            "csv or jsonl",
        ),
        (
            "/api/v1/ledger/totals?lens=project",
            "the parameter 'lens' of /api/v1/ledger/totals cannot be 'project'",
            "one of location, market; the site's main lens when left out",
        ),
        (
            "/api/v1/ledger/trace/day?day=2025-01-01",
            "the parameter 'device' of /api/v1/ledger/trace/day is missing",
            "name of a device",
        ),
        (
            "/api/v1/ledger/trace/entry?seq=0&row=0",
            "the parameter 'seq' of /api/v1/ledger/trace/entry cannot be '0'",
            "its record: 1 or above",
        ),
        ("/api/v1/status?verbose=1", "/api/v1/status has no parameter 'verbose'", "it takes none"),
        (
            "/api/v1/history?devices=x",
            "the parameter 'device' of /api/v1/history is missing",
            "name of a device, as in /api/v1/devices",
        ),
    ],
)
async def test_a_bad_question_gets_one_clear_sentence(
    unix: httpx.AsyncClient, site: Any, path: str, error: str, remedy: str
) -> None:
    answer = await unix.get(path)
    assert answer.status_code == 400
    assert answer.json() == {"error": error, "remedy": remedy}
    assert site.asked == []


async def test_unknown_things_are_404_in_json(unix: httpx.AsyncClient) -> None:
    unknown_device = await unix.get("/api/v1/history?device=nobody")
    assert unknown_device.status_code == 404
    assert unknown_device.json() == {"error": "there is no device 'nobody'", "remedy": "see /api/v1/devices"}
    unknown_path = await unix.get("/api/v1/nothing")
    assert unknown_path.status_code == 404
    assert "openapi.json" in unknown_path.json()["remedy"]
    wrong_method = await unix.post("/api/v1/status")
    assert wrong_method.status_code == 405
    assert set(wrong_method.json()) == {"error", "remedy"}


async def test_export_streams_a_file(unix: httpx.AsyncClient) -> None:
    answer = await unix.get("/api/v1/ledger/export?format=csv")
    assert answer.content == b"seq,energy_mWh\n1,100\n"
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="huxi-ledger.csv"'


async def test_an_empty_ledger_exports_an_empty_file(unix: httpx.AsyncClient, site: Any) -> None:
    site.ledger.chunks = []
    answer = await unix.get("/api/v1/ledger/export?format=jsonl")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_sync_now_is_asked_through_the_unix_socket_only(
    unix: httpx.AsyncClient, tcp: httpx.AsyncClient, site: Any
) -> None:
    refused = await tcp.post("/api/v1/sync/now")
    assert refused.status_code == 403
    assert refused.json()["remedy"] == "use the huxi command on the gateway itself"
    assert site.asked == []
    assert (await unix.post("/api/v1/sync/now")).json() == {"drained": True, "error": None}
    assert site.asked == [("sync_now",)]


async def test_relearning_is_asked_through_the_unix_socket_only(
    unix: httpx.AsyncClient, tcp: httpx.AsyncClient, site: Any
) -> None:
    path = "/api/v1/devices/relearn?device=pv-pergola"
    assert (await tcp.post(path)).status_code == 403
    assert site.asked == []
    assert (await unix.post(path)).json() == {"device": "pv-pergola"}
    assert site.asked == [("relearn", "pv-pergola")]


async def test_the_clock_is_vouched_for_through_the_unix_socket_only(
    unix: httpx.AsyncClient, tcp: httpx.AsyncClient, site: Any
) -> None:
    assert (await tcp.post("/api/v1/clock/trust")).status_code == 403
    assert site.asked == []
    assert (await unix.post("/api/v1/clock/trust")).json() == {"now_ms": site.now_ms}
    assert site.asked == [("trust_clock",)]


async def test_openapi_describes_every_operation_with_its_models(unix: httpx.AsyncClient, site: Site) -> None:
    document = (await unix.get("/api/v1/openapi.json")).json()
    assert set(document["paths"]) == {operation.path for operation in Api(site, Feed(site)).operations()}
    schemas = document["components"]["schemas"]
    assert {"Status", "Devices", "Live", "Entries", "Error"} <= set(schemas)
    assert schemas["Entry"]["properties"]["emitted_ng"]["anyOf"][0]["type"] == "string"
    history = document["paths"]["/api/v1/history"]["get"]
    assert [(p["name"], p["required"]) for p in history["parameters"]] == [
        ("device", True),
        ("minutes", False),
    ]
    assert all(ref in schemas for ref in _references(document)), "a reference leads nowhere"


def _references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"].rsplit("/", 1)[1]} if "$ref" in node else set()
        return own.union(*map(_references, node.values()))
    if isinstance(node, list):
        return set[str]().union(*map(_references, node))
    return set()


async def test_too_many_live_streams_are_refused(site: Site) -> None:
    feed = Feed(site)
    streams = [feed.admit() for _ in range(16)]
    for stream in streams:
        await anext(stream)
    with pytest.raises(Busy, match="16 live streams are open already"):
        feed.admit()
    await streams[0].aclose()  # type: ignore[attr-defined]
    assert await anext(feed.admit()) == b"retry: 2000\n\n"
