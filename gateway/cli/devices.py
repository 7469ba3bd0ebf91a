"""`huxi devices`: the devices and what they read now."""

from collections.abc import Iterator
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
@click.option("--relearn", is_flag=True, help="Ask the device NAME again for what it refused when it was new.")
@json_option
def devices(name: str | None, data: Path | None, config: Path, relearn: bool, as_json: bool) -> None:
    """Show all devices, or every point of the device NAME.

    \b
    Examples:
      huxi devices
      huxi devices pv-pergola
      huxi devices pv-pergola --relearn     after an update of its firmware
    """
    if relearn:
        if name is None:
            raise CommandError("--relearn needs the name of a device")
        with daemon(data, config) as client:
            client.post("/api/v1/devices/relearn", device=name)
        click.echo(f"{name} is asked for everything again from its next poll on.")
        return
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
    refused = "; ".join(_learnt(device["learnt"]))
    if refused:
        click.echo(f"refused when it was new: {refused} (ask again with --relearn)")
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


def _learnt(learnt: dict[str, Any]) -> Iterator[str]:
    if learnt["refused"]:
        yield f"points {', '.join(learnt['refused'])}"
    if learnt["barriers"]:
        yield f"reads across {', '.join(learnt['barriers'])}"
    if learnt["max_block"]:
        yield f"reads of more than {learnt['max_block']} registers"
