# One reading on its way through the decision table of carbon-method.md, section 3: the same steps, under the same
# names, as ext/_twin/judgement.py. Plain C structs and no Python objects, so an amount that leaves 64 bits is
# noted in the judgement and the caller drops its result.

cdef int64_t DAY_MS = 86_400_000
cdef int64_t MEMORY_MS = 86_400_000
cdef int CONFIRMATIONS = 3

# Copied from the enumerations once, so that comparing costs no look-up.
cdef int FIRST = EventKind.FIRST
cdef int OK = EventKind.OK
cdef int STEP = EventKind.STEP
cdef int JITTER = EventKind.JITTER
cdef int WRAP = EventKind.WRAP
cdef int RESET = EventKind.RESET
cdef int GLITCH = EventKind.GLITCH
cdef int AMBIGUOUS = EventKind.AMBIGUOUS
cdef int SWAP = EventKind.SWAP
cdef int JUMP_REBASED = EventKind.JUMP_REBASED
cdef int AMBIGUOUS_WRAP = EventKind.AMBIGUOUS_WRAP
cdef int RECOVERED = EventKind.RECOVERED
cdef int CYCLE_END = EventKind.CYCLE_END
cdef int STALE_DAY = EventKind.STALE_DAY
cdef int TURNED_BACK = EventKind.TURNED_BACK
cdef int INVALID = EventKind.INVALID

cdef int HOLD_NOTHING = Hold.NOTHING
cdef int HOLD_STEP = Hold.STEP
cdef int HOLD_JUMP = Hold.JUMP
cdef int HOLD_PENDING = Hold.PENDING

cdef int DAILY = Policy.DAILY
cdef int SESSION = Policy.SESSION


cdef struct Spec:
    i128 modulus
    i128 scale_num
    i128 scale_den
    i128 p_max_W
    i128 refresh_ms
    int64_t jitter
    int64_t cycle_start_s
    int policy


cdef struct State:  # the fields of ext.counter_state.CounterState that the spec does not give
    bint known
    bint swapped
    bint boot
    int64_t epoch
    int64_t last
    int64_t t_last
    int64_t t_change
    int64_t carry
    int hold
    int64_t held_raw
    int64_t held_t
    int64_t seen_raw
    int64_t seen_t
    int64_t confirmations
    int64_t old_until
    int64_t old_last
    int64_t old_t
    int64_t old_carry
    int64_t old_booked
    int64_t cycle_day


cdef struct Row:
    int64_t register
    int64_t kind
    int64_t t0_ms
    int64_t t1_ms
    int64_t energy_mWh
    int64_t raw_begin
    int64_t raw_end
    int64_t lo_mWh
    int64_t hi_mWh
    int64_t epoch


cdef struct Judgement:
    Spec *spec
    State state
    int64_t raw
    int64_t ulp
    int64_t t
    bint boot
    bint overflow
    int made
    Row rows[2]


cdef void judge(Judgement *j) noexcept nogil:
    cdef State *s = &j.state
    if invalid(j):
        refuse(j, INVALID)
    elif not s.known:
        s.known = True
        s.epoch = 1
        s.t_change = j.t
        s.last = j.raw
        forget(s)
        emit(j, FIRST, j.t, j.t, 0, j.raw, j.raw, 0, 0)
        settle(j, j.raw, j.t)
    elif j.t <= s.seen_t:
        refuse(j, TURNED_BACK)
    else:
        j.boot = s.boot
        s.boot = False
        if j.t > s.old_until:
            forget(s)
        if s.swapped:
            swap(j, j.raw, j.t)
        elif s.hold == HOLD_PENDING:
            resolve_pending(j)
        elif s.hold == HOLD_JUMP and confirms_jump(j):
            count_confirmation(j)
        else:
            if s.hold == HOLD_STEP and follows(j, s.held_raw, s.held_t):
                accept(j, STEP, s.held_raw, s.held_t, <i128>(s.held_raw - s.last), s.t_change, 0)
            table(j)


