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


cdef struct PowerColumns:
    int64_t *register
    int64_t *t0_ms
    int64_t *t1_ms
    int64_t *import_mWh
    int64_t *export_mWh
    int64_t *missing
    Py_ssize_t made


cdef bint take_sample(PowerRegister *s, int64_t power, int64_t t, PowerColumns *columns) noexcept nogil:
    """Integrate one sample into the next row; False when it is not later than the one before it."""
    cdef Py_ssize_t at = columns.made
    cdef i128 dt, net, gained = 0, given = 0
    cdef i128 p0 = s.power_mW, p1 = power
    cdef bint missing = False
    if s.known and t <= s.t_last:
        return False
    columns.t0_ms[at] = s.t_last if s.known else t
    columns.t1_ms[at] = t
    if s.known:
        missing = t - s.t_last > s.max_gap_ms
        if not missing:
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
        s.import_carry = <int64_t>(gained % HALF_UJ)
        s.export_carry = <int64_t>(given % HALF_UJ)
    columns.import_mWh[at] = <int64_t>(gained // HALF_UJ)
    columns.export_mWh[at] = <int64_t>(given // HALF_UJ)
    columns.missing[at] = missing
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
        cdef Samples samples
        cdef PowerColumns columns
        cdef Py_ssize_t count = len(registers), dropped
        if not sound_batch(registers, power_mW, t_ms, t_ms, self._count):
            require_batch(registers, (power_mW, t_ms), t_ms, self._count)
        events = PowerEvents()
        lay_out_power(events, count, &columns)
        overflown = array.clone(registers, count, False)
        samples = Samples(
            count=count,
            registers=<int32_t *>registers.data.as_ints,
            power_mW=<int64_t *>power_mW.data.as_longlongs,
            t_ms=<int64_t *>t_ms.data.as_longlongs,
            overflown=<int32_t *>overflown.data.as_ints,
        )
        if count < LONG_BATCH:
            dropped = integrate_all(self._registers, &samples, &columns)
        else:
            views = pinned((registers, power_mW, t_ms))
            with nogil:
                dropped = integrate_all(self._registers, &samples, &columns)
        shorten(events, columns.made)
        if dropped:
            raise PowerOverflow(tuple(dict.fromkeys(overflown[:dropped])), events)
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


cdef struct Samples:
    Py_ssize_t count
    const int32_t *registers
    const int64_t *power_mW
    const int64_t *t_ms
    int32_t *overflown  # registers whose sample was dropped


cdef Py_ssize_t integrate_all(PowerRegister *states, Samples *samples, PowerColumns *columns) noexcept nogil:
    """Integrate all samples in their order; says how many were beyond the limit."""
    cdef Py_ssize_t i, dropped = 0
    cdef int32_t register
    for i in range(samples.count):
        register = samples.registers[i]
        if not -POWER_LIMIT <= samples.power_mW[i] <= POWER_LIMIT:
            samples.overflown[dropped] = register
            dropped += 1
        elif take_sample(&states[register], samples.power_mW[i], samples.t_ms[i], columns):
            columns.register[columns.made] = register
            columns.made += 1
    return dropped


cdef int lay_out_power(events, Py_ssize_t room, PowerColumns *columns) except -1:
    """Give `events` space for `room` rows, and let `columns` point to it."""
    columns.made = 0
    columns.register = grown(events.register, room)
    columns.t0_ms = grown(events.t0_ms, room)
    columns.t1_ms = grown(events.t1_ms, room)
    columns.import_mWh = grown(events.import_mWh, room)
    columns.export_mWh = grown(events.export_mWh, room)
    columns.missing = grown(events.missing, room)
    return 0
