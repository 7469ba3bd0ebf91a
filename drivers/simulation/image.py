"""The registers of a simulated device and which of them can be read together."""

from __future__ import annotations

from drivers.codec import encode, encode_bits
from drivers.modbus.pdu import ILLEGAL_ADDRESS, ILLEGAL_FUNCTION, ILLEGAL_VALUE
from drivers.point import Point
from drivers.profile import Profile
from drivers.simulation.play import exponent_of


class RegisterImage:
    """The examples of all points, in words. Gaps that the profile lets one read over hold zero."""

    def __init__(self, profile: Profile) -> None:
        """CodecError when an example does not fit its registers."""
        self._max_block = profile.manners.max_block
        self._words: dict[int, dict[int, int]] = {}
        self._alone = [point for point in profile.points if point.read_alone]
        for function in {point.function for point in profile.points}:
            self._words[function] = _gaps(profile, function)
        for point in profile.points:
            self.put(point, _example_words(profile, point))

    def put(self, point: Point, words: list[int]) -> None:
        """Let the registers of `point` show these words."""
        self._words[point.function].update(zip(point.addresses, words, strict=True))

    def read(self, function: int, address: int, count: int) -> list[int] | int:
        """Return the words, or the exception code for what the device does not read (together)."""
        words = self._words.get(function)
        if words is None:
            return ILLEGAL_FUNCTION
        if count > self._max_block:
            return ILLEGAL_VALUE
        end = address + count
        if any(at not in words for at in range(address, end)):
            return ILLEGAL_ADDRESS
        for point in self._alone:
            touched = point.function == function and point.address < end and address < point.end
            if touched and not (point.address <= address and end <= point.end):
                return ILLEGAL_ADDRESS
        return [words[at] for at in range(address, end)]


def _gaps(profile: Profile, function: int) -> dict[int, int]:
    """Zero for each register between two points that are at most `max_gap` apart or belong together."""
    points = {point.name: point for point in profile.points if point.function == function}
    spans = [(point.start, point.end) for point in points.values()]
    joined: set[int] = set()
    for point in points.values():
        parts = [point, *(points[name] for name in (point.scale_register, point.read_with) if name is not None)]
        joined.update(range(min(part.start for part in parts), max(part.end for part in parts)))
    end = -1
    for begin, until in sorted(spans):
        if end >= 0 and begin - end <= profile.manners.max_gap:
            joined.update(range(end, begin))
        end = max(end, until)
    return dict.fromkeys(joined, 0)


def _example_words(profile: Profile, point: Point) -> list[int]:
    if point.example is not None:
        return encode(point, point.example, exponent_of(profile, point))
    if point.is_text:
        return encode(point, "")
    return encode_bits(point, point.sentinels[0] if point.sentinels else 0)
