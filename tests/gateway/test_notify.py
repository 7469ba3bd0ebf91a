"""The notification protocol over a real datagram socket."""

import socket
from pathlib import Path

from gateway.environment import read_environment
from gateway.notify import Notifier


def test_messages_reach_the_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        server.settimeout(2)
        notifier = Notifier(path)
        notifier.ready("5 of 5 devices live")
        notifier.alive()
        notifier.stopping()
        heard = [server.recv(1024).decode() for _ in range(3)]
        notifier.close()
    assert heard == ["READY=1\nSTATUS=5 of 5 devices live", "WATCHDOG=1", "STOPPING=1\nSTATUS=stopping"]


def test_a_socket_that_is_gone_is_counted_and_harms_nothing(tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "nobody"))
    notifier.alive()
    notifier.close()
    assert notifier.lost == 1


def test_without_a_socket_nothing_is_sent() -> None:
    notifier = Notifier(None)
    notifier.ready("x")
    assert notifier.lost == 0


def test_the_watchdog_belongs_to_the_process_it_names() -> None:
    ours = read_environment({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, pid=7)
    theirs = read_environment({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, pid=7)
    assert (ours.watchdog_s, theirs.watchdog_s) == (30.0, None)
