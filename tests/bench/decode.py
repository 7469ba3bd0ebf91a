"""Decoding a block of 60 points, as the tags of one device: one request's answer to values."""

import math
from array import array

from ext import BlockDecoder, PointSpec, PointType
from tests.bench.report import at_most, title
from tests.bench.timing import medians_us

TYPES = [PointType.U32] * 2 + [PointType.U16] * 20 + [PointType.I32] * 18 + [PointType.F32] * 20


def run() -> None:
    specs: list[PointSpec] = []
    registers = 0
    for index, kind in enumerate(TYPES):
        specs.append(_point(index, registers, kind))
        registers += kind.registers
    decoder = BlockDecoder(specs, registers)
    columns = [array(code, [0]) * len(specs) for code in "dqbqB"]
    data = bytes((37 * place + 11) % 120 for place in range(2 * registers))
    times = medians_us({"core": lambda: decoder.decode(data, *columns)}, 3000)
    title(f"decoding a block of {len(specs)} points, {registers} registers")
    at_most("one call", times["core"], 3)


def _point(index: int, offset: int, kind: PointType) -> PointSpec:
    return PointSpec(
        index=index,
        offset=offset,
        type=kind,
        little_words=index % 2 == 1,
        little_bytes=False,
        absolute=False,
        scale_num=1,
        scale_den=100,
        add_num=0,
        add_den=1,
        sentinels=(0xFFFF, 0x7FFF),
        valid_min=-math.inf,
        valid_max=math.inf,
        exponent_offset=-1,
        canon_num=1_000_000 if kind.is_float else 0,
        canon_den=1,
    )
