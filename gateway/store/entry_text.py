"""Ledger entries as text for people, spreadsheets and other programs: `_ng` and raw counters as decimal strings."""

import csv
import io
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from gateway.store.ledger import LedgerEntry

_COLUMNS: Final = (
    *(
        "seq",
        "row",
        "begin_utc",
        "end_utc",
        "device",
        "register",
        "flow",
        "energy_mWh",
        "raw_begin",
        "raw_end",
    ),
    *("lens", "account", "method", "factor", "emitted_ng", "baseline_ng", "class", "flags"),
)


def entry_json(entry: LedgerEntry) -> dict[str, Any]:
    """One entry as the API gives it."""
    return {
        "seq": entry.seq,
        "row": entry.row,
        "device": entry.device,
        "register": entry.register,
        "flow": entry.flow,
        "t0_ms": entry.t0_ms,
        "t1_ms": entry.t1_ms,
        "energy_mWh": entry.energy_mWh,
        "raw_begin": _decimal(entry.raw_begin),
        "raw_end": _decimal(entry.raw_end),
        "lens": entry.lens,
        "account": entry.account,
        "method": entry.method,
        "factor": entry.factor,
        "emitted_ng": str(entry.emitted_ng),
        "baseline_ng": _decimal(entry.baseline_ng),
        "class": entry.row_class.name.lower(),
        "flags": entry.flags,
    }


def csv_heading() -> bytes:
    """The first line of a CSV export."""
    return (",".join(_COLUMNS) + "\r\n").encode()


def csv_lines(entries: Iterable[LedgerEntry]) -> bytes:
    """Entries as lines of CSV (RFC 4180); nothing stands where there is no value."""
    text = io.StringIO()
    writer = csv.writer(text)
    for entry in entries:
        row = entry_json(entry)
        row |= {"begin_utc": _utc(entry.t0_ms), "end_utc": _utc(entry.t1_ms), "flags": " ".join(entry.flags)}
        writer.writerow(["" if row[name] is None else row[name] for name in _COLUMNS])
    return text.getvalue().encode()


def json_lines(entries: Iterable[LedgerEntry]) -> bytes:
    """Entries as JSON, one a line."""
    return "".join(json.dumps(entry_json(entry), ensure_ascii=False) + "\n" for entry in entries).encode()


def _decimal(value: int | None) -> str | None:
    return None if value is None else str(value)


def _utc(t_ms: int) -> str:
    moment = datetime.fromtimestamp(t_ms // 1000, UTC).replace(microsecond=t_ms % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
