"""`huxi demo`: the main job on this machine, and the proof that three ledgers agree."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

import click

from gateway.cli.child import CommunityError
from gateway.cli.community import Community, free_port, port_is_free
from gateway.cli.errors import CommandError
from gateway.cli.output import echo_table, kg, kWh
from gateway.cli.reckoning import Reckoning, reckon, wait_until_equal

PAGE_PORT = 8480


@click.command()
@click.option("--for", "for_", metavar="DURATION", help="End after this long (60s, 5min) and compare the ledgers.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.option("--port", type=click.IntRange(1, 65535), help=f"Port of the local page; {PAGE_PORT} or a free one.")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the simulated devices.")
def demo(for_: str | None, as_json: bool, port: int | None, seed: int) -> None:
    """See everything work on this machine, without any device.

    Starts five simulated devices on real Modbus sockets and an emulated serial line, the gateway, and a central
    receiver; prints the address of the local page. At the end it compares what the devices counted, what the
    gateway booked and what the receiver holds: equal to the unit, or exit code 1.

    \b
    Example:
      huxi demo                    until Ctrl-C
      huxi demo --for 60s --json
    """
    duration_s = _seconds(for_)
    if port is not None and not port_is_free(port):
        raise CommandError(f"port {port} of 127.0.0.1 is in use: name another with --port, or leave --port out")
    page_port = port or (PAGE_PORT if port_is_free(PAGE_PORT) else free_port())
    try:
        with tempfile.TemporaryDirectory(prefix="huxi-demo-") as folder:
            community = Community(folder=Path(folder), page_port=page_port, seed=seed)
            result = asyncio.run(_demo(community, duration_s, quiet=as_json))
    except CommunityError as error:
        raise CommandError(f"the demo broke off: {error}", 1) from None
    _show(result, as_json)
    if not all(row.equal for row in result.registers):
        raise CommandError("the three ledgers differ: see the registers above", 1)
    if not result.equal:
        raise CommandError("an integral of power lies outside its bound: see the lines above", 1)
    if not as_json:
        click.echo("\nThe three ledgers are equal, to the milliwatt-hour and the nanogram.")


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]{1,6})(s|min|h)?", text.strip())
    if match is None or int(match[1]) == 0:
        raise CommandError(f"--for {text!r} is no duration: write 60s, 5min or 1h")
    return float(match[1]) * {"s": 1, "min": 60, "h": 3600}[match[2] or "s"]


async def _demo(community: Community, duration_s: float | None, *, quiet: bool) -> Reckoning:
    """Runs the community for a while, or until Ctrl-C, and compares."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    began = time.monotonic()
    async with community.running():
        await community.gateway_answers()
        if quiet:
            click.echo(f"huxi demo: page http://127.0.0.1:{community.page_port}/", err=True)
        else:
            _welcome(community, time.monotonic() - began)
        remaining_s = None if duration_s is None else max(0.0, duration_s - (time.monotonic() - began))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), remaining_s)
        if not quiet:
            click.echo("\nThe devices stand still; one more poll, the interval closes, the buffer drains …")
        return await wait_until_equal(community, lambda: reckon(community))


def _welcome(community: Community, seconds: float) -> None:
    click.echo(f"huxi demo: five devices, the gateway and a receiver are up ({seconds:.1f} s)\n")
    click.echo(f"  page       http://127.0.0.1:{community.page_port}/")
    click.echo(f"  receiver   {community.central_url}/ (any name; the password is in {community.folder}/token)")
    click.echo(f"  command    {Path(sys.argv[0])} status --data {community.data_dir}")
    click.echo(f"  logs       {community.folder}/*.log\n")
    click.echo("Ctrl-C ends it and compares the ledgers.")


def _show(result: Reckoning, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result.as_json(), ensure_ascii=False, indent=2))
        return
    rows: list[list[str]] = []
    for row in result.registers:
        same = "equal" if row.equal else "DIFFERENT"
        energies = [kWh(value) for value in (row.simulator_mWh, row.gateway_mWh, row.receiver_mWh)]
        rows.append([f"{row.device}/{row.register}", *energies, kg(row.gateway_ng), kg(row.receiver_ng), same])
    headings = [
        "register",
        "device kWh",
        "gateway kWh",
        "receiver kWh",
        "gateway kg CO2",
        "receiver kg CO2",
        "",
    ]
    echo_table(headings, rows, right=frozenset(headings[1:6]))
    for integral in result.power_only:
        word = "within" if integral.within else "OUTSIDE"
        gap = kWh(integral.off_mWh)
        click.echo(
            f"power only  {integral.device}/{integral.register}: gateway {kWh(integral.gateway_mWh)} kWh, "
            f"{gap} kWh off, {word} its bound of {kWh(integral.bound_mWh)} kWh"
        )
