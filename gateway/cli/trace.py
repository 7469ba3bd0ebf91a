"""`huxi ledger trace`: from a day's total to its entries, and from an entry to everything it rests on."""

import re
import shutil
import textwrap
from collections.abc import Iterable
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import click

from gateway.carbon.proof.explanation import WRONG
from gateway.cli.books import open_books
from gateway.cli.errors import CommandError
from gateway.cli.options import daemon_options, json_option, lens_option, offline_option
from gateway.cli.output import NONE, cells, echo_json, echo_table, g_per_kWh, kg, kWh, mark, span, utc

_ID_DIGITS: Final = 12
_WIDEST: Final = 110


@click.command()
@click.argument("what", metavar="DAY|SEQ:ROW")
@click.argument("device", required=False)
@click.argument("register", required=False)
@click.option("--account", type=click.Choice(["inventory", "allocation", "project", "memo"]), help="One account only.")
@lens_option
@daemon_options
@offline_option
@json_option
def trace(
    what: str,
    device: str | None,
    register: str | None,
    account: str | None,
    lens: str | None,
    data: Path | None,
    config: Path,
    offline: Path | None,
    as_json: bool,
) -> None:
    """Prove a gram, in three steps.

    DAY DEVICE [REGISTER]: the day's totals, and the entries that they are the sums of.
    SEQ:ROW (the first column there): one entry; how its amount follows, its interval, raw counts, factor, every
    flag, what was later taken back, alarms. Then huxi factors show REF: the document behind the factor.

    \b
    Examples:
      huxi ledger trace 2026-01-15 grid-meter
      huxi ledger trace 2026-01-15 pv-roof yield --account project
      huxi ledger trace 1042:3
    """
    entry = re.fullmatch(r"([1-9][0-9]{0,14}):([0-9]{1,9})", what)
    if entry is not None and device is not None:
        raise CommandError(f"{what} names an entry by itself: leave {device} away")
    if entry is None and device is None:
        raise CommandError(f"whose day? huxi ledger trace {what} DEVICE; the names are in huxi ledger totals")
    with open_books(data, config, offline) as books:
        if entry is not None:
            answer = books.trace_entry(int(entry[1]), int(entry[2]))
        else:
            assert device is not None
            answer = books.trace_day(_day(what), device, register, account, lens)
    if as_json:
        echo_json(answer)
    elif entry is not None:
        _echo_entry(answer)
    else:
        _echo_day(answer)
    totals, steps = answer.get("totals", ()), answer.get("steps", ())
    if any(not total["agrees"] for total in totals) or any(step["about"] == WRONG for step in steps):
        raise click.exceptions.Exit(1)


def words(entry: dict[str, Any]) -> str:
    """What kind of entry it is, when not a normal one, its class and its flags."""
    kind = "" if entry["kind"] == "normal" else entry["kind"]
    if entry["rows"] > 1:
        kind += f" of {entry['rows']}"
    return " ".join(filter(None, (kind, entry["class"], *entry["flags"])))


def short_id(entry: dict[str, Any]) -> str:
    """The first digits of an entry's id: enough for people to tell entries apart."""
    return (entry["entry_id"] or NONE)[:_ID_DIGITS]


def factor_names(entries: Iterable[dict[str, Any]]) -> dict[str | None, str]:
    """A short name for the factor of each of these entries, after telling what it stands for."""
    refs = sorted({entry["factor"] for entry in entries if entry["factor"]})
    names = {ref: f"F{number}" for number, ref in enumerate(refs, 1)}
    for ref, name in names.items():
        click.echo(f"{name} = {ref}")
    return {None: NONE, **names}


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{text!r} is neither a day (YYYY-MM-DD) nor an entry (SEQ:ROW)") from None


def _echo_day(answer: dict[str, Any]) -> None:
    if not answer["totals"]:
        day, device = answer["day"], answer["device"]
        where = f"huxi ledger totals --from {day} --to {day}"
        raise CommandError(f"the ledger has nothing of {device} on {day} in what was asked for: see {where}")
    click.echo(f"{answer['device']} on {answer['day']}, lens {answer['lens']}")
    names = factor_names(answer["entries"])
    for total in answer["totals"]:
        click.echo()
        _echo_total(total)
        entries = [
            entry
            for entry in answer["entries"]
            if (entry["register"], entry["account"]) == (total["register"], total["account"])
        ]
        if entries:
            echo_table(
                ("entry", "begin", "kWh", "kg CO2", "by", "what", "id"),
                [_line(entry, names) for entry in entries],
                right=frozenset({"kWh", "kg CO2"}),
            )
    _echo_missing(answer["missing"])
    if any(entry["kind"] == "pruned" for entry in answer["entries"]):
        click.echo("\nPruned records keep their sums only: the receiver has the entries that they are of.")


def _echo_total(total: dict[str, Any]) -> None:
    amounts = [f"{kWh(total['energy_mWh'])} kWh", f"emitted {kg(total['emitted_ng'])} kg"]
    if total["baseline_ng"] is not None:
        amounts.append(f"baseline {kg(total['baseline_ng'])} kg")
    click.echo(f"{total['register']}, {total['account']}: {', '.join(amounts)}")
    if total["agrees"]:
        click.echo(f"= the sum of {total['rows']} entries, to the last digit")
    else:
        click.echo(f"{mark('bad')}: the entries do not add up to it; run huxi ledger verify")


