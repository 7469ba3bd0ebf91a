"""The outcome of one exchange on a link, and the reading half of the link's contract."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from drivers.modbus.pdu import PATH_DOWN, TARGET_SILENT


class OutcomeKind(IntEnum):
    """How an exchange ended. Only OK carries data and only EXCEPTION carries a code."""

    OK = 0
    EXCEPTION = 1  # the device refused, with a Modbus exception code
    TIMEOUT = 2  # nothing came in time
    CORRUPT = 3  # something came that is no valid answer to this request
    DESYNC = 4  # only answers that belong to other requests came in time
    LINK_DOWN = 5  # there was no connection, or it was lost during the exchange
    UNSENT = 6  # its time passed before it could go on the wire: the bus had more urgent things to do


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one request."""

    kind: OutcomeKind
    data: bytes = b""  # OK: the register bytes, big-endian (packed bits for functions 1 and 2)
    code: int = 0  # EXCEPTION: the device's code
    mono_ns: int  # time.monotonic_ns() at which the outcome was known
    detail: str = ""  # one clause for the log when not OK

    @property
    def by_gateway(self) -> bool:
        """Whether a gateway on the way says that it cannot reach the unit: the unit is silent, the link is well."""
        return self.kind is OutcomeKind.EXCEPTION and self.code in (PATH_DOWN, TARGET_SILENT)

    @property
    def answered(self) -> bool:
        """Whether the unit itself answered."""
        return self.kind is OutcomeKind.OK or (self.kind is OutcomeKind.EXCEPTION and not self.by_gateway)


class LinkProtocol(Protocol):
    """What a device needs of its link."""

    async def read(self, unit: int, function: int, address: int, count: int, *, timeout_s: float) -> Outcome:
        """Read `count` registers (functions 3, 4) or bits (1, 2) from the wire address `address`.

        Never raises for trouble on the bus; ValueError for a request that cannot be put on the wire.
        """
        ...