# --- The decision table, row by row ---


cdef void table(Judgement *j) noexcept nogil:
    cdef State *s = &j.state
    cdef int64_t dt = j.t - s.t_last
    cdef i128 d = <i128>j.raw - s.last
    cdef bint withdrawn = s.hold != HOLD_NOTHING and j.raw < s.held_raw
    if whole_turn(j.spec, dt):
        ambiguous_wrap(j)
    elif d >= 0 and stale_day(j):
        stand_still(j, STALE_DAY)
    elif plausible(j, d, dt):
        accept(j, GLITCH if withdrawn else OK, j.raw, j.t, d, s.t_last, 0)
    elif d >= 0 and continues_old(j):
        recover(j)
    elif d >= 0:
        hold(j, HOLD_STEP if plausible(j, d, j.t - s.t_change) else HOLD_JUMP)
    elif j.spec.policy == SESSION and j.boot and plausible(j, <i128>j.raw, dt):
        reset(j, RESET)  # a new session: even a fall of one count is one
    elif -d <= j.spec.jitter or -d <= j.ulp:
        stand_still(j, GLITCH if withdrawn else JITTER)
    elif turns(j.spec) and not j.boot and plausible(j, d + j.spec.modulus, dt):
        accept(j, WRAP, j.raw, j.t, d + j.spec.modulus, s.t_last, 0)
    elif j.spec.policy == DAILY and plausible(j, <i128>j.raw, dt):
        reset(j, CYCLE_END)
    elif j.boot and plausible(j, <i128>j.raw, dt):
        reset(j, RESET)
    else:
        hold(j, HOLD_PENDING)


cdef void resolve_pending(Judgement *j) noexcept nogil:
    cdef State *s = &j.state
    cdef bint progress, reset_ok, glitch_ok
    cdef int64_t begin = s.held_raw
    if j.raw == begin and not j.boot:
        s.seen_t = j.t
        return
    progress = follows(j, begin, s.held_t)
    reset_ok = progress and plausible(j, <i128>begin, s.held_t - s.t_last)
    glitch_ok = follows(j, s.last, s.t_last)
    if whole_turn(j.spec, j.t - s.t_last):
        ambiguous_wrap(j)
    elif reset_ok and (j.boot or not glitch_ok):
        reset(j, RESET)
    elif reset_ok:
        accept(j, AMBIGUOUS, j.raw, j.t, <i128>j.raw - s.last, s.t_last, <i128>s.last)
    elif glitch_ok:
        accept(j, GLITCH, j.raw, j.t, <i128>j.raw - s.last, s.t_last, 0)
    elif continues_old(j):
        recover(j)
    elif progress:
        swap(j, begin, s.held_t)
        accept(j, OK, j.raw, j.t, <i128>j.raw - begin, s.t_last, 0)
    else:
        hold(j, HOLD_PENDING)


cdef bint confirms_jump(Judgement *j) noexcept nogil:
    cdef State *s = &j.state
    return not follows(j, s.last, s.t_last) and follows(j, s.seen_raw, s.seen_t)


cdef void count_confirmation(Judgement *j) noexcept nogil:
    cdef State *s = &j.state
    cdef int64_t begin = s.held_raw
    s.confirmations += 1
    s.seen_raw = j.raw
    s.seen_t = j.t
    if s.confirmations == CONFIRMATIONS:
        emit(
            j, JUMP_REBASED, s.t_last, s.held_t, 0, s.last, begin, 0, energy_up(j.spec, <i128>begin - s.last)
        )
        forget(s)
        settle(j, begin, s.held_t)
        accept(j, OK, j.raw, j.t, <i128>j.raw - begin, s.t_last, 0)


# --- Conditions ---


cdef bint invalid(Judgement *j) noexcept nogil:
    cdef i128 modulus = j.spec.modulus
    if j.raw < 0 or (modulus > 0 and j.raw >= modulus):
        return True
    # A daily counter of 2^n counts with its top bit set went below zero inside the device (section 3.1).
    if j.spec.policy != DAILY or modulus <= 1 or (modulus & (modulus - 1)) != 0:
        return False
    return j.raw >= modulus // 2


