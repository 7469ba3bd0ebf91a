"""Damaged files: the gateway always starts, keeps what was damaged, and goes on with what can be read of it."""

import asyncio
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from gateway.store import body, boots, lessons, quarantine
from gateway.store.checkpoint import NAME as CHECKPOINT
from gateway.store.database import FILE_NAME, Store
from gateway.store.folder import LOG
from gateway.store.schema import PAGE_BYTES as PAGE
from gateway.store.series import rollups
from gateway.store.series.channels import ChannelName, number_of
from gateway.store.series.sample import of_values
from tests.gateway.store.written_site import START_MS, WrittenSite, booked_mWh
from tests.scale import scaled

SEED = 20261128
MUTANTS = scaled(500, 5_000)
ACKED = 100
HOURS = 4
STEP_S = 20
Key = tuple[str, int]


class Base(NamedTuple):
    """A site before anything happened to it."""

    clean: Path
    """Its folder after a stop."""
    killed: Path
    """Its folder as a kill leaves it, with a log."""
    records: dict[Key, tuple[bytes, bytes]]
    """Body and hash of every record."""
    now_ms: int


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """Some hours of a site; the checkpoint file is a quarter of an hour older than the kill."""
    return asyncio.run(build(tmp_path_factory.mktemp("base")))


async def build(folder: Path) -> Base:
    clean, killed = folder / "clean", folder / "killed"
    # Blocks as large as a real site's are packed.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body, "PACKED_FROM", 600)
        return await lived(clean, killed)


async def lived(clean: Path, killed: Path) -> Base:
    async with Store.open(clean) as store:
        site = WrittenSite(store)
        await site.live(HOURS * 3600, every_s=STEP_S)
        await store.run(
            lambda conn: conn.execute("UPDATE mark SET acked_through = ? WHERE stream = 'ledger'", (ACKED,))
        )
        await store.run(lambda conn: None)
        await store.keep_checkpoint()
        await site.live(900, every_s=STEP_S)
        site.recorder.alarm("test", "", "so that there are events")
        await site.live(STEP_S, every_s=STEP_S)
        shutil.copytree(clean, killed)
        records = await store.read(all_records)
    assert 0 < sum(not stored.startswith(b"{") for stored, _ in records.values()) < len(records)
    return Base(clean, killed, records, site.clock.wall)


def all_records(conn: sqlite3.Connection) -> dict[Key, tuple[bytes, bytes]]:
    """By stream and number; a stream whose name is damaged in the file is none that is looked for."""
    rows = conn.execute("SELECT CAST(stream AS BLOB), seq, body, hash FROM record")
    return {(stream.decode(errors="replace"), seq): (body, after) for stream, seq, body, after in rows}


def headers(conn: sqlite3.Connection) -> int:
    return int(conn.execute("SELECT count(*) FROM record WHERE kind = 'header'").fetchone()[0])


def alarms(conn: sqlite3.Connection) -> list[bytes]:
    rows = conn.execute("SELECT body FROM record WHERE stream = 'events'")
    return [body for (body,) in rows if b"store_quarantined" in body]


class Result(NamedTuple):
    """What became of one mutant."""

    is_new_epoch: bool
    took_s: float
    intact: int
    saved: int
    lost_mWh: int


def damage(base: Base, folder: Path, random: Random) -> None:
    """A copy of the site with one of its files damaged."""
    source = random.choice((base.clean, base.killed))
    shutil.copytree(source, folder)
    names = [FILE_NAME] * 4 + ([LOG] * 3 if source == base.killed else [])
    path = folder / random.choice(names)
    content = bytearray(path.read_bytes())
    at = random.randrange(len(content)) // PAGE * PAGE
    what = random.choice(("flip", "flips", "zero", "noise", "truncate"))
    size = len(content[at : at + PAGE])
    if what.startswith("flip"):
        for _ in range(1 if what == "flip" else 8):
            content[at + random.randrange(size)] ^= 1 << random.randrange(8)
    elif what == "truncate":
        del content[at + random.randrange(size) :]
    else:
        content[at : at + size] = bytes(size) if what == "zero" else random.randbytes(size)
    path.write_bytes(content)


def intact(base: Base, folder: Path) -> set[Key]:
    """The records whose bytes are still somewhere in the files; both ends of those that lie on several pages."""
    content = b"".join(files(folder).values())
    return {
        key
        for key, (body, after) in base.records.items()
        if after in content and body[:200] in content and body[-100:] in content
    }


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in (FILE_NAME, LOG) if (folder / name).exists()}


