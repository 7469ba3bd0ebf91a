"""What the receiver tells about what it holds. `_ng` are decimal strings, mWh, ms and seq are numbers."""

import sqlite3
from typing import Any

from sync.messages import GENESIS

_LENS = "location"


def stream(conn: sqlite3.Connection, gateway: str, stream: str) -> dict[str, Any]:
    """See CentralStore.stream; a stream that never delivered stands at its genesis, a gateway at no epoch."""
    epoch = conn.execute(
        "SELECT id, epoch FROM epoch WHERE gateway = ? ORDER BY id DESC LIMIT 1", (gateway,)
    ).fetchone()
    epoch_id, name = epoch or (None, None)
    mark = conn.execute(
        "SELECT acked_through, hash FROM stream WHERE epoch_id = ? AND stream = ?", (epoch_id, stream)
    ).fetchone()
    acked_through, head = mark or (0, GENESIS)
    return {"epoch": name, "acked_through": acked_through, "hash": head.hex()}


def gateways(conn: sqlite3.Connection) -> list[dict[str, Any]]:
    """See CentralStore.gateways; by id."""
    found: dict[str, dict[str, Any]] = {}
    for gateway, epoch, name, acked_through, head, received_ms, fork, fork_ms in conn.execute(
        "SELECT gateway, epoch, stream, acked_through, hash, received_ms, fork, fork_ms "
        "FROM epoch JOIN stream ON epoch_id = id "
        "WHERE id IN (SELECT max(id) FROM epoch GROUP BY gateway) ORDER BY gateway, stream"
    ):
        entry = found.setdefault(gateway, {"gateway": gateway, "epoch": epoch, "last_received_ms": 0, "streams": {}})
        entry["last_received_ms"] = max(entry["last_received_ms"], received_ms)
        entry["streams"][name] = {
            "acked_through": acked_through,
            "hash": head.hex(),
            "received_ms": received_ms,
            "fork": fork,
            "fork_ms": fork_ms,
        }
    return list(found.values())


def tombstones(conn: sqlite3.Connection, gateway: str) -> dict[str, Any]:
    """See CentralStore.tombstones."""
    found = conn.execute(
        "SELECT epoch, stream, first_seq, seq, reason, sums_known FROM tombstone JOIN epoch ON id = epoch_id "
        "WHERE gateway = ? ORDER BY epoch_id, stream, seq",
        (gateway,),
    )
    sums = conn.execute(
        "SELECT device, register, flow, lens, account, sum(rows), sum(energy_mWh), whole_sum(emitted_ng), "
        "whole_sum(baseline_ng) FROM tombstone_sum JOIN register ON register_id = id "
        "WHERE gateway = ? GROUP BY register_id, lens, account ORDER BY device, register, flow, lens, account",
        (gateway,),
    )
    names = ("device", "register", "flow", "lens", "account", "rows", "energy_mWh", "emitted_ng", "baseline_ng")
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
        "sums": [dict(zip(names, row, strict=True)) for row in sums],
    }


def totals(conn: sqlite3.Connection, gateway: str) -> list[dict[str, Any]]:
    """See CentralStore.totals; by device, register and flow. `rows` counts intervals, a reversal takes one away."""
    rows = conn.execute(
        """
        WITH mine AS (SELECT id FROM epoch WHERE gateway = ?1), energy AS (
            SELECT register_id, sum(CASE kind WHEN 1 THEN -1 ELSE 1 END) AS rows, whole_sum(energy_mWh) AS energy_mWh
            FROM interval WHERE epoch_id IN mine GROUP BY register_id
        ), amount AS (
            SELECT register_id, emitted_ng, baseline_ng FROM entry WHERE epoch_id IN mine AND lens = ?2
            UNION ALL
            SELECT register_id, emitted_ng, baseline_ng FROM restatement WHERE epoch_id IN mine AND lens = ?2
        ), carbon AS (
            SELECT register_id, whole_sum(emitted_ng) AS emitted_ng, whole_sum(baseline_ng) AS baseline_ng
            FROM amount GROUP BY register_id
        )
        SELECT device, register, flow, energy_mWh, emitted_ng, baseline_ng, rows
        FROM register JOIN energy ON energy.register_id = id LEFT JOIN carbon ON carbon.register_id = id
        ORDER BY device, register, flow
        """,
        (gateway, _LENS),
    )
    return [
        {
            "device": device,
            "register": register,
            "flow": flow,
            "energy_mWh": int(energy_mWh or "0"),
            "emitted_ng": emitted_ng or "0",
            "baseline_ng": baseline_ng,
            "rows": count,
        }
        for device, register, flow, energy_mWh, emitted_ng, baseline_ng, count in rows
    ]