cdef i128 emax_times(Spec *spec, int64_t dt) noexcept nogil:
    """Emax(dt) without its 2 * scale, times 3000 * scale_den."""
    return spec.p_max_W * (spec.refresh_ms + dt) * spec.scale_den


cdef bint plausible(Judgement *j, i128 d, int64_t dt) noexcept nogil:
    """0 <= d and d * scale <= Emax(dt), multiplied out; one unit in the last place is always so."""
    if d < 0:
        return False
    return d <= j.ulp or (d - 2) * j.spec.scale_num * 3000 <= emax_times(j.spec, dt)


cdef bint turns(Spec *spec) noexcept nogil:
    return spec.modulus > 0 and spec.policy != DAILY


cdef bint whole_turn(Spec *spec, int64_t dt) noexcept nogil:
    """Emax(dt) >= modulus * scale, multiplied out."""
    return turns(spec) and emax_times(spec, dt) >= (spec.modulus - 2) * spec.scale_num * 3000


cdef bint follows(Judgement *j, int64_t raw, int64_t t) noexcept nogil:
    """The reading is a plausible continuation of `raw` at `t`."""
    return plausible(j, <i128>j.raw - raw, j.t - t) and not whole_turn(j.spec, j.t - t)


cdef bint continues_old(Judgement *j) noexcept nogil:
    return j.state.old_until >= 0 and follows(j, j.state.old_last, j.state.old_t)


cdef int64_t day(Spec *spec, int64_t t) noexcept nogil:
    if spec.cycle_start_s < 0:
        return 0
    return (t + DAY_MS - 1000 * spec.cycle_start_s) // DAY_MS


cdef bint stale_day(Judgement *j) noexcept nogil:
    # A value that is all but zero has nothing of yesterday in it, and could not fall either.
    if j.spec.policy != DAILY or j.state.last <= j.spec.jitter:
        return False
    return day(j.spec, j.t) > j.state.cycle_day


# --- Consequences ---


cdef void refuse(Judgement *j, int kind) noexcept nogil:
    cdef State *s = &j.state
    if s.known:
        emit(j, kind, s.t_last, s.t_last, 0, s.last, s.last, 0, 0)
    else:
        emit(j, kind, j.t, j.t, 0, 0, 0, 0, 0)


cdef void accept(
    Judgement *j, int kind, int64_t raw, int64_t t, i128 counts, int64_t t0, i128 disputed
) noexcept nogil:
    """Book `counts` over [t0, t) and go on from `raw`."""
    cdef State *s = &j.state
    cdef i128 total = counts * j.spec.scale_num + s.carry
    cdef i128 energy = total // j.spec.scale_den
    s.carry = <int64_t>(total % j.spec.scale_den)
    if s.old_until >= 0 and not narrow(energy + s.old_booked, &s.old_booked):
        j.overflow = True
    emit(j, kind, t0, t, energy, s.last, raw, energy, energy + energy_up(j.spec, disputed))
    settle(j, raw, t)


cdef void reset(Judgement *j, int kind) noexcept nogil:
    """Count from zero again, and remember the epoch that ends, unless it is certain that it does."""
    cdef State *s = &j.state
    if j.spec.policy == SESSION and j.boot:
        forget(s)
    else:
        s.old_until = j.t + MEMORY_MS
        s.old_last = s.last
        s.old_t = s.t_last
        s.old_carry = s.carry
        s.old_booked = 0
    s.epoch += 1
    accept(j, kind, j.raw, j.t, <i128>j.raw, cycle_start(j), 0)


