"""What the command prints: tables, exact amounts, times, colours, JSON."""

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

NONE: Final = "–"
"""Shown where there is no value: an absent reading is never a zero."""

_Step = TypeVar("_Step")

_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)
"""60 digits: more than any amount has, so that the context itself never rounds."""

_COLOURS: Final = {
    "ok": "green",
    "live": "green",
    "warn": "yellow",
    "late": "yellow",
    "bad": "red",
    "silent": "red",
    "disconnected": "red",
    "frozen": "red",
}

_REASONS: Final = {"link_down": "disconnected", "unread": "not asked"}
"""Qualities whose name in the API is not the word for people."""


def echo_json(data: object) -> None:
    """Print `data` as JSON that people can read too."""
    click.echo(json.dumps(data, ensure_ascii=False, indent=2))


def echo_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[str] = frozenset()) -> None:
    """Print `rows` under `headings`; columns whose heading is in `right` are aligned to the right.

    Widths are counted in terminal cells: a Chinese character takes two, a colour code none.
    """
    widths = [max(cells(text) for text in column) for column in zip(headings, *rows, strict=True)]
    for line in (headings, *rows):
        padded = (
            _pad(text, width, to_right=heading in right)
            for text, width, heading in zip(line, widths, headings, strict=True)
        )
        click.echo("  ".join(padded).rstrip())


def echo_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Print pairs of name and text, the texts below each other."""
    pairs = list(fields)
    width = max(cells(name) for name, _ in pairs)
    for name, text in pairs:
        click.echo(f"{_pad(name, width, to_right=False)}  {text}")


def progress_to(length: int, label: str) -> "ProgressBar[int]":
    """A bar up to `length`, on stderr and only where that is a terminal."""
    return click.progressbar(length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())


def progress_over(steps: Iterable[_Step], label: str) -> "ProgressBar[_Step]":
    """A bar over steps whose number is not known, on stderr and only where that is a terminal."""
    return click.progressbar(steps, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())


def cells(text: str) -> int:
    """Number of terminal cells that `text` takes."""
    return sum(_cell_width(character) for character in click.unstyle(text))


def mark(word: str) -> str:
    """`word` (a state such as ok, warn, bad) in its colour; click drops the colour where no terminal is."""
    colour = _COLOURS.get(word)
    return click.style(word, fg=colour) if colour else word


def reason(quality: str) -> str:
    """Why a point has, or has not, a value: the API's name of its quality, for people."""
    return _REASONS.get(quality, quality.replace("_", " "))


def kWh(energy_mWh: int | None, places: int = 6) -> str:
    """Milliwatt-hours in kWh: every digit with the default of 6 places, rounded half even with fewer."""
    return NONE if energy_mWh is None else _shifted(energy_mWh, 6, places)


def kg(amount_ng: int | str | None, places: int = 12) -> str:
    """Nanograms (an integer, or the API's decimal string) in kg: every digit with the default, 12."""
    return NONE if amount_ng is None else _shifted(int(amount_ng), 12, places)


def g_per_kWh(value_mg_per_kWh: int) -> str:
    """An emission factor in g/kWh, with every digit."""
    return _shifted(value_mg_per_kWh, 3, 3)


def utc(t_ms: int | None) -> str:
    """Milliseconds since the epoch as date and time in UTC."""
    if t_ms is None:
        return NONE
    return datetime.fromtimestamp(t_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def span(seconds: float | None) -> str:
    """A time span in the unit that fits, for people: 42 s, 5 min, 3 h, 12 d."""
    if seconds is None:
        return NONE
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def size(count: int | None) -> str:
    """A number of bytes in the unit that fits, for people."""
    if count is None:
        return NONE
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def count(number: int, noun: str) -> str:
    """A number of things: 1 day, 2 days."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def quantity(value: Any) -> str:
    """A display value for people: floats without digits that carry nothing, absent ones as a dash."""
    if value is None:
        return NONE
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _shifted(amount: int, exponent: int, places: int) -> str:
    exact = Decimal(amount).scaleb(-exponent, context=_EXACT)
    return f"{exact.quantize(Decimal(1).scaleb(-places), context=_EXACT):f}"


def _pad(text: str, width: int, *, to_right: bool) -> str:
    fill = " " * (width - cells(text))
    return fill + text if to_right else text + fill


def _cell_width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
