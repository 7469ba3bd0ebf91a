# Numbers copied from the enumerations once, so that comparing costs no look-up.

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
