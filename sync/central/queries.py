"""What the receiver tells about what it holds. Sums and `_ng` are decimal strings; mWh, ms and seq are numbers."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sync.central.access import Party
from sync.central.database import Database
from sync.messages import GENESIS

SILENT_MS: Final = 3_600_000
"""A gateway that brought nothing new for so long is called silent."""
_LENS: Final = "location"
STATES: Final = {
    1: "silent",
    2: "held",
    3: "asleep",
    4: "frozen",
    5: "out of range",
    6: "disconnected",
    7: "no value",
    8: "refused",
}
"""Why a register is behind; a number of a later contract stands for itself."""
_SUM_KEYS: Final = (
    *("device", "register", "flow", "lens", "account", "rows"),
    *("energy_mWh", "emitted_ng", "baseline_ng"),
)


def stream(db: Database, gateway: str, stream: str) -> dict[str, Any]:
    """See CentralStore.stream; a stream that never delivered stands at its genesis, a gateway at no epoch."""
    epoch = db.execute("SELECT id, epoch FROM epoch WHERE gateway = ? ORDER BY id DESC LIMIT 1", (gateway,))
    epoch_id, name = epoch[0] if epoch else (None, None)
    mark = db.execute("SELECT acked_through, hash FROM stream WHERE epoch_id = ? AND stream = ?", (epoch_id, stream))
    acked_through, head = mark[0] if mark else (0, GENESIS)
    return {"epoch": name, "acked_through": acked_through, "hash": head.hex()}


def health(db: Database, gateways: Sequence[Party], now_ms: int) -> list[dict[str, Any]]:
    """How each of some gateways, sorted by name, stands: the streams of its newest epoch, and one word."""
    found: dict[str, dict[str, Any]] = {
        party.name: {
            "gateway": party.name,
            "tenant": party.tenant,
            "site": party.site,
            "state": "never",
            "detail": "it never delivered",
            "epoch": None,
            "last_received_ms": None,
            "late": {},
            "streams": {},
        }
        for party in gateways
    }
    if not found:
        return []
    span = (min(found), max(found))
    for name, epoch, stream, acked_through, head, received_ms, fork, fork_ms in db.execute(
        "SELECT gateway, epoch, stream, acked_through, hash, received_ms, fork, fork_ms "
        "FROM epoch JOIN stream ON epoch_id = id WHERE id IN "
        "(SELECT max(id) FROM epoch WHERE gateway BETWEEN ? AND ? GROUP BY gateway) ORDER BY gateway, stream",
        span,
    ):
        if name in found:
            at = found[name]
            at["epoch"] = epoch
            at["last_received_ms"] = max(at["last_received_ms"] or 0, received_ms)
            at["streams"][stream] = {
                "acked_through": acked_through,
                "hash": head.hex(),
                "received_ms": received_ms,
                "fork": fork,
                "fork_ms": fork_ms,
                "refused": None,
                "refused_ms": None,
            }
    for name, stream, text, refused_ms in db.execute(
        "SELECT gateway, stream, text, refused_ms FROM refusal WHERE gateway BETWEEN ? AND ? ORDER BY gateway, stream",
        span,
    ):
        if name in found:
            nothing = {"acked_through": 0, "hash": GENESIS.hex(), "received_ms": None, "fork": None, "fork_ms": None}
            found[name]["streams"].setdefault(stream, nothing).update(refused=text, refused_ms=refused_ms)
    for name, state, count in db.execute(
        "SELECT gateway, state, count(*) FROM coverage JOIN register ON register_id = id "
        "WHERE gateway BETWEEN ? AND ? AND state <> 0 GROUP BY gateway, state ORDER BY gateway, state",
        span,
    ):
        if name in found:
            found[name]["late"][STATES.get(state, str(state))] = count
    for party in gateways:
        at = found[party.name]
        at["state"], at["detail"] = _state(party, at, now_ms)
    return list(found.values())


def _state(party: Party, at: dict[str, Any], now_ms: int) -> tuple[str, str]:
    """One word and one sentence, the worst first."""
    for stream in at["streams"].values():
        if stream["fork"]:
            return "fork", stream["fork"]
    if party.revoked_ms is not None:
        return "revoked", "its token was revoked"
    for name, stream in at["streams"].items():
        if stream["refused"] and stream["refused_ms"] >= (stream["received_ms"] or 0):
            return "refused", f"the last batch of stream {name} was not taken: {stream['refused']}"
    if at["last_received_ms"] is None:
        return "never", "it never delivered"
    if now_ms - at["last_received_ms"] > SILENT_MS:
        return "silent", "it brought nothing new for more than an hour"
    return "delivers", "it delivers"


def coverage(db: Database, gateway: str) -> list[dict[str, Any]]:
    """See CentralStore.coverage; by device, register and flow."""
    rows = db.execute(
        "SELECT device, register, flow, state, since_ms, at_ms FROM coverage JOIN register ON register_id = id "
        "WHERE gateway = ? AND state <> 0",
        (gateway,),
    )
    return [
        {
            "device": device,
            "register": register,
            "flow": flow,
            "state": STATES.get(state, str(state)),
            "since_ms": since_ms,
            "at_ms": at_ms,
        }
        for device, register, flow, state, since_ms, at_ms in sorted(rows)
    ]


def tombstones(db: Database, gateway: str) -> dict[str, Any]:
    """See CentralStore.tombstones."""
    total = db.words["sum"]
    found = db.execute(
        "SELECT epoch, stream, first_seq, seq, reason, sums_known FROM tombstone JOIN epoch ON id = epoch_id "
        "WHERE gateway = ? ORDER BY epoch_id, stream, seq",
        (gateway,),
    )
    sums = db.execute(
        f"SELECT device, register, flow, lens, account, sum(rows), {total}(energy_mWh), {total}(emitted_ng), "
        f"{total}(baseline_ng) FROM tombstone_sum JOIN register ON register_id = id WHERE gateway = ? "
        "GROUP BY id, device, register, flow, lens, account ORDER BY device, register, flow, lens, account",
        (gateway,),
    )
    return {
        "tombstones": [
            {
                "epoch": epoch,
                "stream": stream,
                "first_seq": first,
                "last_seq": last,
                "reason": reason,
                "sums_known": known == 1,
            }
            for epoch, stream, first, last, reason, known in found
        ],
        "sums": [dict(zip(_SUM_KEYS, (*row[:5], int(row[5]), *map(_decimal, row[6:])), strict=True)) for row in sums],
    }


def totals(db: Database, gateway: str) -> list[dict[str, Any]]:
    """See CentralStore.totals; by device, register and flow. `rows` counts intervals, a reversal takes one away."""
    total = db.words["sum"]
    mine = "SELECT id FROM epoch WHERE gateway = ?"
    energy = db.execute(
        f"SELECT register_id, sum(CASE kind WHEN 1 THEN -1 ELSE 1 END), {total}(energy_mWh) "
        f"FROM interval WHERE epoch_id IN ({mine}) GROUP BY register_id",
        (gateway,),
    )
    carbon: dict[int, tuple[int, int | None]] = {}
    for table in ("entry", "restatement"):
        for register_id, emitted_ng, baseline_ng in db.execute(
            f"SELECT register_id, {total}(emitted_ng), {total}(baseline_ng) FROM {table} "
            f"WHERE epoch_id IN ({mine}) AND line_id IN (SELECT id FROM line WHERE gateway = ? AND lens = ?) "
            "GROUP BY register_id",
            (gateway, gateway, _LENS),
        ):
            emitted, baseline = carbon.get(register_id, (0, None))
            if baseline_ng is not None:
                baseline = (baseline or 0) + int(baseline_ng)
            carbon[register_id] = (emitted + int(emitted_ng), baseline)
    names = db.execute("SELECT id, device, register, flow FROM register WHERE gateway = ?", (gateway,))
    registers = {number: name for number, *name in names}
    answer = []
    for register_id, rows, energy_mWh in energy:
        device, register, flow = registers[register_id]
        emitted, baseline = carbon.get(register_id, (0, None))
        answer.append(
            {
                "device": device,
                "register": register,
                "flow": flow,
                "energy_mWh": str(int(energy_mWh or 0)),
                "emitted_ng": str(emitted),
                "baseline_ng": _decimal(baseline),
                "rows": int(rows),
            }
        )
    return sorted(answer, key=lambda row: (row["device"], row["register"], row["flow"]))


def intervals(db: Database, gateway: str, span: "Span") -> dict[str, Any]:
    """See CentralStore.intervals."""
    return _page(db, gateway, span, _INTERVALS, _INTERVAL_KEYS)


def ledger(db: Database, gateway: str, span: "Span") -> dict[str, Any]:
    """See CentralStore.ledger."""
    return _page(db, gateway, span, _LEDGER, _LEDGER_KEYS)


class Span(NamedTuple):
    """Which rows are asked for, and how many at a time."""

    from_ms: int
    """Rows that begin at this time or later."""
    to_ms: int
    """Rows that begin before this time."""
    after: str
    """Where the last page ended, as it said ("" at first)."""
    limit: int
    """Most rows of a page."""


_RANGE: Final = "epoch_id = ? AND (seq, row) > (?, ?) AND t0_ms >= ? AND t0_ms < ?"
_INTERVALS: Final = (
    "SELECT seq, row, device, register, flow, register_epoch, t0_ms, t1_ms, energy_mWh, raw_begin, raw_end, class, "
    f"flags, kind FROM interval JOIN register ON register.id = register_id WHERE {_RANGE} ORDER BY seq, row LIMIT ?"
)
_INTERVAL_KEYS: Final = (
    *("seq", "row", "device", "register", "flow", "register_epoch", "t0_ms", "t1_ms", "energy_mWh"),
    *("raw_begin", "raw_end", "class", "flags", "kind"),
)
_LEDGER_KEYS: Final = (
    *("seq", "row", "device", "register", "flow", "lens", "account", "method", "factor", "t0_ms"),
    *("emitted_ng", "baseline_ng", "class", "flags", "intervals_seq", "interval_row", "day", "rows", "kind"),
)
_NAMED: Final = "device, register, flow, lens, account, method, factor, t0_ms, emitted_ng, baseline_ng, class, flags"
_JOINED: Final = "JOIN register ON register.id = register_id JOIN line ON line.id = line_id"
_LEDGER: Final = (
    f"SELECT * FROM (SELECT seq, row, {_NAMED}, intervals_seq, interval_row, CAST(NULL AS TEXT), 1, 0 "
    f"FROM entry {_JOINED} WHERE {_RANGE} ORDER BY seq, row LIMIT ?) AS a UNION ALL "
    f"SELECT * FROM (SELECT seq, row, {_NAMED}, CAST(NULL AS BIGINT), CAST(NULL AS INTEGER), day, rows, kind "
    f"FROM restatement {_JOINED} WHERE {_RANGE} ORDER BY seq, row LIMIT ?) AS b ORDER BY 1, 2 LIMIT ?"
)
_WIDE: Final = {"raw_begin", "raw_end", "emitted_ng", "baseline_ng"}


def _page(db: Database, gateway: str, span: Span, sql: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """Rows in the order in which they were booked, epoch after epoch, and where to go on (None: that was all)."""
    first, seq, row = map(int, (span.after or "0.0.-1").split("."))
    epochs = db.execute("SELECT id, epoch FROM epoch WHERE gateway = ? AND id >= ? ORDER BY id", (gateway, first))
    rows: list[dict[str, Any]] = []
    after = None
    for epoch_id, epoch in epochs:
        wanted = span.limit - len(rows)
        start = (seq, row) if epoch_id == first else (0, -1)
        part = [epoch_id, *start, span.from_ms, span.to_ms, wanted]
        found = db.execute(sql, part if sql is _INTERVALS else [*part, *part, wanted])
        for values in found:
            named = dict(zip(keys, values, strict=True))
            wide = {key: _decimal(named[key]) for key in named.keys() & _WIDE}
            rows.append({"epoch": epoch, **named, **wide})
        if len(rows) == span.limit:
            after = f"{epoch_id}.{found[-1][0]}.{found[-1][1]}"
            break
    return {"rows": rows, "after": after}


def _decimal(value: object) -> str | None:
    """An amount of either database as a decimal string."""
    return None if value is None else str(int(value))  # type: ignore[call-overload]  # int, Decimal or digits
