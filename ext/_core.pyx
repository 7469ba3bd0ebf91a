# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""The compiled core: names, signatures and results of the plain-Python twin `ext._twin`, where the contracts stand.

The carbon part knows integers only; decoding, which has display values, is the module `ext._decode`. No inner loop
touches a Python object; long batches release the lock of the interpreter while they run.
"""

from cpython cimport array
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.ref cimport Py_REFCNT
from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint64_t
from libc.string cimport memcpy

from ext._canonical cimport canonical, is_finite
from ext._int128 cimport difference_leaves, divided, half_even, i128, narrow, product_leaves, up
from ext._memory cimport expect_use

from bisect import bisect_right

from ext._decode import BlockDecoder
from ext.columns import require_batch, require_factors, require_typecode
from ext.counter_spec import check_counters
from ext.counter_state import CounterState, Hold, state_from_tuple
from ext.event_kind import EventKind
from ext.events import Events
from ext.limits import POWER_LIMIT_MW, SCALE_LIMIT, TIME_LIMIT_MS
from ext.overflow import CounterOverflow, PowerOverflow, ProductOverflow
from ext.policy import Policy
from ext.power_events import PowerEvents
from ext.power_state import HALF_UJ_PER_MWH, PowerState, check_gaps, power_state_from_tuple

include "_columns.pxi"
include "_arithmetic.pxi"
include "_products.pxi"
include "_power.pxi"
include "_kinds.pxi"
include "_counter_state.pxi"
include "_counter_rows.pxi"
include "_judgement.pxi"
include "_consequences.pxi"
include "_counter.pxi"
