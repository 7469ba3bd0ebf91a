"""What a Modbus server serves."""

from collections.abc import Sequence
from typing import Protocol


class RegisterBank(Protocol):
    """The registers behind a server. Refusals are Modbus exception codes.

    Usual codes: 1 function not supported, 2 no such address, 3 no such value, 4 failure, 0x0B no such unit.
    """

    def read(self, unit: int, function: int, address: int, count: int) -> list[int] | int:
        """Return `count` register words (functions 3, 4) or bits as 0 and 1 (1, 2), or an exception code."""
        ...

    def write(self, unit: int, function: int, address: int, words: Sequence[int]) -> int:
        """Take register words (functions 6, 16); 0 when taken, else an exception code."""
        ...
