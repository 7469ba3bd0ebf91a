"""`huxi sync conform`: a report for people and for programs, and what it exits with."""

import asyncio
import json
import threading

import pytest

from tests.sync.conformance.small_receiver import TOKEN, SmallReceiver, serving


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


@pytest.fixture
def receiver(request):
    """Address of a small receiver in a thread, with the mistake that the test names."""
    mistake = getattr(request, "param", None)
    ready, stop, found = threading.Event(), None, []

    async def main():
        nonlocal stop
        stop = asyncio.Event()
        async with serving(SmallReceiver(mistake).app) as url:
            found.append((url, asyncio.get_running_loop()))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert ready.wait(20)
    (url, loop) = found[0]
    yield url
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)


@pytest.mark.slow
def test_a_receiver_that_conforms(huxi, receiver, token_file):
    result = huxi("sync", "conform", receiver, "--token-file", str(token_file))
    assert result.exit_code == 0, result.stdout + result.stderr
    assert "18 of 18 clauses are kept." in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("receiver", ["byte-for-byte"], indirect=True)
def test_a_receiver_that_does_not(huxi, receiver, token_file):
    result = huxi("sync", "conform", receiver, "--token-file", str(token_file), "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["conforms"] is False
    assert [clause["clause"] for clause in report["clauses"] if clause["wrong"]] == ["byte-for-byte"]


def test_a_receiver_that_cannot_be_asked(huxi, unused_tcp_port, token_file):
    url = f"http://127.0.0.1:{unused_tcp_port}"
    result = huxi("sync", "conform", url, "--token-file", str(token_file))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "cannot be reached" in result.stderr


@pytest.mark.parametrize("content", [None, "", "two\nlines"])
def test_a_token_file_of_no_use(huxi, tmp_path, content):
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    result = huxi("sync", "conform", "http://127.0.0.1:9", "--token-file", str(path))
    assert result.exit_code == 2
    assert str(path) in result.stderr


def test_a_gateway_that_cannot_be_one(huxi, token_file):
    result = huxi("sync", "conform", "http://127.0.0.1:9", "--token-file", str(token_file), "--gateway", "a/b")
    assert result.exit_code == 2
    assert "is no gateway id" in result.stderr
