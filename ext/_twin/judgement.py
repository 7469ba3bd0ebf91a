"""Judgement: one reading on its way through the decision table of carbon-method.md, section 3."""

from dataclasses import replace
from typing import NamedTuple

from ext.counter_spec import CounterSpec
from ext.counter_state import CounterState, Hold
from ext.event_kind import EventKind
from ext.limits import int64
from ext.policy import Policy

_CONFIRMATIONS = 3  # readings that turn a held jump into a new base
_MEMORY_MS = 86_400_000  # how long the epoch before a reset is remembered
_DAY_MS = 86_400_000


class Row(NamedTuple):
    """One row of Events, without its register."""

    kind: EventKind
    t0_ms: int
    t1_ms: int
    energy_mWh: int
    raw_begin: int
    raw_end: int
    lo_mWh: int
    hi_mWh: int
    epoch: int


class Judgement:
    """A reading (`raw` counts at `t`) against the state of its register; the given state is left as it is.

    `run` fills `rows` and returns the new state (None while there is none); OverflowError when an amount
    leaves int64.
    """

    def __init__(self, spec: CounterSpec, state: CounterState | None, raw: int, ulp: int, t: int) -> None:
        self.rows: list[Row] = []
        self._spec = spec
        self._before = state
        self._raw = raw
        self._ulp = ulp
        self._t = t
        self._boot = False
        self._state = _first_state(spec, raw, t) if state is None else replace(state)

    def run(self) -> CounterState | None:
        s = self._state
        if self._invalid():
            return self._refuse(EventKind.INVALID)
        if self._before is None:
            self._emit(EventKind.FIRST, self._t, self._t, 0, self._raw, self._raw)
            self._settle(self._raw, self._t)
            return s
        if self._t <= s.seen_t:
            return self._refuse(EventKind.TURNED_BACK)
        self._boot, s.boot = s.boot == 1, 0
        if self._t > s.old_until:
            self._forget()
        if s.swapped:
            self._swap(self._raw, self._t)
        elif s.hold == Hold.PENDING:
            self._resolve_pending()
        elif s.hold == Hold.JUMP and self._confirms_jump():
            self._count_confirmation()
        else:
            if s.hold == Hold.STEP and self._follows(s.held_raw, s.held_t):
                self._accept(EventKind.STEP, s.held_raw, s.held_t, s.held_raw - s.last, t0=s.t_change)
            self._table()
        return s

    # --- The decision table, row by row ---

    def _table(self) -> None:
        s, spec, raw, t = self._state, self._spec, self._raw, self._t
        d, dt = raw - s.last, t - s.t_last
        withdrawn = s.hold != Hold.NOTHING and raw < s.held_raw
        if self._whole_turn(dt):
            self._ambiguous_wrap()
        elif d >= 0 and self._stale_day():
            self._stand_still(EventKind.STALE_DAY)
        elif self._plausible(d, dt):
            self._accept(EventKind.GLITCH if withdrawn else EventKind.OK, raw, t, d)
        elif d >= 0 and self._continues_old():
            self._recover()
        elif d >= 0:
            self._hold(Hold.STEP if self._plausible(d, t - s.t_change) else Hold.JUMP)
        elif spec.policy == Policy.SESSION and self._boot and self._plausible(raw, dt):
            self._reset(EventKind.RESET)  # a new session: even a fall of one count is one
        elif -d <= max(spec.jitter, self._ulp):
            self._stand_still(EventKind.GLITCH if withdrawn else EventKind.JITTER)
        elif self._turns() and not self._boot and self._plausible(d + spec.modulus, dt):
            self._accept(EventKind.WRAP, raw, t, d + spec.modulus)
        elif spec.policy == Policy.DAILY and self._plausible(raw, dt):
            self._reset(EventKind.CYCLE_END)
        elif self._boot and self._plausible(raw, dt):
            self._reset(EventKind.RESET)
        else:
            self._hold(Hold.PENDING)

    def _resolve_pending(self) -> None:
        s, raw, t = self._state, self._raw, self._t
        if raw == s.held_raw and not self._boot:
            s.seen_t = t
            return
        progress = self._follows(s.held_raw, s.held_t)
        reset_ok = progress and self._plausible(s.held_raw, s.held_t - s.t_last)
        glitch_ok = self._follows(s.last, s.t_last)
        if self._whole_turn(t - s.t_last):
            self._ambiguous_wrap()
        elif reset_ok and (self._boot or not glitch_ok):
            self._reset(EventKind.RESET)
        elif reset_ok:
            self._accept(EventKind.AMBIGUOUS, raw, t, raw - s.last, disputed=s.last)
        elif glitch_ok:
            self._accept(EventKind.GLITCH, raw, t, raw - s.last)
        elif self._continues_old():
            self._recover()
        elif progress:
            begin = s.held_raw
            self._swap(begin, s.held_t)
            self._accept(EventKind.OK, raw, t, raw - begin)
        else:
            self._hold(Hold.PENDING)

    def _confirms_jump(self) -> bool:
        s = self._state
        return not self._follows(s.last, s.t_last) and self._follows(s.seen_raw, s.seen_t)

    def _count_confirmation(self) -> None:
        s = self._state
        s.confirmations += 1
        s.seen_raw, s.seen_t = self._raw, self._t
        if s.confirmations == _CONFIRMATIONS:
            begin = s.held_raw
            suspect = self._energy_up(begin - s.last)
            self._emit(EventKind.JUMP_REBASED, s.t_last, s.held_t, 0, s.last, begin, hi=suspect)
            self._forget()
            self._settle(begin, s.held_t)
            self._accept(EventKind.OK, self._raw, self._t, self._raw - begin)

    # --- Conditions ---

    def _invalid(self) -> bool:
        spec, raw = self._spec, self._raw
        if raw < 0 or 0 < spec.modulus <= raw:
            return True
        # A daily counter of 2^n counts with its top bit set went below zero inside the device (section 3.1).
        binary = spec.modulus & (spec.modulus - 1) == 0
        return spec.policy == Policy.DAILY and spec.modulus > 1 and binary and raw >= spec.modulus // 2

    def _plausible(self, d: int, dt: int) -> bool:
        """0 <= d and d * scale <= Emax(dt), multiplied out; one unit in the last place is always so."""
        spec = self._spec
        limit = spec.p_max_W * (dt + 1000 * spec.refresh_s) * spec.scale_den
        return d >= 0 and (d <= self._ulp or (d - 2) * spec.scale_num * 3000 <= limit)

    def _turns(self) -> bool:
        return self._spec.modulus > 0 and self._spec.policy != Policy.DAILY

    def _whole_turn(self, dt: int) -> bool:
        """Emax(dt) >= modulus * scale, multiplied out."""
        spec = self._spec
        limit = spec.p_max_W * (dt + 1000 * spec.refresh_s) * spec.scale_den
        return self._turns() and limit >= (spec.modulus - 2) * spec.scale_num * 3000

    def _follows(self, raw: int, t: int) -> bool:
        """The reading is a plausible continuation of `raw` at `t`."""
        return self._plausible(self._raw - raw, self._t - t) and not self._whole_turn(self._t - t)

    def _continues_old(self) -> bool:
        s = self._state
        return s.old_until >= 0 and self._follows(s.old_last, s.old_t)

    def _day(self, t: int) -> int:
        start_s = self._spec.cycle_start_s
        return (t + _DAY_MS - 1000 * start_s) // _DAY_MS if start_s >= 0 else 0

    def _stale_day(self) -> bool:
        # A value that is all but zero has nothing of yesterday in it, and could not fall either.
        s, spec = self._state, self._spec
        return spec.policy == Policy.DAILY and s.last > spec.jitter and self._day(self._t) > s.cycle_day

    # --- Consequences ---

    def _refuse(self, kind: EventKind) -> CounterState | None:
        s = self._before
        if s is None:
            self.rows.append(Row(kind, self._t, self._t, 0, 0, 0, 0, 0, 0))
        else:
            self.rows.append(Row(kind, s.t_last, s.t_last, 0, s.last, s.last, 0, 0, s.epoch))
        return s

    def _accept(
        self, kind: EventKind, raw: int, t: int, counts: int, *, t0: int | None = None, disputed: int = 0
    ) -> None:
        """Book `counts` over [t0, t), by default since the last reading, and go on from `raw`."""
        s = self._state
        total = counts * self._spec.scale_num + s.carry
        energy, s.carry = divmod(total, self._spec.scale_den)
        if s.old_until >= 0:
            s.old_booked = int64(s.old_booked + energy)
        self._emit(
            kind,
            s.t_last if t0 is None else t0,
            t,
            energy,
            s.last,
            raw,
            hi=energy + self._energy_up(disputed),
        )
        self._settle(raw, t)

    def _reset(self, kind: EventKind) -> None:
        """Count from zero again, and remember the epoch that ends, unless it is certain that it does."""
        s = self._state
        if self._spec.policy == Policy.SESSION and self._boot:
            self._forget()
        else:
            s.old_until = self._t + _MEMORY_MS
            s.old_last, s.old_t, s.old_carry, s.old_booked = s.last, s.t_last, s.carry, 0
        s.epoch += 1
        self._accept(kind, self._raw, self._t, self._raw, t0=self._cycle_start())

    def _cycle_start(self) -> int:
        """The device's midnight, when it is known and lies between the last reading and this one."""
        s = self._state
        start_s = self._spec.cycle_start_s
        if start_s < 0:
            return s.t_last
        midnight = (self._day(self._t) - 1) * _DAY_MS + 1000 * start_s
        return midnight if s.t_last < midnight < self._t else s.t_last

    def _recover(self) -> None:
        """Undo a false reset: book on from the old epoch, less what was booked since."""
        s = self._state
        total = (self._raw - s.old_last) * self._spec.scale_num + s.old_carry
        gross, s.carry = divmod(total, self._spec.scale_den)
        net = gross - s.old_booked
        s.epoch += 1
        self._emit(EventKind.RECOVERED, s.old_t, self._t, net, s.old_last, self._raw, lo=gross, hi=gross)
        self._forget()
        self._settle(self._raw, self._t)

    def _swap(self, raw: int, t: int) -> None:
        s = self._state
        s.epoch += 1
        s.swapped = 0
        self._emit(EventKind.SWAP, s.t_last, t, 0, s.last, raw)
        self._forget()
        self._settle(raw, t)
        s.t_change = t

    def _ambiguous_wrap(self) -> None:
        s, spec = self._state, self._spec
        lo = (self._raw - s.last) % spec.modulus * spec.scale_num // spec.scale_den
        # Emax(dt) in mWh, as one fraction, rounded up.
        dt = self._t - s.t_last
        limit = spec.p_max_W * (dt + 1000 * spec.refresh_s) * spec.scale_den + 6000 * spec.scale_num
        hi = -(-limit // (3000 * spec.scale_den))
        self._emit(EventKind.AMBIGUOUS_WRAP, s.t_last, self._t, 0, s.last, self._raw, lo=lo, hi=hi)
        self._forget()
        self._settle(self._raw, self._t)
        s.t_change = self._t

    def _stand_still(self, kind: EventKind) -> None:
        """Accept the reading's time and not its counts."""
        s = self._state
        day = s.cycle_day
        self._emit(kind, s.t_last, self._t, 0, s.last, s.last)
        self._settle(s.last, self._t)
        s.cycle_day = day

    def _hold(self, hold: Hold) -> None:
        s = self._state
        s.hold, s.confirmations = hold, 0
        s.held_raw = s.seen_raw = self._raw
        s.held_t = s.seen_t = self._t

    def _settle(self, raw: int, t: int) -> None:
        """Make `raw` at `t` the last accepted reading; nothing is held any more."""
        s = self._state
        if raw != s.last:
            s.t_change = t
        s.last = s.held_raw = s.seen_raw = raw
        s.t_last = s.held_t = s.seen_t = t
        s.hold, s.confirmations = Hold.NOTHING, 0
        s.cycle_day = self._day(t)

    def _forget(self) -> None:
        s = self._state
        s.old_until = -1
        s.old_last = s.old_t = s.old_carry = s.old_booked = 0

    def _energy_up(self, counts: int) -> int:
        """`counts` in mWh, rounded up."""
        return -(-counts * self._spec.scale_num // self._spec.scale_den)

    def _emit(
        self,
        kind: EventKind,
        t0: int,
        t1: int,
        energy: int,
        raw_begin: int,
        raw_end: int,
        *,
        lo: int | None = None,
        hi: int | None = None,
    ) -> None:
        lo_mWh = int64(energy if lo is None else lo)
        hi_mWh = int64(energy if hi is None else hi)
        epoch = self._state.epoch
        self.rows.append(Row(kind, t0, t1, int64(energy), raw_begin, raw_end, lo_mWh, hi_mWh, epoch))


def _first_state(spec: CounterSpec, raw: int, t: int) -> CounterState:
    return CounterState(
        scale_num=spec.scale_num,
        scale_den=spec.scale_den,
        modulus=spec.modulus,
        swapped=0,
        boot=0,
        epoch=1,
        last=raw,
        t_last=t,
        t_change=t,
        carry=0,
        hold=Hold.NOTHING,
        held_raw=raw,
        held_t=t,
        seen_raw=raw,
        seen_t=t,
        confirmations=0,
        old_until=-1,
        old_last=0,
        old_t=0,
        old_carry=0,
        old_booked=0,
        cycle_day=0,
    )
