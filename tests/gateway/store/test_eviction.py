"""Eviction: what finds no room is given up, the oldest first; every row, mWh and ng of it is accounted for."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from gateway.store import outbox, totals
from gateway.store.database import FILE_NAME, Store
from gateway.store.delivery import StoreOutbox
from gateway.store.pruning import evict, prune
from gateway.store.space import Level, Usage, level_of
from sync.central import tombstones
from sync.central.store import CentralStore
from sync.wire import encode_batch
from tests.gateway.store.written_site import START_MS, WrittenSite
from tests.scale import scaled

GATEWAY = "gw"
HOUR_MS, DAY_S = 3_600_000, 86_400
FOREVER = 1 << 52
Key = tuple[str, str, str, str]
Sums = dict[Key, tuple[int, int, int]]
"""By device, register, lens and account: rows, mWh, ng."""

RECEIVED = """
SELECT device, register, lens, account, count(*), sum(energy_mWh), whole_sum(emitted_ng) FROM (
    SELECT entry.register_id AS id, line_id, energy_mWh, emitted_ng FROM entry JOIN interval
    ON interval.epoch_id = entry.epoch_id AND interval.seq = intervals_seq AND interval.row = interval_row
    UNION ALL SELECT register_id, line_id, energy_mWh, emitted_ng FROM restatement
) JOIN register USING (id) JOIN line ON line.id = line_id GROUP BY device, register, lens, account
"""


async def deliver(store: Store, central: CentralStore, *, batches: int = 1 << 30, acked: bool = True) -> None:
    """Sends what waits; without `acked` every answer is lost, so that the same is sent again and again."""
    box = StoreOutbox(store, GATEWAY)
    for stream in box.streams:
        for _ in range(batches):
            batch = await box.pending(stream, 20_000)
            if batch is None:
                break
            assert batch.hashes()[-1] == batch.hash_after
            through = await central.take(GATEWAY, stream, encode_batch(batch))
            if acked:
                await box.settle(stream, through)


def produced(conn: sqlite3.Connection) -> Sums:
    sums: Sums = {}
    for total in totals.query(conn, "", "9999"):
        key = (total.device, total.register, total.lens, total.account)
        rows, energy_mWh, emitted_ng = sums.get(key, (0, 0, 0))
        sums[key] = rows + total.rows, energy_mWh + total.energy_mWh, emitted_ng + total.emitted_ng
    return {key: found for key, found in sums.items() if found[0]}


async def accounted(central: CentralStore) -> Sums:
    """What the receiver has, and what it was told that it never gets."""
    found: Counter[tuple[Key, int]] = Counter()
    for device, register, lens, account, *amounts in await central._run(lambda db: db.execute(RECEIVED)):
        for n, amount in enumerate(amounts):
            found[(device, register, lens, account), n] += int(amount or 0)
    for each in (await central.tombstones(GATEWAY))["sums"]:
        key = (each["device"], each["register"], each["lens"], each["account"])
        for n, name in enumerate(("rows", "energy_mWh", "emitted_ng")):
            found[key, n] += int(each[name])
    return {key: (rows, found[key, 1], found[key, 2]) for (key, n), rows in found.items() if n == 0 and rows}


@pytest.mark.slow
async def test_promise_08_eviction_is_by_policy_and_accounted(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """Ninety days without a receiver, on a disk that is full after thirty; the last answer before was lost."""
    disk_bytes = 1 << 40

    def usage(folder: Path) -> tuple[int, int, int]:
        used = (folder / FILE_NAME).stat().st_size
        return disk_bytes, used, max(0, disk_bytes - used)

    async with Store.open(tmp_path / "data") as store, CentralStore.open(tmp_path / "central.db") as central:
        site = WrittenSite(store, interval_ms=HOUR_MS, usage=usage)
        await site.live(2 * DAY_S, every_s=3600)
        await deliver(store, central)
        await site.live(2 * DAY_S, every_s=3600)
        await deliver(store, central, batches=1, acked=False)
        await site.live(26 * DAY_S, every_s=3600)
        disk_bytes = (tmp_path / "data" / FILE_NAME).stat().st_size * 10 // 9
        await site.live(60 * DAY_S, every_s=3600)
        assert site.recorder.level <= Level.EVICT
        await deliver(store, central)
        assert await site.problems() == []
        made, found = await store.read(produced), await accounted(central)
        assert found == made
        given_up = await central.tombstones(GATEWAY)
        evicted_mWh = sum(int(each["energy_mWh"]) for each in given_up["sums"] if each["device"] == "grid")
        (grid,) = (each for each in await central.totals(GATEWAY) if each["device"] == "grid")
        until_ms = site.clock.wall // HOUR_MS * HOUR_MS
        grid_mWh = int(grid["energy_mWh"])
        assert grid_mWh + evicted_mWh == until_ms - START_MS - HOUR_MS
        assert {each["reason"] for each in given_up["tombstones"]} == {"evicted"}
        days = grid_mWh / 1000 / DAY_S
        assert 10 <= days < 60
    rows, energy_mWh, emitted_ng = (sum(sums[n] for sums in made.values()) for n in range(3))
    figure(
        f"{rows:,} rows, {energy_mWh:,} mWh, {emitted_ng:,} ng produced = received + tombstoned, difference 0; "
        f"{days:.0f} of 90 days received in full"
    )


async def at_random(folder: Path, random: Random) -> bool:
    """Any order of closes, evictions, lost answers, prunings and restarts; True when the accounts balance."""
    async with CentralStore.open(folder / "central.db") as central:
        now_ms = START_MS
        for _ in range(random.randrange(2, 5)):
            async with Store.open(folder / "data") as store:
                site = WrittenSite(store, now_ms=now_ms, interval_ms=HOUR_MS)
                await site.resume()
                for _ in range(random.randrange(3, 12)):
                    await site.live(random.randrange(1, 20) * 3600, every_s=3600)
                    match random.randrange(5):
                        case 0:
                            await deliver(store, central, batches=random.randrange(1, 4))
                        case 1 | 2:
                            await deliver(store, central, batches=1, acked=False)
                        case 3:
                            await store.run(evict, FOREVER, random.randrange(2, 40))
                        case _:
                            await store.run(prune, FOREVER, random.randrange(2, 40))
                now_ms = site.clock.wall
                assert await site.problems() == []
        async with Store.open(folder / "data") as store:
            await deliver(store, central)
            return await store.read(produced) == await accounted(central)


@pytest.mark.slow
async def test_the_accounts_balance_whatever_the_order(tmp_path: Path) -> None:
    for seed in range(scaled(10, 300)):
        (tmp_path / str(seed)).mkdir()
        assert await at_random(tmp_path / str(seed), Random(seed)), seed


@pytest.mark.slow
async def test_the_control_that_takes_nothing_off_does_not_balance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver that adds a tombstone to what it has got of the same records after all."""
    monkeypatch.setattr(tombstones, "_held", lambda *args: iter(()))
    results = []
    for seed in range(6):
        (tmp_path / str(seed)).mkdir()
        results.append(await at_random(tmp_path / str(seed), Random(seed)))
    assert not all(results)


