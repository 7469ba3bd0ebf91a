import gzip
import json
import zlib

import httpx
import pytest

from sync.messages import GENESIS
from sync.wire import MAX_PACKED_BYTES, encode_batch, encode_block

BATCHES = "/v1/gateways/qiyang-01/streams/ledger/batches"
STREAM = "/v1/gateways/qiyang-01/streams/ledger"
TOTALS = "/v1/gateways/qiyang-01/totals"

WIDE = 2**53 + 1


async def post(client, batch, path=BATCHES):
    return await client.post(path, content=encode_batch(batch))


async def test_a_batch_is_acknowledged_and_stands(client, ledger):
    response = await post(client, ledger)
    assert (response.status_code, response.json()) == (200, {"acked_through": 4})
    assert (await client.get(STREAM)).json() == {
        "epoch": ledger.epoch,
        "acked_through": 4,
        "hash": ledger.hash_after.hex(),
    }


async def test_a_stream_that_never_delivered(client):
    assert (await client.get(STREAM)).json() == {"epoch": None, "acked_through": 0, "hash": GENESIS.hex()}


async def test_totals_are_exact_by_register_and_of_the_location_lens_only(client, ledger):
    await post(client, ledger)
    assert (await client.get(TOTALS)).json() == {
        "registers": [
            {
                "device": "grid",
                "register": "import_energy",
                "flow": "import",
                "energy_mWh": "7",
                "emitted_ng": str(WIDE),
                "baseline_ng": None,
                "rows": 2,
            },
            {
                "device": "pv",
                "register": "yield",
                "flow": "generation",
                "energy_mWh": str(1000 + 2**53 - 1),
                "emitted_ng": "0",
                "baseline_ng": str(WIDE + 2**63),
                "rows": 2,
            },
        ]
    }


async def test_sums_beyond_64_bits_are_exact(client, make_batch, bodies):
    intervals, entries = bodies
    await post(
        client,
        make_batch([intervals(0, (0, 1), (0, 1), (0, 1)), entries(1, *((i, 0, 2**63 - 1, None) for i in range(3)))]),
    )
    ((register,),) = (await client.get(TOTALS)).json().values()
    assert register["emitted_ng"] == str(3 * (2**63 - 1))


async def test_the_same_and_overlapping_batches_change_nothing_twice(client, ledger):
    for count in (2, 4, 1, 4, 3):
        response = await post(client, ledger.head(count))
        assert response.json() == {"acked_through": count}
    assert [register["rows"] for register in (await client.get(TOTALS)).json()["registers"]] == [2, 2]
    assert (await client.get(STREAM)).json()["acked_through"] == 4


async def test_a_gap_says_what_is_expected(client, make_batch):
    response = await post(client, make_batch(first_seq=5))
    assert response.status_code == 409
    assert response.json()["error"] == "gap"
    assert response.json()["expected"] == 1


async def test_a_fork_is_refused_and_shown_until_somebody_acts(client, ledger, make_batch, bodies):
    await post(client, ledger)
    response = await post(client, make_batch([bodies[0](0, (0, 1001))]))
    assert (response.status_code, response.json()["error"]) == (409, "fork")
    assert (await client.get(STREAM)).json()["hash"] == ledger.hash_after.hex()
    await post(client, ledger)
    (first, *_) = [g for g in (await client.get("/v1/gateways")).json()["gateways"] if g["epoch"]]
    assert first["streams"]["ledger"]["fork"] == response.json()["detail"]
    assert response.json()["detail"] in (await client.get("/")).text


async def test_a_new_epoch_starts_at_one_and_is_kept_apart(client, ledger, make_batch):
    await post(client, ledger)
    fresh = make_batch([b'{"kind":"test"}'], epoch="f" * 16)
    assert (await post(client, fresh)).json() == {"acked_through": 1}
    assert (await client.get(STREAM)).json()["epoch"] == "f" * 16
    assert (await post(client, make_batch(first_seq=3, epoch="e" * 16))).json()["expected"] == 1
    assert (await post(client, ledger)).json() == {"acked_through": 4}
    assert [register["rows"] for register in (await client.get(TOTALS)).json()["registers"]] == [2, 2]


