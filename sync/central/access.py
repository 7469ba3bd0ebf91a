"""Who may deliver and who may read: one token each, of which only the hash is kept."""

import secrets
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from sync.central.database import Database
from sync.central.errors import CentralError
from sync.messages import NAME

GATEWAY: Final = "gateway"
READER: Final = "reader"
_COLUMNS: Final = "name, role, tenant, site, added_ms, revoked_ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A gateway, or somebody who reads."""

    name: str
    """Id of the gateway or name of the reader; unique among its kind at this receiver."""
    role: str
    """`gateway` delivers and reads what is its own, `reader` reads."""
    tenant: str | None
    """Whom it belongs to; None: a reader of all tenants."""
    site: str | None
    """Place of the gateway within the tenant; None for readers."""
    added_ms: int
    """When it got its token."""
    revoked_ms: int | None
    """Since when the token counts no more."""

    def may_deliver(self, gateway: str) -> bool:
        """Whether it is this gateway."""
        return self.role == GATEWAY and self.name == gateway

    def may_read(self, gateway: "Party") -> bool:
        """Whether the gateway is its own or of its tenant."""
        return self.may_deliver(gateway.name) or (self.role == READER and self.tenant in (None, gateway.tenant))


def add(db: Database, name: str, role: str, tenant: str | None, site: str | None) -> str:
    """Add a party, or one that was revoked anew; gives its token, which cannot be had again.

    Raises CentralError for a name that cannot be, or that has a token.
    """
    for what, text in ((role, name), ("tenant", tenant), ("site", site)):
        if text is not None and not NAME.fullmatch(text):
            raise CentralError(f"the {what} {text!r} is not possible: write letters, digits, dots, - and _, at most 64")
    token = secrets.token_urlsafe(32)
    with db.transaction():
        if db.execute("SELECT 1 FROM access WHERE role = ? AND name = ? AND revoked_ms IS NULL", (role, name)):
            raise CentralError(
                f"{role} {name} has a token already: revoke it first (huxi central {role} revoke {name})"
            )
        db.execute("DELETE FROM access WHERE role = ? AND name = ?", (role, name))
        db.execute(
            f"INSERT INTO access ({_COLUMNS}, digest) VALUES (?, ?, ?, ?, ?, NULL, ?)",
            (name, role, tenant, site, time.time_ns() // 1_000_000, _digest(token)),
        )
    return token


def revoke(db: Database, name: str, role: str) -> None:
    """Refuse the token of a party from now on; what it delivered stays. Raises CentralError when it has none."""
    with db.transaction():
        if not db.execute("SELECT 1 FROM access WHERE role = ? AND name = ? AND revoked_ms IS NULL", (role, name)):
            raise CentralError(f"{role} {name} has no token here (see huxi central {role} list)")
        db.execute(
            "UPDATE access SET revoked_ms = ? WHERE role = ? AND name = ?", (time.time_ns() // 1_000_000, role, name)
        )


def by_token(db: Database, token: str) -> Party | None:
    """Whose token this is. It is found by its hash, so the time taken tells nothing about tokens."""
    found = db.execute(f"SELECT {_COLUMNS} FROM access WHERE digest = ? AND revoked_ms IS NULL", (_digest(token),))
    return _party(found[0]) if found else None


def gateway(db: Database, name: str) -> Party | None:
    """The gateway of this id, revoked or not."""
    found = db.execute(f"SELECT {_COLUMNS} FROM access WHERE role = ? AND name = ?", (GATEWAY, name))
    return _party(found[0]) if found else None


def parties(
    db: Database, role: str, *, tenant: str | None = None, site: str | None = None, after: str = "", limit: int = -1
) -> list[Party]:
    """Those of a role, by name from `after` on; of one tenant and site, when given; all when `limit` is negative."""
    wanted = [("role = ?", role), ("name > ?", after), ("tenant = ?", tenant), ("site = ?", site)]
    held = [(condition, value) for condition, value in wanted if value is not None]
    where = " AND ".join(condition for condition, _ in held)
    cut = "" if limit < 0 else f" LIMIT {limit:d}"
    sql = f"SELECT {_COLUMNS} FROM access WHERE {where} ORDER BY name{cut}"
    return [_party(found) for found in db.execute(sql, [value for _, value in held])]


def _party(row: tuple[Any, ...]) -> Party:
    name, role, tenant, site, added_ms, revoked_ms = row
    return Party(name=name, role=role, tenant=tenant, site=site, added_ms=added_ms, revoked_ms=revoked_ms)


def _digest(token: str) -> bytes:
    """Plain SHA-256 is enough for what is 256 random bits: nobody can guess them, with however fast a hash."""
    return sha256(token.encode(errors="replace")).digest()