async def start(base: Base, folder: Path) -> Result:
    """Starts on damaged files an hour later, lives on for some minutes and checks what is promised."""
    there = intact(base, folder)
    before = files(folder)
    began = time.monotonic()
    async with Store.open(folder) as store:
        took_s = time.monotonic() - began
        found = await store.read(all_records)
        saved = sum(found.get(key) == base.records[key] for key in there)
        aside = quarantine.kept(folder)
        if aside:
            assert len(aside) == 1
            assert {name: (aside[0] / name).read_bytes() for name in before} == before
            assert len(await store.read(alarms)) == 1
        site = WrittenSite(store, now_ms=base.now_ms + 3_600_000)
        await site.resume()
        await site.live(200, every_s=STEP_S)
        await site.recorder.round(last=True)
        problems = await site.problems()
        if aside:
            assert problems == []
        until_ms = site.clock.wall // 60_000 * 60_000
        lost_mWh = until_ms - START_MS - STEP_S * 1000 - await site.booked_mWh("grid")
        if problems:  # of records that the receiver has: they stay as they are, and verify names them
            lost_mWh = 0
        assert lost_mWh >= 0
        assert lost_mWh == 0 or await store.read(headers)
        epoch = store.epoch
    async with Store.open(folder) as store:
        assert store.epoch == epoch
    return Result(bool(aside), took_s, len(there), saved, lost_mWh)


@pytest.mark.slow
async def test_promise_06_a_bad_buffer_never_stops_the_gateway(
    base: Base, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    random = Random(SEED)
    results = []
    for _ in range(MUTANTS):
        folder = tmp_path / "mutant"
        damage(base, folder, random)
        results.append(await start(base, folder))
        shutil.rmtree(folder)
    share = sum(result.saved for result in results) / sum(result.intact for result in results)
    slowest_s = max(result.took_s for result in results)
    set_aside = sum(result.is_new_epoch for result in results)
    lossy = sum(result.lost_mWh > 0 for result in results)
    figure(
        f"{MUTANTS:,} of {MUTANTS:,} mutants started, the slowest in {slowest_s:.1f} s; {set_aside:,} were set aside; "
        f"{share:.2%} of intact records saved; {lossy} lost the energy of records and day totals at once"
    )
    assert slowest_s <= 30
    assert share >= 0.99


@pytest.mark.slow
def test_the_control_without_quarantine_does_not_start(base: Base, tmp_path: Path) -> None:
    """SQLite alone refuses many of the same mutants, and of others it loses records without a word."""
    random = Random(SEED)
    count = MUTANTS // 5
    good = 0
    for _ in range(count):
        folder = tmp_path / "mutant"
        damage(base, folder, random)
        with suppress(sqlite3.DatabaseError, TypeError), closing(sqlite3.connect(folder / FILE_NAME)) as conn:
            sound = conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            good += sound and all_records(conn) == base.records
        shutil.rmtree(folder)
    assert good < 0.7 * count


@pytest.fixture
def site_folder(base: Base, tmp_path: Path) -> Path:
    """A copy of the folder as a kill left it."""
    return Path(shutil.copytree(base.killed, tmp_path / "data"))


def root_page(folder: Path, table: str) -> int:
    with closing(sqlite3.connect(folder / FILE_NAME)) as conn:  # folds the log in
        return int(conn.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0])


def wipe(path: Path, page: int) -> None:
    content = bytearray(path.read_bytes())
    content[(page - 1) * PAGE : page * PAGE] = bytes(PAGE)
    path.write_bytes(content)


async def test_counters_go_on_from_the_checkpoint_without_booking_anything_twice(base: Base, site_folder: Path) -> None:
    """The states are gone; the checkpoint is older than the ledger, which says what was booked since."""
    wipe(site_folder / FILE_NAME, root_page(site_folder, "register_states"))
    result = await start(base, site_folder)
    assert (result.is_new_epoch, result.lost_mWh, result.saved) == (True, 0, result.intact)


async def test_day_totals_are_added_up_again(base: Base, site_folder: Path) -> None:
    wipe(site_folder / FILE_NAME, root_page(site_folder, "day_total"))
    result = await start(base, site_folder)
    assert (result.is_new_epoch, result.lost_mWh, result.saved) == (True, 0, result.intact)


async def test_a_database_of_an_older_version_has_larger_pages(base: Base, site_folder: Path) -> None:
    with closing(sqlite3.connect(site_folder / FILE_NAME, isolation_level=None)) as conn:
        for statement in ("PRAGMA journal_mode = DELETE", "PRAGMA page_size = 4096", "VACUUM"):
            conn.execute(statement)
    page = root_page(site_folder, "record")
    content = bytearray((site_folder / FILE_NAME).read_bytes())
    content[(page - 1) * 4096 : page * 4096] = bytes(4096)
    (site_folder / FILE_NAME).write_bytes(content)
    result = await start(base, site_folder)
    assert (result.is_new_epoch, result.lost_mWh) == (True, 0)
    assert result.saved >= result.intact - 5


