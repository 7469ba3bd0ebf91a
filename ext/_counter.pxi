# Counters -> energy. Contracts: ext/_twin/counter.py.


cdef class CounterTable:
    cdef tuple _python_specs
    cdef Spec *_specs
    cdef State *_states
    cdef Py_ssize_t _count

    def __cinit__(self, specs):
        cdef Py_ssize_t i
        self._python_specs = tuple(specs)
        check_counters(self._python_specs)
        self._count = len(self._python_specs)
        self._specs = <Spec *>PyMem_Calloc(self._count + 1, sizeof(Spec))
        self._states = <State *>PyMem_Calloc(self._count + 1, sizeof(State))
        if self._specs is NULL or self._states is NULL:
            raise MemoryError()
        for i in range(self._count):
            fill_spec(&self._specs[i], self._python_specs[i])

    def __dealloc__(self):
        PyMem_Free(self._specs)
        PyMem_Free(self._states)

    def step(
        self,
        array.array registers not None,
        array.array raws not None,
        array.array ulps not None,
        array.array t_ms not None,
    ):
        cdef Py_ssize_t i, count = len(registers), made = 0
        cdef int32_t *numbers
        cdef Judgement j
        cdef Row *rows
        cdef int k
        cdef list overflown = []
        if not sound_batch(registers, raws, ulps, t_ms, self._count):
            require_batch(registers, (raws, ulps, t_ms), t_ms, self._count)
        numbers = <int32_t *>registers.data.as_ints
        rows = <Row *>PyMem_Malloc((2 * count + 1) * sizeof(Row))
        if rows is NULL:
            raise MemoryError()
        try:
            for i in range(count):
                j.spec = &self._specs[numbers[i]]
                j.state = self._states[numbers[i]]
                j.raw = raws.data.as_longlongs[i]
                j.ulp = ulps.data.as_longlongs[i]
                j.t = t_ms.data.as_longlongs[i]
                j.boot = j.overflow = False
                j.made = 0
                judge(&j)
                if j.overflow:
                    overflown.append(numbers[i])
                    continue
                self._states[numbers[i]] = j.state
                for k in range(j.made):
                    rows[made] = j.rows[k]
                    rows[made].register = numbers[i]
                    made += 1
            events = counter_events(rows, made)
        finally:
            PyMem_Free(rows)
        if overflown:
            raise CounterOverflow(tuple(dict.fromkeys(overflown)), events)
        return events

    def swap(self, register):
        cdef State *s = &self._states[self._known(register)]
        s.swapped = s.known

    def reset_hint(self, register):
        cdef State *s = &self._states[self._known(register)]
        s.boot = s.known

    def held(self, register):
        cdef bint held = self._states[self._known(register)].hold != HOLD_NOTHING
        return held

    def settled_ms(self, register):
        cdef State *s = &self._states[self._known(register)]
        return s.t_last if s.known else -1

    def has_state(self, register):
        return self._states[self._known(register)].known

    def state(self, register):
        cdef State *s = &self._states[self._known(register)]
        if not s.known:
            raise ValueError(f"counter register {register} has no state yet")
        spec = self._python_specs[register]
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
            held_raw=s.held_raw,
            held_t=s.held_t,
            seen_raw=s.seen_raw,
            seen_t=s.seen_t,
            confirmations=s.confirmations,
            old_until=s.old_until,
            old_last=s.old_last,
            old_t=s.old_t,
            old_carry=s.old_carry,
            old_booked=s.old_booked,
            cycle_day=s.cycle_day,
        ).to_tuple()

    def load(self, register, state):
        cdef State *s = &self._states[self._known(register)]
        sound = state_from_tuple(register, self._python_specs[register], state)
        s.known = True
        s.swapped = sound.swapped
        s.boot = sound.boot
        s.epoch = sound.epoch
        s.last = sound.last
        s.t_last = sound.t_last
        s.t_change = sound.t_change
        s.carry = sound.carry
        s.hold = sound.hold
        s.held_raw = sound.held_raw
        s.held_t = sound.held_t
        s.seen_raw = sound.seen_raw
        s.seen_t = sound.seen_t
        s.confirmations = sound.confirmations
        s.old_until = sound.old_until
        s.old_last = sound.old_last
        s.old_t = sound.old_t
        s.old_carry = sound.old_carry
        s.old_booked = sound.old_booked
        s.cycle_day = sound.cycle_day

    cdef Py_ssize_t _known(self, register) except -1:
        if not 0 <= register < self._count:
            raise IndexError(f"no counter register {register}")
        return register


cdef void fill_spec(Spec *target, spec):
    cdef uint64_t high = spec.modulus >> 32, low = spec.modulus & 0xFFFF_FFFF
    cdef int64_t scale_num = spec.scale_num, scale_den = spec.scale_den
    cdef int64_t p_max_W = spec.p_max_W, refresh_s = spec.refresh_s
    target.modulus = (<i128>high << 32) | <i128>low  # 2^64 does not fit 64 bits
    target.scale_num = scale_num
    target.scale_den = scale_den
    target.p_max_W = p_max_W
    target.refresh_ms = 1000 * refresh_s
    target.jitter = spec.jitter
    target.cycle_start_s = spec.cycle_start_s
    target.policy = spec.policy


cdef counter_events(Row *rows, Py_ssize_t count):
    cdef Py_ssize_t i
    events = Events()
    cdef int64_t *register = grown(events.register, count)
    cdef int64_t *kind = grown(events.kind, count)
    cdef int64_t *t0_ms = grown(events.t0_ms, count)
    cdef int64_t *t1_ms = grown(events.t1_ms, count)
    cdef int64_t *energy_mWh = grown(events.energy_mWh, count)
    cdef int64_t *raw_begin = grown(events.raw_begin, count)
    cdef int64_t *raw_end = grown(events.raw_end, count)
    cdef int64_t *lo_mWh = grown(events.lo_mWh, count)
    cdef int64_t *hi_mWh = grown(events.hi_mWh, count)
    cdef int64_t *epoch = grown(events.epoch, count)
    for i in range(count):
        register[i] = rows[i].register
        kind[i] = rows[i].kind
        t0_ms[i] = rows[i].t0_ms
        t1_ms[i] = rows[i].t1_ms
        energy_mWh[i] = rows[i].energy_mWh
        raw_begin[i] = rows[i].raw_begin
        raw_end[i] = rows[i].raw_end
        lo_mWh[i] = rows[i].lo_mWh
        hi_mWh[i] = rows[i].hi_mWh
        epoch[i] = rows[i].epoch
    return events
