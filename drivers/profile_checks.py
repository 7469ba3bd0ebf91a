"""What the tables and points of a profile say about each other: everything that is wrong, each with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeVar

from pydantic import ValidationError

from drivers.plan import plan_blocks
from drivers.point import Point, Table
from drivers.profile_tables import Defaults, Frozen, Identity, Manners, Sentinels, Sleep
from drivers.toml_file import Finding, Where, did_you_mean

_Part = TypeVar("_Part", bound=Table)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the checks across points look at."""

    points: dict[int, Point]  # by position in the file; without the faulty ones
    names: dict[int, str]  # by position in the file; of the faulty ones too
    manners: Manners
    identity: Identity
    frozen: Frozen | None
    sleep: Sleep | None

    @classmethod
    def sound(cls, data: Any) -> Parts:
        """Return the parts of a document that are sound in themselves."""
        raw = _raw_points(data)
        points = {index: _sound(Point, item) for index, item in enumerate(raw)}
        return cls(
            points={index: point for index, point in points.items() if point is not None},
            names={
                index: str(item["name"]) for index, item in enumerate(raw) if isinstance(item, dict) and "name" in item
            },
            manners=_sound(Manners, _raw_table(data, "link")) or Manners(),
            identity=_sound(Identity, _raw_table(data, "identity")) or Identity(),
            frozen=_sound(Frozen, _raw_table(data, "frozen")),
            sleep=_sound(Sleep, _raw_table(data, "sleep")),
        )


def _sound(model: type[_Part], data: Any) -> _Part | None:
    try:
        return model.model_validate(data)
    except ValidationError:
        return None


def _raw_points(data: Any) -> list[Any]:
    points = data.get("point") if isinstance(data, dict) else None
    return points if isinstance(points, list) else []


def _raw_table(data: Any, name: str) -> Any:
    return data.get(name, {}) if isinstance(data, dict) else {}


def with_defaults(data: Any) -> Any:
    """Return the document with its defaults and sentinels filled into the points."""
    raw = _raw_points(data)
    if not raw:
        return data
    defaults = (_sound(Defaults, _raw_table(data, "defaults")) or Defaults()).model_dump()
    sentinels = (_sound(Sentinels, _raw_table(data, "sentinels")) or Sentinels()).model_dump()
    points = [
        {**defaults, "sentinels": sentinels.get(str(item.get("type")), ()), **item} if isinstance(item, dict) else item
        for item in raw
    ]
    return {**data, "point": points}


def findings(parts: Parts) -> list[Finding]:
    """Return what is wrong between the parts."""
    by_name = {point.name: point for point in parts.points.values()}
    found = [
        *_duplicates(parts),
        *_overlaps(parts),
        *_identity_findings(parts, by_name),
        *_silence_findings(parts, by_name),
    ]
    for index, point in parts.points.items():
        where = ("point", index)
        found += _reach_findings(parts, where, point)
        if point.poll == "once" and (point.counter is not None or point.integrate is not None):
            found.append(Finding((*where, "poll"), "energy is read live, not once"))
        if point.scale_register is not None:
            found += _scale_register_findings(parts, by_name, where, point, point.scale_register)
        if point.read_with is not None:
            found += _read_with_findings(parts, by_name, where, point, point.read_with)
        if point.counter is not None and point.counter.power is not None:
            found += _power_findings(parts, by_name, (*where, "counter", "power"), point.counter.power)
        if point.counter is not None and point.counter.session_id is not None:
            found += _whole_number_findings(parts, by_name, (*where, "counter", "session_id"), point.counter.session_id)
        for key, energy in (("counter", point.counter), ("integrate", point.integrate)):
            if energy is not None and energy.part_of is not None:
                found += _part_findings(parts, by_name, (*where, key, "part_of"), point, energy.part_of)
    return found or list(_plan_findings(parts))


def _plan_findings(parts: Parts) -> Iterator[Finding]:
    """Chains of registers that belong together, each pair within reach, and are too long as a whole."""
    if len(parts.points) < len(parts.names):
        return
    places, points = list(parts.points), list(parts.points.values())
    for block in plan_blocks(points, parts.manners):
        end = block.address + block.count
        if block.count > parts.manners.max_block or _crossed(parts, block.address, end):
            names = ", ".join(f"'{points[index].name}'" for index in block.points)
            message = f"{names} and what belongs to them are one read of {block.count} registers"
            where = ("point", places[block.points[0]])
            yield Finding(where, message, "keep within link.max_block and between link.barriers")


def _part_findings(
    parts: Parts, by_name: Mapping[str, Point], where: Where, point: Point, whole: str
) -> Iterator[Finding]:
    if whole not in parts.names.values():
        yield _unknown(where, whole, parts)
    elif whole == point.name or (whole in by_name and by_name[whole].counter is None):
        yield Finding(where, f"'{whole}' is no other counter", "name the counter that includes this energy")


def _duplicates(parts: Parts) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, name in parts.names.items():
        if name in seen:
            yield Finding(("point", index, "name"), f"'{name}' is the name of an earlier point")
        seen.add(name)


