"""Sample: what one channel showed in a stretch of time; none exists for a stretch without a value."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from math import fsum
from typing import Final, NamedTuple

_LONGEST: Final = 12
_FEW: Final = 5
_LAST, _LEAST, _MEAN, _MOST = range(1, 5)


class Sample(NamedTuple):
    """Numbers in display units."""

    readings: int
    """How many had a value; one or more."""
    last: float
    least: float
    mean: float
    most: float

    def plus(self, later: Sample) -> Sample:
        """Both stretches together."""
        readings = self.readings + later.readings
        mean = (self.mean * self.readings + later.mean * later.readings) / readings
        return Sample(readings, later.last, min(self.least, later.least), mean, max(self.most, later.most))


Samples = dict[int, Sample]
"""By the number of the stretch in its row."""


def of_values(values: Iterable[float]) -> Sample | None:
    """The sample of values in their order, NaN being no value; None when there is none."""
    known = [value for value in values if value == value]
    if not known:
        return None
    return Sample(len(known), known[-1], min(known), fsum(known) / len(known), max(known))


def merge(into: Samples, later: Samples) -> None:
    """Adds samples to samples, those of the same stretch together."""
    for number, sample in later.items():
        before = into.get(number)
        into[number] = sample if before is None else before.plus(sample)


def to_text(samples: Samples, stretches: int, *, is_counter: bool) -> str:
    """One line of JSON. Of a counter its last counts are kept: it only rises, so the rest says nothing.

    Numbers of up to twelve characters are exact, longer ones keep seven digits; means have five.
    """
    known = [samples[number] for number in sorted(samples)]
    counts = [samples[number].readings if number in samples else 0 for number in range(stretches)]
    kept = (_LAST,) if is_counter else (_LAST, _LEAST, _MEAN, _MOST)
    columns = [_deltas([_short(sample[place], _FEW if place == _MEAN else 7) for sample in known]) for place in kept]
    return json.dumps([counts, *columns], separators=(",", ":"))


def from_text(text: str | bytes) -> Samples:
    """The mirror image of `to_text`. Raises ValueError, TypeError or LookupError for anything else."""
    counts, *columns = json.loads(text)
    numbers = [number for number, count in enumerate(counts) if count]
    lasts, *rest = ([float(value) for value in _values(column)] for column in columns)
    leasts, means, mosts = rest or (lasts, lasts, lasts)
    rows = zip(numbers, lasts, leasts, means, mosts, strict=True)
    return {number: Sample(counts[number], *values) for number, *values in rows}


def _short(value: float, digits: int) -> float:
    if digits == _FEW or not (value.is_integer() or len(repr(value)) <= _LONGEST):
        value = float(f"{value:.{digits}g}")
    return int(value) if value.is_integer() and abs(value) < 1 << 53 else value


def _deltas(values: Sequence[float]) -> list[float] | list[list[int]]:
    """Whole numbers as the first one and differences, in a list of their own."""
    whole = [value for value in values if isinstance(value, int)]
    if len(whole) < len(values) or not whole:
        return list(values)
    return [[whole[0], *(after - before for before, after in pairwise(whole))]]


def _values(column: list[float] | list[list[int]]) -> Iterable[float]:
    if column and isinstance(column[0], list):
        return accumulate(column[0])
    return column  # type: ignore[return-value]  # just shown to be no list of lists
