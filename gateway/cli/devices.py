"""`huxi devices`: the devices and what they read now."""

from pathlib import Path
from typing import Any

import click

from gateway.cli.client import daemon
from gateway.cli.errors import CommandError
from gateway.cli.options import daemon_options, json_option
from gateway.cli.output import echo_json, echo_table, kWh, mark, quantity, reason, span


@click.command()
@click.argument("name", required=False)
@daemon_options
@json_option
def devices(name: str | None, data: Path | None, config: Path, as_json: bool) -> None:
    """Show all devices, or every point of the device NAME.

    \b
    Examples:
      huxi devices
      huxi devices pv-pergola
    """
    with daemon(data, config) as client:
        answer = client.get("/api/v1/devices")
    if name is not None:
        answer = {"devices": [_find(answer["devices"], name)]}
    if as_json:
        echo_json(answer)
    elif name is not None:
        _print_points(answer["devices"][0])
    else:
        _print_devices(answer["devices"])


def _find(found: list[dict[str, Any]], name: str) -> dict[str, Any]:
    for device in found:
        if device["name"] == name:
            return device
    names = ", ".join(device["name"] for device in found)
    raise CommandError(f"there is no device {name!r}: this gateway has {names or 'none'}")


def _print_devices(found: list[dict[str, Any]]) -> None:
    headings = ["device", "role", "state", "age", "power W", "today kWh", "link", "unit", "profile"]
    rows = [
        [
            device["name"],
            device["role"],
            mark(device["state"]),
            span(device["age_s"]),
            quantity(device["power_W"]),
            kWh(device["today_mWh"], places=3),
            device["link"],
            str(device["unit"]),
            device["profile"],
        ]
        for device in found
    ]
    echo_table(headings, rows, right=frozenset({"age", "power W", "today kWh", "unit"}))


def _print_points(device: dict[str, Any]) -> None:
    click.echo(f"{device['name']}  {device['title']}  {mark(device['state'])}, age {span(device['age_s'])}")
    click.echo()
    rows = [
        [
            point["name"],
            quantity(point["value"]),
            point["unit"] or "",
            reason(point["quality"]),
            point["text"] or "",
        ]
        for point in device["points"]
    ]
    echo_table(["point", "value", "unit", "quality", "meaning"], rows, right=frozenset({"value"}))
