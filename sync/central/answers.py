"""The answers of the receiver as types: docs/schema/central.openapi.json is made from them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Amount = Annotated[str, Field(pattern=r"^(0|-?[1-9][0-9]*)$", description="A whole number of any size, in decimal.")]
Whole = Annotated[int, Field(description="Below 2^53 in magnitude.")]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Ack(BaseModel):
    """The batch is durably held."""

    acked_through: int


class Trouble(BaseModel):
    """Nothing of the batch was stored, or the question cannot be answered."""

    error: str = Field(description="A word for programs.")
    detail: str = Field(description="One sentence for people.")
    expected: int | None = Field(None, description="Of a gap: the record that is due.")


class Stand(BaseModel):
    """Where a stream stands in the gateway's newest epoch."""

    epoch: str | None
    acked_through: int
    hash: Hash


class Register(BaseModel):
    """Sums of one register over everything received, corrections and restatements applied."""

    device: str
    register_: str = Field(alias="register")
    flow: str
    energy_mWh: Amount
    emitted_ng: Amount
    baseline_ng: Amount | None = Field(description="Null: no baseline was declared, which is not zero.")
    rows: int


class Totals(BaseModel):
    """Sums of a gateway's registers, carbon under the lens `location`."""

    registers: list[Register]


class Behind(BaseModel):
    """A register whose rows are missing, and why."""

    device: str
    register_: str = Field(alias="register")
    flow: str
    state: str = Field(description="A word of the contract; a number that this receiver has no word for.")
    since_ms: Whole | None = Field(description="Until when the register is closed; null: it was never read.")
    at_ms: Whole = Field(description="When that was told.")


class Coverage(BaseModel):
    """The registers that are behind."""

    registers: list[Behind]


class Tombstone(BaseModel):
    """A run of records that never come."""

    epoch: str
    stream: str
    first_seq: int
    last_seq: int
    reason: str
    sums_known: bool = Field(description="False: nobody knows what is missing.")


class Missing(BaseModel):
    """What they would have added, of one register; of intervals, lens and account are empty."""

    device: str
    register_: str = Field(alias="register")
    flow: str
    lens: str
    account: str
    rows: int
    energy_mWh: Amount
    emitted_ng: Amount
    baseline_ng: Amount | None = Field(description="Null: not known, or no baseline was declared.")


class Tombstones(BaseModel):
    """Runs of records that never come, and the sums of what they would have added."""

    tombstones: list[Tombstone]
    sums: list[Missing]


class SiteRegister(Register):
    """A register, and the gateway that it is of."""

    gateway: str


class SiteTotals(BaseModel):
    """Sums of the registers of a site's gateways; equal names at two gateways are two registers."""

    registers: list[SiteRegister]


class StreamHealth(BaseModel):
    """How one stream stands."""

    acked_through: int
    hash: Hash
    received_ms: Whole | None
    fork: str | None = Field(description="The last contradiction; a person has to look.")
    fork_ms: Whole | None
    refused: str | None = Field(description="Why the last batch that was refused was refused.")
    refused_ms: Whole | None


class Health(BaseModel):
    """How one gateway stands."""

    gateway: str
    tenant: str
    site: str
    state: str = Field(description="delivers, silent, never, refused, revoked or fork")
    detail: str
    epoch: str | None
    last_received_ms: Whole | None
    late: dict[str, int] = Field(description="How many registers are behind, by the word for why.")
    streams: dict[str, StreamHealth]


class Gateways(BaseModel):
    """A page of gateways, by id."""

    gateways: list[Health]
    after: str | None = Field(description="Ask for the next page with this; null: that was all.")


class Interval(BaseModel):
    """Energy of one register over [t0, t1), as it was booked."""

    epoch: str
    seq: int
    row: int
    device: str
    register_: str = Field(alias="register")
    flow: str
    register_epoch: int
    t0_ms: Whole
    t1_ms: Whole
    energy_mWh: Whole | None = Field(description="Null: missing, which is not zero.")
    raw_begin: Amount | None
    raw_end: Amount | None
    class_: int = Field(alias="class")
    flags: int
    kind: int = Field(description="0 normal, 1 reversal, 2 restatement")


class Intervals(BaseModel):
    """A page of intervals, in the order in which they were booked."""

    rows: list[Interval]
    after: str | None


class LedgerRow(BaseModel):
    """Carbon of one interval (kind 0), or of a day's intervals that went over to another factor (1 and 2)."""

    epoch: str
    seq: int
    row: int
    device: str
    register_: str = Field(alias="register")
    flow: str
    lens: str
    account: str
    method: str
    factor: str = Field(description="Empty: the method needs none.")
    t0_ms: Whole
    emitted_ng: Amount
    baseline_ng: Amount | None
    class_: int = Field(alias="class")
    flags: int
    intervals_seq: int | None
    interval_row: int | None
    day: str | None
    rows: int = Field(description="How many entries it stands for.")
    kind: int = Field(description="0 entry, 1 taken back, 2 stands instead")


class Ledger(BaseModel):
    """A page of the ledger, in the order in which it was booked."""

    rows: list[LedgerRow]
    after: str | None


class Live(BaseModel):
    """What a gateway showed last, and when; the rest is the gateway's own."""

    model_config = ConfigDict(extra="allow")

    live: bool
    received_ms: Whole


class Time(BaseModel):
    """The time of the receiver, signed over the nonce."""

    unix_ms: Whole
    signature: str = Field(pattern=r"^[0-9a-f]{128}$", description="Ed25519, in hex.")


class Alive(BaseModel):
    """The receiver answers and reaches its database."""

    ok: bool
