"""What others say on a line: requests of another master, and the answers to them."""

from typing import NamedTuple

from drivers.modbus.pdu import READ_DISCRETES, READ_INPUT, WRITE_MULTIPLE, rtu_frame_is_sound

_LONGEST = 256
_SHORTEST_REPLY = 5
_WRITES = (5, 6, 15, WRITE_MULTIPLE)
_MULTIPLE = (15, WRITE_MULTIPLE)
_FUNCTIONS = frozenset((1, 2, 3, READ_INPUT, *_WRITES))
_LAST_CODE = 0x0B
_MOST_LOOKS = 64  # places at which a frame is looked for in what comes at once: a flood of bytes costs no more


class Talk(NamedTuple):
    """A sound frame that was not for us."""

    shape: bytes  # of the answer (drivers/modbus/request.py); of a refusal only unit and function
    is_request: bool

    def may_answer(self, shape: bytes) -> bool:
        """Whether this is the answer to a request whose answer has this shape."""
        return not self.is_request and shape.startswith(self.shape)


class Overheard:
    """Finds sound frames in the bytes between our exchanges, however they are cut."""

    def __init__(self) -> None:
        self._tail = b""  # what may be the begin of a frame
        self._asked = b""  # a write whose echo, which looks like it, has not come

    def reset(self) -> None:
        """A new connection."""
        self._tail = b""
        self._asked = b""

    def hear(self, data: bytes) -> list[Talk]:
        """The frames that end in these bytes."""
        buffer = self._tail + data
        talks = []
        start = end = 0
        looks = _MOST_LOOKS
        while start <= len(buffer) - _SHORTEST_REPLY and looks:
            if not _may_begin(buffer[start + 1], buffer[start + 2]):
                start += 1
                continue
            looks -= 1
            size, talk = self._frame(buffer[start : start + _LONGEST])
            if talk is None:
                start += 1
                continue
            talks.append(talk)
            start = end = start + size
        self._tail = buffer[max(end, len(buffer) - _LONGEST + 1) :]
        return talks

    def _frame(self, head: bytes) -> tuple[int, Talk | None]:
        """The size of the sound frame that begins here, and what it says."""
        unit, function = head[0], head[1]
        if 1 <= function <= READ_INPUT:
            if _is_frame(head, 8):
                return 8, Talk(bytes([unit, function, _byte_count(function, head)]), True)
            size = 5 + head[2]
            return size, Talk(head[:3], False) if _is_frame(head, size) else None
        if function in _WRITES:
            return self._write(head)
        if function & 0x80 and _is_frame(head, 5):
            return 5, Talk(bytes([unit, function & 0x7F]), False)
        return 0, None

    def _write(self, head: bytes) -> tuple[int, Talk | None]:
        size = 9 + head[6] if head[1] in _MULTIPLE and len(head) > 6 else 8
        if _is_frame(head, size):
            is_echo = size == 8 and head[:6] == self._asked
            self._asked = b"" if is_echo else head[:6]
            return size, Talk(head[:6], not is_echo)
        if size != 8 and _is_frame(head, 8):
            return 8, Talk(head[:6], False)
        return 0, None


def _may_begin(function: int, third: int) -> bool:
    """Whether a frame may have this function and third byte."""
    return function in _FUNCTIONS or (function & 0x7F in _FUNCTIONS and third <= _LAST_CODE)


def _is_frame(head: bytes, size: int) -> bool:
    return len(head) >= size and rtu_frame_is_sound(head[:size])


def _byte_count(function: int, request: bytes) -> int:
    """Bytes of registers or bits in the answer to a read; 0 for a count that no answer can have."""
    count = int.from_bytes(request[4:6], "big")
    size = (count + 7) // 8 if function <= READ_DISCRETES else 2 * count
    return size if size <= 250 else 0
