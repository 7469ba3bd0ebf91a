"""The answers to acts on the ledger, as models: what the documentation shows and what an answer is held to."""

from typing import Literal

from pydantic import Field

from gateway.web.models import Decimal, Exact, Model, Ms, Ng


class Suspect(Model):
    """A span whose energy the counter claims and nothing proves; it counts as zero until somebody decides."""

    id: str
    device: str
    register_: str = Field(alias="register")
    flow: str
    t0_ms: Ms
    t1_ms: Ms
    lo_mWh: Decimal
    hi_mWh: Decimal
    raw_begin: Decimal | None
    raw_end: Decimal | None
    flags: list[str]


class Suspects(Model):
    """All of them, oldest first."""

    suspects: list[Suspect]


class RestatementPlan(Model):
    """What to restate: the days that have records, oldest first, to be asked for one by one under this run."""

    run: str
    days: list[str]


class Changed(Model):
    """Entries of one lens and account whose factor changes, and the sum of their amounts."""

    lens: str
    account: str
    amount: Literal["emitted", "baseline"]
    entries: Exact
    before_ng: Ng
    after_ng: Ng


class Restatement(Model):
    """What became of one day; a pruned one has lost rows, so that nobody can tell what is in force."""

    day: str
    state: Literal["changed", "unchanged", "pruned"]
    changes: list[Changed]
