"""What no single key of the configuration can show: names that must exist, be unique or fit together."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from drivers.catalogue import Catalogue
from drivers.errors import ProfileError
from drivers.faults import Fault
from drivers.load import FULL, Load, Polled, link_load
from drivers.modbus.errors import LinkUrlError
from drivers.modbus.url import parse_link_url
from drivers.profile import Profile
from drivers.toml_file import key_text, line_of
from gateway.carbon.booking.rules import Declaration, lines_of, takes_from_grid
from gateway.carbon.errors import RuleError
from gateway.config_file import CarbonSection, DeviceSection, LinkSection, Section

_Part = TypeVar("_Part", bound=Section)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """The parts of a file that are sound in themselves, by their position in it."""

    links: Mapping[int, LinkSection]
    devices: Mapping[int, DeviceSection]
    link_names: frozenset[str]
    """Of the faulty links too."""
    has_all_names: bool
    """True when every link has a name, so that a name that is missing is missing indeed."""
    region: str | None
    data_dir: str | None
    carbon: CarbonSection | None
    whole: bool
    """True when nothing was left out."""


def sound_parts(document: Mapping[str, Any]) -> Sound:
    """What can still be checked of a file with faults, so that one look at it tells everything."""
    raw_links, raw_devices = _tables(document, "link"), _tables(document, "device")
    links = {index: link for index, raw in enumerate(raw_links) if (link := _sound(LinkSection, raw))}
    devices = {index: device for index, raw in enumerate(raw_devices) if (device := _sound(DeviceSection, raw))}
    gateway = document.get("gateway")
    region, data_dir = (gateway.get(key) if isinstance(gateway, dict) else None for key in ("region", "data_dir"))
    return Sound(
        links=links,
        devices=devices,
        link_names=frozenset(str(raw.get("name")) for raw in raw_links),
        has_all_names=all(isinstance(raw.get("name"), str) for raw in raw_links),
        region=region if isinstance(region, str) else None,
        data_dir=data_dir if isinstance(data_dir, str) and "\0" not in data_dir else None,
        carbon=_sound(CarbonSection, document.get("carbon", {})),
        whole=len(links) == len(raw_links) and len(devices) == len(raw_devices),
    )


def _tables(document: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    tables = document.get(key)
    return [table for table in tables if isinstance(table, dict)] if isinstance(tables, list) else []


def _sound(model: type[_Part], raw: object) -> _Part | None:
    try:
        return model.model_validate(raw)
    except ValidationError:
        return None


def declaration(device: DeviceSection) -> Declaration:
    """What the accounting rules have to know of a device."""
    kWh = device.contract_kWh_per_year
    return Declaration(
        role=device.role,
        supply=device.supply,
        baseline=device.baseline,
        attributes_retained=device.attributes_retained,
        contract_mWh=None if kWh is None else kWh * MWH_PER_KWH,
    )


MWH_PER_KWH = 1_000_000
"""Milliwatt-hours."""
LONGEST_POWER_PERIOD_MS = 100_000
"""Three periods make a gap, and a gap is 300 s at most (carbon-method, section 4)."""


@dataclass(slots=True, kw_only=True)
class CrossChecks:
    """What no single key can show: names that must exist, be unique or fit together."""

    path: Path
    text: str
    sound: Sound
    catalogue: Catalogue

    def run(self) -> tuple[dict[str, Profile], list[Fault]]:
        profiles, faults = self._profiles()
        faults += self._links() + self._unique_devices()
        for index, device in self.sound.devices.items():
            if profile := profiles.get(device.profile):
                faults += self._power(index, device, profile) + self._rules(index, device, profile)
                faults += self._period(index, device, profile)
        faults += self._addresses(profiles) + self._loads(profiles)
        return profiles, sorted(faults, key=lambda fault: (fault.file != str(self.path), fault.file, fault.line))

    def _fault(self, where: tuple[str | int, ...], message: str, hint: str = "") -> Fault:
        return Fault(
            file=str(self.path), line=line_of(self.text, where), key=key_text(where), message=message, hint=hint
        )

    def _links(self) -> list[Fault]:
        faults: list[Fault] = []
        names: dict[str, int] = {}
        wires: dict[tuple[str, int], int] = {}
        used = {device.link for device in self.sound.devices.values()}
        for index, link in self.sound.links.items():
            try:
                first = wires.setdefault(parse_link_url(link.url).wire, index)
            except LinkUrlError as error:
                faults.append(self._fault(("link", index, "url"), str(error)))
            else:
                if first != index:
                    faults.append(
                        self._fault(
                            ("link", index, "url"),
                            f"link {self.sound.links[first].name!r} has this address already",
                            "one wire is one link; put both devices on it",
                        )
                    )
            if link.name in names:
                faults.append(
                    self._fault(
                        ("link", index, "name"),
                        f"a second link is called {link.name!r}",
                        "give each link a name of its own",
                    )
                )
            names.setdefault(link.name, index)
            if self.sound.whole and link.name not in used and used <= self.sound.link_names:
                faults.append(
                    self._fault(
                        ("link", index, "name"), f"no device is on link {link.name!r}", "add one, or drop the link"
                    )
                )
        for index, device in self.sound.devices.items():
            if self.sound.has_all_names and device.link not in self.sound.link_names:
                faults.append(
                    self._fault(
                        ("device", index, "link"),
                        f"there is no link called {device.link!r}",
                        _near(device.link, sorted(self.sound.link_names)),
                    )
                )
        return faults

    def _unique_devices(self) -> list[Fault]:
        seen: set[str] = set()
        faults: list[Fault] = []
        for index, device in self.sound.devices.items():
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
        for index, device in self.sound.devices.items():
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

    def _loads(self, profiles: Mapping[str, Profile]) -> list[Fault]:
        """Polls that cannot be kept would be late for ever; a device without sound profile is left out."""
        faults: list[Fault] = []
        for index, link in self.sound.links.items():
            devices = [
                Polled(profile=profiles[device.profile], period_ms=device.period_ms)
                for device in self.sound.devices.values()
                if device.link == link.name and device.profile in profiles
            ]
            load = _load(link.url, devices)
            if load is not None and load.share > FULL:
                faults.append(
                    self._fault(
                        ("link", index, "url"),
                        f"the polls of link {link.name!r} do not fit: {load}",
                        f"give its devices periods {load.share:.1f} times as long, or the line more baud",
                    )
                )
        return faults

    def _profiles(self) -> tuple[dict[str, Profile], list[Fault]]:
        profiles: dict[str, Profile] = {}
        faults: list[Fault] = []
        broken: set[str] = set()
        for index, device in self.sound.devices.items():
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
        declared, lenses = declaration(device), self.sound.carbon.lenses if self.sound.carbon else ["location"]
        energies = [energy for point in profile.points if (energy := point.counter or point.integrate)]
        for flow in sorted({energy.flow for energy in energies}):
            try:
                lines_of(declared, flow, lenses)
            except RuleError as error:
                return [self._fault(("device", index, error.key), str(error))]
        if declared.contract_mWh is None:
            return []
        where = ("device", index, "contract_kWh_per_year")
        if self.sound.carbon and "market" not in lenses:
            return [self._fault(where, "a contract counts under the market lens only", 'add "market" to carbon.lenses')]
        taking = [energy for energy in energies if not energy.part_of and takes_from_grid(declared, energy.flow)]
        if len(taking) != 1:
            text = f"a contract is for one register that takes from the grid; this device has {len(taking)}"
            return [self._fault(where, text, "declare it for another device, or for none")]
        return []

    def _period(self, index: int, device: DeviceSection, profile: Profile) -> list[Fault]:
        """Power without a counter is integrated between close readings; a counter must be read within half a turn."""
        where = ("device", index, "period")
        for point in profile.points:
            if point.integrate and device.period_ms > LONGEST_POWER_PERIOD_MS:
                text = f"{point.name!r} has no counter, so its power must be read at least each 100 s"
                return [self._fault(where, text, 'use period = "10s"')]
            max_power_W = device.max_power_W or (point.counter and point.counter.max_power_W)
            if point.counter and point.canonical and point.counter_modulus and max_power_W:
                turn_mWh = point.counter_modulus * abs(point.canonical)
                most_mWh = Fraction(max_power_W * (device.period_ms + 1000 * point.counter.refresh_s) * 6, 5 * 3600)
                if 2 * most_mWh > turn_mWh:
                    text = f"counter {point.name!r} may turn over between two readings at {max_power_W} W"
                    return [self._fault(where, text, "read it more often, or correct max_power_W")]
        return []

    def _power(self, index: int, device: DeviceSection, profile: Profile) -> list[Fault]:
        missing = [p.name for p in profile.points if p.counter and p.counter.max_power_W is None]
        if device.max_power_W is not None or not missing:
            return []
        return [
            self._fault(
                ("device", index, "max_power_W"),
                f"counter {missing[0]!r} of profile {device.profile!r} needs the power of this very device",
                "add max_power_W = … (its nameplate) to this device",
            )
        ]


def _load(url: str, devices: Sequence[Polled]) -> Load | None:
    try:
        return link_load(parse_link_url(url), devices) if devices else None
    except LinkUrlError:
        return None  # that is a fault of its own


def _near(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else ""
