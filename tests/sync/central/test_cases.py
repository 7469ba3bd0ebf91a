"""Systems of the communities, from the gateway's books to the receiver's answers, over real HTTP and real databases."""

import sqlite3
from collections import defaultdict
from contextlib import closing
from datetime import UTC, date, datetime
from random import Random

import httpx
import pytest

from gateway.carbon.booking.close import Books, close
from gateway.carbon.booking.entries import Scope
from gateway.carbon.booking.restate import Order, restated, write
from gateway.carbon.booking.rules import Declaration
from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.intervals import Intervals, RegisterName
from gateway.carbon.metering.correction import STEP, Correction, Piece
from gateway.carbon.metering.span import Span
from gateway.carbon.metering.sweep import Sweep
from gateway.store import totals
from gateway.store.database import SCHEMA_VERSION
from gateway.store.ledger.day_index import DayIndex
from gateway.store.ledger.live_day import LiveDay
from gateway.store.migrations import migrate
from tests.scale import scaled
from tests.sync.central.receivers import Receiver, ask, deliver, secret_at

pytestmark = pytest.mark.slow

DAY_MS = 86_400_000
MIDNIGHT_MS = int(datetime(2025, 12, 29, 16, tzinfo=UTC).timestamp()) * 1000
"""30 December 2025 in Sichuan: the values of 2023 are published the day after."""
FACTORS = FactorSet.load(shipped())
UNIT = {
    RegisterName("blower", "energy", "import"): Declaration(role="wastewater", supply="own"),
    RegisterName("pump", "energy", "import"): Declaration(role="wastewater", supply="own"),
    RegisterName("roof", "yield", "generation"): Declaration(role="pv"),
    RegisterName("battery", "charged", "charge"): Declaration(role="battery"),
}
"""A package unit of a courtyard without grid."""
COMMUNITY = {
    RegisterName("grid", "import_energy", "import"): Declaration(role="grid"),
    RegisterName("roof", "yield", "generation"): Declaration(role="pv", baseline="grid"),
    RegisterName("charger", "energy", "consumption"): Declaration(role="charger"),
}


class Site:
    """The books of one gateway, as it writes them."""

    def __init__(self, registers, seed):
        self.conn = sqlite3.connect(":memory:", isolation_level=None)
        migrate(self.conn, SCHEMA_VERSION)
        self.books = Books(
            scope=Scope(lenses={"location": "CN-SC"}, zone="Asia/Shanghai"),
            factors=FACTORS,
            devices={name.device: declared for name, declared in registers.items()},
        )
        self._names = list(registers)
        self._random = Random(seed)

    def book(self, t0_ms, t1_ms):
        """One sweep: some energy of each register, now and then none to be had."""
        count = len(self._names)
        energy = [self._random.choice([self._random.randrange(10**6), None]) for _ in self._names]
        sweep = Intervals(
            registers=self._names,
            r=[*range(count)],
            epoch=[1] * count,
            t0_ms=[t0_ms] * count,
            t1_ms=[t1_ms] * count,
            energy_mWh=energy,
            raw_begin=[None] * count,
            raw_end=[None] * count,
            row_class=[4 if amount is None else 0 for amount in energy],
            flags=[0] * count,
            kind=[0] * count,
        )
        close(self.conn, sweep=Sweep(intervals=sweep), books=self.books, now_ms=t1_ms + 2000)

    def book_days(self, days, sweeps_a_day):
        step = DAY_MS // sweeps_a_day
        for number in range(days * sweeps_a_day):
            self.book(MIDNIGHT_MS + number * step, MIDNIGHT_MS + (number + 1) * step)

    def fill(self, outbox):
        """Everything that was booked since the last time waits in the outbox."""
        held = len(outbox.records["ledger"])
        for kind, body in self.conn.execute(
            "SELECT kind, body FROM record WHERE stream = 'ledger' AND seq > ? ORDER BY seq", (held,)
        ):
            outbox.append("ledger", body, kind)

    def totals(self):
        """What the gateway itself says: energy, and carbon over all accounts, by register."""
        sums = defaultdict(lambda: [0, 0, None])
        for total in totals.by_register(totals.query(self.conn, "2000-01-01", "2999-12-31")):
            found = sums[total.device, total.register]
            found[0] = total.energy_mWh
            found[1] += total.emitted_ng
            if total.baseline_ng is not None:
                found[2] = (found[2] or 0) + total.baseline_ng
        return {
            name: (str(energy_mWh), str(emitted_ng), None if baseline_ng is None else str(baseline_ng))
            for name, (energy_mWh, emitted_ng, baseline_ng) in sums.items()
        }


