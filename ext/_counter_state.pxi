# What a counter table knows of each register, in C: the fields of ext/counter_spec.py and ext/counter_state.py, and
# what follows from them.

cdef struct State:
    int64_t old_last
    int64_t old_t
    int64_t old_carry
    int64_t old_booked
    int64_t cycle_day
    int64_t confirmations
    int64_t held_raw  # held and seen readings count while something is held only
    int64_t held_t
    int64_t seen_raw
    int64_t seen_t
    # From here to the middle of Spec: all that a plain reading asks for, two lines of the cache.
    int64_t old_until
    int64_t epoch
    int64_t t_change
    int64_t carry
    int64_t last
    int64_t t_last
    int hold
    bint known
    bint swapped
    bint boot
    bint plain  # nothing is held, pending, remembered or announced: the next reading may be a plain one


cdef struct Spec:
    uint64_t raw_max  # the largest count that the register can show
    uint64_t plain_counts  # a rise of this much is plausible after any time, and its energy within 64 bits
    uint64_t plain_ms  # shorter than this no whole turn is possible; 0 when no reading is plain
    int64_t scale_num
    int64_t scale_den
    int64_t turn_ms  # from this time on a whole turn is possible
    int64_t sure_counts  # a rise of this much is plausible after any time
    int64_t p_max_W
    int64_t refresh_ms
    int64_t jitter
    int64_t cycle_start_s
    uint64_t top  # modulus - 1: the modulus itself may be 2^64
    int policy
    bint turns


cdef struct Counter:
    State state
    Spec spec


cdef int fill_spec(Spec *target, spec) except -1:
    target.scale_num = spec.scale_num
    target.scale_den = spec.scale_den
    target.p_max_W = spec.p_max_W
    target.refresh_ms = 1000 * spec.refresh_s
    target.jitter = spec.jitter
    target.cycle_start_s = spec.cycle_start_s
    target.policy = spec.policy
    target.top = max(spec.modulus, 1) - 1
    target.turns = spec.modulus > 0 and spec.policy != DAILY
    target.raw_max = raw_max(spec)
    target.sure_counts = min(sure_counts(spec), INT64_MAX)
    target.turn_ms = turn_ms(spec) if target.turns else INT64_MAX
    target.plain_counts = min(target.sure_counts, (INT64_MAX - target.scale_den) // target.scale_num)
    has_days = spec.policy == DAILY or spec.cycle_start_s >= 0
    target.plain_ms = 0 if has_days else max(target.turn_ms - 1, 0)
    return 0


cdef raw_max(spec):
    """The largest count that is valid."""
    if spec.modulus == 0:
        return INT64_MAX
    # A daily counter of 2^n counts with its top bit set went below zero inside the device (section 3.1).
    if spec.policy == DAILY and spec.modulus > 1 and spec.modulus.bit_count() == 1:
        return spec.modulus // 2 - 1
    return min(spec.modulus - 1, INT64_MAX)


cdef sure_counts(spec):
    """The largest d with d * scale <= Emax(0)."""
    return 2 + spec.p_max_W * spec.refresh_s * spec.scale_den // (3 * spec.scale_num)


cdef turn_ms(spec):
    """The shortest dt >= 0 with Emax(dt) >= modulus * scale."""
    missing = 3000 * (spec.modulus - 2) * spec.scale_num - 1000 * spec.p_max_W * spec.refresh_s * spec.scale_den
    if missing <= 0:
        return 0
    if spec.p_max_W == 0:
        return INT64_MAX
    return min(-(-missing // (spec.p_max_W * spec.scale_den)), INT64_MAX)


cdef state_of(State *s, spec):
    cdef bint held = s.hold != HOLD_NOTHING
    return CounterState(
        scale_num=spec.scale_num,
        scale_den=spec.scale_den,
        modulus=spec.modulus,
        swapped=s.swapped,
        boot=s.boot,
        epoch=s.epoch,
        last=s.last,
        t_last=s.t_last,
        t_change=s.t_change,
        carry=s.carry,
        hold=s.hold,
        held_raw=s.held_raw if held else s.last,
        held_t=s.held_t if held else s.t_last,
        seen_raw=s.seen_raw if held else s.last,
        seen_t=s.seen_t if held else s.t_last,
        confirmations=s.confirmations,
        old_until=s.old_until,
        old_last=s.old_last,
        old_t=s.old_t,
        old_carry=s.old_carry,
        old_booked=s.old_booked,
        cycle_day=s.cycle_day,
    )


cdef int fill_state(State *s, state) except -1:
    s.known = True
    s.plain = False
    s.swapped = state.swapped
    s.boot = state.boot
    s.epoch = state.epoch
    s.last = state.last
    s.t_last = state.t_last
    s.t_change = state.t_change
    s.carry = state.carry
    s.hold = state.hold
    s.held_raw = state.held_raw
    s.held_t = state.held_t
    s.seen_raw = state.seen_raw
    s.seen_t = state.seen_t
    s.confirmations = state.confirmations
    s.old_until = state.old_until
    s.old_last = state.old_last
    s.old_t = state.old_t
    s.old_carry = state.old_carry
    s.old_booked = state.old_booked
    s.cycle_day = state.cycle_day
    return 0
