"""Entry id: the name of an entry, derived from what it says, equal wherever the same input was booked."""

import hashlib

from gateway.store.row_class import RowKind
from sync.wire import canonical


def entry_id(
    *,
    device: str,
    register: str,
    epoch: int | None,
    t0_ms: int,
    t1_ms: int,
    lens: str,
    account: str,
    method: str,
    factor: str | None,
    kind: RowKind,
    reverses: str | None,
    run: str | None,
) -> str:
    """32 hex digits: the first half of SHA-256 over the canonical JSON of the arguments; never stored nor sent.

    `epoch` is None for the sum over a day, `reverses` names what a reversal takes back, `run` what made a
    reversal or restatement.
    """
    named = {
        "device": device,
        "register": register,
        "epoch": epoch,
        "t0_ms": t0_ms,
        "t1_ms": t1_ms,
        "lens": lens,
        "account": account,
        "method": method,
        "factor": factor,
        "kind": kind.name.lower(),
        "reverses": reverses,
        "run": run,
    }
    return hashlib.sha256(canonical(named)).hexdigest()[:32]
