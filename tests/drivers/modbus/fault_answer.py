"""A request as the server got it, and the answer that is being prepared: faults bend it before it goes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

from tests.drivers.modbus.fault_wire import Wire


class Ending(Enum):
    """What the server does to the connection."""

    FINISH = "says that it has no more to send"
    RESET = "tears it down"


class Emission(NamedTuple):
    """Bytes that leave the server at a time of its clock, and what becomes of the connection then."""

    at_s: float
    data: bytes
    ending: Ending | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request, and when it came."""

    at_s: float
    order: int  # on this connection, from 0
    idle_s: float  # since the request before it, or since the connection was made
    unit: int
    number: int
    function: int
    address: int
    count: int  # registers or bits
    words: tuple[int, ...]  # to be written
    frame: bytes
    before: bytes  # the last frame that left on this connection


@dataclass(slots=True, kw_only=True)
class Answer:
    """What the server is about to say; good until a fault bends it."""

    ask: Ask
    unit: int
    number: int
    pdu: bytes
    after_s: float  # from the request to the first byte
    protocol: int = 0
    lie: int = 0  # added to the length field, or to the checksum
    head: bytes = b""  # in front of the frame, in the same segment
    tail: bytes = b""  # behind it
    size: int | None = None  # bytes of the segment that are sent
    cuts: tuple[int, ...] = ()  # where the segment is cut into pieces
    gap_s: float = 0.0  # between two pieces
    copies: list[float] = field(default_factory=list)  # seconds after the frame at which it goes out again
    others: list[tuple[float, bytes]] = field(default_factory=list)  # (seconds after the request, foreign bytes)
    ending: Ending | None = None

    def emissions(self, wire: Wire) -> list[Emission]:
        """What leaves the server, in no order."""
        frame = wire.frame(self.unit, self.number, self.pdu, lie=self.lie, protocol=self.protocol)
        segment = (self.head + frame + self.tail)[: self.size]
        edges = [0, *(cut for cut in self.cuts if 0 < cut < len(segment)), len(segment)]
        begin_s = self.ask.at_s + self.after_s
        pieces = [
            Emission(begin_s + index * self.gap_s, segment[start:end])
            for index, (start, end) in enumerate(pairwise(edges))
        ]
        pieces[-1] = pieces[-1]._replace(ending=self.ending)
        pieces += [Emission(begin_s + copy_s, segment) for copy_s in self.copies]
        pieces += [Emission(self.ask.at_s + other_s, data) for other_s, data in self.others]
        return [piece for piece in pieces if piece.data or piece.ending]
