# Rows of events on their way to the columns of ext/events.py: a page that stays in the cache is filled row by row and
# emptied column by column.

cdef enum:
    PAGE_ROWS = 256
    PAGE_SIZE = PAGE_ROWS + 8  # one reading makes up to two rows; and no two columns at the same place of a memory page


cdef struct Page:
    int64_t register[PAGE_SIZE]
    int64_t kind[PAGE_SIZE]
    int64_t t0_ms[PAGE_SIZE]
    int64_t t1_ms[PAGE_SIZE]
    int64_t energy_mWh[PAGE_SIZE]
    int64_t raw_begin[PAGE_SIZE]
    int64_t raw_end[PAGE_SIZE]
    int64_t lo_mWh[PAGE_SIZE]
    int64_t hi_mWh[PAGE_SIZE]
    int64_t epoch[PAGE_SIZE]
    Py_ssize_t made


cdef struct Columns:
    int64_t *register
    int64_t *kind
    int64_t *t0_ms
    int64_t *t1_ms
    int64_t *energy_mWh
    int64_t *raw_begin
    int64_t *raw_end
    int64_t *lo_mWh
    int64_t *hi_mWh
    int64_t *epoch
    Py_ssize_t made


cdef inline void put(
    Page *page,
    int64_t register,
    int kind,
    int64_t t0,
    int64_t t1,
    int64_t energy,
    int64_t raw_begin,
    int64_t raw_end,
    int64_t lo,
    int64_t hi,
    int64_t epoch,
) noexcept nogil:
    cdef Py_ssize_t at = page.made
    page.made = at + 1
    page.register[at] = register
    page.kind[at] = kind
    page.t0_ms[at] = t0
    page.t1_ms[at] = t1
    page.energy_mWh[at] = energy
    page.raw_begin[at] = raw_begin
    page.raw_end[at] = raw_end
    page.lo_mWh[at] = lo
    page.hi_mWh[at] = hi
    page.epoch[at] = epoch


cdef void empty(Page *page, Columns *columns) noexcept nogil:
    """Append the rows of the page to the columns."""
    cdef Py_ssize_t at = columns.made
    cdef size_t size = page.made * sizeof(int64_t)
    memcpy(&columns.register[at], page.register, size)
    memcpy(&columns.kind[at], page.kind, size)
    memcpy(&columns.t0_ms[at], page.t0_ms, size)
    memcpy(&columns.t1_ms[at], page.t1_ms, size)
    memcpy(&columns.energy_mWh[at], page.energy_mWh, size)
    memcpy(&columns.raw_begin[at], page.raw_begin, size)
    memcpy(&columns.raw_end[at], page.raw_end, size)
    memcpy(&columns.lo_mWh[at], page.lo_mWh, size)
    memcpy(&columns.hi_mWh[at], page.hi_mWh, size)
    memcpy(&columns.epoch[at], page.epoch, size)
    columns.made += page.made
    page.made = 0


cdef int lay_out(events, Py_ssize_t room, Columns *columns) except -1:
    """Give `events` space for `room` rows, and let `columns` point to it."""
    columns.made = 0
    columns.register = grown(events.register, room)
    columns.kind = grown(events.kind, room)
    columns.t0_ms = grown(events.t0_ms, room)
    columns.t1_ms = grown(events.t1_ms, room)
    columns.energy_mWh = grown(events.energy_mWh, room)
    columns.raw_begin = grown(events.raw_begin, room)
    columns.raw_end = grown(events.raw_end, room)
    columns.lo_mWh = grown(events.lo_mWh, room)
    columns.hi_mWh = grown(events.hi_mWh, room)
    columns.epoch = grown(events.epoch, room)
    return 0