def _line(entry: dict[str, Any], names: dict[str | None, str]) -> list[str]:
    amount = entry["emitted_ng"] if entry["baseline_ng"] is None else entry["baseline_ng"]
    return [
        f"{entry['seq']}:{entry['row']}",
        utc(entry["t0_ms"])[5:],
        kWh(entry["energy_mWh"]),
        kg(amount),
        names[entry["factor"]],
        words(entry),
        short_id(entry),
    ]


def _echo_missing(rows: Iterable[dict[str, Any]]) -> None:
    for register, of_register in groupby(rows, key=lambda row: row["register"]):
        click.echo(f"\n{register}: time without an amount")
        echo_table(
            ("row", "begin", "time", "what"),
            [
                [
                    f"{row['seq']}:{row['row']}",
                    utc(row["t0_ms"])[5:],
                    span((row["t1_ms"] - row["t0_ms"]) / 1000),
                    words(row | {"class": "missing", "rows": 1}),
                ]
                for row in of_register
            ],
        )


def _echo_entry(answer: dict[str, Any]) -> None:
    _echo_paragraphs([*_subject(answer), *((step["about"], step["text"]) for step in answer["steps"])])
    if len(answer["past"]) > (answer["entry"] is not None):
        click.echo("\nAll that was booked for this time, oldest first:")
        echo_table(
            ("entry", "booked", "account", "kWh", "kg CO2", "what", "id"),
            [_past(entry) for entry in answer["past"]],
            right=frozenset({"kWh", "kg CO2"}),
        )
    told = [(note["at_ms"], _coverage(note)) for note in answer["coverage"]]
    told += [(alarm["t_ms"], f"alarm {alarm['what']}: {alarm['text']}") for alarm in answer["alarms"]]
    if told:
        click.echo("\nWhat was said in that time:")
        _echo_paragraphs((utc(t_ms), text) for t_ms, text in sorted(told))
    if answer["factor"]:
        click.echo("\nThe factor:")
        _echo_paragraphs(_factor(answer["factor"]))
        click.echo(f"\nNext step: huxi factors show {answer['factor']['ref']}")


def _subject(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """What the entry, or the interval without one, is about."""
    entry, interval = answer["entry"], answer["interval"]
    found = entry or interval
    lines = [
        ("register", f"{found['device']}/{found['register']}, {found['flow']}"),
        ("time", f"{utc(found['t0_ms'])} to {utc(found['t1_ms'])}"),
    ]
    if entry:
        lines.insert(0, ("entry", f"{entry['seq']}:{entry['row']}, id {entry['entry_id']}"))
        lines.append(("account", f"{entry['account']}, lens {entry['lens']}, method {entry['method']}"))
        lines.append(("booked", utc(entry["booked_ms"]) + (f" by {entry['run']}" if entry["run"] else "")))
    if interval:
        lines.append(("interval", f"{interval['seq']}:{interval['row']}, counter base {interval['epoch']}"))
    return lines


def _past(entry: dict[str, Any]) -> list[str]:
    return [
        f"{entry['seq']}:{entry['row']}",
        utc(entry["booked_ms"]),
        entry["account"],
        kWh(entry["energy_mWh"]),
        kg(entry["emitted_ng"] if entry["baseline_ng"] is None else entry["baseline_ng"]),
        words(entry),
        short_id(entry),
    ]


_LATE: Final = {
    "silent": "no reading was accepted",
    "held": "its readings contradicted each other",
    "asleep": "the device slept, as its kind does at night,",
    "frozen": "the device answered, always the same,",
    "out of range": "what it read lay outside the range of its profile",
    "disconnected": "the link was down",
    "no value": "the device said that it has none",
    "refused": "the device answered with an exception",
}
"""Why a register was behind."""


def _coverage(note: dict[str, Any]) -> str:
    if note["state"] == "in time":
        return "the register was back in time"
    return f"{note['state']}: {_LATE[note['state']]} since {utc(note['since_ms'])}; what came later was not booked yet"


def _factor(factor: dict[str, Any]) -> list[tuple[str, str]]:
    lines = [("ref", factor["ref"])]
    if factor["value_mg_per_kWh"] is None:
        return [*lines, ("value", "not in the factor table of this gateway")]
    return [
        *lines,
        ("value", f"{g_per_kWh(factor['value_mg_per_kWh'])} g {factor['gas_basis']} per kWh"),
        ("for", f"{factor['region']}, {factor['data_year']}, lens {factor['lens']}"),
        ("from", f"{factor['publisher']}: {factor['document']}"),
        ("published", f"{factor['published']}, confidence {factor['confidence']}"),
        ("sha-256", factor["document_sha256"] or NONE),
    ]


def _echo_paragraphs(lines: Iterable[tuple[str, str]]) -> None:
    """Names with their texts beside them, the texts broken to the terminal's width."""
    pairs = list(lines)
    indent = max(cells(name) for name, _ in pairs) + 2
    width = max(40, min(_WIDEST, shutil.get_terminal_size().columns) - indent)
    for name, text in pairs:
        first, *rest = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
        click.echo(name + " " * (indent - cells(name)) + first)
        for line in rest:
            click.echo(" " * indent + line)
