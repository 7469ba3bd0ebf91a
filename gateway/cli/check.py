"""`huxi check`: what is wrong with a configuration file, or what it means."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from drivers.load import BUSY
from drivers.modbus.url import parse_link_url
from gateway.carbon.errors import FactorError
from gateway.carbon.factors.factor_set import Factor
from gateway.cli.errors import CommandError
from gateway.cli.options import config_option, json_option
from gateway.cli.output import echo_fields, echo_json, echo_table, g_per_kWh, span
from gateway.cli.probe import probe, stable_name
from gateway.cli.profile import ledger_registers, ledger_words
from gateway.config import Config, ConfigError, load_config, read_password, read_token, read_trust
from gateway.config_file import LinkSection, MqttSection
from gateway.wiring import transport_to_receiver


@click.command()
@config_option
@click.option(
    "--connect",
    is_flag=True,
    help="Also try to reach every link. Stop a running gateway first: some devices take one connection only.",
)
@json_option
def check(config: Path, connect: bool, as_json: bool) -> None:
    """Check the configuration file: print every fault with its line, or what the file means.

    Exit code 2 when there are faults, or when --connect cannot reach a link.

    \b
    Examples:
      huxi check -c huxi.toml
      huxi check -c huxi.toml --connect
    """
    try:
        found = load_config(config)
        if found.sync:
            transport_to_receiver(found.sync, read_token(found.sync))
        if found.mqtt:
            read_password(found.mqtt)
            read_trust(found.mqtt)
    except ConfigError as error:
        if as_json:
            echo_json({"ok": False, "faults": [asdict(fault) for fault in error.faults]})
        for fault in error.faults:
            click.echo(str(fault), err=True)
        raise click.exceptions.Exit(2) from None
    unreachable = list(_unreachable(found)) if connect else []
    if as_json:
        echo_json({"ok": not unreachable, "faults": [], "unreachable": unreachable, **_summary(found)})
    else:
        _print(config, found)
    if unreachable:
        raise CommandError("\n".join(unreachable))


def _unreachable(config: Config) -> Iterator[str]:
    for link in config.links:
        trouble = probe(parse_link_url(link.url))
        if trouble is not None:
            yield f"link {link.name} ({link.url}): {trouble}"


def _factors(config: Config) -> dict[str, tuple[str, Factor | FactorError]]:
    """The region and the factor in force of each lens."""
    now_ms = time.time_ns() // 1_000_000
    found: dict[str, tuple[str, Factor | FactorError]] = {}
    for lens, region in config.carbon.regions(config.gateway.region).items():
        try:
            found[lens] = region, config.factors.lookup(region, lens, now_ms, now_ms)
        except FactorError as error:
            found[lens] = region, error
    return found


def _summary(config: Config) -> dict[str, Any]:
    return {
        "gateway": config.gateway.id,
        "region": config.gateway.region,
        "timezone": config.gateway.timezone,
        "data_dir": str(config.gateway.data_dir),
        "interval_ms": config.carbon.interval_ms,
        "lenses": config.carbon.lenses,
        "factors": {lens: _factor_json(factor) for lens, (_, factor) in _factors(config).items()},
        "links": [_link(config, link) for link in config.links],
        "devices": [
            {
                "name": device.name,
                "role": device.role,
                "link": device.link,
                "unit": config.unit(device),
                "period_ms": device.period_ms,
                "profile": device.profile,
                "registers": [
                    {"name": name, "flow": flow} for name, flow in ledger_registers(config.profiles[device.profile])
                ],
            }
            for device in config.devices
        ],
        "sync": config.sync and config.sync.url,
        "mqtt": config.mqtt and config.mqtt.url,
        "page": config.web.listen if config.web.enabled else None,
    }


def _link(config: Config, link: LinkSection) -> dict[str, Any]:
    load = config.load(link)
    return {
        "name": link.name,
        "url": link.url,
        "cycle_ms": round(1000 * load.cycle_s, 1),
        "period_ms": round(1000 * load.period_s),
        "load": round(load.share, 3),
        "stable_name": _stable_name(link),
    }


def _link_words(config: Config, link: LinkSection) -> str:
    load = config.load(link)
    warning = "; that is close: give its devices longer periods, or the line more baud" if load.share > BUSY else ""
    stable = _stable_name(link)
    hint = f"; after a restart that may be another adapter: write rtu://{stable}" if stable else ""
    return f"{link.name}  {link.url}  {load}{warning}{hint}"


def _stable_name(link: LinkSection) -> str | None:
    address = parse_link_url(link.url)
    return stable_name(address.path) if address.serial else None


def _mqtt_words(mqtt: MqttSection) -> str:
    seen = f"Home Assistant finds the devices under {mqtt.discovery_prefix}/" if mqtt.discovery else "no discovery"
    return f"{mqtt.url} each {span(mqtt.period_ms / 1000)}; {seen}"


def _print(path: Path, config: Config) -> None:
    click.echo(f"{path} is good.\n")
    echo_fields(
        [
            (
                "gateway",
                f"{config.gateway.id} in {config.gateway.timezone}, data in {config.gateway.data_dir}",
            ),
            (
                "interval",
                f"{span(config.carbon.interval_ms / 1000)}, lens {', '.join(config.carbon.lenses)}",
            ),
            *(("factor", _factor_words(lens, *found)) for lens, found in _factors(config).items()),
            ("sync", config.sync.url if config.sync else "none: the ledger stays on this gateway"),
            ("mqtt", _mqtt_words(config.mqtt) if config.mqtt else "none"),
            ("page", f"http://{config.web.listen}/" if config.web.enabled else "off"),
            *(("link", _link_words(config, link)) for link in config.links),
        ]
    )
    click.echo()
    rows = [
        [
            device.name,
            device.role,
            device.link,
            str(config.unit(device)),
            f"{device.period_ms / 1000:g} s",
            device.profile,
            ledger_words(config.profiles[device.profile]),
        ]
        for device in config.devices
    ]
    headings = ["device", "role", "link", "unit", "period", "profile", "ledger registers"]
    echo_table(headings, rows, right=frozenset({"unit", "period"}))


def _factor_json(factor: Factor | FactorError) -> dict[str, Any] | None:
    if isinstance(factor, FactorError):
        return None
    return {
        "ref": factor.ref,
        "value_mg_per_kWh": factor.value_mg_per_kWh,
        "data_year": factor.data_year,
        "provisional": factor.provisional,
    }


def _factor_words(lens: str, region: str, factor: Factor | FactorError) -> str:
    if isinstance(factor, FactorError):
        return f"{lens}: none in force: {factor}"
    note = ", the newest published: provisional" if factor.provisional else ""
    value = f"{g_per_kWh(factor.value_mg_per_kWh)} g {factor.gas_basis}/kWh"
    return f"{lens}: {value} for {region} (data of {factor.data_year}{note})"
