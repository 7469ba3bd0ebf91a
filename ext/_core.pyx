# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""The compiled core: names, signatures and results of the plain-Python twin `ext._twin`, where the contracts stand.

The carbon part knows integers only; decoding, which has display values, is the module `ext._decode`. Batches are
short (a poll of some registers: microseconds), so the lock of the interpreter is kept; nothing in the inner
functions needs it.
"""

from cpython cimport array
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc
from libc.stdint cimport int32_t, int64_t, uint64_t

from ext._canonical cimport canonical, is_finite
from ext._int128 cimport half_even, i128, narrow, up

from ext._decode import BlockDecoder
from ext.columns import require_batch, require_typecode
from ext.counter_spec import check_counters
from ext.counter_state import CounterState, Hold, state_from_tuple
from ext.event_kind import EventKind
from ext.events import Events
from ext.limits import POWER_LIMIT_MW, SCALE_LIMIT, TIME_LIMIT_MS
from ext.overflow import CounterOverflow, PowerOverflow
from ext.policy import Policy
from ext.power_events import PowerEvents
from ext.power_state import HALF_UJ_PER_MWH, PowerState, check_gaps, power_state_from_tuple

include "_columns.pxi"
include "_arithmetic.pxi"
include "_power.pxi"
include "_judgement.pxi"
include "_counter.pxi"
