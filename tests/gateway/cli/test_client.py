"""Asking the daemon: every way it can fail is one sentence with a remedy."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.cli import client
from gateway.cli.errors import CommandError

NOBODY = 65534
NO_CONFIG = Path("/nowhere/huxi.toml")


@contextmanager
def answering(path: Path, answer: bytes) -> Iterator[None]:
    """A socket that gives one caller `answer`, whatever was asked, and hangs up."""
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen()

        def answer_one() -> None:
            asked = b""
            while not asked:  # whoever only knocks is let go
                caller, _ = door.accept()
                with caller:
                    asked = caller.recv(65536)
                    if asked:
                        caller.sendall(answer)

        thread = threading.Thread(target=answer_one)
        thread.start()
        yield
        thread.join(5)


def http(status: str, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def ask(data_dir: Path) -> dict[str, object]:
    with client.daemon(data_dir, NO_CONFIG) as asked:
        return asked.get("/api/v1/status")


def test_answers_come_over_the_socket(daemon):
    assert ask(daemon.data_dir) == daemon.site.state


def test_a_deep_data_folder_is_reached(tmp_path, daemon):
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    os.link(daemon.data_dir / "api.sock", deep / "api.sock")
    assert ask(deep) == daemon.site.state


@pytest.mark.parametrize("folder", [".", "missing", "d" * 120])
def test_no_daemon(tmp_path, folder):
    with pytest.raises(CommandError, match=r"no daemon answers at .*: start it") as caught:
        ask(tmp_path / folder)
    assert caught.value.exit_code == 2


@pytest.fixture
def closed_socket(daemon) -> Path:
    """The folder of a daemon whose socket nobody may use."""
    (daemon.data_dir / "api.sock").chmod(0)
    return daemon.data_dir


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Not root, who may talk to every socket."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    yield
    os.seteuid(user)


def test_a_socket_of_others(closed_socket, unprivileged):
    with pytest.raises(CommandError, match=r"you may not talk to the daemon .* group huxi"):
        ask(closed_socket)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            http("503 Busy", b'{"error": "all places are taken", "remedy": "try again"}'),
            "^all places are taken: try again$",
        ),
        (http("500 Oops", b"<html>"), "^the daemon answered 500 to /api/v1/status: look at its log"),
        (http("200 OK", b"<html>"), "no huxi daemon of this version"),
        (http("200 OK", b"[1]"), "no huxi daemon of this version"),
        (b"", "broke off its answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", "broke off its answer"),
        (b"SSH-2.0-OpenSSH\r\n", "broke off its answer"),
    ],
)
def test_bad_answers(tmp_path, answer, message):
    with answering(tmp_path / "api.sock", answer), pytest.raises(CommandError, match=message) as caught:
        ask(tmp_path)
    assert caught.value.exit_code == 2


def test_a_daemon_that_hangs(tmp_path):
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "api.sock"))
        door.listen()
        with (
            client.daemon(tmp_path, NO_CONFIG) as asked,
            pytest.raises(CommandError, match="did not answer in time"),
        ):
            asked.get("/api/v1/status", timeout_s=0.05)


def test_a_refused_stream(tmp_path):
    answer = http("503 Busy", b'{"error": "busy", "remedy": "wait"}')
    with (
        answering(tmp_path / "api.sock", answer),
        client.daemon(tmp_path, NO_CONFIG) as asked,
        pytest.raises(CommandError, match=r"^busy: wait$"),
    ):
        list(asked.stream("/api/v1/ledger/export"))


def test_a_stream_that_breaks_off(tmp_path):
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n1,2\n"
    with (
        answering(tmp_path / "api.sock", answer),
        client.daemon(tmp_path, NO_CONFIG) as asked,
        pytest.raises(CommandError, match="broke off its answer"),
    ):
        list(asked.stream("/api/v1/ledger/export"))
