"""The answers about the ledger, as pydantic models; their numbers keep the rules of `gateway.web.models`."""

from typing import Literal

from pydantic import Field

from gateway.web.models import Decimal, Exact, Model, Ms, Ng


class RegisterTotal(Model):
    """Energy and carbon of one register in one account."""

    device: str
    register_: str = Field(alias="register")
    flow: str
    account: str
    energy_mWh: Exact
    emitted_ng: Ng
    baseline_ng: Ng | None
    rows: Exact
    missing_ms: Exact


class Totals(Model):
    """Sums over whole days under one lens; accounts stand side by side and are never added up.

    With `as_of`, of what was booked by the end of that day; else of all that is known.
    """

    lens: str
    as_of: str | None
    registers: list[RegisterTotal]
    from_: str = Field(alias="from")
    to: str


class Entry(Model):
    """Carbon of one register over one interval, with the raw counter it came from; or a sum of such."""

    seq: Exact
    row: int
    entry_id: str | None
    kind: Literal["normal", "reversal", "restatement", "pruned"]
    reverses: str | None
    run: str | None
    reason: str | None
    booked_ms: Ms
    device: str
    register_: str = Field(alias="register")
    flow: str
    epoch: int | None
    t0_ms: Ms
    t1_ms: Ms
    rows: Exact
    energy_mWh: Exact | None
    lo_mWh: Decimal | None
    hi_mWh: Decimal | None
    raw_begin: Decimal | None
    raw_end: Decimal | None
    lens: str
    account: str
    method: str | None
    factor: str | None
    matched_mWh: Exact | None
    emitted_ng: Ng | None
    baseline_ng: Ng | None
    lo_ng: Ng | None
    hi_ng: Ng | None
    class_: str | None = Field(alias="class")
    flags: list[str]


class Entries(Model):
    """Ledger entries, newest first; ask again with `next_before_seq` until it is null.

    Of records up to `pruned_through` only headers are left here (0: of none); the receiver has their entries.
    """

    entries: list[Entry]
    next_before_seq: Exact | None
    pruned_through: Exact


class TracedTotal(RegisterTotal):
    """A stored total, and whether the entries add up to exactly it."""

    agrees: bool


class MissingRow(Model):
    """An interval without an amount. A reversal of one takes the missing time back."""

    seq: Exact
    row: int
    kind: Literal["normal", "reversal", "restatement"]
    register_: str = Field(alias="register")
    t0_ms: Ms
    t1_ms: Ms
    flags: list[str]


class DayTrace(Model):
    """One device's day in the site's time zone under one lens."""

    day: str
    device: str
    lens: str
    totals: list[TracedTotal]
    entries: list[Entry]
    missing: list[MissingRow]


class Interval(Model):
    """Energy of one register between two times, with the raw counter it came from."""

    seq: Exact
    row: int
    kind: Literal["normal", "reversal", "restatement"]
    device: str
    register_: str = Field(alias="register")
    flow: str
    epoch: int
    t0_ms: Ms
    t1_ms: Ms
    energy_mWh: Exact | None
    raw_begin: Decimal | None
    raw_end: Decimal | None
    class_: str = Field(alias="class")
    flags: list[str]


class Step(Model):
    """One sentence of a proof."""

    about: str
    text: str


class CoverageNote(Model):
    """How far a register was closed at some time: in time, silent, asleep, or held because its readings disagree."""

    at_ms: Ms
    since_ms: Ms | None
    state: Literal["in time", "silent", "held", "asleep"]


class AlarmNote(Model):
    """An alarm of the event log; without a device it is about the gateway."""

    t_ms: Ms
    what: str
    device: str
    text: str


class FactorRecord(Model):
    """Where a factor comes from; only its name when the factor table has it no longer."""

    ref: str
    value_mg_per_kWh: Exact | None
    gas_basis: str | None = None
    region: str | None = None
    lens: str | None = None
    data_year: int | None = None
    published: str | None = None
    publisher: str | None = None
    document: str | None = None
    document_sha256: str | None = None
    confidence: str | None = None


class EntryTrace(Model):
    """One entry and everything it rests on; `past` is all that was ever booked for that time, oldest first."""

    seq: Exact
    row: int
    entry: Entry | None
    interval: Interval | None
    steps: list[Step]
    past: list[Entry]
    coverage: list[CoverageNote]
    alarms: list[AlarmNote]
    factor: FactorRecord | None


class StreamHead(Model):
    """Last record of a stream and the chain hash after it."""

    seq: Exact
    hash: str


class Verification(Model):
    """What recomputing the ledger from its intervals and factors found; heads are by stream, to be compared."""

    ok: bool
    records: Exact
    problems: list[str]
    heads: dict[str, StreamHead]
