"""A receiver that cannot start says why, before anything is printed."""

import asyncio
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sync.central.errors import CentralError
from sync.central.serve import Certificate, serve
from sync.central.store import CentralStore
from tests.sync.central.receivers import self_signed


@pytest.fixture
def db(tmp_path):
    return str(tmp_path / "central.db")


async def test_a_second_receiver_on_the_same_file_is_refused(db):
    async with CentralStore.open(db):
        with pytest.raises(CentralError, match="another receiver running"):
            await asyncio.to_thread(serve, db, "127.0.0.1:0")


def test_a_port_in_use_is_named(db):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(CentralError, match=f"cannot listen on {listen}: the port is in use"):
            serve(db, listen)


@pytest.mark.parametrize("listen", ["", "8490", "localhost", ":8490", "127.0.0.1:port", "127.0.0.1:99999", "a:1/x"])
def test_an_address_that_is_none(db, listen):
    with pytest.raises(CentralError, match="write HOST:PORT"):
        serve(db, listen)


def test_a_host_that_is_not_ours(db):
    with pytest.raises(CentralError, match=r"cannot listen on 192\.0\.2\.1:8490"):
        serve(db, "192.0.2.1:8490")


def test_files_that_cannot_be_the_receiver_s(tmp_path, capsys):
    (tmp_path / "text.db").write_text("no database, only text " * 100)
    with closing(sqlite3.connect(tmp_path / "foreign.db")) as conn:
        conn.execute("CREATE TABLE t (x)")
    for name, sentence in (
        ("none/central.db", "cannot be opened"),
        ("text.db", "cannot be used"),
        ("foreign.db", "not a huxi receiver"),
    ):
        with pytest.raises(CentralError, match=sentence):
            serve(str(tmp_path / name), "127.0.0.1:0")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://127.0.0.1:1/huxi", "cannot use its PostgreSQL database: connection failed"),
        ("postgresql://?nonsense=1", "the address of the database cannot be read: invalid URI query parameter"),
    ],
)
def test_a_server_that_cannot_be_reached(url, sentence, capsys):
    with pytest.raises(CentralError, match=sentence):
        serve(url, "127.0.0.1:0")
    assert capsys.readouterr().out == ""


def test_without_the_extra_postgresql_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sync.central.postgres", None)
    with pytest.raises(CentralError, match=r"needs the extra `central` .* -r requirements/central.txt"):
        serve("postgresql://localhost/huxi", "127.0.0.1:0")


def test_a_certificate_without_its_key(tmp_path, db):
    missing = Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    with pytest.raises(CentralError, match=r"TLS cannot use the certificate .*cert\.pem"):
        serve(db, "127.0.0.1:0", missing)
    (certificate, _), (_, key) = (self_signed(tmp_path, name) for name in ("one", "two"))
    with pytest.raises(CentralError, match="give two PEM files that belong together"):
        serve(db, "127.0.0.1:0", Certificate(Path(certificate), Path(key)))