async def test_what_is_no_record_is_carried_over(base: Base, site_folder: Path) -> None:
    """What waits for a date, the series and what devices have taught."""

    def write(conn: sqlite3.Connection) -> None:
        boots.append(conn, "boot 1", b"first", is_whole=False)
        boots.append(conn, "boot 2", b"second", is_whole=False)
        boots.append(conn, "boot 2", b"third", is_whole=False)
        lessons.save(conn, {"grid": "taught"})
        number_of(conn, [ChannelName("grid", "power", "W", False)])
        rollups.save(conn, START_MS // rollups.WINDOW_MS * rollups.WINDOW_MS, {1: {0: of_values([1.0, 3.0])}})

    def held(conn: sqlite3.Connection) -> list[object]:
        tables = ("series_channel", "series_minute")
        rows = [conn.execute(f"SELECT * FROM {table}").fetchall() for table in tables]
        return [boots.load(conn), lessons.load_all(conn), *rows]

    async with Store.open(site_folder) as store:
        await store.run(write)
        before = await store.read(held)
    assert all(before)
    wipe(site_folder / FILE_NAME, root_page(site_folder, "mark"))
    async with Store.open(site_folder) as store:
        assert await store.read(held) == before
    assert quarantine.kept(site_folder)


@pytest.mark.parametrize("table", ["meta", "mark", "record", "contract_use", "undated", "series_minute"])
async def test_any_table_may_lose_its_root(base: Base, site_folder: Path, table: str) -> None:
    wipe(site_folder / FILE_NAME, root_page(site_folder, table))
    result = await start(base, site_folder)
    assert (result.is_new_epoch, result.lost_mWh) == (True, 0)
    assert result.saved >= result.intact - 5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE mark SET head_seq = head_seq + 1", "ends at"),
        ("UPDATE mark SET acked_through = head_seq + 1 WHERE stream = 'ledger'", "ends at"),
        ("UPDATE meta SET value = 'x' WHERE key = 'epoch'", "its epoch is damaged"),
        ("UPDATE register_states SET body = zeroblob(length(body))", "the stored states of the registers"),
        ("PRAGMA user_version = 77", "its version is 77"),
        ("UPDATE record SET body = zeroblob(length(body)) WHERE stream = 'ledger' AND seq = 400", "record 400"),
        ("UPDATE record SET body = CAST(body AS TEXT) WHERE stream = 'ledger' AND seq = 400", "decode"),
        ("DELETE FROM record WHERE stream = 'ledger' AND seq = 400", "record 401"),
        ("DROP TABLE mark", "it is of another program"),
    ],
)
async def test_what_sqlite_cannot_see(base: Base, site_folder: Path, change: str, reason: str) -> None:
    with closing(sqlite3.connect(site_folder / FILE_NAME, isolation_level=None)) as conn:
        conn.execute(change)
    result = await start(base, site_folder)
    assert (result.is_new_epoch, result.lost_mWh) == (True, 0)
    assert result.saved >= result.intact - 4
    (aside,) = quarantine.kept(site_folder)
    assert reason in (aside / "reason").read_text()


@pytest.mark.parametrize("nth", range(12))
async def test_a_schema_whose_words_are_no_text(base: Base, site_folder: Path, nth: int) -> None:
    """SQLite puts such words into its messages, which Python then cannot read."""
    path = site_folder / FILE_NAME
    damaged = bytearray(path.read_bytes())
    damaged[damaged.find(b"CREATE TABLE mark") + 5 + nth] ^= 0x80
    path.write_bytes(damaged)
    async with Store.open(site_folder) as store:
        assert store.epoch


async def test_a_log_without_its_database(base: Base, site_folder: Path) -> None:
    (site_folder / FILE_NAME).unlink()
    result = await start(base, site_folder)
    assert result.is_new_epoch
    (aside,) = quarantine.kept(site_folder)
    assert (aside / "reason").read_text() == "huxi.db is gone\n"


async def test_a_log_of_another_time(base: Base, tmp_path: Path) -> None:
    """A copy of yesterday's database beside today's log."""
    folder = Path(shutil.copytree(base.clean, tmp_path / "data"))
    async with Store.open(folder) as store:
        site = WrittenSite(store, now_ms=base.now_ms)
        await site.resume()
        await site.live(600, every_s=STEP_S)
        shutil.copytree(folder, tmp_path / "later")
    (tmp_path / "later" / FILE_NAME).write_bytes((base.killed / FILE_NAME).read_bytes())
    result = await start(base, tmp_path / "later")
    assert result.lost_mWh == 0


