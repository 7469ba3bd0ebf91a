# What follows from a judgement: the consequences of ext/_twin/judgement.py, under the same names.

cdef void refuse(Judgement *j, int kind) noexcept nogil:
    cdef State *s = j.state
    if s.known:
        emit(j, kind, s.t_last, s.t_last, 0, s.last, s.last, 0, 0)
    else:
        emit(j, kind, j.t, j.t, 0, 0, 0, 0, 0)


cdef void accept(
    Judgement *j, int kind, int64_t raw, int64_t t, i128 counts, int64_t t0, i128 disputed
) noexcept nogil:
    """Book `counts` over [t0, t) and go on from `raw`."""
    cdef State *s = j.state
    cdef i128 energy = divided(counts * j.spec.scale_num + s.carry, j.spec.scale_den, &s.carry)
    if s.old_until >= 0 and not narrow(energy + s.old_booked, &s.old_booked):
        j.overflow = True
    emit(j, kind, t0, t, energy, s.last, raw, energy, energy + energy_up(j.spec, disputed))
    settle(j, raw, t)


cdef void reset(Judgement *j, int kind) noexcept nogil:
    """Count from zero again, and remember the epoch that ends, unless it is certain that it does."""
    cdef State *s = j.state
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
    cdef State *s = j.state
    cdef i128 total = (<i128>j.raw - s.old_last) * j.spec.scale_num + s.old_carry
    cdef i128 gross = divided(total, j.spec.scale_den, &s.carry)
    s.epoch += 1
    emit(j, RECOVERED, s.old_t, j.t, gross - s.old_booked, s.old_last, j.raw, gross, gross)
    forget(s)
    settle(j, j.raw, j.t)


cdef void swap(Judgement *j, int64_t raw, int64_t t) noexcept nogil:
    cdef State *s = j.state
    s.epoch += 1
    s.swapped = False
    emit(j, SWAP, s.t_last, t, 0, s.last, raw, 0, 0)
    forget(s)
    settle(j, raw, t)
    s.t_change = t


cdef void ambiguous_wrap(Judgement *j) noexcept nogil:
    cdef State *s = j.state
    cdef Spec *spec = j.spec
    cdef i128 d = <i128>j.raw - s.last
    cdef i128 lo, hi
    if d < 0:
        d = turned(spec, d)
    lo = d * spec.scale_num // spec.scale_den
    hi = up(emax_times(spec, j.t - s.t_last) + 6000 * <i128>spec.scale_num, 3000 * <i128>spec.scale_den)
    emit(j, AMBIGUOUS_WRAP, s.t_last, j.t, 0, s.last, j.raw, lo, hi)
    forget(s)
    settle(j, j.raw, j.t)
    s.t_change = j.t


cdef void stand_still(Judgement *j, int kind) noexcept nogil:
    """Accept the reading's time and not its counts."""
    cdef State *s = j.state
    cdef int64_t day_before = s.cycle_day
    emit(j, kind, s.t_last, j.t, 0, s.last, s.last, 0, 0)
    settle(j, s.last, j.t)
    s.cycle_day = day_before


cdef void hold(Judgement *j, int what) noexcept nogil:
    cdef State *s = j.state
    s.hold = what
    s.confirmations = 0
    s.held_raw = s.seen_raw = j.raw
    s.held_t = s.seen_t = j.t


cdef void settle(Judgement *j, int64_t raw, int64_t t) noexcept nogil:
    """Make `raw` at `t` the last accepted reading; nothing is held any more."""
    cdef State *s = j.state
    if raw != s.last:
        s.t_change = t
    s.last = raw
    s.t_last = t
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
    cdef int64_t booked = 0, low = 0, high = 0
    if not (narrow(energy, &booked) and narrow(lo, &low) and narrow(hi, &high)):
        j.overflow = True
    put(j.page, j.register, kind, t0, t1, booked, raw_begin, raw_end, low, high, j.state.epoch)
