"""The names that gateways give, each under a number."""

from typing import Final, TypeVar

from sync.central.database import Database

REGISTER: Final = ("device", "register", "flow")
LINE: Final = ("lens", "account", "method", "factor")

_Name = TypeVar("_Name", bound=tuple[str, ...])


def ids(db: Database, gateway: str, table: str, columns: tuple[str, ...], wanted: set[_Name]) -> dict[_Name, int]:
    """Ids of names of a gateway, made where they are missing."""
    ask = f"SELECT id, {', '.join(columns)} FROM {table} WHERE gateway = ?"

    def held() -> dict[_Name, int]:
        return {tuple(name): number for number, *name in db.execute(ask, (gateway,))}  # type: ignore[misc]  # as asked

    found = held() if wanted else {}
    missing = sorted(wanted - found.keys())  # in one order, so that two who add never wait for each other
    if not missing:
        return found
    add = f"INSERT INTO {table} (gateway, {', '.join(columns)}) VALUES (?{', ?' * len(columns)}) ON CONFLICT DO NOTHING"
    for name in missing:
        db.execute(add, (gateway, *name))
    return held()
