"""What the receiver asks of a database; sqlite.py and postgres.py fulfil it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol


class Database(Protocol):
    """One connection, used by one thread at a time.

    SQL is the part that both understand, with `?` for values and without `%`. What the database cannot do raises
    CentralError (disk full, server gone); what comes next tries again, with a new connection where that is needed.
    """

    words: Mapping[str, str]
    """What differs in SQL, by the names that schema.TABLES uses; `sum` is an exact aggregate, `hold` the end of a
    SELECT whose row nobody else may change until the transaction ends."""

    def execute(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement; its rows, if it gives any."""

    def append(self, table: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Add rows with all columns of `table` in their order, in one call to the database."""

    def wide(self, decimals: Sequence[str | None]) -> Sequence[int | str | None]:
        """A column of integers of any size, as decimal strings, in the form that `append` takes."""

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing. Durable when the block has ended; undone when it raises."""

    def make_room(self, table: str, times_ms: Collection[int]) -> None:
        """See that `table` takes rows of these times; inside a transaction."""

    def prepare(self) -> None:
        """Make the tables, or check that they are of this version."""

    def close(self) -> None:
        """Let go of the connection."""
