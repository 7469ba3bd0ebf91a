"""The plain-Python twin of the compiled core: the reference, same names, signatures and results."""

from ext._twin.arithmetic import apportion, float_canonical, multiply, ratio
from ext._twin.counter import CounterTable
from ext._twin.decode import BlockDecoder
from ext._twin.power import PowerTable

__all__ = ["BlockDecoder", "CounterTable", "PowerTable", "apportion", "float_canonical", "multiply", "ratio"]
