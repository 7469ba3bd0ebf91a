"""A point of a profile: one value in a device's registers and what it means."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from drivers.point_checks import LAST_REGISTER, point_findings
from drivers.toml_file import did_you_mean, refusal
from drivers.units import MILLI, QUANTITY_OF_UNIT, Quantity

Flow = Literal["generation", "import", "export", "consumption", "charge", "discharge"]
Order = Literal["big", "little"]

MOST_W = 1_000_000_000
"""No device of a community has more power."""

# Registers of each numeric type; `str<N>` has N.
WORDS = {
    "u16": 1,
    "i16": 1,
    "bits16": 1,
    "u32": 2,
    "i32": 2,
    "f32": 2,
    "bits32": 2,
    "u64": 4,
    "i64": 4,
    "f64": 4,
}

_DECIMAL = re.compile(r"-?\d{1,12}(\.\d{1,12})?")
_TEXT_TYPE = re.compile(r"str([1-9]\d?|1[01]\d|12[0-5])")  # as many registers as one read brings


def _decimal(value: Any) -> Fraction:
    if isinstance(value, Fraction):
        return value
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return Fraction(value)
    hint = 'write it exactly and in quotes, as in "0.01"'
    raise PydanticCustomError("decimal", "must be a decimal number as text", {"hint": hint})


def _type(value: Any) -> str:
    if isinstance(value, str) and (value in WORDS or _TEXT_TYPE.fullmatch(value)):
        return value
    hint = did_you_mean(str(value), [*WORDS, "str10"])
    raise PydanticCustomError("register_type", "is not a register type", {"hint": hint})


def _codes(value: Any) -> dict[int, str]:
    if not isinstance(value, dict):
        raise PydanticCustomError("codes", "must be a table of code and text", {})
    codes = {}
    for key, text in value.items():
        try:
            codes[int(str(key), 0)] = text
        except ValueError:
            hint = 'codes are numbers, as in 512 = "on grid" or 0x0200 = "on grid"'
            raise PydanticCustomError("codes", "'{code}' is not a code", {"code": str(key), "hint": hint}) from None
    return codes


Decimal = Annotated[
    Fraction,
    BeforeValidator(_decimal),
    WithJsonSchema({"type": "string", "pattern": rf"^{_DECIMAL.pattern}$"}),
]
RegisterType = Annotated[
    str,
    BeforeValidator(_type),
    WithJsonSchema({"type": "string", "pattern": rf"^({'|'.join(WORDS)}|{_TEXT_TYPE.pattern})$"}),
]
Codes = Annotated[
    dict[int, str],
    BeforeValidator(_codes),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}}),
]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=64)]
Address = Annotated[int, Field(ge=0, le=LAST_REGISTER)]
BitPattern = Annotated[int, Field(ge=0, lt=1 << 64)]


class Table(BaseModel):
    """A table of a profile: no unknown key, no silent conversion, not changed after reading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, arbitrary_types_allowed=True
    )


class Counter(Table):
    """Makes an energy point a register of the ledger."""

    flow: Flow
    policy: Literal["lifetime", "daily", "session"] = "lifetime"
    modulus: int | None = Field(default=None, gt=1, le=1 << 63, description="counts of one turn; default 2^width")
    refresh_s: int = Field(default=60, ge=0, le=86_400, description="how old the value may be inside the device")
    jitter: int = Field(default=1, ge=0, le=1_000_000, description="counts it may fall without meaning it")
    max_power_W: int | None = Field(default=None, gt=0, le=MOST_W, description="default: the device's, from the site")
    power: Name | None = Field(default=None, description="the power point whose integral it is")
    part_of: Name | None = Field(default=None, description="the register that has this energy in it already")
    session_id: Name | None = Field(default=None, description="session counters: the point that changes with each one")
    at_midnight: bool = Field(default=False, description="daily counters: starts anew at the site's midnight, surely")


class Integrate(Table):
    """Makes a power point a register of the ledger where the device has no counter.

    Positive power is energy of `flow`.
    """

    flow: Flow
    part_of: Name | None = Field(default=None, description="the register that has this energy in it already")


