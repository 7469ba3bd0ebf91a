"""What a receiver is told of records that never come, on both databases: tombstones, remainders, the whole contract."""

import pytest

from sync.central.app import build
from sync.conformance.report import examine
from sync.messages import GENESIS, TOMBSTONE, Record, Tombstone, chain
from sync.set_aside import QUARANTINED, SPLIT, halves
from sync.transports.client import Way
from sync.wire import encode_batch, encode_block
from tests.sync.conformance.small_receiver import serving

BATCHES = "/v1/gateways/qiyang-01/streams/ledger/batches"
TOMBSTONES = "/v1/gateways/qiyang-01/tombstones"
TOTALS = "/v1/gateways/qiyang-01/totals"
WIDE = 2**53 + 1


class Ledger:
    """Records in a chain, and batches of them in which tombstones stand for some."""

    def __init__(self, make_batch, *bodies):
        self._make_batch = make_batch
        self.bodies = list(bodies)

    def batch(self, first, last, gone=None, **meta):
        hashes = [GENESIS]
        for seq, body in enumerate(self.bodies, 1):
            hashes.append(chain(hashes[-1], seq, body))
        records = [
            Record(stream="ledger", seq=seq, kind="test", body=body)
            for seq, body in enumerate(self.bodies[first - 1 : last], first)
            if gone is None or not gone[0] <= seq <= gone[1]
        ]
        if gone is not None:
            first_gone, last_gone = gone
            span = {"hash_before": hashes[first_gone - 1].hex(), "hash_after": hashes[last_gone].hex()}
            told = {"first_seq": first_gone, "last_seq": last_gone, "reason": QUARANTINED, "sums": []} | span | meta
            stone = Tombstone(first_seq=first_gone, hash_before=hashes[first_gone - 1], hash_after=hashes[last_gone])
            body = encode_block(TOMBSTONE, told, {})
            records.append(Record(stream="ledger", seq=last_gone, kind=TOMBSTONE, body=body, tombstone=stone))
            records.sort(key=lambda record: record.seq)
        return encode_batch(
            self._make_batch(
                first_seq=first, hash_before=hashes[first - 1], hash_after=hashes[last], records=tuple(records)
            )
        )


def missing(**amounts):
    names = {"device": "pv", "register": "yield", "flow": "generation", "lens": "location", "account": "inventory"}
    return names | {"rows": 1, "energy_mWh": 1, "emitted_ng": "1", "baseline_ng": None} | amounts


async def test_our_receiver_keeps_every_clause_again_and_again(store):
    token = await store.add("conform-01", "gateway", "conform", "conform")
    async with serving(build(store)) as url:
        for _ in range(2):  # the kit leaves nothing behind that it stumbles over
            findings = [finding async for finding in examine(Way(url=url), token, "conform-01")]
            assert {finding.clause: finding.wrong for finding in findings if finding.wrong is not None} == {}
            assert len(findings) == 18


async def test_what_came_after_all_is_taken_off_a_tombstone(client, make_batch, bodies):
    """The receiver holds records 1 to 3; the tombstone, whose sums are of all four, lets it drop the lone intervals."""
    intervals, entries = bodies
    ledger = Ledger(
        make_batch,
        intervals(0, (0, 1000)),
        entries(1, (0, 0, WIDE, 2**70)),
        intervals(300_000, (0, 7)),
        entries(3, (0, 0, 5, 9)),
    )
    assert (await client.post(BATCHES, content=ledger.batch(1, 3))).json() == {"acked_through": 3}
    sums = [
        missing(rows=2, energy_mWh=1007, emitted_ng=str(WIDE + 5), baseline_ng=str(2**70 + 9)),
        missing(lens="market", energy_mWh=2**53 - 1),
    ]
    for _ in range(2):
        answer = await client.post(BATCHES, content=ledger.batch(1, 4, gone=(1, 4), sums=sums))
        assert answer.json() == {"acked_through": 4}
    told = (await client.get(TOMBSTONES)).json()
    assert told["tombstones"] == [
        {
            "epoch": "00c0ffee00c0ffee",
            "stream": "ledger",
            "first_seq": 4,
            "last_seq": 4,
            "reason": "quarantined",
            "sums_known": True,
        }
    ]
    assert told["sums"] == [
        missing(energy_mWh="7", emitted_ng="5", baseline_ng="9"),
        missing(lens="market", energy_mWh=str(2**53 - 1)),
    ]
    (register,) = (await client.get(TOTALS)).json()["registers"]
    assert (register["rows"], register["energy_mWh"], register["emitted_ng"]) == (1, "1000", str(WIDE))


async def test_a_tombstone_of_which_nobody_knows_the_sums(client, make_batch):
    ledger = Ledger(make_batch, *[b'{"kind":"test"}'] * 5)
    await client.post(BATCHES, content=ledger.batch(1, 5, gone=(2, 4), sums=None))
    told = (await client.get(TOMBSTONES)).json()
    assert told["sums"] == []
    assert [(each["first_seq"], each["last_seq"], each["sums_known"]) for each in told["tombstones"]] == [(2, 4, False)]


