# Power -> energy. Contracts: ext/_twin/power.py.

cdef int64_t HALF_UJ = HALF_UJ_PER_MWH
cdef int64_t POWER_LIMIT = POWER_LIMIT_MW


cdef struct PowerRegister:
    bint known
    int64_t max_gap_ms
    int64_t t_last
    int64_t power_mW
    int64_t import_carry
    int64_t export_carry


cdef struct PowerRow:
    int64_t register
    int64_t t0_ms
    int64_t t1_ms
    int64_t import_mWh
    int64_t export_mWh
    int64_t missing


cdef bint take_sample(PowerRegister *s, int64_t power, int64_t t, PowerRow *row) noexcept nogil:
    """Integrate one sample into `row`; False when it is not later than the one before it."""
    cdef i128 dt, net, split, gained = 0, given = 0
    cdef i128 p0 = s.power_mW, p1 = power
    row.t0_ms = t
    row.t1_ms = t
    row.import_mWh = row.export_mWh = row.missing = 0
    if s.known:
        if t <= s.t_last:
            return False
        row.t0_ms = s.t_last
        row.missing = t - s.t_last > s.max_gap_ms
        if not row.missing:
            dt = <i128>(t - s.t_last)
            net = (p0 + p1) * dt
            if p0 > 0 and p1 < 0:
                gained = p0 * p0 * dt // (p0 - p1)
                given = gained - net
            elif p0 < 0 and p1 > 0:
                given = p0 * p0 * dt // (p1 - p0)
                gained = given + net
            elif net >= 0:
                gained = net
            else:
                given = -net
        # Within 64 bits: 2 GW over 2^32 ms are below 2^53 mWh.
        gained += s.import_carry
        given += s.export_carry
        row.import_mWh = <int64_t>(gained // HALF_UJ)
        row.export_mWh = <int64_t>(given // HALF_UJ)
        s.import_carry = <int64_t>(gained % HALF_UJ)
        s.export_carry = <int64_t>(given % HALF_UJ)
    s.known = True
    s.t_last = t
    s.power_mW = power
    return True


cdef class PowerTable:
    cdef PowerRegister *_registers
    cdef Py_ssize_t _count

    def __cinit__(self, max_gap_ms):
        cdef Py_ssize_t i
        gaps = tuple(max_gap_ms)
        check_gaps(gaps)
        self._count = len(gaps)
        self._registers = <PowerRegister *>PyMem_Calloc(self._count + 1, sizeof(PowerRegister))
        if self._registers is NULL:
            raise MemoryError()
        for i in range(self._count):
            self._registers[i].max_gap_ms = gaps[i]

    def __dealloc__(self):
        PyMem_Free(self._registers)

    def step(self, array.array registers not None, array.array power_mW not None, array.array t_ms not None):
        cdef Py_ssize_t i, count = len(registers), made = 0
        cdef int32_t *numbers
        cdef int64_t *powers
        cdef int64_t *times
        cdef PowerRow *rows
        cdef list overflown = []
        if not sound_batch(registers, power_mW, t_ms, t_ms, self._count):
            require_batch(registers, (power_mW, t_ms), t_ms, self._count)
        numbers = <int32_t *>registers.data.as_ints
        powers = <int64_t *>power_mW.data.as_longlongs
        times = <int64_t *>t_ms.data.as_longlongs
        rows = <PowerRow *>PyMem_Malloc((count + 1) * sizeof(PowerRow))
        if rows is NULL:
            raise MemoryError()
        try:
            for i in range(count):
                if not -POWER_LIMIT <= powers[i] <= POWER_LIMIT:
                    overflown.append(numbers[i])
                elif take_sample(&self._registers[numbers[i]], powers[i], times[i], &rows[made]):
                    rows[made].register = numbers[i]
                    made += 1
            events = power_events(rows, made)
        finally:
            PyMem_Free(rows)
        if overflown:
            raise PowerOverflow(tuple(dict.fromkeys(overflown)), events)
        return events

    def has_state(self, register):
        return self._registers[self._known(register)].known

    def state(self, register):
        cdef PowerRegister *s = &self._registers[self._known(register)]
        if not s.known:
            raise ValueError(f"power register {register} has no state yet")
        return PowerState(s.t_last, s.power_mW, s.import_carry, s.export_carry).to_tuple()

    def load(self, register, state):
        cdef PowerRegister *s = &self._registers[self._known(register)]
        sound = power_state_from_tuple(register, state)
        s.known = True
        s.t_last, s.power_mW, s.import_carry, s.export_carry = sound

    cdef Py_ssize_t _known(self, register) except -1:
        if not 0 <= register < self._count:
            raise IndexError(f"no power register {register}")
        return register


cdef power_events(PowerRow *rows, Py_ssize_t count):
    cdef Py_ssize_t i
    events = PowerEvents()
    cdef int64_t *register = grown(events.register, count)
    cdef int64_t *t0_ms = grown(events.t0_ms, count)
    cdef int64_t *t1_ms = grown(events.t1_ms, count)
    cdef int64_t *import_mWh = grown(events.import_mWh, count)
    cdef int64_t *export_mWh = grown(events.export_mWh, count)
    cdef int64_t *missing = grown(events.missing, count)
    for i in range(count):
        register[i] = rows[i].register
        t0_ms[i] = rows[i].t0_ms
        t1_ms[i] = rows[i].t1_ms
        import_mWh[i] = rows[i].import_mWh
        export_mWh[i] = rows[i].export_mWh
        missing[i] = rows[i].missing
    return events
