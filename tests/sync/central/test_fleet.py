"""What a fleet needs of PostgreSQL: several receivers on one database, months apart, a server that falls over."""

import asyncio
import signal
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from random import Random

import httpx
import pytest

from sync.central.errors import CentralError
from sync.central.store import CentralStore
from sync.messages import Batch
from sync.wire import encode_batch
from tests.postgres import query
from tests.scale import scaled
from tests.sync.central.receivers import Receiver, fill, problems, secret_at

pytestmark = pytest.mark.slow

BATCHES = "/v1/gateways/qiyang-01/streams/ledger/batches"
DAY_MS = 86_400_000


@pytest.fixture
def where(postgres):
    return postgres.new()


def months(where):
    """Partitions by table, without the catch-alls."""
    found: dict[str, set[str]] = {}
    for name, parent in query(
        where,
        "SELECT c.relname, p.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid "
        "JOIN pg_class p ON p.oid = inhparent WHERE c.relkind = 'r' AND c.relnamespace = current_schema::regnamespace",
    ):
        month = name.removeprefix(f"{parent}_")
        if month not in ("past", "beyond"):
            found.setdefault(parent, set()).add(month)
    return found


def part(outbox, first, count):
    """Some records of the ledger as a batch."""
    hashes = outbox.hashes["ledger"]
    records = tuple(outbox.records["ledger"][first - 1 : first - 1 + count])
    return Batch(
        gateway="qiyang-01",
        epoch="00c0ffee00c0ffee",
        stream="ledger",
        first_seq=first,
        hash_before=hashes[first - 1],
        hash_after=hashes[first - 1 + len(records)],
        records=records,
    )


async def test_promise_25_two_receivers_take_overlapping_batches_of_one_gateway_exactly_once(where, outbox, bodies):
    fill(outbox, bodies, scaled(300, 3000))
    last = len(outbox.records["ledger"])
    token = secret_at(where)
    with ExitStack() as stack:
        receivers = [stack.enter_context(closing(Receiver(where, token))) for _ in range(2)]
        for receiver in receivers:
            receiver.start()
        marks: list[int] = [0]

        async def sender(client, random):
            """Sends slices around what anybody holds; some overlap, some leave a gap."""
            while max(marks) < last:
                first = max(1, max(marks) + 1 - random.randrange(20) + random.randrange(3))
                batch = part(outbox, min(first, last), random.randrange(1, 40))
                response = await client.post(BATCHES, content=encode_batch(batch))
                if response.status_code == 200:
                    assert response.json() == {"acked_through": batch.last_seq}
                    marks.append(batch.last_seq)
                else:
                    assert (response.status_code, response.json()["error"]) == (409, "gap"), response.text

        async with asyncio.TaskGroup() as group:
            clients = [
                httpx.AsyncClient(base_url=receiver.url, headers={"Authorization": f"Bearer {token}"}, timeout=30)
                for receiver in receivers
            ]
            for number in range(6):
                group.create_task(sender(clients[number % 2], Random(number)))
        for client in clients:
            await client.aclose()
        assert problems(where, outbox) == []
        assert [receiver.stop(signal.SIGTERM) for receiver in receivers] == [(0, "")] * 2
    assert max(marks) == last
    assert query(where, "SELECT count(*) FROM interval") == [(last,)]


async def test_months_are_made_ahead_and_for_late_data(where, store, make_batch, bodies):
    intervals, entries = bodies
    now = datetime.now(UTC)
    ahead = {f"{now:%Y_%m}", f"{datetime.fromtimestamp(now.timestamp() + 31 * 86400, UTC):%Y_%m}"}
    assert months(where) == dict.fromkeys(("record", "interval", "entry", "restatement"), ahead)
    times = [int(datetime(2024, 2, 29, tzinfo=UTC).timestamp() * 1000), 0, 4_200_000_000_000]
    records = [intervals(t, (0, 5)) for t in times]
    records += [entries(seq, (0, 0, 1, None)) for seq in range(1, 4)]
    await store.take("qiyang-01", "ledger", encode_batch(make_batch(records)))
    assert months(where)["interval"] == months(where)["entry"] == ahead | {"2024_02"}
    for table in ("interval", "entry"):
        assert query(where, f"SELECT count(*) FROM {table}_2024_02") == [(1,)]
        assert query(where, f"SELECT count(*) FROM {table}_past") == [(1,)]
        assert query(where, f"SELECT count(*) FROM {table}_beyond") == [(1,)]
    (register,) = await store.totals("qiyang-01")
    assert (register["energy_mWh"], register["emitted_ng"], register["rows"]) == ("15", "3", 3)


async def test_a_month_that_two_make_at_once_is_made_once(where, make_batch, bodies):
    async with CentralStore.open(where) as one, CentralStore.open(where) as two:
        sent = []
        for number in range(20):
            begin_ms = int(datetime(2030 + number % 10, 1 + number // 10, 1, tzinfo=UTC).timestamp() * 1000)
            for store, gateway in ((one, "a"), (two, "b"), (one, "c"), (two, "d")):
                gateway_batch = make_batch([bodies[0](begin_ms, (0, 1))], gateway=gateway, epoch=f"{number:016x}")
                sent.append(store.take(gateway, "ledger", encode_batch(gateway_batch)))
        assert await asyncio.gather(*sent) == [1] * 80
    assert query(where, "SELECT count(*) FROM interval") == [(80,)]


async def test_a_server_that_falls_over_costs_a_503_and_nothing_else(
    where, client, store, make_batch, bodies, postgres
):
    batch = make_batch([bodies[0](0, (0, 7))])
    assert (await client.post(BATCHES, content=encode_batch(batch))).json() == {"acked_through": 1}
    more = make_batch([batch.records[0].body, bodies[0](300_000, (0, 8))])
    postgres.kill()
    try:
        response = await client.post(BATCHES, content=encode_batch(more))
        assert (response.status_code, response.json()["error"]) == (503, "unavailable")
    finally:
        postgres.start()
    for _ in range(3):  # the connections that the receiver had are found dead, one after the other
        response = await client.post(BATCHES, content=encode_batch(more))
        if response.status_code == 200:
            break
        assert response.status_code == 503
    assert response.json() == {"acked_through": 2}
    (register,) = await store.totals("qiyang-01")
    assert (register["energy_mWh"], register["rows"]) == ("15", 2)


async def test_a_server_that_does_not_keep_what_it_commits_is_refused(where, postgres):
    async def set_fsync(value):
        query(postgres.url, f"ALTER SYSTEM SET fsync = {value}")
        query(postgres.url, "SELECT pg_reload_conf()")
        async with asyncio.timeout(10):
            while query(postgres.url, "SHOW fsync") != [(value,)]:  # noqa: ASYNC110  # nobody tells when it is read
                await asyncio.sleep(0.01)

    await set_fsync("off")
    try:
        with pytest.raises(CentralError, match="runs with fsync = off: what is acknowledged would not outlive a power"):
            async with CentralStore.open(where):
                pass
    finally:
        await set_fsync("on")


async def test_a_database_of_another_version_is_refused(where, store):
    query(where, "UPDATE central_version SET version = 6")
    with pytest.raises(CentralError, match="the database is of version 6 of huxi central, not 5"):
        async with CentralStore.open(where):
            pass
