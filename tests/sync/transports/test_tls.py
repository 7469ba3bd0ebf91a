"""The way to the receiver: certificates good and bad, an own certificate, a proxy; one session for many batches."""

import asyncio
import contextlib
import json
import ssl

import pytest

from sync.errors import BadAnswer, Shut, SyncError, Unreachable
from sync.transports.client import Way
from sync.transports.https import HttpsTransport
from tests.sync.chaos import read_message
from tests.sync.transports.authority import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


async def closed(writer):
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


class TlsReceiver:
    """Acknowledges every batch over TLS; counts handshakes."""

    def __init__(self, pem, client_ca=None):
        self.handshakes = 0
        self.serving = set()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pem)
        if client_ca:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(client_ca)

    @contextlib.asynccontextmanager
    async def running(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context)
        async with server:
            yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*self.serving)

    async def _serve(self, reader, writer):
        self.handshakes += 1
        self.serving.add(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while await read_message(reader):
                body = json.dumps({"acked_through": 1}).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await closed(writer)


async def send(batch, receiver, **way):
    async with receiver.running() as url:
        transport = HttpsTransport(Way(url=url, **way), "secret-token")
        try:
            return [await transport.send(batch) for _ in range(3)], transport.wire_bytes
        finally:
            await transport.aclose()


async def test_an_authority_of_one_s_own_and_one_session_for_all(authority, make_batch):
    receiver = TlsReceiver(authority.certificate("good"))
    acks, wire_bytes = await send(make_batch(), receiver, ca_file=authority.file)
    assert [ack.acked_through for ack in acks] == [1, 1, 1]
    assert receiver.handshakes == 1
    assert 6000 < wire_bytes < 9000, "one handshake is counted, and three small exchanges"


@pytest.mark.parametrize(
    ("name", "how", "says"),
    [
        ("late", {"days": -1}, "has expired: renew it there; this gateway's clock says 20"),
        ("elsewhere", {"address": "DNS:other.example"}, "is for another name: check .sync. url"),
    ],
)
async def test_a_bad_certificate_names_the_remedy(authority, make_batch, name, how, says):
    with pytest.raises(BadAnswer, match=says):
        await send(make_batch(), TlsReceiver(authority.certificate(name, **how)), ca_file=authority.file)


async def test_an_unknown_authority_names_the_remedy(authority, make_batch, tmp_path):
    pem = Authority(tmp_path, "stranger").certificate("unknown")
    for way in ({}, {"ca_file": authority.file}):
        with pytest.raises(BadAnswer, match=r"signed by nobody known here: set \[sync\] ca_file"):
            await send(make_batch(), TlsReceiver(pem), **way)


async def test_a_receiver_without_tls_names_the_remedy(make_batch):
    async def plain(reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await closed(writer)

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        transport = HttpsTransport(Way(url=f"https://127.0.0.1:{port}"), "secret-token")
        with pytest.raises(BadAnswer, match="speaks no TLS"):
            await transport.send(make_batch())
        await transport.aclose()


async def test_an_own_certificate_where_the_receiver_wants_one(authority, make_batch):
    server = authority.certificate("mutual")
    own = authority.certificate("gateway")
    acks, _ = await send(make_batch(), TlsReceiver(server, authority.file), ca_file=authority.file, cert_file=own)
    assert len(acks) == 3
    with pytest.raises(Unreachable):
        await send(make_batch(), TlsReceiver(server, authority.file), ca_file=authority.file)


@pytest.mark.parametrize("key", ["ca_file", "cert_file"])
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_of_no_use_is_told_before_anything_starts(tmp_path, key, content):
    file = tmp_path / "file.pem"
    if content:
        file.write_text(content)
    with pytest.raises(SyncError, match=rf"\[sync\] {key} .*file.pem cannot be used"):
        HttpsTransport(Way(url="https://central.example", **{key: file}), "secret-token")


async def test_everything_goes_through_the_proxy(authority, make_batch):
    asked, left = [], asyncio.Event()

    async def proxy(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split(b"\r\n")[0])
        port = int(head.split()[1].rsplit(b":", 1)[1])
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def pump(source, target):
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    target.write(data)
            await closed(target)

        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
        left.set()

    receiver = TlsReceiver(authority.certificate("behind"))
    async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        acks, _ = await send(make_batch(), receiver, ca_file=authority.file, proxy=address)
        await left.wait()
    assert len(acks) == 3
    assert asked[0].startswith(b"CONNECT 127.0.0.1:")
    assert len(asked) == 1


async def test_a_door_that_is_shut_and_one_that_is_open(unused_tcp_port, make_batch):
    transport = HttpsTransport(Way(url=f"http://127.0.0.1:{unused_tcp_port}"), "secret-token")
    assert await transport.knock() is False
    with pytest.raises(Shut):
        await transport.send(make_batch())
    left = asyncio.Event()

    async def listen(reader, writer):
        with contextlib.suppress(OSError):
            assert await reader.read() == b"", "nothing is said"
        await closed(writer)
        left.set()

    async with await asyncio.start_server(listen, "127.0.0.1", unused_tcp_port):
        assert await transport.knock() is True
        await left.wait()
    assert transport.wire_bytes >= 400
    await transport.aclose()
