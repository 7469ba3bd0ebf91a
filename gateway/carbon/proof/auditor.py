"""Auditor: stored blocks computed again from the records before them and from the factors they name."""

from dataclasses import dataclass

from gateway.carbon.booking.contracts import TakenBack
from gateway.carbon.booking.restate import recheck_restatement
from gateway.carbon.factors.factor_set import FactorSet
from gateway.carbon.proof.recheck import recheck
from gateway.store.ledger.live_day import LiveDay
from sync.wire import Block


@dataclass(frozen=True, slots=True)
class Auditor:
    """What `gateway.store.audit.verification` judges a ledger by."""

    factors: FactorSet

    def entries(self, intervals: Block, entries: Block, taken_back: TakenBack) -> str | None:
        """See `recheck`."""
        return recheck(intervals, entries, taken_back, factors=self.factors)

    def restatement(self, live: LiveDay, stored: Block) -> str | None:
        """See `recheck_restatement`."""
        return recheck_restatement(live, stored, self.factors)
