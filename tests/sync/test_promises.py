"""The promises of delivery over real parts: SQLite files on both sides, real processes, a way that does its worst."""

import asyncio
import contextlib
import signal
import sqlite3
from collections.abc import Iterator
from random import Random

import pytest

from gateway.store import outbox
from gateway.store.database import Store
from gateway.store.delivery import StoreOutbox
from sync.forwarder import Forwarder
from sync.messages import Batch
from sync.transports.client import Way
from sync.transports.https import HttpsTransport
from sync.transports.memory import MemoryTransport
from sync.wire import encode_block
from tests.scale import scaled
from tests.sync.central.receivers import Receiver, secret_at
from tests.sync.chaos import ChaosProxy, problems
from tests.sync.conftest import MemoryOutbox

REGISTERS = [["m", f"r{k}", "import", "mWh"] for k in range(100)]


def block(record: int) -> bytes:
    """100 rows, numbered in their energy: row k of record n holds 100 * n + k."""
    rows = range(100)
    t0_ms = record * 300_000
    return encode_block(
        "intervals",
        {"registers": REGISTERS, "bounds": [], "gaps": []},
        {
            "r": list(rows),
            "epoch": [1] * 100,
            "t0": [t0_ms] * 100,
            "t1": [t0_ms + 300_000] * 100,
            "energy_mWh": [100 * record + k for k in rows],
            "raw_begin": [None] * 100,
            "raw_end": [None] * 100,
            "class": [0] * 100,
            "flags": [0] * 100,
            "kind": [0] * 100,
        },
    )


def fill(conn: sqlite3.Connection, records: int) -> None:
    for record in range(records):
        outbox.append(conn, "ledger", "intervals", record * 300_000, record * 300_000 + 300_000, block(record))


def arrivals(db: object) -> Iterator[int]:
    """Rows in the order in which the receiver committed them."""
    with contextlib.closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as conn:
        yield from (n for (n,) in conn.execute("SELECT row FROM arrival ORDER BY n"))


def log_arrivals(db: object) -> None:
    """Lets the receiver's file note each interval as it is inserted, in the transaction that does it."""
    with contextlib.closing(sqlite3.connect(db)) as conn:
        conn.execute("CREATE TABLE arrival (n INTEGER PRIMARY KEY, row INTEGER)")
        conn.execute(
            "CREATE TRIGGER log AFTER INSERT ON interval BEGIN INSERT INTO arrival (row) VALUES (new.energy_mWh); END"
        )


