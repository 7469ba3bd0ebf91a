"""A link that answers from a script, and register dumps, for tests of what stands above the link."""

from __future__ import annotations

import struct
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from drivers.modbus.outcome import LinkProtocol, Outcome, OutcomeKind

# Fills the registers that a dump does not name: a point that reads one of these shows it.
HOLE = 0xDEAD

Registers = dict[tuple[int, int], int]  # (function, address) -> word


@dataclass(frozen=True, slots=True)
class Request:
    """What the device asked for."""

    unit: int
    function: int
    address: int
    count: int
    timeout_s: float


class ScriptedLink:
    """Answers from `registers`, unless `script` has an outcome for the request."""

    def __init__(
        self,
        registers: Mapping[tuple[int, int], int],
        script: Callable[[Request], Outcome | None] | None = None,
    ) -> None:
        self.registers = dict(registers)
        self.script = script
        self.requests: list[Request] = []

    async def read(self, unit: int, function: int, address: int, count: int, *, timeout_s: float) -> Outcome:
        request = Request(unit, function, address, count, timeout_s)
        self.requests.append(request)
        scripted = self.script(request) if self.script else None
        if scripted is not None:
            return scripted
        words = [self.registers.get((function, address + offset), HOLE) for offset in range(count)]
        return Outcome(kind=OutcomeKind.OK, data=struct.pack(f">{count}H", *words), mono_ns=1000 + len(self.requests))


@dataclass(frozen=True, slots=True)
class Dump:
    """Registers of a device and what is to be read from them."""

    registers: Registers
    expected: dict[str, dict[str, float] | str]  # by point: a text, or value and, where exact, raw and exponent
    no_value: list[str]  # points whose registers hold a sentinel


def _load_dump(path: Path) -> Dump:
    dump = tomllib.loads(path.read_text(encoding="utf-8"))
    registers = {
        (int(function), int(address, 0) + offset): int(word, 16)
        for function, runs in dump["registers"].items()
        for address, words in runs.items()
        for offset, word in enumerate(words.split())
    }
    return Dump(registers, dump["expected"], dump["no_value"])


@pytest.fixture
def scripted_link() -> type[ScriptedLink]:
    """The class of the link: `scripted_link(registers, script)`."""
    fulfils: type[LinkProtocol] = ScriptedLink
    assert fulfils is ScriptedLink
    return ScriptedLink


@pytest.fixture
def load_dump() -> Callable[[str], Dump]:
    """Give the dump of a profile by the profile's name; the test fails when there is none."""
    folder = Path(__file__).parent / "dumps"
    return lambda name: _load_dump(folder / f"{name.replace('/', '-')}.toml")
