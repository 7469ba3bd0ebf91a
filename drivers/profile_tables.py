"""The tables of a profile file beside its points: what the product is and how it wants to be treated."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from drivers.point import MOST_W, WORDS, Address, BitPattern, Name, Order, Table
from drivers.toml_file import Finding, refusal

Kind = Literal["inverter", "charger", "meter", "battery", "wastewater", "generator", "light", "water"]
Shape = Literal["sun", "steady", "evening", "charging", "pulse"]
BitPatterns = Annotated[tuple[BitPattern, ...], Field(strict=False)]


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
    connect_delay_ms: int = Field(default=0, ge=0, le=600_000, description="silence after connecting")
    gap_ms: int = Field(default=0, ge=0, le=60_000, description="silence between an answer and the next request")
    timeout_ms: int = Field(default=1000, gt=0, le=600_000, description="longest wait for an answer")
    max_block: int = Field(default=100, ge=1, le=125, description="registers in one read")
    max_gap: int = Field(default=16, ge=0, le=125, description="unused registers that may be read over")
    barriers: Annotated[tuple[Address, ...], Field(strict=False)] = Field(
        default=(), description="addresses at which a read has to begin anew: no read goes across one"
    )
    one_client: bool = Field(default=False, description="a second connection disturbs the first")
    serial: str = Field(default="9600-8N1", pattern=r"^[1-9]\d{2,6}-8[NEO][12]$")

    @property
    def baud(self) -> int:
        """Bits a second on its serial line."""
        return int(self.serial.partition("-")[0])


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
    uptime: Name | None = Field(default=None, description="falls when the device was restarted: evidence of a reset")


class Sleep(Table):
    """That the product may be silent without a fault, as an inverter without battery is at night."""

    below_W: int = Field(gt=0, le=MOST_W, description="silence is sleep when the last power was below this")
    longest_h: int = Field(default=20, ge=1, le=1000, description="longer silence is no sleep")


class Frozen(Table):
    """When what the product says is no news, though it answers."""

    heartbeat: Name | None = Field(
        default=None,
        description="the number that changes while it works; left out: any live number, while there is power",
    )
    after_s: int = Field(ge=10, le=7 * 86_400, description="how long it has to stand still")


class Simulate(Table):
    """What the simulator plays for this product."""

    shape: Shape
    power_W: int = Field(gt=0, le=MOST_W, description="power at the top of the shape")


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
