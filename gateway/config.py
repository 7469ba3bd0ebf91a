"""Configuration: one TOML file and the process's environment, read once into frozen values.

Every fault of a file is reported at once, each with file, line, key and a hint.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from drivers.catalogue import Catalogue, shipped
from drivers.errors import ProfileError
from drivers.faults import Fault
from drivers.modbus.errors import LinkUrlError
from drivers.modbus.url import parse_link_url
from drivers.profile import Profile
from drivers.toml_file import key_text, line_of, read_toml
from gateway.carbon import factors as factor_table
from gateway.carbon.errors import FactorError, RuleError
from gateway.carbon.factors import FactorSet
from gateway.carbon.rules import Declaration, lines_of

DEFAULT_PATH = Path("/etc/huxi/huxi.toml")
HOUR_MS = 3_600_000
UNITS_MS = {"ms": 1, "s": 1_000, "min": 60_000, "h": HOUR_MS, "d": 24 * HOUR_MS}

Role = Literal["pv", "grid", "hydro", "battery", "load", "charger", "wastewater", "water", "light", "generator"]


class ConfigError(Exception):
    """The configuration cannot be used; `faults` says everything that is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = list(faults)


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


def known_timezone(name: str) -> str:
    """The name of a time zone of the tz database; ValueError otherwise."""
    if name not in available_timezones():
        near = difflib.get_close_matches(name, available_timezones(), n=1)
        raise ValueError("is not a time zone of the tz database" + (f"; did you mean {near[0]}?" if near else ""))
    return name


def endpoint(text: str) -> str:
    """An address to listen on, "host:port"; ValueError otherwise."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ValueError('must be "host:port", for example "127.0.0.1:8480"')
    return text


DurationText = WithJsonSchema({"type": "string", "pattern": r"^[0-9]+ ?(ms|s|min|h|d)$"})
Duration = Annotated[int, BeforeValidator(duration_ms), DurationText]
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
    data_dir: Annotated[Path, Field(strict=False)]
    """Folder of the database, the lock and the API socket."""
    checkpoint_ms: Annotated[Duration, AfterValidator(between_ms(1000, 120_000)), Field(alias="checkpoint")] = 60_000
    """How often the state between two closes is made durable."""


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


class CarbonSection(Section):
    """How energy becomes carbon."""

    interval_ms: Annotated[Duration, AfterValidator(grid_ms), Field(alias="interval")] = 300_000
    lenses: list[Literal["location"]] = ["location"]


class SyncSection(Section):
    """The central receiver."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    token_file: Annotated[Path, Field(strict=False)]
    """File that holds the token; secrets never stand in the configuration."""


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
    sync: SyncSection | None = None
    web: WebSection = WebSection()


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A configuration without a fault, with the profiles it names."""

    gateway: GatewaySection
    links: tuple[LinkSection, ...]
    devices: tuple[DeviceSection, ...]
    carbon: CarbonSection
    sync: SyncSection | None
    web: WebSection
    profiles: Mapping[str, Profile]
    """Profile by name, for every device."""
    factors: FactorSet
    """The factor table."""

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.gateway.timezone)

    def unit(self, device: DeviceSection) -> int:
        """Modbus unit id of a device: its own, or else its profile's."""
        return self.profiles[device.profile].manners.unit if device.unit is None else device.unit


