"""What is wrong with a point in itself: everything, each with its key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from drivers.toml_file import Finding, did_you_mean
from drivers.units import QUANTITY_OF_UNIT
from ext.limits import SCALE_LIMIT

if TYPE_CHECKING:
    from drivers.point import Point

LAST_REGISTER = 0xFFFF


def point_findings(point: Point) -> list[Finding]:
    """Return what is wrong with the point."""
    return [*_register_findings(point), *_meaning_findings(point), *_energy_findings(point)]


def _register_findings(point: Point) -> Iterator[Finding]:
    if point.tail_address is not None:
        if point.is_text or point.words == 1:
            yield Finding(("tail_address",), f"a value of type {point.type} has no second half")
            return
        elif len(set(point.addresses)) < point.words:
            yield Finding(("tail_address",), "the two halves overlap")
    if point.decimals and point.scale_register is None:
        yield Finding(("decimals",), "there is no scale register to count them", "name it with scale_register")
    if point.end > LAST_REGISTER + 1:
        yield Finding(("address",), f"{point.type} at {point.address} reaches past the last register")
    for index, bits in enumerate(point.sentinels):
        if point.is_text:
            yield Finding(("sentinels", index), "a text has no sentinel", "an empty text has no value")
        elif bits >> 16 * point.words:
            yield Finding(("sentinels", index), f"{bits:#x} does not fit {point.type}")
    if point.is_text or point.is_bits:
        for key, set_to in (
            ("scale", point.scale != 1),
            ("offset", point.offset != 0),
            ("scale_register", point.scale_register is not None),
            ("valid", point.valid is not None),
            ("sign", point.sign != 1),
            ("absolute", point.absolute),
        ):
            if set_to:
                yield Finding((key,), f"has no meaning for type {point.type}")
    if point.is_float and point.scale_register is not None:
        yield Finding(("scale_register",), "a float carries its own power of ten")
    for key, factor in (("scale", point.canonical or point.scale), ("offset", point.offset)):
        if max(abs(factor.numerator), factor.denominator) > SCALE_LIMIT:
            yield Finding((key,), "has too many digits to stay exact in 64 bits")
    if point.scale <= 0:
        yield Finding(("scale",), "must be above zero", "turn the sign with sign = -1")


def _meaning_findings(point: Point) -> Iterator[Finding]:
    if point.valid is not None and point.valid[0] > point.valid[1]:
        yield Finding(("valid",), "the lower bound comes first", "write valid = [minimum, maximum]")
    elif (
        point.valid is not None
        and isinstance(point.example, float | int)
        and not point.valid[0] <= point.example <= point.valid[1]
    ):
        yield Finding(("example",), f"is outside valid = [{point.valid[0]:g}, {point.valid[1]:g}]")
    if point.example is not None and isinstance(point.example, str) != point.is_text:
        yield Finding(("example",), f"does not fit type {point.type}")
    belongs = QUANTITY_OF_UNIT.get(point.unit)
    if belongs and point.quantity != belongs:
        hint = f"{point.unit} is a unit of {belongs}; leave quantity out"
        yield Finding(("quantity",), f"'{point.quantity}' is not measured in {point.unit}", hint)
    if point.unit and not belongs:
        yield Finding(("unit",), "is not a known unit", did_you_mean(point.unit, QUANTITY_OF_UNIT))
    if (point.states or point.states_zh) and (point.is_float or point.is_text):
        yield Finding(("states",), f"type {point.type} holds no codes", "use an integer or bits type")
    for code in sorted(point.states_zh.keys() - point.states.keys()):
        yield Finding(("states_zh",), f"code {code} has no entry in states")


def _energy_findings(point: Point) -> Iterator[Finding]:
    if point.counter is not None:
        if point.quantity != "energy":
            yield Finding(("counter",), "is on a point without a unit of energy", "energy is in Wh, kWh or MWh")
        if point.sign != 1:
            hint = "say absolute = true when the device gives it negative"
            yield Finding(("sign",), "a counter counts upwards", hint)
        if point.counter.modulus is not None and point.counter.modulus > 1 << min(16 * point.words, 63):
            yield Finding(("counter", "modulus"), f"does not fit {point.type}")
        for key, policy in (("session_id", "session"), ("at_midnight", "daily")):
            if getattr(point.counter, key) and point.counter.policy != policy:
                yield Finding(("counter", key), f'has no meaning for policy = "{point.counter.policy}"')
        if point.is_float and point.counter.modulus is not None:
            yield Finding(("counter", "modulus"), "a float counter does not turn over")
    if point.integrate is not None and point.quantity != "power":
        yield Finding(("integrate",), "is on a point without a unit of power", "power is in W, kW or MW")
    if point.counter is not None and point.integrate is not None:
        yield Finding(("integrate",), "a counter is not integrated as well", "keep one of the two")
    if (point.counter is not None or point.integrate is not None) and point.offset != 0:
        yield Finding(("offset",), "energy and integrated power take no offset")
