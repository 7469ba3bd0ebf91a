"""EntryTrace: the second step of a proof, from one entry to its interval, its counter, its factor and its past."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any, Final

from gateway.carbon.errors import FactorError
from gateway.carbon.factors.factor_set import FactorSet
from gateway.carbon.metering.sweep import COVERAGE, Lateness
from gateway.carbon.proof.evidence import Evidence, find
from gateway.store.ledger.backwards import Backwards
from gateway.store.ledger.entry_text import entry_json
from gateway.store.ledger.ledger_entry import LedgerEntry, of_entries, of_restatement
from gateway.store.record import ENTRIES, RESTATEMENT, decoded, read, readable
from sync.wire import Block

_AFTER_MS: Final = 60_000
"""How long after the end of a row an alarm about it may still come."""


class EntryTrace:
    """One walk. Call `advance` until it returns False, then ask for the `answer`."""

    def __init__(self, seq: int, row: int, factors: FactorSet) -> None:
        """`seq` and `row` name an entry, or a row of intervals: one without an amount has no entry."""
        self._place = (seq, row)
        self._factors = factors
        self._found: tuple[Evidence, Backwards] | None = None
        self._past: list[LedgerEntry] = []
        self._coverage: list[dict[str, Any]] = []
        self._alarms: list[dict[str, Any]] = []

    def advance(self, conn: sqlite3.Connection) -> bool:
        """Looks at the next records; False when all were seen.

        Raises NotInLedger when there is no such row, and StoreError for a record that cannot be read.
        """
        if self._found is None:
            evidence = find(conn, *self._place)
            walk = Backwards(evidence.t0_ms, evidence.t1_ms, (ENTRIES, RESTATEMENT, COVERAGE))
            self._found = evidence, walk
            return True
        evidence, walk = self._found
        seqs = walk.step(conn)
        if seqs is None:
            self._alarms = list(_alarms(conn, evidence))
            return False
        for seq in seqs:
            block = read(conn, seq)
            with readable(seq):
                if block.kind == COVERAGE:
                    self._coverage += _coverage(block, evidence)
                else:
                    self._past += _past(conn, seq, block, evidence)
        return True

    def answer(self) -> dict[str, Any]:
        """`web.ledger_models.EntryTrace`."""
        assert self._found is not None, "advance comes first"
        evidence, _ = self._found
        seq, row = self._place
        factor = self._factor(evidence.entry)
        self._past.sort(key=lambda entry: (entry.seq, entry.row))
        return {
            "seq": seq,
            "row": row,
            "entry": evidence.entry and entry_json(evidence.entry),
            "interval": evidence.interval,
            "steps": evidence.steps(None if factor is None else factor["value_mg_per_kWh"]),
            "past": [entry_json(entry) for entry in self._past],
            "coverage": sorted(self._coverage, key=lambda told: told["at_ms"]),
            "alarms": self._alarms,
            "factor": factor,
        }

    def _factor(self, entry: LedgerEntry | None) -> dict[str, Any] | None:
        """The record of the factor; without a value where the table has it no longer."""
        if entry is None or entry.factor is None:
            return None
        try:
            record = self._factors.record(entry.factor)
        except FactorError:
            return {"ref": entry.factor, "value_mg_per_kWh": None}
        return {
            "ref": record.ref,
            "value_mg_per_kWh": record.value_mg_per_kWh,
            "gas_basis": record.gas_basis,
            "region": record.region,
            "lens": record.lens,
            "data_year": record.data_year,
            "published": record.published.isoformat(),
            "publisher": record.publisher,
            "document": record.document,
            "document_sha256": record.document_sha256,
            "confidence": record.confidence,
        }


def _past(conn: sqlite3.Connection, seq: int, block: Block, evidence: Evidence) -> list[LedgerEntry]:
    """What this record says of the same time of the same register, in the same account under the same lens."""
    if block.kind == ENTRIES:
        found = of_entries(seq, read(conn, block.meta["intervals_seq"]), block)
    else:
        found = of_restatement(seq, block)
    return [entry for entry in found if evidence.concerns(entry)]


def _coverage(block: Block, evidence: Evidence) -> Iterator[dict[str, Any]]:
    """What this record says of the register: until when it was closed then, and why not further."""
    at_ms = block.meta["at_ms"]
    columns = block.ints("r"), block.optional_ints("since_ms"), block.ints("state")
    for r, since_ms, state in zip(*columns, strict=True):
        device, register, _, _ = block.meta["registers"][r]
        if (device, register) == (evidence.device, evidence.register) and (since_ms or 0) < evidence.t1_ms:
            yield {"at_ms": at_ms, "since_ms": since_ms, "state": Lateness(state).word}


def _alarms(conn: sqlite3.Connection, evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Alarms of the device, and of the gateway as a whole, from the begin of the doubt to just after the row."""
    rows = conn.execute(
        "SELECT body FROM record WHERE stream = 'events' AND kind = 'alarm' AND t0_ms BETWEEN ? AND ? ORDER BY seq",
        (evidence.since_ms, evidence.until_ms + _AFTER_MS),
    )
    for (body,) in rows:
        meta = decoded(body).meta
        if meta["device"] in ("", evidence.device):
            yield {name: meta[name] for name in ("t_ms", "what", "device", "text")}