@pytest.mark.slow
async def test_promise_03_04_each_row_once_and_in_order_through_chaos(tmp_path, figure):
    """A proxy drops, doubles, replays and cuts; the gateway's forwarder and the receiver are killed again and again."""
    rows = scaled(10**5, 10**6)
    rng = Random(3)
    where = str(tmp_path / "central.db")
    with contextlib.closing(Receiver(where, secret_at(where))) as receiver:
        receiver.start()
        receiver.stop(signal.SIGKILL)
        log_arrivals(where)
        receiver.start()
        port = int(receiver.url.rsplit(":", 1)[1])
        async with Store.open(tmp_path / "data") as store, ChaosProxy(port, seed=3).running() as proxy:
            await store.run(fill, rows // 100)
            kills = await _deliver_with_kills(store, proxy, receiver, rng, last_seq=rows // 100)
        receiver.stop(signal.SIGTERM)
    assert problems(range(rows), list(arrivals(where))) == []
    assert all(proxy.done[fault] for fault in ChaosProxy.FAULTS)
    assert kills["receiver"] >= 3
    assert kills["gateway"] >= 10
    figure(
        f"{rows:,} rows, {sum(proxy.done.values()) - proxy.done['none']} faults, {kills}: 0 lost, 0 doubled, in order"
    )


async def _deliver_with_kills(store, proxy, receiver, rng, last_seq):
    kills = {"gateway": 0, "receiver": 0}
    while True:
        transport = HttpsTransport(Way(url=f"http://127.0.0.1:{proxy.port}"), receiver.token)
        sender = Forwarder(
            StoreOutbox(store, "qiyang-01"), transport, random=rng, max_batch_bytes=rng.choice((6000, 60_000))
        )
        task = asyncio.create_task(_persist(sender))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(task), rng.uniform(0.03, 0.25))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await transport.aclose()
        if (await store.read(outbox.head, "ledger")).acked_through == last_seq:
            return kills
        kills["gateway"] += 1
        if kills["gateway"] % 3 == 0:
            receiver.stop(signal.SIGKILL)
            receiver.start()
            kills["receiver"] += 1


async def _persist(sender: Forwarder) -> None:
    """Delivers without waiting for pauses, which the faults would make long."""
    while not await sender.flush():
        pass


@pytest.mark.parametrize(
    ("arrived", "says"),
    [
        ([0, 1, 2, 3], []),
        ([0, 1, 3], ["2 is lost"]),
        ([0, 1, 1, 2, 3], ["1 came 2 times", "1 came after 1"]),
        ([0, 2, 1, 3], ["1 came after 2"]),
        ([0, 1, 2, 3, 4], ["4 was never produced"]),
    ],
)
def test_control_03_the_checker_finds_planted_faults(arrived, says):
    assert problems(range(4), arrived) == says


class Killed(BaseException):
    """The process dies here."""


class Axe:
    """Stands before an outbox or a transport; dies at the `at`-th call of either, before or after it is done."""

    def __init__(self, at: int) -> None:
        self.calls = 0
        self._at = at

    def guard(self, part: object) -> object:
        axe = self

        class Guarded:
            def __getattr__(self, name: str) -> object:
                inner = getattr(part, name)
                if not asyncio.iscoroutinefunction(inner):
                    return inner

                async def call(*args: object) -> object:
                    axe.strike()
                    result = await inner(*args)
                    axe.strike()
                    return result

                return call

        return Guarded()

    def strike(self) -> None:
        self.calls += 1
        if self.calls == self._at:
            raise Killed


class CountingTransport(MemoryTransport):
    """Remembers the batches."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Batch] = []

    async def send(self, batch: Batch):
        self.sent.append(batch)
        return await super().send(batch)


def test_promise_05_a_kill_at_each_await_point_resends_nothing(virtual, figure):
    """The receiver is asked where it stands: not even the batch in flight goes twice."""
    resent, points = _kill_everywhere(virtual, CountingTransport)
    assert points > 30
    assert max(resent) == 0
    figure(f"{points} points: 0 records sent twice")


def test_promise_05_without_an_answer_to_the_question_one_window_is_resent(virtual):
    """A receiver that forgot which epoch was the last: then the chain decides, and at most one batch goes twice."""

    class Vague(CountingTransport):
        async def position(self, gateway: str, stream: str):
            return await MemoryTransport().position(gateway, stream)

    resent, _ = _kill_everywhere(virtual, Vague)
    assert 0 < max(resent) <= WINDOW


def test_control_05_a_gateway_that_forgets_its_mark_replays_all(virtual):
    class Vague(CountingTransport):
        async def position(self, gateway: str, stream: str):
            return await MemoryTransport().position(gateway, stream)

    resent, _ = _kill_everywhere(virtual, Vague, forgets=True)
    assert max(resent) > WINDOW


WINDOW = 10
"""Records in a batch."""


def _kill_everywhere(virtual, make_transport, *, forgets=False):
    """How many records went twice, for a kill at each point; and how many points there are."""
    resent = []
    for at in range(1, 1000):
        held, transport = MemoryOutbox(("ledger",)), make_transport()
        held.fill("ledger", 50)
        size = WINDOW * len(held.records["ledger"][-1].body)
        axe = Axe(at)

        async def run(axe=axe, held=held, transport=transport, size=size):
            with contextlib.suppress(Killed):
                await Forwarder(axe.guard(held), axe.guard(transport), random=Random(1), max_batch_bytes=size).flush()
            if forgets:
                held.marks["ledger"] = 0
            assert await Forwarder(held, transport, random=Random(1), max_batch_bytes=size).flush()

        virtual(run())
        (records,) = transport.received.values()
        assert [record.seq for record in records] == list(range(1, 51))
        resent.append(sum(len(batch.records) for batch in transport.sent) - 50)
        if axe.calls < at:
            return resent, at - 1
    raise AssertionError("it never ends")
