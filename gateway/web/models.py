"""The answers of the local API, as pydantic models: the contract, its check and its OpenAPI in one place.

Carbon (`_ng`) and raw counters are decimal strings: JSON numbers stop being exact at 2^53 in browsers.
Energy, times and sequence numbers are JSON numbers and must stay below that.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

Exact = Annotated[int, Field(ge=-(2**53) + 1, le=2**53 - 1)]
Decimal = Annotated[str, Field(pattern=r"^-?\d+$", max_length=40)]
Ms = Annotated[Exact, Field(description="milliseconds since 1970-01-01 UTC")]
Ng = Annotated[Decimal, Field(description="nanograms of CO2(e) as a decimal string")]

DeviceState = Literal["ok", "late", "silent", "never", "disconnected", "asleep", "frozen"]
QualityName = Literal[
    "ok",
    "no_value",
    "out_of_range",
    "bad",
    "timeout",
    "refused",
    "link_down",
    "corrupt",
    "unread",
    "frozen",
    "asleep",
    "stale",
    "implausible",
]


class Model(BaseModel):
    """An answer or a part of one; a key that is not named here is refused."""

    model_config = ConfigDict(extra="forbid")


class Problem(Model):
    """One thing that is wrong, for a person: `what` is a stable code, `text` and `remedy` are English."""

    what: str
    where: str
    text: str
    remedy: str


class Error(Model):
    """Every answer with a status of 400 or above."""

    error: str
    remedy: str


class Health(Model):
    """The daemon answers. No data."""

    ok: bool


class Clock(Model):
    """Whether readings can be dated, who vouched for that (null: nobody), and both in an English sentence."""

    trusted: bool
    source: str | None
    text: str


class ClockTrusted(Model):
    """The time that was taken as right."""

    now_ms: Ms


class FactorName(Model):
    """The grid factor in use now."""

    id: str
    value_mg_per_kWh: Exact
    data_year: int
    provisional: bool


class Link(Model):
    """One wire and how its exchanges went since start; `asleep` when all its devices are.

    `latest_ms` is how long after its time-out an answer still came, 0 when none was heard.
    """

    name: str
    url: str
    connected: bool
    asleep: bool
    ok: Exact
    failed: Exact
    last_error: str | None
    round_trip_ms: FiniteFloat | None
    latest_ms: FiniteFloat


class DeviceCount(Model):
    """How many devices are configured, how many answer, and how many are silent without a fault."""

    total: int
    live: int
    asleep: int


class Buffer(Model):
    """What the store holds."""

    records: Exact
    bytes: Exact
    oldest_unsent_ms: Ms | None
    disk_free_bytes: Exact | None
    hours_left: Annotated[FiniteFloat, Field(description="until the disk is full at the pace of the last day")] | None
    written_bytes_per_day: Annotated[Exact, Field(description="to the disk of the data folder, by everybody")] | None
    raw_today_bytes: Annotated[Exact, Field(description="raw series of this UTC day; null when off")] | None
    raw_budget_bytes: Exact | None


class SetAside(Model):
    """A record that the receiver rejects, with its reason."""

    stream: str
    seq: Exact
    kind: str
    t_ms: Ms
    reason: str


class SyncState(BaseModel):
    """How sending to the central server goes; the forwarder may add facts of its own."""

    model_config = ConfigDict(extra="allow")

    configured: bool
    url: str | None
    reachable: bool | None
    last_error: str | None
    last_ack_ms: Ms | None
    backlog_records: Exact
    quarantined: Exact
    """Records that the receiver rejects; they are kept here."""
    quarantine: list[SetAside]
    """The newest of them."""


class MqttState(Model):
    """How telling the MQTT broker goes; `connected` is null until it has been tried, `trouble` says who can help."""

    url: str
    connected: bool | None
    trouble: Literal["unreachable", "refused", "untrusted"] | None
    last_error: str | None


class Today(Model):
    """Sums of the site's current day under the status's lens; null where no baseline is declared."""

    energy_by_role_mWh: dict[str, Exact]
    emitted_ng: Ng | None
    baseline_ng: Ng | None
    avoided_ng: Ng | None


class Status(Model):
    """The gateway as a whole."""

    gateway: str
    version: str
    core: Literal["cython", "python"]
    pid: int
    started_ms: Ms
    now_ms: Ms
    clock: Clock
    region: str
    interval_s: int
    lens: str
    factor: FactorName | None
    links: list[Link]
    devices: DeviceCount
    buffer: Buffer
    sync: SyncState
    mqtt: MqttState | None = Field(description="null when no broker is configured")
    today: Today
    problems: list[Problem]


class PointValue(Model):
    """One point's newest value; null unless `quality` is ok. `text` is the word for a state."""

    name: str
    value: FiniteFloat | str | None
    unit: str
    quality: QualityName
    text: str | None


class Learnt(Model):
    """What a device refused when it was new, and is not asked again: points that it has not, places (function:address)
    that no read may cross, and the longest read that it takes when that is shorter than its profile says."""

    refused: list[str]
    barriers: list[str]
    max_block: int | None


class Device(Model):
    """One device with its newest values. `age_s` counts from its last good reading."""

    name: str
    title: str
    profile: str
    link: str
    unit: int
    role: str
    state: DeviceState
    age_s: FiniteFloat | None
    power_W: FiniteFloat | None
    today_mWh: Exact | None
    learnt: Learnt
    points: list[PointValue]


class Devices(Model):
    """All devices in the order of the configuration."""

    devices: list[Device]


class LiveDevice(Model):
    """The values of one device that change from second to second."""

    name: str
    state: DeviceState
    power_W: FiniteFloat | None
    values: dict[str, FiniteFloat | None]


class Live(Model):
    """The newest values of all devices: event `live`."""

    t_ms: Ms
    devices: list[LiveDevice]


class History(Model):
    """Power of one device over the last minutes, as two columns of equal length; null is a gap."""

    t_ms: list[Ms]
    power_W: list[FiniteFloat | None]


class Relearning(Model):
    """The device that is asked for everything again."""

    device: str


class Chart(Model):
    """Rollups of one point, as columns of equal length; null, and 0 readings, is a gap."""

    unit: str
    step_ms: int
    t_ms: list[Ms]
    readings: list[int]
    min: list[FiniteFloat | None]
    mean: list[FiniteFloat | None]
    max: list[FiniteFloat | None]
    last: list[FiniteFloat | None]


class Drained(Model):
    """Whether everything that waited has been acknowledged."""

    drained: bool
    error: str | None
