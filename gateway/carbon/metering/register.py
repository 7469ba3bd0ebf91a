"""Register: one energy register of the site while it is metered: its open rows and what is kept of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ext import Quality
from gateway.carbon.intervals import Intervals, RegisterName
from gateway.carbon.metering.correction import RECOVERED, STEP, Correction
from gateway.carbon.metering.register_spec import RegisterSpec
from gateway.carbon.metering.sweep import Lateness
from gateway.carbon.metering.timeline import Row, Timeline
from gateway.store.flag import Flag
from gateway.store.row_class import RowClass, RowKind

if TYPE_CHECKING:
    from drivers.device import Reading

_STATE_VERSION = 2


class Register:
    """A counter, or a power point with its two directions."""

    __slots__ = (
        *("changed", "identity", "lateness", "marks", "position", "quality", "session"),
        *("skipped_ms", "slot", "spec", "timeline", "two_way", "uptime", "urgent"),
    )

    def __init__(self, spec: RegisterSpec, position: int, slot: int, timeline: Timeline) -> None:
        """`position` is that of its name in `Intervals.registers`, `slot` that in the core's table."""
        self.spec = spec
        self.position = position
        self.slot = slot
        self.timeline = timeline
        self.identity = ""
        """Of the device it was last read from."""
        self.lateness = Lateness.NONE
        """As last told."""
        self.quality = Quality.UNREAD
        """Of its point in the newest reading of this run, whatever that was worth."""
        self.changed = False
        """True when its state is another than was stored last."""
        self.urgent = False
        """True when it has a new base, from which energy counts."""
        self.marks = Flag(0)
        """Flags for what is booked next."""
        self.skipped_ms = 0
        """How far dates jumped forward since the last reset: a recovery from it reaches back over that too."""
        self.uptime: int | None = None
        self.session: int | None = None
        """As last read; None before."""
        self.two_way = False
        """True once energy went the other way: from then on each row has its counterpart there."""

    @property
    def name(self) -> RegisterName:
        """Whose energy it is."""
        return RegisterName(self.spec.device, self.spec.register, self.spec.flow)

    def begins_anew(self, uptime: int | None, session: int | None) -> bool:
        """True when these show that the device was restarted, or began a new session, since the last reading."""
        restarted = uptime is not None and self.uptime is not None and uptime < self.uptime
        changed = session is not None and self.session is not None and session != self.session
        self.uptime = self.uptime if uptime is None else uptime
        self.session = self.session if session is None else session
        return restarted or changed

    def take_marks(self) -> Flag:
        """The flags for what is booked now; they are used up."""
        taken, self.marks = self.marks, Flag(0)
        return taken

    def take_into(self, closed: Intervals, corrections: list[Correction]) -> bool:
        """Hands over the closed rows and what was found about earlier ones; False when there is nothing."""
        rows = self.timeline.take()
        for row in rows:
            _append(closed, self.position, row, row.energy_mWh)
        for row in rows:
            self.two_way = self.two_way or row.back_mWh > 0
            if self.two_way:
                _append(closed, self.position + 1, row, row.back_mWh)
        reaches = self.timeline.take_reaches()
        for reach in reaches:
            reason = RECOVERED if reach.span.replaces else STEP
            corrections.append(Correction(self.name, reason, reach.span, self.timeline.pieces(reach)))
        return bool(rows or reaches)

    def to_text(self, table: Sequence[int] | None) -> str:
        """Everything that goes on after a restart; `table` is its state in the core, None before a reading."""
        state = [
            _STATE_VERSION,
            self._kind,
            table,
            self.identity,
            self.timeline.to_state(),
            int(self.lateness),
            int(self.two_way),
            self.uptime,
            self.session,
            int(self.marks),
            self.skipped_ms,
        ]
        return json.dumps(state, separators=(",", ":"))

    def load(self, text: str) -> Sequence[int] | None:
        """Takes over what `to_text` gave; returns the state for the core, None when there is none for this kind.

        Raises TypeError or ValueError for anything else.
        """
        version, *state = json.loads(text)
        if version != _STATE_VERSION:
            raise ValueError(f"it is of version {version}")
        kind, table, self.identity, timeline, lateness, two_way, self.uptime, self.session, marks, skipped_ms = state
        self.timeline.load(timeline)
        self.lateness = Lateness(lateness)
        self.two_way = bool(two_way)
        self.marks = Flag(marks)
        self.skipped_ms = skipped_ms
        return table if kind == self._kind else None

    @property
    def _kind(self) -> str:
        return "counter" if self.spec.counter else "power"


def whole(reading: Reading, point: int | None) -> int | None:
    """The count of a point, None when there is none."""
    return None if point is None or reading.quality[point] != Quality.OK else reading.raws[point]


def _append(closed: Intervals, position: int, row: Row, energy_mWh: int) -> None:
    at = len(closed)
    closed.bounds.extend((at, bounds) for bounds in row.bounds)  # only counters have any
    if row.gap is not None:
        closed.gaps.append((at, *row.gap))
    closed.r.append(position)
    closed.epoch.append(row.epoch)
    closed.t0_ms.append(row.t0_ms)
    closed.t1_ms.append(row.t1_ms)
    closed.energy_mWh.append(None if row.row_class == RowClass.MISSING else energy_mWh)
    closed.raw_begin.append(row.raw_begin)
    closed.raw_end.append(row.raw_end)
    closed.row_class.append(int(row.row_class))
    closed.flags.append(int(row.flags))
    closed.kind.append(int(RowKind.NORMAL))
