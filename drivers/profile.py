"""A profile: what one product has in its registers and how it wants to be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, ModelWrapValidatorHandler, PrivateAttr, ValidationError, model_validator

from drivers.point import WORDS, BitPattern, Counter, Flow, Integrate, Name, Order, Point, Table
from drivers.toml_file import Finding, Where, did_you_mean, refusal

__all__ = [
    "About",
    "Counter",
    "Flow",
    "Identity",
    "Integrate",
    "Kind",
    "Manners",
    "Point",
    "Profile",
    "Shape",
    "Simulate",
    "profile_schema",
]

Kind = Literal["inverter", "charger", "meter", "battery", "wastewater", "generator", "light", "water"]
Shape = Literal["sun", "steady", "evening", "charging", "pulse"]
BitPatterns = Annotated[tuple[BitPattern, ...], Field(strict=False)]

_Part = TypeVar("_Part", bound=Table)


class About(Table):
    """What the product is, for people."""

    title: str = Field(min_length=1)
    make: str = Field(min_length=1)
    model: str = Field(min_length=1)
    kind: Kind
    notes: str = ""
    sources: tuple[str, ...] = Field(default=(), strict=False)


class Manners(Table):
    """How the product wants to be talked to."""

    unit: int = Field(default=1, ge=0, le=255, description="unit id it has from the factory")
    connect_delay_ms: int = Field(default=0, ge=0, description="silence after connecting")
    gap_ms: int = Field(default=0, ge=0, description="silence between an answer and the next request")
    timeout_ms: int = Field(default=1000, gt=0)
    max_block: int = Field(default=100, ge=1, le=125, description="registers in one read")
    max_gap: int = Field(default=16, ge=0, description="unused registers that may be read over")
    one_client: bool = Field(default=False, description="a second connection disturbs the first")
    serial: str = Field(default="9600-8N1", pattern=r"^[1-9]\d{2,6}-8[NEO][12]$")


class Defaults(Table):
    """What holds for every point that does not say otherwise."""

    function: Literal[3, 4] = 3
    word_order: Order = "big"
    byte_order: Order = "big"
    read_alone: bool = False


class Identity(Table):
    """The points by which a device is known from its like."""

    serial: Name | None = None
    model: Name | None = None


class Simulate(Table):
    """What the simulator plays for this product."""

    shape: Shape
    power_W: int = Field(gt=0, description="power at the top of the shape")


class Sentinels(Table):
    """Bit patterns that mean "no value", by type; a point's own list stands instead of its type's."""

    u16: BitPatterns = ()
    i16: BitPatterns = ()
    u32: BitPatterns = ()
    i32: BitPatterns = ()
    u64: BitPatterns = ()
    i64: BitPatterns = ()
    f32: BitPatterns = ()
    f64: BitPatterns = ()
    bits16: BitPatterns = ()
    bits32: BitPatterns = ()

    @model_validator(mode="after")
    def _fit_their_types(self) -> Self:
        findings = [
            Finding((name, index), f"{bits:#x} does not fit {name}")
            for name, words in WORDS.items()
            for index, bits in enumerate(getattr(self, name))
            if bits >> 16 * words
        ]
        if findings:
            raise refusal("sentinels", findings)
        return self


class Profile(Table):
    """One product. The defaults of the file are already filled into its points."""

    about: About = Field(alias="profile")
    manners: Manners = Field(default=Manners(), alias="link")
    defaults: Defaults = Defaults()
    sentinels: Sentinels = Sentinels()
    points: tuple[Point, ...] = Field(alias="point", strict=False)
    identity: Identity = Identity()
    simulate: Simulate | None = None

    _name: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        """Name in the catalogue, as `inverter/huawei-sun2000`; empty for a file outside of one."""
        return self._name

    def named(self, name: str) -> Self:
        """Return the same profile under a name."""
        copy = self.model_copy()
        copy._name = name
        return copy

    def index(self, name: str) -> int:
        """Return the position of the named point; KeyError when there is none."""
        for index, point in enumerate(self.points):
            if point.name == name:
                return index
        raise KeyError(name)

    @model_validator(mode="wrap")
    @classmethod
    def _check_together(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        # Also when some fields are faulty, what the sound points say about each other is checked, so
        # that one reading of the file tells everything.
        data = _with_defaults(data)
        try:
            profile = handler(data)
        except ValidationError as error:
            raise refusal("profile", _findings(_Parts.sound(data)), error) from None
        findings = _findings(_Parts.of(profile)) if profile.points else [Finding(("point",), "is empty")]
        if findings:
            raise refusal("profile", findings)
        return profile


def profile_schema() -> dict[str, Any]:
    """Return the JSON Schema of a profile file, for editors."""
    return Profile.model_json_schema(by_alias=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What the checks across points look at."""

    points: dict[int, Point]  # by position in the file; without the faulty ones
    names: dict[int, str]  # by position in the file; of the faulty ones too
    manners: Manners
    identity: Identity

    @classmethod
    def of(cls, profile: Profile) -> _Parts:
        return cls(
            points=dict(enumerate(profile.points)),
            names={index: point.name for index, point in enumerate(profile.points)},
            manners=profile.manners,
            identity=profile.identity,
        )

    @classmethod
    def sound(cls, data: Any) -> _Parts:
        """Return the parts of a faulty document that are sound in themselves."""
        raw = _raw_points(data)
        points = {index: _sound(Point, item) for index, item in enumerate(raw)}
        return cls(
            points={index: point for index, point in points.items() if point is not None},
            names={
                index: str(item["name"]) for index, item in enumerate(raw) if isinstance(item, dict) and "name" in item
            },
            manners=_sound(Manners, _raw_table(data, "link")) or Manners(),
            identity=_sound(Identity, _raw_table(data, "identity")) or Identity(),
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


def _with_defaults(data: Any) -> Any:
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


def _findings(parts: _Parts) -> list[Finding]:
    by_name = {point.name: point for point in parts.points.values()}
    found = [*_duplicates(parts), *_overlaps(parts), *_identity_findings(parts, by_name)]
    for index, point in parts.points.items():
        where = ("point", index)
        if point.words > parts.manners.max_block:
            message = f"{point.type} takes {point.words} registers, link.max_block is {parts.manners.max_block}"
            found.append(Finding((*where, "type"), message))
        if point.poll == "once" and (point.counter is not None or point.integrate is not None):
            found.append(Finding((*where, "poll"), "energy is read live, not once"))
        if point.scale_register is not None:
            found += _scale_register_findings(parts, by_name, where, point, point.scale_register)
        if point.counter is not None and point.counter.power is not None:
            found += _power_findings(parts, by_name, (*where, "counter", "power"), point.counter.power)
        for key, energy in (("counter", point.counter), ("integrate", point.integrate)):
            if energy is not None and energy.part_of is not None:
                found += _part_findings(parts, by_name, (*where, key, "part_of"), point, energy.part_of)
    return found


def _part_findings(
    parts: _Parts, by_name: Mapping[str, Point], where: Where, point: Point, whole: str
) -> Iterator[Finding]:
    if whole not in parts.names.values():
        yield _unknown(where, whole, parts)
    elif whole == point.name or (whole in by_name and by_name[whole].counter is None):
        yield Finding(where, f"'{whole}' is no other counter", "name the counter that includes this energy")


def _duplicates(parts: _Parts) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, name in parts.names.items():
        if name in seen:
            yield Finding(("point", index, "name"), f"'{name}' is the name of an earlier point")
        seen.add(name)


def _overlaps(parts: _Parts) -> Iterator[Finding]:
    """Two points may share registers only when one of them reads the same registers as bits."""
    items = sorted(parts.points.items(), key=lambda item: (item[1].function, item[1].address))
    for (_, first), (index, second) in combinations(items, 2):
        if first.function != second.function or second.address >= first.end:
            continue
        same = (first.address, first.words) == (second.address, second.words)
        if same and first.is_bits != second.is_bits:
            continue
        message = f"'{second.name}' overlaps '{first.name}' at {first.address}..{first.end - 1}"
        yield Finding(("point", index, "address"), message, "check address and type of both")


def _identity_findings(parts: _Parts, by_name: Mapping[str, Point]) -> Iterator[Finding]:
    for key, name in (("serial", parts.identity.serial), ("model", parts.identity.model)):
        if name is None:
            continue
        if name not in parts.names.values():
            yield _unknown(("identity", key), name, parts)
        elif name in by_name and by_name[name].is_float:
            yield Finding(("identity", key), f"'{name}' is a float and cannot tell devices apart")


def _scale_register_findings(
    parts: _Parts, by_name: Mapping[str, Point], where: Where, user: Point, name: str
) -> Iterator[Finding]:
    where = (*where, "scale_register")
    register = by_name.get(name)
    if name not in parts.names.values():
        yield _unknown(where, name, parts)
    if register is None:
        return
    if register.type != "i16" or register.scale != 1 or register.byte_order != "big":
        yield Finding(where, f"'{name}' is not a power of ten", "it is a plain i16 without scale, big-endian")
    if register.function != user.function or register.poll != user.poll:
        yield Finding(where, f"'{name}' has another function or poll and would be read apart from its value")
    if register.read_alone or user.read_alone:
        yield Finding(where, f"'{name}' and '{user.name}' belong in one read, so neither is read alone")
    span = max(register.end, user.end) - min(register.address, user.address)
    if span > parts.manners.max_block:
        message = f"'{name}' is too far away to be read with its value: {span} registers"
        yield Finding(where, message, f"link.max_block is {parts.manners.max_block}")


def _power_findings(parts: _Parts, by_name: Mapping[str, Point], where: Where, name: str) -> Iterator[Finding]:
    if name not in parts.names.values():
        yield _unknown(where, name, parts)
    elif name in by_name and by_name[name].quantity != "power":
        yield Finding(where, f"'{name}' is not a power", "name the point whose integral the counter is")


def _unknown(where: Where, name: str, parts: _Parts) -> Finding:
    return Finding(where, f"there is no point '{name}'", did_you_mean(name, parts.names.values()))
