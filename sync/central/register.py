"""The registers that gateways have, each under a number."""

import sqlite3


def register_id(conn: sqlite3.Connection, gateway: str, register: tuple[str, str, str]) -> int:
    """The number of (device, register, flow), which is made when missing."""
    key = (gateway, *register)
    conn.execute(
        "INSERT INTO register (gateway, device, register, flow) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        key,
    )
    row: tuple[int] = conn.execute(
        "SELECT id FROM register WHERE gateway = ? AND device = ? AND register = ? AND flow = ?", key
    ).fetchone()
    return row[0]
