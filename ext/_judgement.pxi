# One reading on its way through the decision table of carbon-method.md, section 3: the same steps, under the same
# names, as ext/_twin/judgement.py. Plain C structs and no Python objects; the state is changed in place. An amount
# that leaves 64 bits is noted in the judgement, and the caller takes state and rows back.

cdef int64_t DAY_MS = 86_400_000
cdef int64_t MEMORY_MS = 86_400_000
cdef int CONFIRMATIONS = 3

cdef struct Judgement:
    Spec *spec
    State *state
    Page *page
    int64_t register
    int64_t raw
    int64_t ulp
    int64_t t
    bint boot
    bint overflow


cdef void judge(Judgement *j) noexcept nogil:
    cdef State *s = j.state
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
    elif j.t <= (s.t_last if s.hold == HOLD_NOTHING else s.seen_t):
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
    s.plain = s.known and not s.swapped and not s.boot and s.hold == HOLD_NOTHING and s.old_until < 0


# --- The decision table, row by row ---


cdef void table(Judgement *j) noexcept nogil:
    cdef State *s = j.state
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
    elif j.spec.turns and not j.boot and plausible(j, turned(j.spec, d), dt):
        accept(j, WRAP, j.raw, j.t, turned(j.spec, d), s.t_last, 0)
    elif j.spec.policy == DAILY and plausible(j, <i128>j.raw, dt):
        reset(j, CYCLE_END)
    elif j.boot and plausible(j, <i128>j.raw, dt):
        reset(j, RESET)
    else:
        hold(j, HOLD_PENDING)


cdef void resolve_pending(Judgement *j) noexcept nogil:
    cdef State *s = j.state
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
    cdef State *s = j.state
    return not follows(j, s.last, s.t_last) and follows(j, s.seen_raw, s.seen_t)


cdef void count_confirmation(Judgement *j) noexcept nogil:
    cdef State *s = j.state
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
    return <uint64_t>j.raw > j.spec.raw_max


cdef i128 emax_times(Spec *spec, int64_t dt) noexcept nogil:
    """Emax(dt) without its 2 * scale, times 3000 * scale_den."""
    return <i128>spec.p_max_W * (spec.refresh_ms + dt) * spec.scale_den


cdef bint plausible(Judgement *j, i128 d, int64_t dt) noexcept nogil:
    """0 <= d and d * scale <= Emax(dt), multiplied out; one unit in the last place is always so."""
    if d < 0:
        return False
    if d <= j.spec.sure_counts or d <= j.ulp:
        return True
    return (d - 2) * j.spec.scale_num * 3000 <= emax_times(j.spec, dt)


cdef i128 turned(Spec *spec, i128 d) noexcept nogil:
    """The rise that looks like the fall `d` after one turn."""
    return d + spec.top + 1


cdef bint whole_turn(Spec *spec, int64_t dt) noexcept nogil:
    """Emax(dt) >= modulus * scale."""
    return dt >= spec.turn_ms


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
