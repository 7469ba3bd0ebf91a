"""`huxi status`: one screen that answers "is it well?"."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from gateway.cli.client import daemon
from gateway.cli.clock import line
from gateway.cli.options import daemon_options, json_option, offline_option
from gateway.cli.output import NONE, echo_fields, echo_json, g_per_kWh, kg, kWh, mark, size, span, utc


@click.command()
@daemon_options
@offline_option
@json_option
def status(data: Path | None, config: Path, offline: Path | None, as_json: bool) -> None:
    """Say whether the gateway is well, on one screen.

    Exit code 0 when it is, 1 when it reports problems, 2 when no daemon answers.

    \b
    Examples:
      huxi status
      huxi status --data /var/lib/huxi --json
      huxi status --offline /var/lib/huxi     what a stopped gateway still has to deliver
    """
    if offline is not None:
        _show_stopped(offline, as_json)
        return
    with daemon(data, config) as client:
        state = client.get("/api/v1/status")
    if as_json:
        echo_json(state)
    else:
        echo_fields(_lines(state))
        _print_problems(state["problems"])
    if state["problems"]:
        raise click.exceptions.Exit(1)


def _show_stopped(data_dir: Path, as_json: bool) -> None:
    from gateway.cli.offline import stopped_gateway  # the store and the ledger: not for every call

    with stopped_gateway(data_dir) as gateway:
        buffer = gateway.buffer()
    if as_json:
        echo_json({"buffer": buffer})
    else:
        echo_fields([("state", "stopped"), ("buffer", _buffer(buffer, now_ms=None))])


def _lines(state: dict[str, Any]) -> Iterator[tuple[str, str]]:
    now_ms = state["now_ms"]
    up = span((now_ms - state["started_ms"]) / 1000)
    program = f"version {state['version']}, core {state['core']}, pid {state['pid']}"
    yield "gateway", f"{state['gateway']}, up {up} ({program})"
    yield "clock", line(state)
    yield "factor", f"{_factor(state['factor'])}, region {state['region']}, lens {state['lens']}"
    for link in state["links"]:
        yield "link", _link(link)
    live, asleep, total = (state["devices"][key] for key in ("live", "asleep", "total"))
    sleepers = f", {asleep} asleep" if asleep else ""
    yield "devices", f"{mark('ok' if live + asleep == total else 'bad')}, {live} of {total} answer{sleepers}"
    yield "buffer", _buffer(state["buffer"], now_ms)
    if pace := "; ".join(_pace(state["buffer"])):
        yield "", pace
    yield "sync", _sync(state["sync"], now_ms)
    if state["mqtt"] is not None:
        yield "mqtt", _mqtt(state["mqtt"])
    today = state["today"]
    energies = today["energy_by_role_mWh"].items()
    yield "today", ", ".join(f"{role} {kWh(energy, places=3)} kWh" for role, energy in energies) or NONE
    amounts = [f"{name} {kg(today[f'{name}_ng'], places=3)}" for name in ("emitted", "baseline", "avoided")]
    yield "", f"kg CO2: {', '.join(amounts)}"


def _factor(factor: dict[str, Any] | None) -> str:
    if factor is None:
        return f"{mark('bad')}, none in force"
    note = ", provisional" if factor["provisional"] else ""
    origin = f"{factor['id']}, data of {factor['data_year']}{note}"
    return f"{g_per_kWh(factor['value_mg_per_kWh'])} g/kWh ({origin})"


def _link(link: dict[str, Any]) -> str:
    trip = NONE if link["round_trip_ms"] is None else f"{link['round_trip_ms']:.1f} ms"
    late = f", answers up to {link['latest_ms'] / 1000:.1f} s late" if link["latest_ms"] else ""
    error = "" if link["connected"] or not link["last_error"] else f": {link['last_error']}"
    state = mark("ok" if link["connected"] else "asleep" if link["asleep"] else "bad")
    return f"{link['name']} ({link['url']}) {state}, {link['ok']} good, {link['failed']} failed, {trip}{late}{error}"


def _buffer(buffer: dict[str, Any], now_ms: int | None) -> str:
    oldest_ms = buffer["oldest_unsent_ms"]
    if oldest_ms is None:
        waiting = "nothing waits"
    elif now_ms is None:
        waiting = f"the oldest undelivered is of {utc(oldest_ms)}"
    else:
        waiting = f"the oldest undelivered is {span((now_ms - oldest_ms) / 1000)} old"
    held = f"{buffer['records']} records, {size(buffer['bytes'])}"
    return f"{held}, {waiting}; {size(buffer['disk_free_bytes'])} of disk free"


def _pace(buffer: dict[str, Any]) -> Iterator[str]:
    """How long the buffer lasts and what is written, as far as that is known."""
    if buffer["hours_left"] is not None:
        yield f"enough for {span(buffer['hours_left'] * 3600)}"
    if buffer["written_bytes_per_day"] is not None:
        yield f"{size(buffer['written_bytes_per_day'])} a day are written to the disk"
    if buffer["raw_today_bytes"] is not None:
        yield f"raw series today {size(buffer['raw_today_bytes'])} of {size(buffer['raw_budget_bytes'])}"


def _sync(sync: dict[str, Any], now_ms: int) -> str:
    if not sync["configured"]:
        return "no central server is configured"
    if sync["reachable"] is None:
        reached = "not tried yet"
    elif sync["reachable"] and sync["last_error"]:
        reached = f"{mark('warn')}, it answers and takes nothing"
    elif sync["reachable"]:
        reached = mark("ok")
    else:
        reached = f"{mark('bad')}, not reachable ({sync['last_error']})"
    ack = "none so far"
    if sync["last_ack_ms"] is not None:
        ack = f"{span((now_ms - sync['last_ack_ms']) / 1000)} ago"
    return f"{sync['url']} {reached}, {sync['backlog_records']} records wait, last acknowledgement {ack}"


def _mqtt(mqtt: dict[str, Any]) -> str:
    if mqtt["connected"] is None:
        return f"{mqtt['url']} not tried yet"
    return f"{mqtt['url']} {mark('ok')}" if mqtt["connected"] else f"{mqtt['url']} {mark('bad')}, {mqtt['last_error']}"


def _print_problems(problems: list[dict[str, str]]) -> None:
    click.echo()
    if not problems:
        click.echo(f"{mark('ok')}: it is well.")
    for problem in problems:
        place = f" {problem['where']}" if problem["where"] else ""
        click.echo(f"{mark('bad')}{place}: {problem['text']}\n     -> {problem['remedy']}")
