"""The configuration file as typed tables: what a single key may hold."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from drivers.toml_file import Finding, refusal
from sync.telemetry.address import parse_broker_url, topic_prefix

HOUR_MS = 3_600_000
UNITS_MS = {"ms": 1, "s": 1_000, "min": 60_000, "h": HOUR_MS, "d": 24 * HOUR_MS}

Role = Literal["pv", "grid", "hydro", "battery", "load", "charger", "wastewater", "water", "light", "generator"]


def duration_ms(text: object) -> int:
    """Milliseconds of a duration such as "500ms", "1s", "5min", "2h" or "1d"; ValueError otherwise."""
    match = re.fullmatch(r"(\d{1,9})\s*(ms|s|min|h|d)", text.strip()) if isinstance(text, str) else None
    if match is None or int(match[1]) == 0:
        raise ValueError('a duration is text with a unit, for example "1s", "500ms" or "5min"')
    return int(match[1]) * UNITS_MS[match[2]]


def between_ms(low_ms: int, high_ms: int) -> Callable[[int], int]:
    """A check that a duration lies within the bounds given (milliseconds, inclusive)."""

    def check(value_ms: int) -> int:
        if not low_ms <= value_ms <= high_ms:
            raise ValueError(f"must lie between {low_ms / 1000:g} s and {high_ms / 1000:g} s")
        return value_ms

    return check


def grid_ms(value_ms: int) -> int:
    """An interval length that divides the UTC hour (carbon-method: canonical cuts)."""
    if HOUR_MS % value_ms or value_ms < 1000:
        raise ValueError('must divide an hour, for example "5s", "1min", "5min" or "15min"')
    return value_ms


def a_month_or_more(value_ms: int) -> int:
    """A retention that leaves time to look into last month's figures, and ends."""
    if not 31 * UNITS_MS["d"] <= value_ms <= 36_525 * UNITS_MS["d"]:
        raise ValueError('must lie between "31d" and "36525d"')
    return value_ms


def side_by_side(lenses: list[str]) -> list[str]:
    """The lenses, the main one first; ValueError for a market lens that stands alone."""
    if lenses not in (["location"], ["location", "market"]):
        raise ValueError('must be ["location"] or ["location", "market"]: a market figure stands beside the other')
    return lenses


def usable_path(path: Path) -> Path:
    """A path that a file system can hold; ValueError otherwise."""
    if "\0" in str(path):
        raise ValueError("holds a character that no path can have")
    return path


def web_address(url: str) -> str:
    """An http or https address with a host; ValueError otherwise. Secrets do not belong into it."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not parts.query
    except ValueError:
        usable = False
    if not usable or "@" in url or any(character.isspace() for character in url):
        raise ValueError('must be "https://host" or "https://host:port/path", without name, password or query')
    return url


def broker_url(url: str) -> str:
    """An mqtt or mqtts address; ValueError otherwise. Secrets do not belong into it."""
    parse_broker_url(url)
    return url


def known_timezone(name: str) -> str:
    """The name of a time zone of the tz database; ValueError otherwise."""
    if name not in available_timezones():
        near = difflib.get_close_matches(name, available_timezones(), n=1)
        raise ValueError("is not a time zone of the tz database" + (f"; did you mean {near[0]}?" if near else ""))
    return name


def endpoint(text: str) -> str:
    """An address to listen on, "host:port"; ValueError otherwise."""
    host, _, port = text.rpartition(":")
    if not host or "/" in host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError('must be "host:port", for example "127.0.0.1:8480"')
    return text


DurationText = WithJsonSchema({"type": "string", "pattern": r"^[0-9]+ ?(ms|s|min|h|d)$"})
Duration = Annotated[int, BeforeValidator(duration_ms), DurationText]
FilePath = Annotated[Path, Field(strict=False), AfterValidator(usable_path)]
Topic = Annotated[str, AfterValidator(topic_prefix)]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\s/\\][^/\\\x00-\x1f]*$")]


class Section(BaseModel):
    """A table of the file: unknown keys are faults, values never change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, strict=True)


class GatewaySection(Section):
    """Who and where this gateway is."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
    """Name at the receiver: lower-case letters, digits, dot, dash, underscore."""
    region: str
    """Picks the grid factors, for example CN-SC; never guessed from an address."""
    timezone: Annotated[str, AfterValidator(known_timezone)] = "Asia/Shanghai"
    """Whose midnight ends a day in the totals."""
    data_dir: FilePath
    """Folder of the database, the lock and the API socket."""
    checkpoint_ms: Annotated[Duration, AfterValidator(between_ms(1000, 120_000)), Field(alias="checkpoint")] = 60_000
    """How often the state between two closes is made durable."""
    clock: Literal["vouched", "system"] = "vouched"
    """Whose time is believed: one that a time service keeps, or also the machine's own, which has a battery."""


class LinkSection(Section):
    """One wire: a TCP endpoint or a serial line."""

    name: Name
    url: str
    """tcp://host:port, rtu:///dev/…?baud=9600&parity=N or rtu+tcp://host:port."""


