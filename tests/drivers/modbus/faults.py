"""What can go wrong with one answer. Each fault is a value with a name and its parameters; it bends the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tests.drivers.modbus.fault_answer import Answer, Ending


class Fault(Protocol):
    """Bends one answer; several may bend the same one."""

    def __call__(self, answer: Answer) -> None: ...


# --- when


@dataclass(frozen=True, slots=True)
class Late:
    """It comes later."""

    by_s: float

    def __call__(self, answer: Answer) -> None:
        answer.after_s += self.by_s


@dataclass(frozen=True, slots=True)
class Lost:
    """It does not come."""

    def __call__(self, answer: Answer) -> None:
        answer.size = 0
        answer.copies.clear()


@dataclass(frozen=True, slots=True)
class Duplicated:
    """It comes again."""

    after_s: float = 0.0

    def __call__(self, answer: Answer) -> None:
        answer.copies.append(self.after_s)


@dataclass(frozen=True, slots=True)
class BehindTheLast:
    """The frame before it comes again, in one segment with it."""

    def __call__(self, answer: Answer) -> None:
        answer.head = answer.ask.before + answer.head


@dataclass(frozen=True, slots=True)
class Split:
    """It comes in pieces, cut at these bytes."""

    at: tuple[int, ...]
    gap_s: float

    def __call__(self, answer: Answer) -> None:
        answer.cuts, answer.gap_s = self.at, self.gap_s


# --- who and what


@dataclass(frozen=True, slots=True)
class OtherUnit:
    """It says that it comes from another unit."""

    unit: int

    def __call__(self, answer: Answer) -> None:
        answer.unit = self.unit


@dataclass(frozen=True, slots=True)
class OtherNumber:
    """It has another transaction id."""

    number: int = 0

    def __call__(self, answer: Answer) -> None:
        answer.number = self.number


@dataclass(frozen=True, slots=True)
class OtherProtocol:
    """Its protocol id is not 0."""

    protocol: int = 1

    def __call__(self, answer: Answer) -> None:
        answer.protocol = self.protocol


@dataclass(frozen=True, slots=True)
class OtherFunction:
    """It answers another function."""

    function: int

    def __call__(self, answer: Answer) -> None:
        answer.pdu = bytes([self.function]) + answer.pdu[1:]


@dataclass(frozen=True, slots=True)
class Longer:
    """More registers than asked for (fewer when negative), with the byte count to match."""

    by: int = 1

    def __call__(self, answer: Answer) -> None:
        data = (answer.pdu[2:] + b"\x5a\xa5" * max(self.by, 0))[: len(answer.pdu) - 2 + 2 * self.by]
        answer.pdu = bytes([answer.pdu[0], len(data)]) + data


@dataclass(frozen=True, slots=True)
class ByteCountLie:
    """The byte count does not tell the bytes that follow."""

    by: int = 2

    def __call__(self, answer: Answer) -> None:
        answer.pdu = bytes([answer.pdu[0], (answer.pdu[1] + self.by) & 0xFF]) + answer.pdu[2:]


@dataclass(frozen=True, slots=True)
class WrongEcho:
    """The echo of a write tells something else: byte `at` of the data unit is changed."""

    at: int = 4

    def __call__(self, answer: Answer) -> None:
        pdu = bytearray(answer.pdu)
        pdu[self.at] ^= 0x01
        answer.pdu = bytes(pdu)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An exception instead, with any code."""

    code: int

    def __call__(self, answer: Answer) -> None:
        answer.pdu = bytes([answer.ask.function | 0x80, self.code])


@dataclass(frozen=True, slots=True)
class Instead:
    """Another data unit, as from a gateway that gives the answer to an earlier request."""

    pdu: bytes

    def __call__(self, answer: Answer) -> None:
        answer.pdu = self.pdu


@dataclass(frozen=True, slots=True)
class RefusalWithoutCode:
    """An exception that does not say which."""

    def __call__(self, answer: Answer) -> None:
        answer.pdu = bytes([answer.ask.function | 0x80])


# --- damage and noise


@dataclass(frozen=True, slots=True)
class Damaged:
    """The checksum is wrong; on Modbus TCP, which has none, the length field."""

    by: int = 1

    def __call__(self, answer: Answer) -> None:
        answer.lie = self.by


@dataclass(frozen=True, slots=True)
class Truncated:
    """Only the first bytes come."""

    size: int

    def __call__(self, answer: Answer) -> None:
        answer.size = self.size


@dataclass(frozen=True, slots=True)
class Overlong:
    """Bytes follow in the same frame, inside its length or checksum."""

    data: bytes = b"\x00\x00"

    def __call__(self, answer: Answer) -> None:
        answer.pdu += self.data


@dataclass(frozen=True, slots=True)
class NoiseBefore:
    """Bytes in front of it, in the same segment."""

    data: bytes

    def __call__(self, answer: Answer) -> None:
        answer.head += self.data


@dataclass(frozen=True, slots=True)
class NoiseAfter:
    """Bytes behind it, in the same segment."""

    data: bytes

    def __call__(self, answer: Answer) -> None:
        answer.tail += self.data


@dataclass(frozen=True, slots=True)
class NoiseBetween:
    """Bytes on the line that nobody asked for, so long after the request: also the frames of a foreign master."""

    after_s: float
    data: bytes

    def __call__(self, answer: Answer) -> None:
        answer.others.append((self.after_s, self.data))


@dataclass(frozen=True, slots=True)
class OwnEcho:
    """The adapter gives back the request before the answer, in the same segment."""

    def __call__(self, answer: Answer) -> None:
        answer.head = answer.ask.frame + answer.head


# --- the connection


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection ends after so many bytes of the answer, or after all."""

    ending: Ending = Ending.RESET
    size: int | None = None

    def __call__(self, answer: Answer) -> None:
        answer.ending = self.ending
        if self.size is not None:
            answer.size = self.size
