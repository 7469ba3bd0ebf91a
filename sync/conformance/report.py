"""Asking a receiver all questions, and what came out."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from sync.conformance.checks import CHECKS, Check
from sync.conformance.probe import STREAM, Stream, Wrong
from sync.errors import Refused, SyncError, Unreachable
from sync.transports.client import Client, Way


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found."""

    clause: str
    """Name of the clause, as in docs/sync-contract.md."""
    demand: str
    """What it demands, in a sentence."""
    wrong: str | None
    """What the receiver does instead; None when it conforms."""


async def examine(way: Way, token: str, gateway: str, checks: Sequence[Check] = CHECKS) -> AsyncIterator[Finding]:
    """A finding for each clause. Writes records of the gateway into the receiver: use one that is thrown away.

    Raises SyncError when the receiver cannot be reached, or refuses the token, before the first check.
    """
    client = Client(way, {})
    try:
        await _greet(client, token, gateway)
        for check in checks:
            clause, demand = check.__name__.replace("_", "-"), str(check.__doc__)
            try:
                await check(Stream(client, gateway, token))
            except (Wrong, Unreachable) as error:
                yield Finding(clause=clause, demand=demand, wrong=str(error))
            else:
                yield Finding(clause=clause, demand=demand, wrong=None)
    finally:
        await client.aclose()


async def _greet(client: Client, token: str, gateway: str) -> None:
    answer = await Stream(client, gateway, token).get(f"streams/{STREAM}")
    if answer.status in (401, 403):
        raise Refused(f"{client.url} refuses this token for gateway {gateway}: let the receiver know both first")
    if answer.status != 200 or "epoch" not in answer.json:
        raise SyncError(f"{client.url} answers {answer.status}, but not like a huxi receiver: check the address")