async def test_an_older_copy_of_the_database_is_noticed_by_the_checkpoint(base: Base, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(base.clean, tmp_path / "data"))
    old = (folder / FILE_NAME).read_bytes()
    async with Store.open(folder) as store:
        site = WrittenSite(store, now_ms=base.now_ms)
        await site.resume()
        await site.live(600, every_s=STEP_S)
        epoch = store.epoch
    (folder / FILE_NAME).write_bytes(old)
    async with Store.open(folder) as store:
        assert store.epoch != epoch
        assert await store.read(
            lambda conn: conn.execute("SELECT count(*) FROM record WHERE kind = 'header'").fetchone()
        )
    (aside,) = quarantine.kept(folder)
    assert "an older copy was put back" in (aside / "reason").read_text()


async def test_a_database_of_another_program(base: Base, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(base.clean, tmp_path / "data"))
    (folder / FILE_NAME).unlink()
    with closing(sqlite3.connect(folder / FILE_NAME)) as conn:
        conn.execute("CREATE TABLE recipes (name TEXT)")
    foreign = (folder / FILE_NAME).read_bytes()
    async with Store.open(folder) as store:
        assert await store.read(booked_mWh, "grid") == 0
    (aside,) = quarantine.kept(folder)
    assert (aside / FILE_NAME).read_bytes() == foreign


@pytest.mark.parametrize("content", [b"not a database" * 1000, b"", b"\0" * 8192])
async def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    async with Store.open(tmp_path) as store:
        assert store.epoch
    assert [(aside / FILE_NAME).read_bytes() for aside in quarantine.kept(tmp_path)] == ([content] if content else [])


async def test_the_newest_two_are_kept(base: Base, site_folder: Path) -> None:
    for number in range(4):
        (site_folder / FILE_NAME).write_bytes(b"damaged %d" % number)
        async with Store.open(site_folder):
            pass
    kept = [(aside / FILE_NAME).read_bytes() for aside in quarantine.kept(site_folder)]
    assert kept == [b"damaged 2", b"damaged 3"]


@pytest.mark.parametrize("steps", range(8))
async def test_a_cut_while_it_is_set_aside(
    base: Base, site_folder: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """However far it came, the next start has the damaged files in quarantine and the ledger in its place."""
    wipe(site_folder / FILE_NAME, root_page(site_folder, "mark"))
    damaged = (site_folder / FILE_NAME).read_bytes()
    done = 0
    replace = Path.replace

    def cut(self: Path, target: Path) -> Path:
        nonlocal done
        if done == steps:
            raise KeyboardInterrupt
        done += 1
        return replace(self, target)

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(Path, "replace", cut)
        async with Store.open(site_folder):
            pass
    async with Store.open(site_folder) as store:
        assert (await store.read(all_records)).items() >= dict(list(base.records.items())[:50]).items()
    assert damaged in [
        (aside / FILE_NAME).read_bytes() for aside in quarantine.kept(site_folder) if (aside / FILE_NAME).exists()
    ]


async def test_damage_that_is_met_at_work_is_told_to_the_next_start(base: Base, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(base.clean, tmp_path / "data"))
    page = root_page(folder, "register_states")
    async with Store.open(folder) as store:
        wipe(folder / FILE_NAME, page)
        site = WrittenSite(store, now_ms=base.now_ms)
        await site.live(60)
        assert site.recorder.damaged
        assert "at its next start the gateway sets it aside" in str(site.recorder.error)
        epoch = store.epoch
    async with Store.open(folder) as store:
        assert store.epoch != epoch
        site = WrittenSite(store, now_ms=base.now_ms + 100_000)
        await site.resume()
        await site.live(200)
        await site.recorder.round(last=True)
        assert not site.recorder.damaged
        assert await site.booked_mWh("grid") == site.clock.wall // 60_000 * 60_000 - START_MS - STEP_S * 1000
    assert len(quarantine.kept(folder)) == 1


async def test_a_damaged_checkpoint_file_is_none(base: Base, site_folder: Path) -> None:
    content = bytearray((site_folder / CHECKPOINT).read_bytes())
    content[40] ^= 1
    (site_folder / CHECKPOINT).write_bytes(content)
    result = await start(base, site_folder)
    assert (result.is_new_epoch, result.lost_mWh) == (False, 0)
