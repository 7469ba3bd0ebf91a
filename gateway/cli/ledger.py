"""`huxi ledger`: energy and carbon, summed up, entry by entry, proved, and as a file."""

from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import click

from gateway.cli.books import open_books
from gateway.cli.errors import CommandError
from gateway.cli.options import FILE, daemon_options, json_option, lens_option, offline_option
from gateway.cli.output import NONE, count, echo_json, echo_table, kg, kWh, progress_over, span, utc
from gateway.cli.restate import restate
from gateway.cli.suspects import accept, suspects
from gateway.cli.trace import factor_names, short_id, trace, words

NOTHING: Final = "The ledger has no entries there."
DAY: Final = click.DateTime(formats=["%Y-%m-%d"])
_HEADINGS: Final = (
    *("entry", "begin", "end", "device", "register", "lens", "account"),
    *("kWh", "kg CO2", "by", "what", "id"),
)


@click.group()
def ledger() -> None:
    """Energy and carbon, exact to the milliwatt-hour and the nanogram.

    \b
    Examples:
      huxi ledger totals --from 2026-01-01 --to 2026-01-31
      huxi ledger trace 2026-01-15 grid-meter
      huxi ledger verify
      huxi ledger export -o ledger.csv
      huxi ledger verify --offline /var/lib/huxi     a gateway that does not run
    """


@ledger.command()
@click.option("--from", "first", type=DAY, metavar="YYYY-MM-DD", help="First day; all from the begin when left out.")
@click.option("--to", "last", type=DAY, metavar="YYYY-MM-DD", help="Last day, included.")
@lens_option
@click.option("--as-of", type=DAY, metavar="YYYY-MM-DD", help="As reported then: only what was booked by its end.")
@daemon_options
@offline_option
@json_option
def totals(
    first: datetime | None,
    last: datetime | None,
    lens: str | None,
    as_of: datetime | None,
    data: Path | None,
    config: Path,
    offline: Path | None,
    as_json: bool,
) -> None:
    """Sum up every register in every account, over days of the site's time zone.

    As known today, or as reported on an earlier day: later findings and newer factors change what is known,
    never what was reported.

    \b
    Examples:
      huxi ledger totals --from 2026-01-01 --to 2026-01-31
      huxi ledger totals --from 2026-01-01 --to 2026-01-31 --as-of 2026-02-10
      huxi ledger totals --lens market
    """
    with open_books(data, config, offline) as books:
        answer = books.totals(_day(first), _day(last), lens, _day(as_of))
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
    known = "as known today" if answer["as_of"] is None else f"as reported on {answer['as_of']}"
    click.echo(
        f"\nLens {answer['lens']}, {known}. Rounded to Wh and g; --json has every digit.\n"
        "Accounts stand side by side, never to be added up; so do lenses."
    )


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

    The first column names an entry for huxi ledger trace.

    \b
    Example:
      huxi ledger list --limit 20
    """
    with open_books(data, config, offline) as books:
        answer = books.entries(limit, before_seq)
    if as_json:
        echo_json(answer)
        return
    if answer["entries"]:
        names = factor_names(answer["entries"])
        rows = [_entry(entry, names) for entry in answer["entries"]]
        echo_table(_HEADINGS, rows, right=frozenset({"kWh", "kg CO2"}))
    else:
        click.echo(NOTHING)
    if answer["next_before_seq"] is not None:
        click.echo(f"\nOlder ones: huxi ledger list --before {answer['next_before_seq']}")
    elif answer["pruned_through"]:
        click.echo(
            f"\nRecords 1 to {answer['pruned_through']} are pruned: their sums are here, their entries at the receiver."
        )


@ledger.command()
@daemon_options
@offline_option
@json_option
def verify(data: Path | None, config: Path, offline: Path | None, as_json: bool) -> None:
    """Prove the ledger: every hash, every entry computed again, every day's sums.

    Shows where each stream ends: the same record has the same hash at the receiver, or one of the two was changed.
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
    if not as_json:
        heads = [[name, str(at["seq"]), at["hash"]] for name, at in report["heads"].items()]
        click.echo()
        echo_table(["stream", "last record", "hash after it"], heads, right=frozenset({"last record"}))
    if not report["ok"]:
        raise CommandError(
            f"the ledger does not agree with itself ({count(len(report['problems']), 'problem')}): "
            "keep a copy of the data folder, and compare with what the central server holds",
            exit_code=1,
        )


@ledger.command()
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("--rebuilt", is_flag=True, help="Compute every entry anew from its interval and the factor table.")
@click.option("-o", "--output", type=FILE, help="The file to write; standard output when left out.")
@daemon_options
@offline_option
def export(
    form: str, rebuilt: bool, output: Path | None, data: Path | None, config: Path, offline: Path | None
) -> None:
    """Write the whole ledger as CSV or JSON Lines, every digit, oldest first.

    Its sums are the totals. A rebuilt export is the same file to the byte, or the ledger is not sound. Records that
    were pruned give one line for each of their sums.

    \b
    Examples:
      huxi ledger export -o ledger.csv
      huxi ledger export --rebuilt -o rebuilt.csv && cmp ledger.csv rebuilt.csv
      huxi ledger export --format jsonl | head
    """
    with open_books(data, config, offline) as books:
        chunks = books.export(form, rebuilt)
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


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()


def _entry(entry: dict[str, Any], names: dict[str | None, str]) -> list[str]:
    return [
        f"{entry['seq']}:{entry['row']}",
        utc(entry["t0_ms"]),
        utc(entry["t1_ms"])[11:],
        entry["device"],
        entry["register"],
        entry["lens"],
        entry["account"],
        kWh(entry["energy_mWh"]),
        kg(entry["emitted_ng"]),
        names[entry["factor"]],
        words(entry),
        short_id(entry),
    ]


ledger.add_command(trace)
ledger.add_command(suspects)
ledger.add_command(accept)
ledger.add_command(restate)
