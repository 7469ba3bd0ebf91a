"""The link on a tty that is pulled and plugged in again."""

import asyncio
import logging

import pytest

from drivers.modbus.line import EmulatedLine
from drivers.modbus.open import open_link
from drivers.modbus.outcome import OutcomeKind
from drivers.modbus.server import RtuServer


class Registers:
    """Any register of any unit."""

    def read(self, unit, function, address, count):
        return [address] * count

    def write(self, unit, function, address, words):
        return 0


@pytest.mark.slow
async def test_an_adapter_that_was_unplugged_comes_back_by_itself(tmp_path, caplog):
    caplog.set_level(logging.INFO, "huxi.drivers")
    ends = tmp_path / "a", tmp_path / "b"

    def line():
        return EmulatedLine(ends, baud=115200)

    def server():
        return RtuServer(Registers(), str(ends[1]), baud=115200, parity="N", stop=1)

    async with open_link("bus", f"rtu://{ends[0]}?baud=115200") as link:
        async with line(), server():
            await asyncio.sleep(1.6)  # the link began before there was a tty
            assert (await link.read(1, 3, 7, 1, timeout_s=1)).data == b"\x00\x07"
        assert (await link.read(1, 3, 7, 1, timeout_s=1)).kind is OutcomeKind.LINK_DOWN
        async with line(), server():
            await asyncio.sleep(1.6)
            assert (await link.read(1, 3, 7, 1, timeout_s=1)).data == b"\x00\x07"
    assert [record.message.split()[:2] for record in caplog.records].count(["link", "connected"]) == 2
