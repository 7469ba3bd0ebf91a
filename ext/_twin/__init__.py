"""The plain-Python twin of the compiled core: the reference, same names, signatures and results."""

from ext._twin.arithmetic import allocate, apportion, float_canonical, ratio
from ext._twin.counter import CounterTable
from ext._twin.decode import BlockDecoder
from ext._twin.power import PowerTable
from ext._twin.products import carbon, deltas, multiply

__all__ = [
    "BlockDecoder",
    "CounterTable",
    "PowerTable",
    "allocate",
    "apportion",
    "carbon",
    "deltas",
    "float_canonical",
    "multiply",
    "ratio",
]