async def told(receiver, gateway):
    """What the receiver says of a gateway: the same, and its rows."""
    async with httpx.AsyncClient(
        base_url=receiver.url, headers={"Authorization": f"Bearer {receiver.token}"}
    ) as client:
        registers = (await client.get(f"/v1/gateways/{gateway}/totals")).json()["registers"]
    amounts = {(r["device"], r["register"]): (r["energy_mWh"], r["emitted_ng"], r["baseline_ng"]) for r in registers}
    return amounts, sum(r["rows"] for r in registers)


def named(outbox, gateway):
    """An empty outbox of another gateway."""
    other = type(outbox)()
    other.gateway = gateway
    return other


async def test_case_08_ten_days_offline_on_one_link_lose_and_double_nothing(where, outbox):
    """One courtyard's link is down for ten days while the other delivers daily; then all comes, past two crashes."""
    sweeps_a_day = scaled(24, 288)
    sites = {"courtyard-01": Site(UNIT, 1), "courtyard-02": Site(UNIT, 2)}
    outboxes = {name: named(outbox, name) for name in sites}
    tokens = {name: secret_at(where, name) for name in sites}
    with closing(Receiver(where, tokens["courtyard-01"])) as receiver:
        receiver.start()
        for site in sites.values():
            site.book_days(10, sweeps_a_day)
        sites["courtyard-01"].fill(outboxes["courtyard-01"])
        await deliver(outboxes["courtyard-01"], receiver, 20 * sweeps_a_day)
        before = await told(receiver, "courtyard-01")

        receiver.token = tokens["courtyard-02"]
        assert await told(receiver, "courtyard-02") == ({}, 0)
        sites["courtyard-02"].fill(outboxes["courtyard-02"])
        for share in (3, 2):
            await deliver(outboxes["courtyard-02"], receiver, 20 * sweeps_a_day // share)
            receiver.stop(9)
            receiver.start()
        await deliver(outboxes["courtyard-02"], receiver, 20 * sweeps_a_day)
        for name, site in sites.items():
            receiver.token = tokens[name]
            amounts, rows = await told(receiver, name)
            assert amounts == site.totals()
            assert rows == 10 * sweeps_a_day * len(UNIT)
            if name == "courtyard-01":
                assert (amounts, rows) == before
        receiver.stop(15)
    own = ask(where, "SELECT gateway, count(*) FROM interval JOIN epoch ON id = epoch_id GROUP BY gateway ORDER BY 1")
    assert own == [(name, 10 * sweeps_a_day * len(UNIT)) for name in sorted(sites)]


async def test_case_21_gateway_and_receiver_agree_to_the_nanogram(where, outbox):
    """The platform's receiver, after corrections and a day that went over to newer factors."""
    site = Site(COMMUNITY, 3)
    site.book_days(scaled(2, 30), 288)
    late = Span(MIDNIGHT_MS, MIDNIGHT_MS + 300_000, 123_457, epoch=1)
    grid = next(iter(COMMUNITY))
    correction = Correction(grid, STEP, late, [Piece(MIDNIGHT_MS, MIDNIGHT_MS + 300_000, 123_457)])
    close(
        site.conn,
        sweep=Sweep(intervals=Intervals(registers=[]), corrections=[correction]),
        books=site.books,
        now_ms=MIDNIGHT_MS + DAY_MS,
    )
    with closing(Receiver(where, secret_at(where))) as receiver:
        receiver.start()
        site.fill(outbox)
        await deliver(outbox, receiver, len(outbox.records["ledger"]))
        before, _ = await told(receiver, "qiyang-01")
        assert before == site.totals()

        index, live = DayIndex(), LiveDay(date(2025, 12, 30), "Asia/Shanghai")
        while index.read_on(site.conn) or live.read_on(site.conn, index):
            pass
        order = Order(factor_set="cn-grid", run="cn-grid@2026-03-01", reason="2023", as_of_ms=MIDNIGHT_MS + 60 * DAY_MS)
        write(site.conn, restated(live, order, FACTORS))
        site.fill(outbox)
        await deliver(outbox, receiver, len(outbox.records["ledger"]))
        after, _ = await told(receiver, "qiyang-01")
        assert after == site.totals()
        assert after["grid", "import_energy"][0] == before["grid", "import_energy"][0]
        assert int(after["grid", "import_energy"][1]) > int(before["grid", "import_energy"][1]) > 0
        receiver.stop(15)
