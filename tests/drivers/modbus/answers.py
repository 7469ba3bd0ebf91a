"""Links over a fake transport, and the answers of well-behaved devices for it."""

import asyncio

from drivers.modbus.framing import RtuFraming, TcpFraming
from drivers.modbus.link import Link
from drivers.modbus.manners import LinkManners
from drivers.modbus.pdu import rtu_frame


def words_of(address, count):
    """What the fake device has in its registers: each says where it stands."""
    return b"".join((0x1000 + address + i).to_bytes(2, "big") for i in range(count))


def tcp_answer(frame):
    """The answer of a well-behaved Modbus TCP device to a read."""
    address, count = int.from_bytes(frame[8:10], "big"), int.from_bytes(frame[10:12], "big")
    pdu = bytes([frame[7], 2 * count]) + words_of(address, count)
    return frame[:4] + (len(pdu) + 1).to_bytes(2, "big") + frame[6:7] + pdu


def rtu_answer(frame):
    """The same on a serial line."""
    address, count = int.from_bytes(frame[2:4], "big"), int.from_bytes(frame[4:6], "big")
    return rtu_frame(frame[0], bytes([frame[1], 2 * count]) + words_of(address, count))


def after(delay_s, answer):
    return lambda frame: [(delay_s, answer(frame))]


def silence(frame):
    return []


def tcp_link(transport, **manners):
    manners = LinkManners(**manners)
    return Link(name="roof", transport=transport, framing=TcpFraming(), manners=manners, random=lambda: 0.5)


def rtu_link(transport, **manners):
    manners = LinkManners(**manners)
    return Link(name="bus", transport=transport, framing=RtuFraming(), manners=manners, random=lambda: 0.5)


def now():
    return asyncio.get_running_loop().time()
