"""`huxi ledger`: energy and carbon, summed up, entry by entry, proved, and as a file."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from gateway.cli.books import open_books
from gateway.cli.errors import CommandError
from gateway.cli.options import FILE, daemon_options, json_option, offline_option
from gateway.cli.output import NONE, echo_json, echo_table, kg, kWh, progress_over, span, utc

NOTHING: Final = "The ledger has no entries there."
DAY: Final = click.DateTime(formats=["%Y-%m-%d"])


@click.group()
def ledger() -> None:
    """Energy and carbon, exact to the milliwatt-hour and the nanogram.

    \b
    Examples:
      huxi ledger totals --from 2026-01-01 --to 2026-01-31
      huxi ledger verify
      huxi ledger export -o ledger.csv
      huxi ledger verify --offline /var/lib/huxi     a gateway that does not run
    """


@ledger.command()
@click.option("--from", "first", type=DAY, metavar="YYYY-MM-DD", help="First day; all from the begin when left out.")
@click.option("--to", "last", type=DAY, metavar="YYYY-MM-DD", help="Last day, included.")
@daemon_options
@offline_option
@json_option
def totals(
    first: datetime | None,
    last: datetime | None,
    data: Path | None,
    config: Path,
    offline: Path | None,
    as_json: bool,
) -> None:
    """Sum up every register in every account, over days of the site's time zone.

    \b
    Example:
      huxi ledger totals --from 2026-01-01 --to 2026-01-31
    """
    with open_books(data, config, offline) as books:
        answer = books.totals(_day(first), _day(last))
    if as_json:
        echo_json(answer)
        return
    if not answer["registers"]:
        click.echo(NOTHING)
        return
    rows = [
        [
            row["device"],
            row["register"],
            row["flow"],
            row["account"],
            kWh(row["energy_mWh"], places=3),
            kg(row["emitted_ng"], places=3),
            kg(row["baseline_ng"], places=3),
            str(row["rows"]),
            span(row["missing_ms"] / 1000) if row["missing_ms"] else NONE,
        ]
        for row in answer["registers"]
    ]
    headings = ["device", "register", "flow", "account", "kWh", "kg CO2", "baseline kg", "entries", "missing"]
    echo_table(headings, rows, right=frozenset(headings[4:]))
    click.echo("\nRounded to Wh and g; --json has every digit. Accounts stand side by side, never to be added up.")


@ledger.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="About how many entries.")
@click.option("--before", "before_seq", type=click.IntRange(min=1), metavar="SEQ", help="Only records below this one.")
@daemon_options
@offline_option
@json_option
def list_(
    limit: int, before_seq: int | None, data: Path | None, config: Path, offline: Path | None, as_json: bool
) -> None:
    """Show the newest entries, every digit of them.

    \b
    Example:
      huxi ledger list --limit 20
    """
    with open_books(data, config, offline) as books:
        answer = books.entries(limit, before_seq)
    if as_json:
        echo_json(answer)
        return
    headings = [
        "seq",
        "begin",
        "end",
        "device",
        "register",
        "flow",
        "account",
        "kWh",
        "kg CO2",
        "factor",
        "class",
    ]
    if not answer["entries"]:
        click.echo(NOTHING)
        return
    rows = [_entry(entry) for entry in answer["entries"]]
    echo_table(headings, rows, right=frozenset({"seq", "kWh", "kg CO2"}))
    if answer["next_before_seq"] is not None:
        click.echo(f"\nOlder ones: huxi ledger list --before {answer['next_before_seq']}")


@ledger.command()
@daemon_options
@offline_option
@json_option
def verify(data: Path | None, config: Path, offline: Path | None, as_json: bool) -> None:
    """Prove the ledger: every hash, every entry computed again, every day's sums.

    Exit code 1 when anything does not agree.

    \b
    Examples:
      huxi ledger verify
      huxi ledger verify --offline /var/lib/huxi
    """
    with open_books(data, config, offline) as books:
        report = books.verify()
    if as_json:
        echo_json(report)
    elif report["ok"]:
        click.echo(f"The ledger is sound: {report['records']} records, every hash, entry and sum agrees.")
    else:
        for problem in report["problems"]:
            click.echo(problem)
    if not report["ok"]:
        raise CommandError(
            f"the ledger does not agree with itself ({len(report['problems'])} problems): "
            "keep a copy of the data folder, and compare with what the central server holds",
            exit_code=1,
        )


@ledger.command()
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("-o", "--output", type=FILE, help="The file to write; standard output when left out.")
@daemon_options
@offline_option
def export(form: str, output: Path | None, data: Path | None, config: Path, offline: Path | None) -> None:
    """Write the whole ledger as CSV or JSON Lines, every digit, oldest first.

    \b
    Examples:
      huxi ledger export -o ledger.csv
      huxi ledger export --format jsonl | head
    """
    with open_books(data, config, offline) as books:
        chunks = books.export(form)
        if output is None:
            for chunk in chunks:
                click.echo(chunk, nl=False)
        else:
            _write(output, chunks)


def _write(output: Path, chunks: Iterable[bytes]) -> None:
    """Write beside the file and rename at the end: an export that breaks off leaves no half file."""
    part = output.with_name(output.name + ".part")
    try:
        with part.open("wb") as file, progress_over(chunks, "exporting") as bar:
            for chunk in bar:
                file.write(chunk)
        part.replace(output)
    except OSError as error:
        raise CommandError(f"cannot write {output}: {error.strerror}; choose another place") from None
    finally:
        part.unlink(missing_ok=True)


def _day(moment: datetime | None) -> str | None:
    return None if moment is None else moment.date().isoformat()


def _entry(entry: dict[str, Any]) -> list[str]:
    return [
        str(entry["seq"]),
        utc(entry["t0_ms"]),
        utc(entry["t1_ms"]),
        entry["device"],
        entry["register"],
        entry["flow"],
        entry["account"],
        kWh(entry["energy_mWh"]),
        kg(entry["emitted_ng"]),
        entry["factor"] or NONE,
        " ".join((entry["class"], *entry["flags"])),
    ]
