"""The transport against a real socket that answers what it is told, byte for byte."""

import asyncio
import gzip
import json
from contextlib import asynccontextmanager

import pytest

from sync.errors import BadAnswer, Forked, Gap, Refused, Rejected, Unreachable
from sync.transports import client
from sync.transports.client import Way
from sync.transports.https import HttpsTransport
from sync.wire import decode_batch

HTML = b"<!doctype html><html><body>Please log in</body></html>"


def answer(status, body=b"", *headers):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Word", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class Server:
    """Answers each request with the next of `answers`; keeps requests and counts connections."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []
        self.connections = 0

    @asynccontextmanager
    async def running(self, **options):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            host, port = server.sockets[0].getsockname()
            transport = HttpsTransport(Way(url=f"http://{host}:{port}/"), "secret-token", **options)
            try:
                yield transport
            finally:
                await transport.aclose()

    async def _serve(self, reader, writer):
        self.connections += 1
        try:
            while self.answers:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next((int(line.split(":")[1]) for line in head.split("\r\n") if "ength:" in line), 0)
                self.requests.append((head, await reader.readexactly(length)))
                writer.write(self.answers.pop(0))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def send(batch, *answers):
    async with Server(*answers).running() as transport:
        return await transport.send(batch)


@pytest.fixture
def batch(make_batch):
    return make_batch([b'{"kind":"test"}'] * 5, first_seq=11)


async def test_the_request_is_the_contract_s(batch):
    server = Server(answer(200, {"acked_through": 15}))
    async with server.running() as transport:
        ack = await transport.send(batch)
    head, body = server.requests[0]
    assert ack.acked_through == 15
    assert head.startswith("POST /v1/gateways/qiyang-01/streams/ledger/batches HTTP/1.1\r\n")
    for line in (
        "Authorization: Bearer secret-token",
        "Content-Encoding: gzip",
        "Content-Type: application/jsonl",
    ):
        assert f"\r\n{line}\r\n" in head
    assert gzip.decompress(body).count(b"\n") == 6
    assert [record.seq for record in decode_batch(body).records] == [11, 12, 13, 14, 15]


@pytest.mark.parametrize(
    ("saves_bytes", "offer", "coding"),
    [(True, "gzip, xz", "xz"), (True, "gzip;q=1, XZ;q=0.5", "xz"), (True, "gzip", "gzip"), (False, "gzip, xz", "gzip")],
)
async def test_xz_is_for_those_who_save_bytes_where_it_is_offered(batch, saves_bytes, offer, coding):
    stand = answer(200, {"epoch": None}, f"Accept-Encoding: {offer}")
    server = Server(stand, answer(200, {"acked_through": 15}))
    async with server.running(saves_bytes=saves_bytes) as transport:
        await transport.position("qiyang-01", "ledger")
        await transport.send(batch)
    head, body = server.requests[1]
    assert f"Content-Encoding: {coding}" in head
    assert body.startswith(b"\xfd7zXZ" if coding == "xz" else b"\x1f\x8b")
    assert decode_batch(body) == batch


@pytest.mark.parametrize(
    "nonsense",
    [
        {},
        {"epoch": "x", "acked_through": 1, "hash": "0" * 64},
        {"epoch": "00c0ffee00c0ffee", "acked_through": -1, "hash": "0" * 64},
        {"epoch": "00c0ffee00c0ffee", "acked_through": True, "hash": "0" * 64},
        {"epoch": "00c0ffee00c0ffee", "acked_through": 1, "hash": "0" * 63},
        {"epoch": "00c0ffee00c0ffee", "acked_through": 1},
    ],
)
async def test_a_position_that_is_none(nonsense):
    async with Server(answer(200, nonsense)).running() as transport:
        with pytest.raises(BadAnswer, match="not like a huxi receiver"):
            await transport.position("qiyang-01", "ledger")


@pytest.mark.parametrize(("status", "error"), [(401, Refused), (400, BadAnswer), (404, BadAnswer), (503, BadAnswer)])
async def test_a_position_that_is_refused(status, error):
    async with Server(answer(status, HTML)).running() as transport:
        with pytest.raises(error):
            await transport.position("qiyang-01", "ledger")


async def test_one_connection_serves_many_batches(batch):
    server = Server(*[answer(200, {"acked_through": 15})] * 5)
    async with server.running() as transport:
        for _ in range(5):
            await transport.send(batch)
    assert len(server.requests) == 5
    assert server.connections == 1


async def test_part_of_a_batch_may_be_acknowledged(batch):
    assert (await send(batch, answer(200, {"acked_through": 11}))).acked_through == 11


@pytest.mark.parametrize(
    "nonsense",
    [
        answer(200, HTML, "Content-Type: text/html"),
        answer(200, b""),
        answer(200, []),
        answer(200, {}),
        answer(200, {"acked_through": 16}),
        answer(200, {"acked_through": 10}),
        answer(200, {"acked_through": -1}),
        answer(200, {"acked_through": "15"}),
        answer(200, {"acked_through": 15.0}),
        answer(200, {"acked_through": True}),
        answer(200, {"acked_through": None}),
        answer(200, b'{"acked_through": 15'),
        answer(200, b"[" * 15_000),
        answer(200, b'{"acked_through": 15}' + b" " * client.MAX_ANSWER_BYTES),
        answer(200, gzip.compress(b'{"acked_through": 15}'), "Content-Encoding: gzip"),
        answer(201, {"acked_through": 15}),
        answer(204),
        answer(302, b"", "Location: /elsewhere"),
        answer(404, {"detail": "Not Found"}),
        answer(405),
        answer(409, HTML),
        answer(409, {"error": "gap"}),
        answer(409, {"error": "gap", "expected": 11}),
        answer(409, {"error": "gap", "expected": 12}),
        answer(409, {"error": "gap", "expected": 0}),
        answer(409, {"error": "gap", "expected": "3"}),
        answer(408),
        answer(425),
        answer(429),
        answer(500, HTML),
        answer(502, HTML),
        answer(503, HTML),
        answer(504, HTML),
        answer(507),
    ],
)
async def test_nonsense_settles_nothing(batch, nonsense):
    with pytest.raises(BadAnswer) as raised:
        await send(batch, nonsense)
    assert str(raised.value)
    assert "secret-token" not in str(raised.value)


async def test_an_endless_answer_is_cut(batch):
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b" " * 4096 + b"\r\n"
    with pytest.raises(BadAnswer, match="not like a huxi receiver"):
        await send(batch, endless + (b"1000\r\n" + b" " * 4096 + b"\r\n") * 100)


async def test_redirects_are_not_followed(batch):
    server = Server(answer(307, b"", "Location: http://127.0.0.1:9/"), answer(200, {"acked_through": 15}))
    async with server.running() as transport:
        with pytest.raises(BadAnswer, match="307"):
            await transport.send(batch)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_token_names_the_remedy(batch, status):
    with pytest.raises(Refused, match=f"\\({status}\\): check \\[sync\\] token_file"):
        await send(batch, answer(status, HTML))


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_rejection_carries_the_receiver_s_sentence_made_harmless(batch, status):
    with pytest.raises(Rejected, match=rf"^no such kind\?\[31m \({status}\)$"):
        await send(batch, answer(status, {"error": "malformed", "detail": "no such kind\x1b[31m"}))
    with pytest.raises(Rejected) as raised:
        await send(batch, answer(status, {"detail": "long " * 1000}))
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("expected", [1, 10])
async def test_a_gap(batch, expected):
    with pytest.raises(Gap) as raised:
        await send(batch, answer(409, {"error": "gap", "expected": expected}))
    assert raised.value.expected == expected


async def test_a_fork(batch):
    with pytest.raises(Forked, match="other content"):
        await send(batch, answer(409, {"error": "fork", "detail": "other content"}))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((), None),
        (("Retry-After: 120",), 120),
        (("Retry-After: soon",), None),
        (("Retry-After: -1",), None),
        (("Retry-After: Mon, 01 Jan 99999999999999999999 00:00:00 GMT",), None),
        (("Retry-After: ",), None),
        (("Retry-After: Wed, 21 Oct 2015 07:30:00 GMT", "Date: Wed, 21 Oct 2015 07:28:00 GMT"), 120),
        (("Retry-After: Wed, 21 Oct 2015 07:30:00 GMT",), None),
    ],
)
async def test_retry_after_in_seconds_or_as_a_date_by_the_server_s_own_clock(batch, headers, seconds):
    for status in (503, 429):
        with pytest.raises(Unreachable) as raised:
            await send(batch, answer(status, b"", *headers))
        assert raised.value.retry_after_s == seconds


@pytest.mark.parametrize(
    "cut", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{", b"HTTP/1.1 2", b"SSH-2.0-OpenSSH\r\n"]
)
async def test_a_cut_answer_is_unreachable(batch, cut):
    with pytest.raises(Unreachable, match="cannot be reached"):
        await send(batch, cut)


async def test_nobody_listens(batch, unused_tcp_port):
    transport = HttpsTransport(Way(url=f"http://127.0.0.1:{unused_tcp_port}"), "secret-token")
    with pytest.raises(Unreachable, match=f"127.0.0.1:{unused_tcp_port} cannot be reached"):
        await transport.send(batch)
    await transport.aclose()


async def test_an_answer_that_drips_for_ever_is_given_up(batch, monkeypatch):
    monkeypatch.setattr(client, "EXCHANGE_TIMEOUT_S", 0.3)

    async def drip(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
        try:
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        transport = HttpsTransport(Way(url=f"http://127.0.0.1:{port}"), "secret-token")
        with pytest.raises(Unreachable, match="took more than"):
            await transport.send(batch)
        await transport.aclose()
