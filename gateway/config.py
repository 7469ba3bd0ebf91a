"""Configuration: one TOML file, read once into frozen values; every fault is reported at once, with its place."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
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
    MqttSection,
    SeriesSection,
    SyncSection,
    WebSection,
)
from sync.telemetry.address import parse_broker_url

_Section = TypeVar("_Section", SyncSection, MqttSection)


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
    series: SeriesSection
    sync: SyncSection | None
    mqtt: MqttSection | None
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
    sync = parsed.sync and _beside(base, parsed.sync)
    return Config(
        gateway=gateway,
        links=tuple(parsed.link),
        devices=tuple(parsed.device),
        carbon=parsed.carbon,
        series=parsed.series,
        sync=sync,
        mqtt=parsed.mqtt and _beside(base, parsed.mqtt),
        web=parsed.web,
        profiles=profiles,
        factors=factors,
    )


def _beside(base: Path, section: _Section) -> _Section:
    """The same with its files taken from the folder `base`."""
    files = {name: base / path for name, path in section if isinstance(path, Path)}
    return section.model_copy(update=files)


def read_token(sync: SyncSection) -> str:
    """The token in the file that [sync] names; ConfigError when it cannot be used."""
    token = _secret(sync.token_file, "sync.token_file", "write the receiver's token into it")
    if not re.fullmatch(r"[\x21-\x7e]{8,512}", token):
        hint = "a token is one line of 8 to 512 letters, digits and signs"
        raise _file_fault(sync.token_file, "sync.token_file", "holds no usable token", hint)
    return token


def read_password(mqtt: MqttSection) -> str | None:
    """The password in the file that [mqtt] names, None when it names none; ConfigError when it cannot be used."""
    if mqtt.password_file is None:
        return None
    password = _secret(mqtt.password_file, "mqtt.password_file", "write the broker's password into it")
    if not (0 < len(password) <= 512 and password.isprintable()):
        hint = "a password is one line of 1 to 512 characters"
        raise _file_fault(mqtt.password_file, "mqtt.password_file", "holds no usable password", hint)
    return password


def read_trust(mqtt: MqttSection) -> ssl.SSLContext | None:
    """What the broker's certificate is judged by, None without TLS; ConfigError when `ca_file` cannot be used."""
    if not parse_broker_url(mqtt.url).tls:
        return None
    try:
        return ssl.create_default_context(cafile=mqtt.ca_file)
    except OSError as error:  # ssl's own errors are of this kind
        hint = "name a file of certificates in PEM"
        raise _file_fault(mqtt.ca_file or Path(), "mqtt.ca_file", f"cannot be used: {error}", hint) from None


def _secret(path: Path, key: str, hint: str) -> str:
    """The text in a file of a secret, without blanks around it; ConfigError when it is not readable, or by all."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _file_fault(path, key, f"cannot be read: {error}", hint) from None
    if mode & 0o007:
        raise _file_fault(path, key, "can be read by everybody", f"chmod 640 {path}")
    return text


def _file_fault(path: Path, key: str, message: str, hint: str) -> ConfigError:
    return ConfigError([Fault(file=str(path), line=0, key=key, message=message, hint=hint)])