async def test_kinds_it_does_not_know_are_kept_byte_for_byte(client, held, make_batch):
    body = '{"kind":"moon-phase","phase":0.25,"名":"呼吸"}'.encode()
    alarm = encode_block("alarm", {"t_ms": 1, "what": "link", "device": "pv", "text": "silent"}, {})
    assert (await post(client, make_batch([body]))).json() == {"acked_through": 1}
    events = await post(client, make_batch([alarm], stream="events"), BATCHES.replace("ledger", "events"))
    assert events.json() == {"acked_through": 1}
    assert await held("SELECT stream, kind, body FROM record ORDER BY stream") == [
        ("events", "alarm", alarm),
        ("ledger", "moon-phase", body),
    ]


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", "Bearer {other-02}", "Basic {qiyang-01}", "Digest {qiyang-01}"],
)
async def test_without_the_gateway_s_own_token_nothing(client, token, ledger, header):
    client.headers.pop("Authorization")
    headers = {} if header is None else {"Authorization": header.format(**token.others, **{"qiyang-01": token})}
    for response in (
        await client.post(BATCHES, content=encode_batch(ledger), headers=headers),
        await client.get(STREAM, headers=headers),
        await client.get(TOTALS, headers=headers),
        await client.get("/v1/gateways/qiyang-01/intervals", headers=headers),
        await client.get("/v1/gateways/qiyang-01/ledger", headers=headers),
        await client.get("/v1/gateways/qiyang-01", headers=headers),
        await client.get("/v1/tenants/qiyang/sites/pavilion/totals", headers=headers),
    ):
        assert (response.status_code, response.json()["error"]) == (401, "token")
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_gateway_that_was_never_added_is_refused(client, ledger):
    assert (await post(client, ledger, BATCHES.replace("qiyang-01", "nobody"))).status_code == 401


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b"", 400, "cut off"),
        (b"not gzip", 400, "not gzip"),
        (gzip.compress(b"", mtime=0), 400, "header line is not JSON"),
        (gzip.compress(b"{}\n", mtime=0), 400, "exactly the keys"),
        (bytes(MAX_PACKED_BYTES + 1), 413, "packed"),
        (zlib.compress(bytes(64 << 20), 9, 31), 413, "inflates"),
    ],
)
async def test_what_is_no_batch_gets_one_clear_sentence(client, body, status, sentence):
    response = await client.post(BATCHES, content=body)
    assert response.status_code == status
    assert sentence in response.json()["detail"]
    assert "Traceback" not in response.text


async def test_a_batch_of_another_gateway_or_stream_is_malformed(client, make_batch):
    for batch in (make_batch(gateway="other-02"), make_batch(stream="events")):
        response = await post(client, batch)
        assert response.status_code == 400
        assert "was posted to gateway qiyang-01, stream ledger" in response.json()["detail"]


async def test_a_broken_chain_is_rejected(client, make_batch):
    response = await post(client, make_batch(hash_after=bytes(32)))
    assert (response.status_code, response.json()["error"]) == (422, "rejected")


def broken_ledgers(intervals, entries):
    good = intervals(0, (0, 1), (1, 2))
    yield [intervals(0, (2, 1))], "record 1: index 2 is outside meta.registers"
    yield [intervals(0, (-1, 1))], "record 1: index -1"
    yield [good.replace(b'"mWh"', b'"kWh"')], "record 1: meta.registers"
    yield (
        [good.replace(b'"energy_mWh":', b'"energy_wWh":')],
        "record 1: kind intervals needs a column energy_mWh",
    )
    yield [good.replace(b'"columns"', b'"colomns"')], "record 1: a block has exactly"
    yield (
        [good, entries(1, (2, 0, 1, 1))],
        "record 2: an entry refers to row 2 of record 1, which is not there",
    )
    yield [good, entries(7, (0, 0, 1, 1))], "record 2: an entry refers to row 0 of record 7"
    yield [good, entries("1", (0, 0, 1, 1))], "record 2: kind entries needs meta.intervals_seq"
    yield [good, entries(1, (0, 2, 1, 1))], "record 2: index 2 is outside meta.lenses"
    yield (
        [good, entries(1, (0, 0, None, 1))],
        "record 2: column emitted_ng of kind entries must not hold null",
    )
    yield [good, entries(1, (0, 0, 1, 1), factor=[0])], "record 2: index 0 is outside meta.factors"