class DeviceSection(Section):
    """One device on a link."""

    name: Name
    link: str
    unit: Annotated[int, Field(ge=0, le=255)] | None = None
    """Modbus unit id; the profile's when left out."""
    profile: str
    role: Role
    period_ms: Annotated[Duration, AfterValidator(between_ms(200, HOUR_MS)), Field(alias="period")] = 1000
    """How often it is read."""
    max_power_W: Annotated[int, Field(gt=0, le=1_000_000_000)] | None = None
    """Nameplate power of this very device, where it differs from the profile's."""
    supply: Literal["grid", "own", "direct"] = "grid"
    """Where its energy comes from: the grid, its own off-grid generation, or a direct line (hydro)."""
    baseline: Literal["grid"] | None = None
    """Declared counterfactual; left out means: unknown, and no avoided figure exists."""
    attributes_retained: bool | None = None
    """Whether the site keeps the certificates of what this device generates (true) or sells them (false)."""
    contract_kWh_per_year: Annotated[int, Field(gt=0, le=1_000_000_000)] | None = None
    """Energy from the grid that a contract covers in each calendar year, under the market lens."""


class CarbonSection(Section):
    """How energy becomes carbon."""

    interval_ms: Annotated[Duration, AfterValidator(grid_ms), Field(alias="interval")] = 300_000
    lenses: Annotated[list[Literal["location", "market"]], AfterValidator(side_by_side)] = ["location"]
    """By which conventions grid electricity is counted, side by side."""
    residual_region: str | None = None
    """Whose residual mix the market lens takes for what no contract covers."""
    retention_ms: Annotated[Duration, AfterValidator(a_month_or_more), Field(alias="retention")] = 730 * UNITS_MS["d"]
    """How long records are kept in full after the receiver has them; then their sums and hashes stay."""
    accept_unverified: bool | list[str] = False
    """Factors below confidence A that may be used: true for all, or their refs as `huxi factors list` shows them."""

    def regions(self, place: str) -> dict[str, str]:
        """The region whose factors each lens takes, for a site in the region `place`."""
        of = {"location": place, "market": self.residual_region or ""}
        return {lens: of[lens] for lens in self.lenses}


class SeriesSection(Section):
    """What is kept of measured values, for people to look at. Rollups always are."""

    raw: bool = False
    """Whether every reading is kept."""
    raw_days: Annotated[int, Field(ge=1, le=366)] = 7
    """For how many days."""
    raw_MB_per_day: Annotated[int, Field(ge=1, le=100_000)] = 500
    """Budget: what is more is not kept that day (UTC). A reading takes about 2 bytes."""


class SyncSection(Section):
    """The central receiver."""

    url: Annotated[str, AfterValidator(web_address)]
    token_file: FilePath
    """File that holds the token; secrets never stand in the configuration."""
    ca_file: FilePath | None = None
    """PEM file of the authority that signed the receiver's certificate, when it is none of the well-known ones."""
    cert_file: FilePath | None = None
    """PEM file with this gateway's own certificate and key, for receivers that want one."""
    proxy: Annotated[str, AfterValidator(web_address)] | None = None
    """HTTP proxy on the way to the receiver."""
    time_key_file: FilePath | None = None
    """PEM file with the public key of the receiver's signed time, asked for while nobody vouches for the clock."""
    budget_kB_per_day: Annotated[int, Field(ge=100)] | None = None
    """Most kilobytes (1000 bytes) to and fro on one UTC day; without it as many as there are."""
    ledger_every_ms: Annotated[
        Annotated[Duration, AfterValidator(between_ms(1000, 24 * HOUR_MS))] | None, Field(alias="ledger_every")
    ] = None
    """How often the ledger is sent; without it as soon as there is something. Alarms never wait."""
    live_ms: Annotated[Annotated[Duration, AfterValidator(between_ms(1000, HOUR_MS))] | None, Field(alias="live")] = (
        None
    )
    """How often the newest values are shown to the receiver; without it never."""


class MqttSection(Section):
    """Live values for other programs of the site."""

    url: Annotated[str, AfterValidator(broker_url)]
    """mqtt://host:1883, or mqtts://host:8883 under TLS."""
    username: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    password_file: FilePath | None = None
    """File that holds the password; secrets never stand in the configuration."""
    ca_file: FilePath | None = None
    """Certificates (PEM) by which the broker's is judged; left out: those that this machine trusts."""
    prefix: Topic | None = None
    """What every topic begins with; left out: huxi/ and the gateway's id."""
    period_ms: Annotated[Duration, AfterValidator(between_ms(1000, HOUR_MS)), Field(alias="period")] = 10_000
    """How often the newest values are sent."""
    discovery: bool = True
    """Whether Home Assistant is told of the devices, so that it shows them by itself."""
    discovery_prefix: Topic = "homeassistant"
    """Its discovery prefix, as set there."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        found = []
        if self.password_file is not None and self.username is None:
            found.append(Finding(("password_file",), "is of no use without a user name", 'add username = "…"'))
        if self.ca_file is not None and not parse_broker_url(self.url).tls:
            found.append(Finding(("ca_file",), "is of no use without TLS", "write mqtts:// in url"))
        if found:
            raise refusal("mqtt", found)
        return self


class WebSection(Section):
    """The local page."""

    enabled: bool = True
    listen: Annotated[str, AfterValidator(endpoint)] = "127.0.0.1:8480"

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port to listen on, or None when the page is off."""
        host, _, port = self.listen.rpartition(":")
        return (host.strip("[]"), int(port)) if self.enabled else None


class ConfigFile(Section):
    """The whole file."""

    gateway: GatewaySection
    link: Annotated[list[LinkSection], Field(min_length=1)]
    device: Annotated[list[DeviceSection], Field(min_length=1)]
    carbon: CarbonSection = CarbonSection()
    series: SeriesSection = SeriesSection()
    sync: SyncSection | None = None
    mqtt: MqttSection | None = None
    web: WebSection = WebSection()


def config_schema() -> dict[str, Any]:
    """The JSON Schema of the configuration file."""
    return ConfigFile.model_json_schema(by_alias=True)