def load_config(path: Path) -> Config:
    """The configuration in `path`.

    Relative paths in the file are taken from its folder.
    A folder `profiles` beside the file overrides shipped profiles. Raises ConfigError with every fault found.
    """
    parsed, faults = read_toml(path, ConfigFile)
    if parsed is None:
        raise ConfigError(faults)
    try:
        factors = FactorSet.load(factor_table.shipped())
    except FactorError as error:
        raise ConfigError(error.faults) from None
    text = path.read_text(encoding="utf-8-sig")
    checks = _CrossChecks(
        path=path,
        text=text,
        file=parsed,
        catalogue=Catalogue([shipped(), *([own] if (own := path.parent / "profiles").is_dir() else [])]),
        regions=factors.regions(),
    )
    profiles, faults = checks.run()
    if faults:
        raise ConfigError(faults)
    base = path.parent
    gateway = parsed.gateway.model_copy(update={"data_dir": base / parsed.gateway.data_dir})
    sync = parsed.sync and parsed.sync.model_copy(update={"token_file": base / parsed.sync.token_file})
    return Config(
        gateway=gateway,
        links=tuple(parsed.link),
        devices=tuple(parsed.device),
        carbon=parsed.carbon,
        sync=sync,
        web=parsed.web,
        profiles=profiles,
        factors=factors,
    )


@dataclass(slots=True, kw_only=True)
class _CrossChecks:
    """What no single key can show: names that must exist, be unique or fit together."""

    path: Path
    text: str
    file: ConfigFile
    catalogue: Catalogue
    regions: Sequence[str]

    def run(self) -> tuple[dict[str, Profile], list[Fault]]:
        profiles, faults = self._profiles()
        faults += self._region() + self._links() + self._unique_devices()
        for index, device in enumerate(self.file.device):
            if profile := profiles.get(device.profile):
                faults += self._power(index, device, profile) + self._rules(index, device, profile)
        faults += self._addresses(profiles)
        return profiles, sorted(faults, key=lambda fault: (fault.file != str(self.path), fault.file, fault.line))

    def _fault(self, where: tuple[str | int, ...], message: str, hint: str = "") -> Fault:
        return Fault(
            file=str(self.path), line=line_of(self.text, where), key=key_text(where), message=message, hint=hint
        )

    def _region(self) -> list[Fault]:
        region = self.file.gateway.region
        if region in self.regions:
            return []
        return [
            self._fault(
                ("gateway", "region"),
                f"no factor is known for region {region!r}",
                _near(region, self.regions),
            )
        ]

    def _links(self) -> list[Fault]:
        faults: list[Fault] = []
        names: dict[str, int] = {}
        urls: dict[str, str] = {}
        for index, link in enumerate(self.file.link):
            try:
                parse_link_url(link.url)
            except LinkUrlError as error:
                faults.append(self._fault(("link", index, "url"), str(error)))
            if link.name in names:
                faults.append(
                    self._fault(
                        ("link", index, "name"),
                        f"a second link is called {link.name!r}",
                        "give each link a name of its own",
                    )
                )
            if (other := urls.setdefault(link.url, link.name)) != link.name:
                faults.append(
                    self._fault(
                        ("link", index, "url"),
                        f"link {other!r} has this address already",
                        "one wire is one link; put both devices on it",
                    )
                )
            names.setdefault(link.name, index)
        for index, device in enumerate(self.file.device):
            if device.link not in names:
                faults.append(
                    self._fault(
                        ("device", index, "link"),
                        f"there is no link called {device.link!r}",
                        _near(device.link, list(names)),
                    )
                )
        return faults

    def _unique_devices(self) -> list[Fault]:
        seen: set[str] = set()
        faults: list[Fault] = []
        for index, device in enumerate(self.file.device):
            if device.name in seen:
                faults.append(
                    self._fault(
                        ("device", index, "name"),
                        f"a second device is called {device.name!r}",
                        "give each device a name of its own",
                    )
                )
            seen.add(device.name)
        return faults

    def _addresses(self, profiles: Mapping[str, Profile]) -> list[Fault]:
        taken: dict[tuple[str, int], str] = {}
        faults: list[Fault] = []
        for index, device in enumerate(self.file.device):
            profile = profiles.get(device.profile)
            if device.unit is None and profile is None:
                continue
            unit = device.unit if device.unit is not None or profile is None else profile.manners.unit
            assert unit is not None
            other = taken.setdefault((device.link, unit), device.name)
            if other != device.name:
                faults.append(
                    self._fault(
                        ("device", index, "unit"),
                        f"device {other!r} is unit {unit} of link {device.link!r} already",
                        "two devices cannot have one address; set the unit id of one of them",
                    )
                )
        return faults

    def _profiles(self) -> tuple[dict[str, Profile], list[Fault]]:
        profiles: dict[str, Profile] = {}
        faults: list[Fault] = []
        broken: set[str] = set()
        for index, device in enumerate(self.file.device):
            name = device.profile
            if name in profiles or name in broken:
                continue
            if name not in self.catalogue.names():
                faults.append(
                    self._fault(
                        ("device", index, "profile"),
                        f"there is no profile {name!r}",
                        _near(name, self.catalogue.names()) or "see `huxi profile list`",
                    )
                )
                continue
            try:
                profiles[name] = self.catalogue.load(name)
            except ProfileError as error:
                broken.add(name)
                faults += error.faults
        return profiles, faults

    def _rules(self, index: int, device: DeviceSection, profile: Profile) -> list[Fault]:
        """A register without a rule would be energy that is booked nowhere."""
        declared = Declaration(role=device.role, supply=device.supply, baseline=device.baseline)
        flows = {point.counter.flow for point in profile.points if point.counter}
        flows |= {point.integrate.flow for point in profile.points if point.integrate}
        for flow in sorted(flows):
            try:
                lines_of(declared, flow)
            except RuleError as error:
                return [self._fault(("device", index, "role"), str(error))]
        return []

    def _power(self, index: int, device: DeviceSection, profile: Profile) -> list[Fault]:
        missing = [p.name for p in profile.points if p.counter and p.counter.max_power_W is None]
        if device.max_power_W is not None or not missing:
            return []
        return [
            self._fault(
                ("device", index, "profile"),
                f"counter {missing[0]!r} of profile {device.profile!r} needs the power of this very device",
                "add max_power_W = … (its nameplate) to this device",
            )
        ]