async def test_a_known_kind_that_cannot_be_read_is_rejected_with_its_number_and_nothing_is_kept(
    client, make_batch, bodies
):
    for broken, sentence in broken_ledgers(*bodies):
        response = await post(client, make_batch(broken))
        assert (response.status_code, response.json()["error"]) == (422, "rejected")
        assert response.json()["detail"].startswith(sentence)
    assert (await client.get(STREAM)).json()["acked_through"] == 0
    assert (await client.get(TOTALS)).json() == {"registers": []}


async def test_the_list_and_the_page_show_no_energy_and_only_what_the_token_may_see(client, token, ledger):
    await post(client, ledger)
    (own,) = (await client.get("/v1/gateways")).json()["gateways"]
    assert (own["gateway"], own["tenant"], own["site"], own["state"]) == ("qiyang-01", "qiyang", "pavilion", "delivers")
    assert own["streams"]["ledger"]["acked_through"] == 4
    assert own["streams"]["ledger"]["received_ms"] == own["last_received_ms"] > 1_600_000_000_000
    client.headers.pop("Authorization")
    page = await client.get("/", auth=("a name", token.others["everyone"]))
    assert page.headers["Content-Type"].startswith("text/html")
    assert "<td>elsewhere</td><td>pavilion</td><td>other-02</td><td><span title=" in page.text
    assert ">never</span>" in page.text
    assert ">delivers</span>" in page.text
    assert "<script" not in page.text
    assert "other-02" not in (await client.get("/", auth=("a name", str(token)))).text
    refused = await client.get("/")
    assert refused.status_code == 401
    assert "Basic" in refused.headers["WWW-Authenticate"]


async def test_how_batches_may_be_packed_is_said(client):
    assert (await client.get(STREAM)).headers["Accept-Encoding"] == "gzip, xz"


async def test_health(client):
    assert (await client.get("/healthz")).json() == {"ok": True}


async def test_a_body_that_stops_half_way_stores_nothing(client, ledger, caplog):
    async def half():
        yield encode_batch(ledger)[:50]
        raise httpx.ReadError("gone")

    with pytest.raises(httpx.ReadError):
        await client.post(BATCHES, content=half())
    assert (await client.get(STREAM)).json()["acked_through"] == 0


async def test_live_values_are_kept_in_memory_and_flagged(client):
    path = "/v1/gateways/qiyang-01/live"
    assert (await client.get(path)).status_code == 404
    for t_ms in (1, 2):
        shown = gzip.compress(json.dumps({"live": True, "t_ms": t_ms, "devices": []}).encode())
        assert (await client.put(path, content=shown)).status_code == 204
    found = (await client.get(path)).json()
    assert (found["live"], found["t_ms"]) == (True, 2)
    assert found["received_ms"] > 0


@pytest.mark.parametrize("text", [None, b"[]", b'{"t_ms":1}', b"{"])
async def test_what_is_no_live_value_is_refused(client, text):
    body = b"no gzip" if text is None else gzip.compress(text)
    assert (await client.put("/v1/gateways/qiyang-01/live", content=body)).status_code == 400


async def test_live_values_need_the_token_of_their_gateway(client):
    body = gzip.compress(b'{"live":true}')
    assert (await client.put("/v1/gateways/other-02/live", content=body)).status_code == 401