async def test_a_tombstone_is_ignored_at_or_below_the_mark(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "data") as store, CentralStore.open(tmp_path / "central.db") as central:
        site = WrittenSite(store, interval_ms=HOUR_MS)
        await site.live(30 * 3600, every_s=3600)
        await deliver(store, central, batches=1, acked=False)
        sent = await central.stream(GATEWAY, "ledger")
        await store.run(evict, FOREVER, sent["acked_through"])
        await deliver(store, central, batches=1)
        assert await central.tombstones(GATEWAY) == {"tombstones": [], "sums": []}
        await deliver(store, central)
        assert await accounted(central) == await store.read(produced)


async def test_what_was_given_up_stays_in_the_sums(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        site = WrittenSite(store, interval_ms=HOUR_MS)
        await site.live(50 * 3600, every_s=3600)
        before = await store.read(produced)
        booked = await site.booked_mWh("grid")
        while await store.run(evict, FOREVER, 10):
            assert await site.problems() == []
        assert await store.read(produced) == before
        assert await site.booked_mWh("grid") == booked
        assert (await store.read(outbox.stats)).oldest_unsent_ms == START_MS + HOUR_MS


@pytest.mark.parametrize(
    ("used", "reusable", "level"),
    [
        (79, 0, Level.ROOMY),
        (80, 0, Level.THIN),
        (89, 0, Level.THIN),
        (90, 0, Level.EVICT),
        (95, 0, Level.STOP_SERIES),
        (100, 0, Level.STOP_SERIES),
        (95, 6, Level.THIN),
        (100, 30, Level.ROOMY),
    ],
)
def test_levels(used: int, reusable: int, level: Level) -> None:
    assert level_of(Usage(total=120, used=used, free=100 - used), reusable_bytes=reusable) == level
