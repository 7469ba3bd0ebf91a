"""`huxi clock`: who vouches for the time, and vouching for it oneself."""

from pathlib import Path

import click

from gateway.cli.client import daemon
from gateway.cli.options import daemon_options, json_option
from gateway.cli.output import echo_json, mark, utc


@click.group()
def clock() -> None:
    """The time of the gateway: who vouches for it, and vouching for it oneself.

    \b
    Examples:
      huxi clock status
      sudo date -s '2026-01-31 12:00' && huxi clock trust
    """


@clock.command("status")
@daemon_options
@json_option
def show(data: Path | None, config: Path, as_json: bool) -> None:
    """Say what the clock is worth, and who says so.

    Exit code 1 when nobody has vouched for it in this boot.

    \b
    Example:
      huxi clock status
    """
    with daemon(data, config) as client:
        state = client.get("/api/v1/status")
    if as_json:
        echo_json({"now_ms": state["now_ms"], **state["clock"]})
    else:
        click.echo(line(state))
    if not state["clock"]["trusted"]:
        raise click.exceptions.Exit(1)


@clock.command()
@daemon_options
@json_option
def trust(data: Path | None, config: Path, as_json: bool) -> None:
    """Say that this machine's clock is right now, for as long as it runs.

    For a site without internet: set the clock, then vouch for it. What was read since the start is dated by it.

    \b
    Example:
      sudo date -s '2026-01-31 12:00' && huxi clock trust
    """
    with daemon(data, config) as client:
        said = client.post("/api/v1/clock/trust")
    if as_json:
        echo_json(said)
    else:
        click.echo(f"{mark('ok')}: {utc(said['now_ms'])} is taken as right.")


def line(state: dict[str, object]) -> str:
    """The clock in one line, from a status."""
    told, now_ms = state["clock"], state["now_ms"]
    assert isinstance(told, dict)
    assert isinstance(now_ms, int)
    return f"{utc(now_ms)}, {mark('ok' if told['trusted'] else 'bad')}: {told['text']}"