class Point(Table):
    """One value in the registers: display value = raw x sign x scale x 10^(scale register) + offset.

    The sign is turned so that generation, import, consumption and charge are positive power.
    """

    name: Name
    address: Address = Field(description="zero-based address on the wire")
    tail_address: Address | None = Field(
        default=None, description="where the second half of the registers is when it is not right behind the first"
    )
    type: RegisterType
    function: Literal[3, 4] = 3
    scale: Decimal = Fraction(1)
    offset: Decimal = Fraction(0)
    unit: str = ""
    quantity: Quantity = Field(default="other", description="left out: the one its unit belongs to")
    scale_register: Name | None = Field(default=None, description="i16 point with the power of ten")
    decimals: bool = Field(default=False, description="the scale register counts decimals: 2 there is 10^-2")
    sentinels: tuple[BitPattern, ...] = Field(default=(), strict=False, description="bits that mean no value")
    valid: tuple[float, float] | None = Field(default=None, strict=False)
    sign: Literal[1, -1] = 1
    absolute: bool = False
    word_order: Order = "big"
    byte_order: Order = "big"
    poll: Literal["live", "once"] = "live"
    read_alone: bool = False
    read_with: Name | None = Field(default=None, description="the point that makes sense only from the same read")
    states: Codes = Field(default={}, description="codes of a number or bit numbers of a bit set")
    states_zh: Codes = Field(default={})
    example: float | str | None = None
    source: str = ""
    confidence: Literal[0, 1, 2] = 0
    counter: Counter | None = None
    integrate: Integrate | None = None

    @property
    def words(self) -> int:
        """Registers the value takes."""
        return int(self.type[3:]) if self.is_text else WORDS[self.type]

    @property
    def addresses(self) -> tuple[int, ...]:
        """Its registers, in the order of its words."""
        if self.tail_address is None:
            return tuple(range(self.address, self.address + self.words))
        half = self.words // 2
        return (*range(self.address, self.address + half), *range(self.tail_address, self.tail_address + half))

    @property
    def start(self) -> int:
        """Address of the first register."""
        return min(self.addresses)

    @property
    def end(self) -> int:
        """Address after the last register."""
        return max(self.addresses) + 1

    def exponent(self, scale: int) -> int:
        """The power of ten when the scale register holds `scale`."""
        return -scale if self.decimals else scale

    @property
    def is_ledger(self) -> bool:
        """Whether its energy is booked."""
        return self.counter is not None or self.integrate is not None

    @property
    def is_text(self) -> bool:
        return self.type.startswith("str")

    @property
    def is_float(self) -> bool:
        return self.type.startswith("f")

    @property
    def is_bits(self) -> bool:
        return self.type.startswith("bits")

    @property
    def is_signed(self) -> bool:
        return self.type.startswith("i")

    def word(self, code: int) -> str | None:
        """The word for a code, or the words for the bits that are set; None when the profile has none."""
        if self.is_bits:
            return ", ".join(word for bit, word in self.states.items() if code >> bit & 1) or None
        return self.states.get(code)

    @property
    def counter_modulus(self) -> int:
        """Counts of one turn of a counter point; 0 when it has none that can be relied on.

        A float, signed or 64-bit register has none of its own: it never reaches its end, or goes
        on with a value that is no count.
        """
        if self.counter is not None and self.counter.modulus is not None:
            return self.counter.modulus
        return 1 << 16 * self.words if self.type in ("u16", "u32") else 0

    @property
    def canonical(self) -> Fraction | None:
        """mWh or mW in one raw count, sign included, before the power of ten; None for other quantities."""
        milli = MILLI.get(self.unit)
        return None if milli is None else self.sign * self.scale * milli

    @model_validator(mode="before")
    @classmethod
    def _take_quantity_of_unit(cls, data: Any) -> Any:
        if isinstance(data, dict) and "quantity" not in data and isinstance(data.get("unit"), str):
            return {**data, "quantity": QUANTITY_OF_UNIT.get(data["unit"], "other")}
        return data

    @model_validator(mode="after")
    def _is_coherent(self) -> Self:
        findings = point_findings(self)
        if findings:
            raise refusal(self.name, findings)
        return self