cdef int64_t cycle_start(Judgement *j) noexcept nogil:
    """The device's midnight, when it is known and lies between the last reading and this one."""
    cdef int64_t midnight
    if j.spec.cycle_start_s >= 0:
        midnight = (day(j.spec, j.t) - 1) * DAY_MS + 1000 * j.spec.cycle_start_s
        if j.state.t_last < midnight and midnight < j.t:
            return midnight
    return j.state.t_last


cdef void recover(Judgement *j) noexcept nogil:
    """Undo a false reset: book on from the old epoch, less what was booked since."""
    cdef State *s = &j.state
    cdef i128 total = (<i128>j.raw - s.old_last) * j.spec.scale_num + s.old_carry
    cdef i128 energy = total // j.spec.scale_den - s.old_booked
    s.carry = <int64_t>(total % j.spec.scale_den)
    s.epoch += 1
    emit(j, RECOVERED, s.old_t, j.t, energy, s.old_last, j.raw, energy, energy)
    forget(s)
    settle(j, j.raw, j.t)


cdef void swap(Judgement *j, int64_t raw, int64_t t) noexcept nogil:
    cdef State *s = &j.state
    s.epoch += 1
    s.swapped = False
    emit(j, SWAP, s.t_last, t, 0, s.last, raw, 0, 0)
    forget(s)
    settle(j, raw, t)
    s.t_change = t


cdef void ambiguous_wrap(Judgement *j) noexcept nogil:
    cdef State *s = &j.state
    cdef Spec *spec = j.spec
    cdef i128 d = <i128>j.raw - s.last
    cdef i128 lo, hi
    if d < 0:
        d += spec.modulus
    lo = d * spec.scale_num // spec.scale_den
    hi = up(emax_times(spec, j.t - s.t_last) + 6000 * spec.scale_num, 3000 * spec.scale_den)
    emit(j, AMBIGUOUS_WRAP, s.t_last, j.t, 0, s.last, j.raw, lo, hi)
    forget(s)
    settle(j, j.raw, j.t)
    s.t_change = j.t


cdef void stand_still(Judgement *j, int kind) noexcept nogil:
    """Accept the reading's time and not its counts."""
    cdef State *s = &j.state
    cdef int64_t day_before = s.cycle_day
    emit(j, kind, s.t_last, j.t, 0, s.last, s.last, 0, 0)
    settle(j, s.last, j.t)
    s.cycle_day = day_before


cdef void hold(Judgement *j, int what) noexcept nogil:
    cdef State *s = &j.state
    s.hold = what
    s.confirmations = 0
    s.held_raw = s.seen_raw = j.raw
    s.held_t = s.seen_t = j.t


cdef void settle(Judgement *j, int64_t raw, int64_t t) noexcept nogil:
    """Make `raw` at `t` the last accepted reading; nothing is held any more."""
    cdef State *s = &j.state
    if raw != s.last:
        s.t_change = t
    s.last = s.held_raw = s.seen_raw = raw
    s.t_last = s.held_t = s.seen_t = t
    s.hold = HOLD_NOTHING
    s.confirmations = 0
    s.cycle_day = day(j.spec, t)


cdef void forget(State *s) noexcept nogil:
    s.old_until = -1
    s.old_last = s.old_t = s.old_carry = s.old_booked = 0


cdef i128 energy_up(Spec *spec, i128 counts) noexcept nogil:
    """`counts` in mWh, rounded up."""
    return up(counts * spec.scale_num, spec.scale_den)


cdef void emit(
    Judgement *j,
    int kind,
    int64_t t0,
    int64_t t1,
    i128 energy,
    int64_t raw_begin,
    int64_t raw_end,
    i128 lo,
    i128 hi,
) noexcept nogil:
    cdef Row *row = &j.rows[j.made]
    row.kind = kind
    row.t0_ms = t0
    row.t1_ms = t1
    row.raw_begin = raw_begin
    row.raw_end = raw_end
    row.epoch = j.state.epoch
    if not (narrow(energy, &row.energy_mWh) and narrow(lo, &row.lo_mWh) and narrow(hi, &row.hi_mWh)):
        j.overflow = True
    j.made += 1
