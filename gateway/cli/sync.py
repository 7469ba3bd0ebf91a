"""`huxi sync`: how delivery to the central server stands, and delivering now."""

from pathlib import Path
from typing import Any, Final

import click

from gateway.cli.client import daemon
from gateway.cli.conform import conform
from gateway.cli.errors import CommandError
from gateway.cli.options import daemon_options, json_option
from gateway.cli.output import NONE, echo_fields, echo_json, echo_table, mark, size, utc

DRAIN_S: Final = 600.0
"""Longest wait for `sync now`: a backlog of weeks over a slow line."""


@click.group()
def sync() -> None:
    """Delivery to the central server: how it stands, and deliver now.

    \b
    Examples:
      huxi sync status
      huxi sync now
      huxi sync conform https://central.example --token-file token
    """


sync.add_command(conform)


@sync.command("status")
@daemon_options
@json_option
def show(data: Path | None, config: Path, as_json: bool) -> None:
    """Show whether the central server is reached and what it has acknowledged.

    Exit code 1 when it cannot be reached.

    \b
    Example:
      huxi sync status --json
    """
    with daemon(data, config) as client:
        state = client.get("/api/v1/sync")
    if as_json:
        echo_json(state)
    else:
        _print(state)
    if state["configured"] and state["reachable"] is False:
        raise click.exceptions.Exit(1)


@sync.command()
@daemon_options
@json_option
def now(data: Path | None, config: Path, as_json: bool) -> None:
    """Deliver everything that waits, without waiting for the next turn.

    Exit code 1 when something still waits afterwards.

    \b
    Example:
      huxi sync now
    """
    with daemon(data, config) as client:
        answer = client.post("/api/v1/sync/now", timeout_s=DRAIN_S)
        was_tried = client.get("/api/v1/sync").get("reachable") is not None
    if as_json:
        echo_json(answer)
    if not answer["drained"]:
        raise CommandError(f"not everything was delivered: {answer['error'] or 'see huxi sync status'}", exit_code=1)
    if not as_json:
        click.echo("Everything is delivered." if was_tried else NOTHING_YET)


NOTHING_YET: Final = "Nothing waits yet, so the server was not tried: the first interval has to close."


def _print(state: dict[str, Any]) -> None:
    if not state["configured"]:
        click.echo("No central server is configured: the ledger stays on this gateway ([sync] in the configuration).")
        return
    echo_fields(
        [
            ("server", state["url"]),
            ("reachable", _reachable(state["reachable"], state["last_error"])),
            ("last error", state["last_error"] or NONE),
            ("last acknowledgement", utc(state["last_ack_ms"])),
            ("waiting", f"{state['backlog_records']} records"),
            ("today's bytes", _bytes(state.get("budget", {}))),
            ("in quarantine", f"{state['quarantined']} records, which the server rejects"),
        ]
    )
    click.echo()
    echo_table(
        ["stream", "acknowledged through"],
        [[name, str(stream["acked_through"])] for name, stream in state.get("streams", {}).items()],
        right=frozenset({"acknowledged through"}),
    )
    _print_quarantine(state["quarantine"])


def _print_quarantine(found: list[dict[str, Any]]) -> None:
    if found:
        click.echo()
        cells = [[utc(kept["t_ms"]), kept["stream"], str(kept["seq"]), kept["kind"], kept["reason"]] for kept in found]
        echo_table(["set aside", "stream", "record", "kind", "the server's reason"], cells, right=frozenset({"record"}))


def _bytes(budget: dict[str, Any]) -> str:
    limit = budget.get("limit_bytes")
    return "without a limit" if limit is None else f"{size(budget['spent_bytes'])} of {size(limit)}"


def _reachable(reachable: bool | None, error: str | None) -> str:
    if reachable is None:
        return "not tried yet"
    if reachable and error:
        return f"{mark('warn')}, it answers and takes nothing"
    return mark("ok") if reachable else mark("bad")
