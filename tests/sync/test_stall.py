"""A receiver that stalls with the connection open, over real sockets: nothing is lost, nothing doubled."""

import asyncio
from random import Random

import pytest

from sync.central.app import build
from sync.central.store import CentralStore
from sync.forwarder import Forwarder
from sync.transports import client
from sync.transports.client import Way
from sync.transports.https import HttpsTransport
from tests.sync.conformance.small_receiver import serving


class Valve:
    """A proxy on bytes that can be shut: connections stay open and nothing moves."""

    def __init__(self):
        self.open = asyncio.Event()
        self.open.set()
        self.tasks = []

    async def pump(self, reader, writer):
        try:
            while data := await reader.read(4096):
                await self.open.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def serve(self, port, reader, writer):
        self.tasks.append(asyncio.current_task())
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(self.pump(reader, far_writer), self.pump(far_reader, writer))


@pytest.mark.slow
async def test_promise_03_a_receiver_that_stalls_with_the_connection_open_loses_nothing(tmp_path, outbox, monkeypatch):
    """Records go on being made while nothing moves for many time-outs; afterwards each is there once."""
    monkeypatch.setattr(client, "SILENCE_TIMEOUT_S", 0.3)
    monkeypatch.setattr(client, "EXCHANGE_TIMEOUT_S", 0.6)
    valve = Valve()
    async with CentralStore.open(tmp_path / "central.db") as store:
        token = await store.add("qiyang-01", "gateway", "qiyang", "pavilion")
        async with serving(build(store)) as url:
            far_port = int(url.rsplit(":", 1)[1])
            listener = await asyncio.start_server(lambda r, w: valve.serve(far_port, r, w), "127.0.0.1", 0)
            async with listener:
                port = listener.sockets[0].getsockname()[1]
                transport = HttpsTransport(Way(url=f"http://127.0.0.1:{port}"), token)
                sender = Forwarder(outbox, transport, random=Random(1), max_batch_bytes=500)
                task = asyncio.create_task(sender.run())
                for second in range(60):
                    if second == 15:
                        valve.open.clear()
                    if second == 45:
                        valve.open.set()
                    outbox.fill("ledger", 3)
                    sender.wake()
                    await asyncio.sleep(0.1)
                stalled = sender.state()
                async with asyncio.timeout(20):
                    while outbox.marks["ledger"] < 180:
                        await sender.flush()
                task.cancel()
                await transport.aclose()
                await asyncio.gather(*valve.tasks)
        position = await store.stream("qiyang-01", "ledger")
    assert position["acked_through"] == 180
    assert position["hash"] == outbox.hashes["ledger"][180].hex()
    assert stalled["streams"]["ledger"]["acked_through"] >= 0