def _overlaps(parts: Parts) -> Iterator[Finding]:
    """Two points may share registers only when one of them reads the same registers as bits."""
    items = sorted(parts.points.items(), key=lambda item: (item[1].function, item[1].address))
    for (_, first), (index, second) in combinations(items, 2):
        if first.function != second.function or set(first.addresses).isdisjoint(second.addresses):
            continue
        if first.addresses == second.addresses and first.is_bits != second.is_bits:
            continue
        message = f"'{second.name}' overlaps '{first.name}' at {_registers(first)}"
        yield Finding(("point", index, "address"), message, "check address and type of both")


def _identity_findings(parts: Parts, by_name: Mapping[str, Point]) -> Iterator[Finding]:
    for key in ("serial", "model", "uptime"):
        name = getattr(parts.identity, key)
        if name is not None:
            yield from _whole_number_findings(parts, by_name, ("identity", key), name)
    uptime = by_name.get(parts.identity.uptime or "")
    if uptime is not None and (uptime.is_text or uptime.poll == "once"):
        yield Finding(("identity", "uptime"), f"'{uptime.name}' is not a number that is read live")


def _silence_findings(parts: Parts, by_name: Mapping[str, Point]) -> Iterator[Finding]:
    powers = any(point.quantity == "power" and point.poll == "live" for point in by_name.values())
    if parts.sleep is not None and not powers:
        yield Finding(("sleep",), "there is no live power that tells sleep from silence")
    name = None if parts.frozen is None else parts.frozen.heartbeat
    if name is None:
        return
    where = ("frozen", "heartbeat")
    if name not in parts.names.values():
        yield _unknown(where, name, parts)
    elif name in by_name and (by_name[name].is_text or by_name[name].poll == "once"):
        yield Finding(where, f"'{name}' is not a number that is read live")


def _whole_number_findings(parts: Parts, by_name: Mapping[str, Point], where: Where, name: str) -> Iterator[Finding]:
    if name not in parts.names.values():
        yield _unknown(where, name, parts)
    elif name in by_name and by_name[name].is_float:
        yield Finding(where, f"'{name}' is a float and cannot tell one from another")


def _scale_register_findings(
    parts: Parts, by_name: Mapping[str, Point], where: Where, user: Point, name: str
) -> Iterator[Finding]:
    where = (*where, "scale_register")
    register = by_name.get(name)
    if name not in parts.names.values():
        yield _unknown(where, name, parts)
    if register is None:
        return
    types = ("u16", "i16") if user.decimals else ("i16",)
    if register.type not in types or register.scale != 1 or register.byte_order != "big":
        what = "number of decimals" if user.decimals else "power of ten"
        yield Finding(where, f"'{name}' is not a {what}", f"it is a plain {types[0]} without scale, big-endian")
    yield from _together_findings(parts, where, user, register)


def _read_with_findings(
    parts: Parts, by_name: Mapping[str, Point], where: Where, user: Point, name: str
) -> Iterator[Finding]:
    where = (*where, "read_with")
    other = by_name.get(name)
    if name not in parts.names.values():
        yield _unknown(where, name, parts)
    elif name == user.name or (other is not None and other.read_with is not None):
        yield Finding(where, f"'{name}' is read with another point itself", "name one point in all of them")
    elif other is not None:
        yield from _together_findings(parts, where, user, other)


def _together_findings(parts: Parts, where: Where, user: Point, other: Point) -> Iterator[Finding]:
    """What keeps two points that belong in one read from being read so."""
    if other.function != user.function or other.poll != user.poll:
        yield Finding(where, f"'{other.name}' has another function or poll and would be read apart from its value")
    if other.read_alone or user.read_alone:
        yield Finding(where, f"'{other.name}' and '{user.name}' belong in one read, so neither is read alone")
    start, end = min(other.start, user.start), max(other.end, user.end)
    if end - start > parts.manners.max_block:
        message = f"'{other.name}' is too far away to be read with its value: {end - start} registers"
        yield Finding(where, message, f"link.max_block is {parts.manners.max_block}")
    for barrier in _crossed(parts, start, end):
        yield Finding(where, f"'{other.name}' is beyond the barrier at {barrier} and would be read apart")


def _reach_findings(parts: Parts, where: Where, point: Point) -> Iterator[Finding]:
    """What keeps a point from being read at once."""
    span = point.end - point.start
    if span > parts.manners.max_block:
        key = "type" if point.tail_address is None else "tail_address"
        message = f"{point.type} takes {span} registers, link.max_block is {parts.manners.max_block}"
        yield Finding((*where, key), message)
    for barrier in _crossed(parts, point.start, point.end):
        yield Finding((*where, "address"), f"{_registers(point)} go across the barrier at {barrier}")


def _crossed(parts: Parts, start: int, end: int) -> list[int]:
    return [barrier for barrier in parts.manners.barriers if start < barrier < end]


def _registers(point: Point) -> str:
    if point.tail_address is None:
        return f"{point.start}..{point.end - 1}"
    return ", ".join(str(address) for address in point.addresses)


def _power_findings(parts: Parts, by_name: Mapping[str, Point], where: Where, name: str) -> Iterator[Finding]:
    if name not in parts.names.values():
        yield _unknown(where, name, parts)
    elif name in by_name and by_name[name].quantity != "power":
        yield Finding(where, f"'{name}' is not a power", "name the point whose integral the counter is")


def _unknown(where: Where, name: str, parts: Parts) -> Finding:
    return Finding(where, f"there is no point '{name}'", did_you_mean(name, parts.names.values()))