def _near(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def read_token(sync: SyncSection) -> str:
    """The token in the file that [sync] names; ConfigError when it cannot be used."""
    path = sync.token_file
    try:
        mode = path.stat().st_mode
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _token_fault(path, f"cannot be read: {error}", "write the receiver's token into it") from None
    if mode & 0o007:
        raise _token_fault(path, "can be read by everybody", f"chmod 640 {path}")
    if not re.fullmatch(r"[\x21-\x7e]{8,512}", token):
        raise _token_fault(path, "holds no token", "a token is one line of 8 to 512 letters, digits and signs")
    return token


def _token_fault(path: Path, message: str, hint: str) -> ConfigError:
    return ConfigError([Fault(file=str(path), line=0, key="sync.token_file", message=message, hint=hint)])


def config_schema() -> dict[str, Any]:
    """The JSON Schema of the configuration file."""
    return ConfigFile.model_json_schema(by_alias=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What the process that started us says: the only place where the environment is read."""

    notify_socket: str | None
    """Where systemd wants to hear of us, None when it does not."""
    watchdog_s: float | None
    """Longest silence that systemd's watchdog allows, None when it is off or meant for another process."""
    journal: bool
    """True when standard error goes to the journal."""


def read_environment(variables: Mapping[str, str] = os.environ, *, pid: int | None = None) -> Environment:
    """The environment, as systemd documents it (sd_notify(3), sd_watchdog_enabled(3), systemd.exec(5))."""
    usec = variables.get("WATCHDOG_USEC", "")
    ours = variables.get("WATCHDOG_PID", "") in ("", str(pid or os.getpid()))
    return Environment(
        notify_socket=variables.get("NOTIFY_SOCKET") or None,
        watchdog_s=int(usec) / 1e6 if usec.isdigit() and int(usec) > 0 and ours else None,
        journal="JOURNAL_STREAM" in variables,
    )
