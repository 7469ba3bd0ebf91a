"""Epochs: after a quarantine the receiver gets what was saved under the old name, and what follows under the new."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from gateway.store import quarantine
from gateway.store.database import FILE_NAME, Store
from gateway.store.schema import PAGE_BYTES as PAGE
from sync.central.store import CentralStore
from sync.errors import Forked
from tests.gateway.store.test_damaged_files import wipe
from tests.gateway.store.test_eviction import GATEWAY, HOUR_MS, accounted, deliver, produced
from tests.gateway.store.written_site import START_MS, WrittenSite
from tests.scale import scaled

Told = list[tuple[str, int, int, str]]


def leaf_pages(folder: Path) -> list[int]:
    """The pages of the file that hold records, by what their first byte says."""
    content = (folder / FILE_NAME).read_bytes()
    return [
        page
        for page in range(2, len(content) // PAGE + 1)
        if content[(page - 1) * PAGE] == 10 and b'"kind":"entries"' in content[(page - 1) * PAGE : page * PAGE]
    ]


async def damaged_while_offline(folder: Path, random: Random) -> tuple[bool, bool, Told]:
    """Delivers a part, loses a page, goes on and delivers; whether sums are known, whether the accounts balance."""
    data = folder / "data"
    async with CentralStore.open(folder / "central.db") as central:
        async with Store.open(data) as store:
            site = WrittenSite(store, interval_ms=HOUR_MS)
            await site.live(40 * 3600, every_s=3600)
            await deliver(store, central)
            await site.live(60 * 3600, every_s=3600)
            if random.random() < 0.5:
                await deliver(store, central, batches=1, acked=False)
            old = store.epoch
            now_ms = site.clock.wall
        wipe(data / FILE_NAME, random.choice(leaf_pages(data)))
        async with Store.open(data) as store:
            assert store.epoch != old
            site = WrittenSite(store, now_ms=now_ms, interval_ms=HOUR_MS)
            await site.resume()
            await site.live(20 * 3600, every_s=3600)
            await deliver(store, central)
            assert await site.problems() == []
            told = (await central.tombstones(GATEWAY))["tombstones"]
            stream = await central.stream(GATEWAY, "ledger")
            assert stream["epoch"] == store.epoch
            found, made = await accounted(central), await store.read(produced)
            energy_mWh = await site.booked_mWh("grid")
            assert energy_mWh == site.clock.wall // HOUR_MS * HOUR_MS - START_MS - HOUR_MS
    is_known = all(each["sums_known"] or each["reason"] == "earlier_epoch" for each in told)
    marks = [(each["epoch"], each["first_seq"], each["last_seq"], each["reason"]) for each in told]
    return is_known, found == made, marks


@pytest.mark.slow
async def test_received_and_quarantined_make_what_was_produced(tmp_path: Path) -> None:
    known = 0
    for seed in range(scaled(12, 200)):
        folder = tmp_path / str(seed)
        folder.mkdir()
        is_known, balances, told = await damaged_while_offline(folder, Random(seed))
        assert balances or not is_known, (seed, told)
        assert "earlier_epoch" in {reason for _, _, _, reason in told}, told
        known += is_known
    assert known


async def test_an_epoch_begins_with_what_it_follows(tmp_path: Path) -> None:
    """Numbers go on; the receiver is told that those before are another epoch's."""
    data = tmp_path / "data"
    async with CentralStore.open(tmp_path / "central.db") as central:
        async with Store.open(data) as store:
            site = WrittenSite(store, interval_ms=HOUR_MS)
            await site.live(20 * 3600, every_s=3600)
            site.recorder.alarm("test", "", "so that there are events")
            await site.live(3600, every_s=3600)
            await deliver(store, central, batches=1)
            old, now_ms = store.epoch, site.clock.wall
        with closing(sqlite3.connect(data / FILE_NAME, isolation_level=None)) as conn:
            conn.execute("UPDATE mark SET head_seq = head_seq + 1 WHERE stream = 'ledger'")
        async with Store.open(data) as store:
            site = WrittenSite(store, now_ms=now_ms, interval_ms=HOUR_MS)
            await site.resume()
            await site.live(5 * 3600, every_s=3600)
            await deliver(store, central)
            assert await accounted(central) == await store.read(produced)
            marks = await central._run(
                lambda db: db.execute("SELECT epoch, stream, acked_through FROM stream JOIN epoch ON id = epoch_id")
            )
            heads = await store.read(lambda c: dict(c.execute("SELECT stream, head_seq FROM mark").fetchall()))
            (border,) = (
                each["last_seq"]
                for each in (await central.tombstones(GATEWAY))["tombstones"]
                if each["stream"] == "ledger" and each["reason"] == "earlier_epoch"
            )
        assert {(epoch, stream): seq for epoch, stream, seq in marks} == {
            (old, "ledger"): border,
            (old, "events"): 1,
            (store.epoch, "ledger"): heads["ledger"],
            (store.epoch, "events"): heads["events"],
        }
        assert len(quarantine.kept(data)) == 1


async def test_a_card_image_of_last_week_is_told_and_changes_nothing_at_the_receiver(tmp_path: Path) -> None:
    """The whole folder was put back: only the receiver can tell. What is measured is recorded all the same."""
    data = tmp_path / "data"
    async with CentralStore.open(tmp_path / "central.db") as central:
        async with Store.open(data) as store:
            site = WrittenSite(store, interval_ms=HOUR_MS)
            await site.live(20 * 3600, every_s=3600)
            await deliver(store, central)
        shutil.copytree(data, tmp_path / "image")
        async with Store.open(data) as store:
            site = WrittenSite(store, now_ms=site.clock.wall, interval_ms=HOUR_MS)
            await site.resume()
            await site.live(7 * 24 * 3600, every_s=3600)
            await deliver(store, central)
        before = await central.totals(GATEWAY)
        async with Store.open(tmp_path / "image") as store:
            site = WrittenSite(store, now_ms=site.clock.wall + 1_000, interval_ms=HOUR_MS)
            await site.resume()
            await site.live(5 * 3600, every_s=3600)
            with pytest.raises(Forked):
                await deliver(store, central)
            assert await central.totals(GATEWAY) == before
            assert await site.problems() == []
        assert quarantine.kept(tmp_path / "image") == []
