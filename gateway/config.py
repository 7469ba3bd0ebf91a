"""Configuration: one TOML file, read once into frozen values; every fault is reported at once, with its place."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from drivers.catalogue import Catalogue, shipped
from drivers.faults import Fault
from drivers.load import Load, Polled, link_load
from drivers.modbus.url import parse_link_url
from drivers.profile import Profile
from drivers.toml_file import read_document, read_toml
from gateway.carbon.factors.factor_set import FactorSet
from gateway.config_checks import CrossChecks, sound_parts
from gateway.config_factors import site_factors
from gateway.config_file import (
    CarbonSection,
    ConfigFile,
    DeviceSection,
    GatewaySection,
    LinkSection,
    SyncSection,
    WebSection,
)


class ConfigError(Exception):
    """The configuration cannot be used; `faults` says everything that is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = list(faults)


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
    """The shipped factors and the site's own; it answers with what the site accepts."""

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.gateway.timezone)

    def profile_of(self, name: str) -> Profile:
        """The profile of the device called `name`."""
        return next(self.profiles[device.profile] for device in self.devices if device.name == name)

    def unit(self, device: DeviceSection) -> int:
        """Modbus unit id of a device: its own, or else its profile's."""
        return self.profiles[device.profile].manners.unit if device.unit is None else device.unit

    def load(self, link: LinkSection) -> Load:
        """How much of a link's time its polls take."""
        devices = [device for device in self.devices if device.link == link.name]
        polled = [Polled(profile=self.profiles[device.profile], period_ms=device.period_ms) for device in devices]
        return link_load(parse_link_url(link.url), polled)


def load_config(path: Path) -> Config:
    """The configuration in `path`.

    Relative paths in the file are taken from its folder.
    A folder `profiles` beside the file overrides shipped profiles; a folder `factors` in the data folder adds to
    the shipped factors. Raises ConfigError with every fault found.
    """
    parsed, faults = read_toml(path, ConfigFile)
    document, unreadable = read_document(path)
    if document is None:
        raise ConfigError(unreadable)
    sound = sound_parts(document)
    text = path.read_text(encoding="utf-8-sig")
    checks = CrossChecks(
        path=path,
        text=text,
        sound=sound,
        catalogue=Catalogue([shipped(), *([own] if (own := path.parent / "profiles").is_dir() else [])]),
    )
    profiles, more = checks.run()
    factors, unusable = site_factors(path, text, sound, now_ms=time.time_ns() // 1_000_000)
    if parsed is None or factors is None or unusable or more:
        raise ConfigError([*faults, *unusable, *more])
    base = path.parent
    gateway = parsed.gateway.model_copy(update={"data_dir": base / parsed.gateway.data_dir})
    sync = parsed.sync and _with_whole_paths(parsed.sync, base)
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


def _with_whole_paths(sync: SyncSection, base: Path) -> SyncSection:
    paths = {key: getattr(sync, key) for key in ("token_file", "ca_file", "cert_file")}
    return sync.model_copy(update={key: base / path for key, path in paths.items() if path is not None})


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
        raise _token_fault(path, "holds no usable token", "a token is one line of 8 to 512 letters, digits and signs")
    return token


def _token_fault(path: Path, message: str, hint: str) -> ConfigError:
    return ConfigError([Fault(file=str(path), line=0, key="sync.token_file", message=message, hint=hint)])