async def test_rows_of_remainders_are_rows_of_the_record_they_come_from(client, make_batch, bodies):
    """In one batch or in many, whichever half comes first; entries find intervals of which a row is missing."""
    intervals, entries = bodies
    rows = intervals(0, (0, 1), (1, 20), (0, 300), (1, 4000))
    upper, lower = halves(1, rows)
    (bad, good), told = halves(5, upper), entries(1, (1, 0, 2, None), (2, 0, 3, None), (3, 0, 4, None))
    ledger = Ledger(make_batch, rows, upper, lower, bad, good, told, *halves(6, told))
    for first, last, gone, reason in (
        (1, 1, (1, 1), SPLIT),
        (2, 3, (2, 2), SPLIT),
        (4, 5, (4, 4), QUARANTINED),
        (6, 8, (6, 6), SPLIT),
    ):
        sums = [missing(energy_mWh=1, emitted_ng="0")] if reason == QUARANTINED else []
        content = ledger.batch(first, last, gone=gone, reason=reason, sums=sums)
        assert (await client.post(BATCHES, content=content)).json() == {"acked_through": last}, last
    found = (await client.get("/v1/gateways/qiyang-01/intervals")).json()["rows"]
    assert [(row["seq"], row["row"], row["energy_mWh"]) for row in found] == [(1, 1, 20), (1, 2, 300), (1, 3, 4000)]
    booked = (await client.get("/v1/gateways/qiyang-01/ledger")).json()["rows"]
    assert [(row["seq"], row["row"], row["emitted_ng"], row["interval_row"]) for row in booked] == [
        (6, 0, "2", 1),
        (6, 1, "3", 2),
        (6, 2, "4", 3),
    ]


def broken_records(make_batch, intervals, entries):
    """Batches of tombstones and remainders that cannot be, and the sentence of each."""
    plain = [b'{"kind":"test"}'] * 3
    for meta, sentence in (
        ({"reason": "no reason"}, "a tombstone needs meta.reason"),
        ({"sums": [missing(rows="1")]}, "meta.sums of kind tombstone needs names, rows"),
        ({"sums": [missing(emitted_ng="1.5")]}, "emitted_ng and baseline_ng in meta.sums"),
        ({"sums": [missing(baseline_ng=1)]}, "meta.sums of kind tombstone needs names, rows"),
        ({"sums": [missing(device="\0")]}, "a name in meta.sums has more than 128 characters, or control"),
        ({"sums": [missing(), missing()]}, "meta.sums of kind tombstone names a register, lens and account twice"),
    ):
        yield Ledger(make_batch, *plain).batch(1, 3, gone=(1, 3), **meta), f"record 3: {sentence}"
    rows = intervals(0, (0, 1), (1, 20))
    upper, lower = halves(1, rows)
    yield Ledger(make_batch, upper).batch(1, 1), "record 1: a remainder of record 1 cannot come before"
    yield Ledger(make_batch, rows, lower).batch(1, 2), "a remainder brings rows from 1 on of record 1, which are held"
    yield Ledger(make_batch, rows, upper, upper).batch(1, 3, gone=(1, 1)), "a remainder brings rows from 0 on"
    for meta in ({}, {"of_seq": True}, {"first_row": -1}, {"first_row": 2**31}, {"kind": "tombstone"}, {"meta": None}):
        told = {"of_seq": 1, "first_row": 0, "kind": "intervals", "meta": {}} | meta if meta else {}
        yield (
            Ledger(make_batch, rows, encode_block("remainder", told, {"r": [0]})).batch(1, 2),
            "record 2: a remainder needs",
        )
    gap = Ledger(make_batch, rows, upper, entries(1, (1, 0, 1, None))).batch(1, 3, gone=(1, 1))
    yield gap, "record 3: an entry refers to row 1 of record 1, which is not there"


async def test_what_cannot_be_is_refused_with_its_number_and_nothing_is_kept(client, make_batch, bodies):
    for content, sentence in broken_records(make_batch, *bodies):
        response = await client.post(BATCHES, content=content)
        assert (response.status_code, response.json()["error"]) == (422, "rejected"), response.text
        assert response.json()["detail"].startswith(sentence)
    assert (await client.get(TOTALS)).json() == {"registers": []}
    assert (await client.get(TOMBSTONES)).json() == {"tombstones": [], "sums": []}


@pytest.mark.parametrize("path", ["/tombstones", "/live"])
async def test_readers_of_the_tenant_may_ask_and_other_gateways_may_not(store, client, token, path):
    of_tenant = await store.add("of-qiyang", "reader", "qiyang")
    for whose, status in (
        (of_tenant, {200, 404}),
        (token.others["everyone"], {200, 404}),
        (token.others["other-02"], {401}),
    ):
        headers = {"Authorization": f"Bearer {whose}"}
        assert (await client.get(f"/v1/gateways/qiyang-01{path}", headers=headers)).status_code in status
        assert (await client.put("/v1/gateways/qiyang-01/live", content=b"", headers=headers)).status_code == 401
