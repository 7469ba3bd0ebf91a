"""From the configuration to what the parts are made of: registers, manners of links, places of devices."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from drivers.faults import Fault
from drivers.link_manners import link_manners
from drivers.modbus.manners import LinkManners
from drivers.point import Point
from ext import CounterSpec, Policy
from gateway.carbon.booking.close import Books
from gateway.carbon.booking.entries import Scope
from gateway.carbon.metering.register_spec import RegisterSpec
from gateway.config import Config, ConfigError
from gateway.config_checks import declaration
from gateway.config_file import DeviceSection, SyncSection
from gateway.live import Place
from gateway.series import Keeping
from gateway.store.series.channels import ChannelName
from sync.errors import SyncError
from sync.transports.client import Way
from sync.transports.https import HttpsTransport

MAX_GAP_MS = 300_000
DAY_MS = 86_400_000
BACKWARDS = ("export", "discharge")
"""Flows that a power point gives as negative: generation, import, consumption and charge are positive."""


def places(config: Config) -> list[Place]:
    """The devices as the site knows them, in the order of the file."""
    return [
        Place(
            name=device.name,
            link=device.link,
            unit=config.unit(device),
            role=device.role,
            period_ms=device.period_ms,
            profile_name=device.profile,
            profile=config.profiles[device.profile],
        )
        for device in config.devices
    ]


def register_specs(config: Config) -> list[RegisterSpec]:
    """Every energy register of the site: counters, and power points of devices without one."""
    return [spec for device in config.devices for spec in _registers(config, device)]


def books(config: Config) -> Books:
    """What the ledger has to know of the site."""
    return Books(
        scope=Scope(lenses=config.carbon.regions(config.gateway.region), zone=config.gateway.timezone),
        factors=config.factors,
        devices={device.name: declaration(device) for device in config.devices},
        parts=frozenset(_parts(config)),
    )


def keeping(config: Config) -> Keeping:
    """How long series are kept."""
    series = config.series
    raw_ms = series.raw_days * DAY_MS if series.raw else 0
    return Keeping(raw_ms=raw_ms, raw_bytes_per_day=series.raw_MB_per_day * 1_000_000)


def series_points(config: Config) -> dict[str, list[tuple[int, ChannelName]]]:
    """The points that have a series, by device: column and name of each. Texts and what is read once have none."""
    return {
        device.name: [
            (index, ChannelName(device.name, point.name, point.unit, point.counter is not None))
            for index, point in enumerate(config.profiles[device.profile].points)
            if point.poll == "live" and not point.is_text
        ]
        for device in config.devices
    }


def factor_borders(config: Config, t0_ms: int, t1_ms: int) -> list[int]:
    """The times strictly inside [t0_ms, t1_ms) at which a factor of any lens may change, ascending."""
    regions = set(config.carbon.regions(config.gateway.region).values())
    return sorted({border for region in regions for border in config.factors.boundaries(region, t0_ms, t1_ms)})


def _parts(config: Config) -> Iterator[tuple[str, str]]:
    """Registers whose energy is in another register of the same device already."""
    for device in config.devices:
        for point in config.profiles[device.profile].points:
            energy = point.counter or point.integrate
            if energy and energy.part_of:
                yield device.name, point.name


def manners(config: Config, link: str) -> LinkManners:
    """How a link is treated: by the strictest of its devices."""
    return link_manners(
        {
            config.unit(device): config.profiles[device.profile].manners
            for device in config.devices
            if device.link == link
        }
    )


def way_to_receiver(sync: SyncSection) -> Way:
    """How [sync] says that the receiver is reached."""
    return Way(url=sync.url, ca_file=sync.ca_file, cert_file=sync.cert_file, proxy=sync.proxy)


def transport_to_receiver(sync: SyncSection, token: str) -> HttpsTransport:
    """The transport that [sync] describes. Raises ConfigError when a file that it names is of no use."""
    try:
        return HttpsTransport(way_to_receiver(sync), token, saves_bytes=sync.budget_kB_per_day is not None)
    except SyncError as error:
        file = str(sync.ca_file or sync.cert_file)
        raise ConfigError([Fault(file=file, line=0, key="sync", message=str(error), hint="")]) from None


def _registers(config: Config, device: DeviceSection) -> Iterator[RegisterSpec]:
    max_gap_ms = min(MAX_GAP_MS, 3 * device.period_ms)
    profile = config.profiles[device.profile]

    def column(name: str | None) -> int | None:
        return None if name is None else profile.index(name)

    for index, point in enumerate(profile.points):
        canonical = point.canonical
        if canonical is None:
            continue
        if point.counter:
            power = None if point.counter.power is None else profile.points[profile.index(point.counter.power)]
            num, den = (1, 1) if power is None else _milliwatts(power)
            yield RegisterSpec(
                device=device.name,
                register=point.name,
                flow=point.counter.flow,
                point=index,
                max_gap_ms=max_gap_ms,
                counter=_counter(point, device, config.zone),
                uptime=column(profile.identity.uptime),
                session=column(point.counter.session_id),
                cross=column(point.counter.power),
                cross_is_back=point.counter.flow in BACKWARDS,
                power_num=num,
                power_den=den,
            )
        elif point.integrate:
            num, den = _milliwatts(point)
            yield RegisterSpec(
                device=device.name,
                register=point.name,
                flow=point.integrate.flow,
                point=index,
                max_gap_ms=max_gap_ms,
                power_num=num,
                power_den=den,
            )


def _milliwatts(power: Point) -> tuple[int, int]:
    """Milliwatts of one raw count; the decoder gives float points in milliwatts already."""
    canonical = power.canonical
    assert canonical is not None
    return (1, 1) if power.is_float else (canonical.numerator, canonical.denominator)


def _counter(point: Point, device: DeviceSection, zone: ZoneInfo) -> CounterSpec:
    counter, canonical = point.counter, point.canonical
    assert counter is not None
    assert canonical is not None
    max_power_W = device.max_power_W or counter.max_power_W
    assert max_power_W is not None
    return CounterSpec(
        modulus=0 if point.is_float else point.counter_modulus,
        # The decoder gives the energy of float counters in milliwatt-hours already.
        scale_num=1 if point.is_float else abs(canonical.numerator),
        scale_den=1 if point.is_float else canonical.denominator,
        p_max_W=max_power_W,
        refresh_s=counter.refresh_s,
        jitter=0 if point.is_float else counter.jitter,
        policy=Policy[counter.policy.upper()],
        cycle_start_s=_midnight_s(zone) if counter.at_midnight else -1,
    )


def _midnight_s(zone: ZoneInfo) -> int:
    """Second of the UTC day at which the standard day of the zone begins; a device knows no summer time."""
    offset = datetime(2026, 1, 1, tzinfo=zone).utcoffset() or timedelta(0)
    return int(-offset.total_seconds()) % 86_400
