"""`huxi ledger suspects` and `accept`: energy that waits for a person's decision."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import click

from gateway.cli.client import daemon
from gateway.cli.options import daemon_options, json_option
from gateway.cli.output import echo_json, echo_table, kWh, utc

RIGHT: Final = frozenset({"least kWh", "most kWh"})


@click.command()
@daemon_options
@json_option
def suspects(data: Path | None, config: Path, as_json: bool) -> None:
    """Show energy that a counter claims and nothing proves; it counts as zero until somebody decides.

    \b
    Example:
      huxi ledger suspects
    """
    with daemon(data, config) as client:
        found = client.get("/api/v1/ledger/suspects", timeout_s=None)
    if as_json:
        echo_json(found)
    elif found["suspects"]:
        headings = ["id", "begin", "end", "device", "register", "counter", "least kWh", "most kWh", "why"]
        echo_table(headings, [_line(suspect) for suspect in found["suspects"]], right=RIGHT)
        click.echo("\nDecide with: huxi ledger accept ID --reason TEXT")
    else:
        click.echo("Nothing waits for a decision.")


class KilowattHours(click.ParamType[int]):
    """Energy as a decimal, exact to the milliwatt-hour."""

    name = "DECIMAL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """In mWh."""
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", str(value)):
            self.fail(f"{value!r} is not kWh with up to six decimals, such as 12.5", param, ctx)
        return int(Decimal(str(value)).scaleb(6))


class RowId(click.ParamType[tuple[int, int]]):
    """SEQ:ROW, as the suspects are listed."""

    name = "SEQ:ROW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """The record and the row."""
        seq, _, row = str(value).partition(":")
        if not (seq.isascii() and row.isascii() and seq.isdecimal() and row.isdecimal()):
            self.fail(f"{value!r} is not an id such as 1042:3; see huxi ledger suspects", param, ctx)
        return int(seq), int(row)


@click.command()
@click.argument("row_id", metavar="SEQ:ROW", type=RowId())
@click.option("--kWh", "energy_mWh", type=KilowattHours(), help="What it was, within its bounds, up to six decimals.")
@click.option("--reason", required=True, help="Why; it stays in the ledger, beside the rows.")
@daemon_options
@json_option
def accept(
    row_id: tuple[int, int], energy_mWh: int | None, reason: str, data: Path | None, config: Path, as_json: bool
) -> None:
    """Book the energy of a suspect row: all that the counter claims, or what you know it was.

    Nothing is overwritten: the suspect row is taken back and stated anew, with your reason beside it.

    \b
    Examples:
      huxi ledger accept 1042:3 --reason "the charger was off the bus for a week"
      huxi ledger accept 1042:3 --kWh 0 --reason "a fault of the register"
    """
    seq, row = row_id
    order: dict[str, Any] = {"seq": seq, "row": row, "reason": reason}
    if energy_mWh is not None:
        order["energy_mWh"] = energy_mWh
    with daemon(data, config) as client:
        decided = client.post("/api/v1/ledger/accept", **order)
    if as_json:
        echo_json(decided)
    else:
        booked = int(decided["hi_mWh"]) if energy_mWh is None else energy_mWh
        click.echo(f"{kWh(booked)} kWh are booked for {decided['device']}/{decided['register']}.")


def _line(suspect: dict[str, Any]) -> list[str]:
    return [
        suspect["id"],
        utc(suspect["t0_ms"]),
        utc(suspect["t1_ms"]),
        suspect["device"],
        suspect["register"],
        f"{suspect['raw_begin']} to {suspect['raw_end']}",
        kWh(int(suspect["lo_mWh"])),
        kWh(int(suspect["hi_mWh"])),
        " ".join(suspect["flags"]),
    ]
