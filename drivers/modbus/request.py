"""A request, the reply it must get, and the judgement of what came instead."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from drivers.modbus.outcome import OutcomeKind
from drivers.modbus.pdu import READ_DISCRETES, READS, WRITE_SINGLE, read_pdu, write_pdu


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request for one unit, with the shape of the one good answer."""

    unit: int
    pdu: bytes
    reply_head: bytes  # the first bytes of the reply: function and byte count, or the whole echo of a write
    reply_size: int  # bytes of the reply's data unit
    function: int = field(init=False)
    shape: bytes = field(init=False)  # two requests of equal shape cannot be told apart by their replies
    reads: bool = field(init=False)  # asking it twice does not do anything twice

    def __post_init__(self) -> None:
        object.__setattr__(self, "function", self.pdu[0])
        object.__setattr__(self, "shape", bytes([self.unit]) + self.reply_head)
        object.__setattr__(self, "reads", self.pdu[0] in READS)


class Verdict(NamedTuple):
    """The judgement of a reply, or of its absence."""

    kind: OutcomeKind
    data: bytes = b""
    code: int = 0
    detail: str = ""


@lru_cache(maxsize=1024)  # polls ask the same again and again
def read_request(unit: int, function: int, address: int, count: int) -> Request:
    """A read of `count` registers or bits; ValueError when it cannot be put on the wire."""
    _check_unit(unit, lowest=0)
    pdu = read_pdu(function, address, count)
    size = (count + 7) // 8 if function <= READ_DISCRETES else 2 * count
    return Request(unit=unit, pdu=pdu, reply_head=bytes([function, size]), reply_size=2 + size)


def write_request(unit: int, function: int, address: int, words: Sequence[int]) -> Request:
    """A write; ValueError when it cannot be put on the wire, or has no answer because it is for all units."""
    _check_unit(unit, lowest=1)
    pdu = write_pdu(function, address, words)
    return Request(unit=unit, pdu=pdu, reply_head=pdu[:5], reply_size=5)


def judge(request: Request, pdu: bytes) -> Verdict:
    """Judge the data unit of a reply whose number, unit id or checksum says that it is for `request`."""
    if pdu[0] == request.function | 0x80:
        if len(pdu) != 2:
            return Verdict(OutcomeKind.CORRUPT, detail=f"exception reply of {len(pdu)} bytes instead of 2")
        return Verdict(OutcomeKind.EXCEPTION, code=pdu[1], detail=f"exception {pdu[1]}")
    if pdu.startswith(request.reply_head) and len(pdu) == request.reply_size:
        return Verdict(OutcomeKind.OK, data=b"" if request.function >= WRITE_SINGLE else pdu[2:])
    if pdu[0] != request.function:
        return Verdict(OutcomeKind.CORRUPT, detail=f"function {pdu[0]} in the reply to {request.function}")
    if request.function >= WRITE_SINGLE:
        return Verdict(OutcomeKind.CORRUPT, detail=f"echo {pdu.hex()} of the write {request.pdu.hex()}")
    return Verdict(
        OutcomeKind.CORRUPT,
        detail=f"{len(pdu) - 2} bytes, announced as {pdu[1] if len(pdu) > 1 else 'none'}, "
        f"instead of {request.reply_size - 2}",
    )


def _check_unit(unit: int, *, lowest: int) -> None:
    if not lowest <= unit <= 255:
        raise ValueError(f"unit {unit} is not in {lowest} to 255")
