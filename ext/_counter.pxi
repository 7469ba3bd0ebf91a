# Counters -> energy. Contracts: ext/_twin/counter.py.


cdef class CounterTable:
    cdef tuple _specs
    cdef Counter *_counters
    cdef Py_ssize_t _count
    cdef object _events  # of the last step

    def __cinit__(self, specs):
        cdef Py_ssize_t i
        self._specs = tuple(specs)
        check_counters(self._specs)
        self._count = len(self._specs)
        self._counters = <Counter *>PyMem_Calloc(self._count + 1, sizeof(Counter))
        if self._counters is NULL:
            raise MemoryError()
        for i in range(self._count):
            fill_spec(&self._counters[i].spec, self._specs[i])

    def __dealloc__(self):
        PyMem_Free(self._counters)

    def step(
        self,
        array.array registers not None,
        array.array raws not None,
        array.array ulps not None,
        array.array t_ms not None,
    ):
        cdef Readings readings
        cdef Columns columns
        cdef Py_ssize_t count = len(registers), dropped
        if not sound_batch(registers, raws, ulps, t_ms, self._count):
            require_batch(registers, (raws, ulps, t_ms), t_ms, self._count)
        events = self._take_events()
        # Only a reading that settles one which was held, and made no row then, makes two.
        lay_out(events, count + min(count, self._count), &columns)
        overflown = array.clone(registers, count, False)
        readings = Readings(
            count=count,
            registers=<int32_t *>registers.data.as_ints,
            raws=<int64_t *>raws.data.as_longlongs,
            ulps=<int64_t *>ulps.data.as_longlongs,
            t_ms=<int64_t *>t_ms.data.as_longlongs,
            overflown=<int32_t *>overflown.data.as_ints,
        )
        if count < LONG_BATCH:
            dropped = judge_all(self._counters, &readings, &columns)
        else:
            views = pinned((registers, raws, ulps, t_ms))
            with nogil:
                dropped = judge_all(self._counters, &readings, &columns)
        shorten(events, columns.made)
        self._events = events
        if dropped:
            raise CounterOverflow(tuple(dict.fromkeys(overflown[:dropped])), events)
        return events

    def swap(self, register):
        cdef State *s = &self._counters[self._known(register)].state
        s.swapped = s.known
        s.plain = False

    def reset_hint(self, register):
        cdef State *s = &self._counters[self._known(register)].state
        s.boot = s.known
        s.plain = False

    def held(self, register):
        cdef bint held = self._counters[self._known(register)].state.hold != HOLD_NOTHING
        return held

    def settled_ms(self, register):
        cdef State *s = &self._counters[self._known(register)].state
        return s.t_last if s.known else -1

    def has_state(self, register):
        return self._counters[self._known(register)].state.known

    def state(self, register):
        cdef State *s = &self._counters[self._known(register)].state
        if not s.known:
            raise ValueError(f"counter register {register} has no state yet")
        return state_of(s, self._specs[register]).to_tuple()

    def load(self, register, state):
        cdef State *s = &self._counters[self._known(register)].state
        fill_state(s, state_from_tuple(register, self._specs[register], state))

    cdef _take_events(self):
        """Those of the last step once more when everybody has let go of them: their memory is in the cache."""
        events, self._events = self._events, None
        return events if events is not None and is_ours(events) else Events()

    cdef Py_ssize_t _known(self, register) except -1:
        if not 0 <= register < self._count:
            raise IndexError(f"no counter register {register}")
        return register


cdef struct Readings:
    Py_ssize_t count
    const int32_t *registers
    const int64_t *raws
    const int64_t *ulps
    const int64_t *t_ms
    int32_t *overflown  # registers whose reading was dropped


cdef Py_ssize_t judge_all(Counter *counters, Readings *readings, Columns *columns) noexcept nogil:
    """Judge all readings in their order; says how many were dropped."""
    cdef Judgement j
    cdef Page page
    cdef State before
    cdef int32_t register
    cdef Py_ssize_t i, made, dropped = 0
    page.made = 0
    for i in range(readings.count):
        register = readings.registers[i]
        if page.made >= PAGE_ROWS:
            empty(&page, columns)
        if book_plain(&counters[register], register, readings.raws[i], readings.t_ms[i], &page):
            continue
        j = Judgement(
            spec=&counters[register].spec,
            state=&counters[register].state,
            page=&page,
            register=register,
            raw=readings.raws[i],
            ulp=readings.ulps[i],
            t=readings.t_ms[i],
            boot=False,
            overflow=False,
        )
        before = j.state[0]
        made = page.made
        judge(&j)
        if j.overflow:
            j.state[0] = before
            page.made = made
            readings.overflown[dropped] = register
            dropped += 1
    empty(&page, columns)
    return dropped


cdef inline bint book_plain(Counter *counter, int64_t register, int64_t raw, int64_t t, Page *page) noexcept nogil:
    """Book the reading if it goes on from the one before it, as nearly all do; `judge` would do the same."""
    cdef State *s = &counter.state
    cdef Spec *spec = &counter.spec
    # Unsigned, so that what is negative is too large.
    cdef uint64_t counts = <uint64_t>raw - <uint64_t>s.last
    cdef int64_t energy
    if not s.plain or <uint64_t>raw > spec.raw_max or counts > spec.plain_counts:
        return False
    if <uint64_t>(t - s.t_last - 1) >= spec.plain_ms:
        return False
    energy = <int64_t>counts * spec.scale_num
    if spec.scale_den != 1:
        energy += s.carry
        s.carry = energy % spec.scale_den
        energy = energy // spec.scale_den
    put(page, register, OK, s.t_last, t, energy, s.last, raw, energy, energy, s.epoch)
    if counts > 0:
        s.t_change = t
    s.last = raw
    s.t_last = t
    return True
