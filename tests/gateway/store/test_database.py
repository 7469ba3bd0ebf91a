"""The store: one process, one connection, durable transactions, clear words when it cannot be opened."""

import asyncio
import errno
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store.database import FILE_NAME, SCHEMA_VERSION, Store, open_offline
from gateway.store.errors import LockTaken, StoreError

HOLDER = """
import sys
from pathlib import Path
from gateway.store.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def put(conn: sqlite3.Connection, key: str, value: str) -> None:
    conn.execute("INSERT INTO meta VALUES (?, ?)", (key, value))


def keys(conn: sqlite3.Connection) -> set[str]:
    return {key for (key,) in conn.execute("SELECT key FROM meta")}


async def test_open_makes_the_folder_and_keeps_its_epoch(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    async with Store.open(folder) as store:
        epoch = store.epoch
        await store.run(put, "k", "v")
    async with Store.open(folder) as store:
        assert store.epoch == epoch
        assert await store.read(keys) == {"epoch", "k"}
    async with Store.open(tmp_path / "other") as store:
        assert store.epoch != epoch
    assert len(bytes.fromhex(epoch)) == 8


async def test_durable_settings(tmp_path: Path) -> None:
    def settings(conn: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "mmap_size", "user_version")
        return [conn.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    async with Store.open(tmp_path) as store:
        assert await store.read(settings) == ["wal", 2, 0, SCHEMA_VERSION]


async def test_an_exception_undoes_the_whole_transaction(tmp_path: Path) -> None:
    def put_then_fail(conn: sqlite3.Connection) -> None:
        put(conn, "half", "done")
        raise KeyError("reason")

    async with Store.open(tmp_path) as store:
        with pytest.raises(KeyError, match="reason"):
            await store.run(put_then_fail)
        assert "half" not in await store.read(keys)


async def test_sqlite_errors_become_store_errors_and_leave_the_store_usable(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        await store.run(put, "k", "v")
        with pytest.raises(StoreError, match="UNIQUE"):
            await store.run(put, "k", "again")
        await store.run(put, "l", "w")
        assert await store.read(keys) == {"epoch", "k", "l"}


async def test_a_read_writes_nothing(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        await store.read(put, "k", "v")
        assert await store.read(keys) == {"epoch"}


async def test_a_cancelled_write_is_whole(tmp_path: Path) -> None:
    def put_two(conn: sqlite3.Connection) -> None:
        put(conn, "one", "1")
        put(conn, "two", "2")

    async with Store.open(tmp_path) as store:
        task = asyncio.create_task(store.run(put_two))
        await asyncio.sleep(0)  # handed to the thread
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with Store.open(tmp_path) as store:
        assert await store.read(keys) & {"one", "two"} in (set(), {"one", "two"})


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process, which holds the lock of `tmp_path`."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


async def test_a_second_process_is_refused_and_told_who_holds_the_folder(
    tmp_path: Path, holder: subprocess.Popen[bytes]
) -> None:
    with pytest.raises(LockTaken, match=f"{tmp_path} is in use by process {holder.pid}; stop"):
        async with Store.open(tmp_path):
            pytest.fail("opened twice")


async def test_the_lock_goes_with_its_holder(tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
    holder.kill()
    holder.wait()
    async with Store.open(tmp_path) as store:
        assert store.epoch


async def test_one_process_cannot_open_twice_either(tmp_path: Path) -> None:
    async with Store.open(tmp_path):
        with pytest.raises(LockTaken, match=f"process {os.getpid()};"):
            async with Store.open(tmp_path):
                pytest.fail("opened twice")


async def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(StoreError, match=f"cannot use data folder {tmp_path}/taken/data: Not a directory; .*data_dir"):
        async with Store.open(tmp_path / "taken" / "data"):
            pytest.fail("opened")


@pytest.fixture
def unwritable() -> Iterator[Path]:
    """A folder that this process may read and not write, also when it runs as root."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        if user == 0:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(user)
            folder.chmod(0o755)


async def test_an_unwritable_folder(unwritable: Path) -> None:
    with pytest.raises(
        StoreError, match=f"cannot use data folder {unwritable}: Permission denied; give it to the user"
    ):
        async with Store.open(unwritable):
            pytest.fail("opened")


async def test_a_database_of_a_newer_version(tmp_path: Path) -> None:
    async with Store.open(tmp_path):
        pass
    with sqlite3.connect(tmp_path / FILE_NAME) as conn:
        conn.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        conn.execute("INSERT INTO _sqlite_migrations (migration_set, name) VALUES ('huxi', '9999-later')")
    conn.close()
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(StoreError, match="newer huxi"):
        async with Store.open(tmp_path):
            pytest.fail("opened")
    assert (tmp_path / FILE_NAME).read_bytes() == before


async def test_offline_only_beside_a_stopped_gateway(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no database"):
        open_offline(tmp_path)
    async with Store.open(tmp_path) as store:
        await store.run(put, "k", "v")
        with pytest.raises(LockTaken, match=f"process {os.getpid()}"):
            open_offline(tmp_path)
    conn = open_offline(tmp_path)
    try:
        assert keys(conn) == {"epoch", "k"}
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            put(conn, "l", "w")
    finally:
        conn.close()


async def test_a_full_disk_does_not_keep_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    async with Store.open(tmp_path):
        with pytest.raises(LockTaken):
            async with Store.open(tmp_path):
                pass
