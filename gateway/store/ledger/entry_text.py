"""Ledger entries as text for people, spreadsheets and other programs.

`_ng`, raw counters and the bounds of wild ones are decimal strings.
"""

import csv
import io
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from gateway.store.ledger.ledger_entry import LedgerEntry
from gateway.store.ledger.pages import Page

_COLUMNS: Final = (
    *("seq", "row", "entry_id", "kind", "reverses", "run", "reason", "booked_utc", "begin_utc", "end_utc"),
    *("device", "register", "flow", "epoch", "rows", "energy_mWh", "lo_mWh", "hi_mWh", "raw_begin", "raw_end"),
    *("lens", "account", "method", "factor", "matched_mWh"),
    *("emitted_ng", "baseline_ng", "lo_ng", "hi_ng", "class", "flags"),
)


def entry_json(entry: LedgerEntry) -> dict[str, Any]:
    """One entry as the API gives it."""
    return {
        "seq": entry.seq,
        "row": entry.row,
        "entry_id": entry.entry_id,
        "kind": entry.kind,
        "reverses": entry.reverses,
        "run": entry.run,
        "reason": entry.reason,
        "booked_ms": entry.booked_ms,
        "device": entry.device,
        "register": entry.register,
        "flow": entry.flow,
        "epoch": entry.epoch,
        "t0_ms": entry.t0_ms,
        "t1_ms": entry.t1_ms,
        "rows": entry.rows,
        "energy_mWh": entry.energy_mWh,
        "lo_mWh": _decimal(entry.lo_mWh),
        "hi_mWh": _decimal(entry.hi_mWh),
        "raw_begin": _decimal(entry.raw_begin),
        "raw_end": _decimal(entry.raw_end),
        "lens": entry.lens,
        "account": entry.account,
        "method": entry.method,
        "factor": entry.factor,
        "matched_mWh": entry.matched_mWh,
        "emitted_ng": str(entry.emitted_ng),
        "baseline_ng": _decimal(entry.baseline_ng),
        "lo_ng": _decimal(entry.lo_ng),
        "hi_ng": _decimal(entry.hi_ng),
        "class": None if entry.row_class is None else entry.row_class.name.lower(),
        "flags": entry.flags,
    }


def entries_json(page: Page) -> dict[str, Any]:
    """A part of the ledger as the API gives it."""
    return {
        "entries": [entry_json(entry) for entry in page.entries],
        "next_before_seq": page.next_before_seq,
        "pruned_through": page.pruned_through,
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
        row |= {
            "begin_utc": utc_text(entry.t0_ms),
            "end_utc": utc_text(entry.t1_ms),
            "booked_utc": utc_text(entry.booked_ms),
        }
        row["flags"] = " ".join(entry.flags)
        writer.writerow(["" if row[name] is None else row[name] for name in _COLUMNS])
    return text.getvalue().encode()


def json_lines(entries: Iterable[LedgerEntry]) -> bytes:
    """Entries as JSON, one a line."""
    return "".join(json.dumps(entry_json(entry), ensure_ascii=False) + "\n" for entry in entries).encode()


def utc_text(t_ms: int) -> str:
    """Milliseconds since the epoch as ISO 8601 in UTC, exactly."""
    moment = datetime.fromtimestamp(t_ms // 1000, UTC).replace(microsecond=t_ms % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _decimal(value: int | None) -> str | None:
    return None if value is None else str(value)
