"""What random faults meet a unit, by framing, within the lateness that a link states."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

from tests.drivers.modbus import faults
from tests.drivers.modbus.fault_answer import Ask, Ending
from tests.drivers.modbus.fault_rules import Menu
from tests.drivers.modbus.fault_wire import RtuWire
from tests.drivers.modbus.faults import Fault

_CODES = (1, 2, 3, 4, 5, 6, 8, 0x0A, 0x0B, 0x80)
_NOISE = (b"\x00", b"\xff", b"\x55\xaa\x12", b"\x01\x03", b"HTTP/1.1 400 Bad Request\r\n")
_NOBODY = (0, 17, 255)  # unit ids that no device of the bus has
_UNUSED = (1, 23, 43)  # functions that nobody of the bus asks for
_PIECES_S = 0.02  # the longest gap between two pieces of an answer

Choice = Callable[[random.Random, Ask], Sequence[Fault]]


def unnumbered(late_by_s: float, gap_s: float) -> Menu:
    """Serial framing: an answer is late by at most `late_by_s`, a copy follows it within `gap_s`.

    Those are the limits that a link can state where replies have no number.
    """
    return _chosen([*_common(late_by_s), *_damage(), lambda dice, ask: [faults.Duplicated(dice.uniform(0, gap_s))]])


def numbered(late_by_s: float) -> Menu:
    """Modbus TCP: an answer or its copy may come at any time, `late_by_s` is only as long as the test waits."""
    return _chosen([*_common(late_by_s), *_tcp(late_by_s)])


def zeroed(late_by_s: float, gap_s: float) -> Menu:
    """Modbus TCP without numbers: late and doubled as on a serial line, damaged never."""
    return _chosen([*_common(late_by_s), lambda dice, ask: [faults.Duplicated(dice.uniform(0, gap_s))]])


def breaking(has_header: bool) -> Menu:
    """What costs the whole connection, and with it the exchanges of the other units."""
    cut: Choice = lambda dice, ask: [faults.Cut(dice.choice(list(Ending)), dice.choice((0, 4, None)))]  # noqa: E731
    return _chosen([cut, *_out_of_step()] if has_header else [cut])


def overdue(from_s: float, until_s: float) -> Menu:
    """Answers later than any link can bear where replies have no number."""
    return lambda dice, ask: [faults.Late(dice.uniform(from_s, until_s))]


def _chosen(choices: Sequence[Choice]) -> Menu:
    return lambda dice, ask: dice.choice(choices)(dice, ask)


def _common(late_by_s: float) -> list[Choice]:
    """Lateness three times, since it is the most dangerous of all."""
    late: Choice = lambda dice, ask: [faults.Late(dice.uniform(0, late_by_s))]  # noqa: E731
    return [
        late,
        late,
        late,
        lambda dice, ask: [faults.Refusal(dice.choice(_CODES)), *late(dice, ask)],
        lambda dice, ask: [faults.Refusal(dice.choice(_CODES))],
        lambda dice, ask: [faults.Lost()],
        lambda dice, ask: [faults.Split((dice.randrange(1, 4), dice.randrange(4, 9)), dice.uniform(0, _PIECES_S))],
        lambda dice, ask: [faults.OtherUnit(dice.choice(_NOBODY))],
        lambda dice, ask: [faults.OtherFunction(dice.choice(_UNUSED))],
        lambda dice, ask: (
            [faults.Longer(dice.choice((-1, 1)))] if not ask.words else [faults.WrongEcho(dice.choice((2, 4)))]
        ),
        lambda dice, ask: [faults.ByteCountLie(dice.choice((-2, 2)))] if not ask.words else [faults.WrongEcho()],
        lambda dice, ask: [faults.Overlong(dice.randbytes(dice.choice((1, 2))))],
        lambda dice, ask: [faults.RefusalWithoutCode()],
    ]


def _damage() -> list[Choice]:
    return [
        lambda dice, ask: [faults.Truncated(dice.randrange(1, 7))],
        lambda dice, ask: [faults.Damaged(dice.randrange(1, 0x10000))],
        lambda dice, ask: [faults.NoiseBefore(dice.choice((*_NOISE, ask.frame[:4], dice.randbytes(6))))],
        lambda dice, ask: [faults.NoiseAfter(dice.choice(_NOISE))],
        lambda dice, ask: [faults.OwnEcho()] if not ask.words else [],
        _foreign_exchange,
    ]


def _tcp(late_by_s: float) -> list[Choice]:
    return [
        lambda dice, ask: [faults.OtherNumber(dice.choice((0, ask.number ^ 1, ask.number + 1 & 0xFFFF)))],
        lambda dice, ask: [faults.BehindTheLast()],
        lambda dice, ask: [faults.Duplicated(dice.uniform(0, late_by_s))],
        lambda dice, ask: [faults.OtherUnit(ask.unit % 4 + 1), faults.Late(dice.uniform(0, late_by_s))],
    ]


def _out_of_step() -> list[Choice]:
    return [
        lambda dice, ask: [faults.OtherProtocol()],
        lambda dice, ask: [faults.Truncated(dice.randrange(1, 9))],
        lambda dice, ask: [faults.Damaged(dice.choice((-3, -1, 1, 2, 300)))],
        lambda dice, ask: [faults.NoiseAfter(dice.choice(_NOISE))],
    ]


def _foreign_exchange(dice: random.Random, ask: Ask) -> Sequence[Fault]:
    """A dongle on the same line asks some unit, perhaps for as much as we did, and gets its answer."""
    wire = RtuWire()
    unit, count = dice.choice((17, ask.unit)), dice.choice((2, ask.count))
    request = wire.frame(unit, 0, bytes([ask.function if ask.function <= 4 else 3]) + struct.pack(">HH", 0x4000, count))
    answer = wire.frame(unit, 0, request[1:2] + bytes([2 * count]) + dice.randbytes(2 * count))
    asked_s = dice.uniform(0, 0.5)
    return [faults.NoiseBetween(asked_s, request), faults.NoiseBetween(asked_s + dice.uniform(0.005, 0.2), answer)]
