"""Framings: how a request becomes bytes and how its reply is found among the bytes that come back.

A framing serves one link and holds the state of the exchange under way. Bytes go in with `feed`; the first
verdict ends the exchange, and `expire` gives the verdict when time is over.
"""

from collections import deque
from typing import Protocol

from drivers.modbus.outcome import OutcomeKind
from drivers.modbus.overheard import Overheard, Talk
from drivers.modbus.pdu import WRITE_SINGLE, rtu_frame, rtu_frame_is_sound, tcp_frame
from drivers.modbus.request import Request, Verdict, judge

_HEADER = 6  # bytes of a Modbus TCP header before the unit id
_REMEMBERED = 64  # numbers of requests without answer whose late answers are nothing strange
_LONGEST_RTU = 256
_STRIDE = 40507  # from one number to the next: a reply whose number is one off is not taken for the next one's
_BABBLE = 1024  # bytes kept of an exchange; who says more says nothing sensible
_MOST_LOOKS = 64  # checksums tried on what comes at once: a flood of bytes costs no more


class Framing(Protocol):
    """What a link needs of its framing."""

    numbered: bool  # replies carry the number of their request, so a late one cannot be mistaken
    broken: str  # why nothing more can be read from this connection; empty while all is well
    talk: list[Talk]  # what others said, for whoever empties it

    def start(self, request: Request) -> bytes:
        """The frame of `request`; the exchange is under way from here on."""
        ...

    def feed(self, data: bytes) -> Verdict | None:
        """Take bytes from the wire; a verdict as soon as there is one. Between exchanges they are dropped."""
        ...

    def expire(self) -> Verdict:
        """Time is over: end the exchange with what there is."""
        ...

    def reset(self) -> None:
        """A new connection: forget everything."""
        ...


class TcpFraming:
    """Modbus TCP: a header with transaction id, protocol id 0 and length.

    There are gateways that answer every request with the id 0. The first such reply is not taken, but from then on
    the endpoint counts as one without numbers, as a serial line is, and 0 as good as the right id; until it shows
    that it does know numbers.
    """

    def __init__(self) -> None:
        self.numbered = True
        self._knows_numbers = False
        self.broken = ""
        self.talk: list[Talk] = []
        self._buffer = bytearray()
        self._number = 0
        self._request: Request | None = None
        self._late: deque[int] = deque(maxlen=_REMEMBERED)
        self._strange = ""

    def start(self, request: Request) -> bytes:
        self._number = (self._number + _STRIDE - 1) % 0xFFFF + 1  # never 0, which careless gateways answer with
        self._request = request
        self._strange = ""
        return tcp_frame(request.unit, self._number, request.pdu)

    def feed(self, data: bytes) -> Verdict | None:
        buffer = self._buffer
        buffer += data
        while len(buffer) >= _HEADER:
            number = buffer[0] << 8 | buffer[1]
            protocol = buffer[2] << 8 | buffer[3]
            length = buffer[4] << 8 | buffer[5]
            if protocol or not 2 <= length <= 254:
                self.broken = f"no Modbus TCP at the other end: it sent {bytes(buffer[:_HEADER]).hex()}"
                self._request = None
                return Verdict(OutcomeKind.CORRUPT, detail=self.broken)
            end = _HEADER + length
            if len(buffer) < end:
                return None
            unit, pdu = buffer[_HEADER], bytes(buffer[_HEADER + 1 : end])
            del buffer[:end]
            verdict = self._match(number, unit, pdu)
            if verdict is not None:
                return verdict
        return None

    def expire(self) -> Verdict:
        self._late.append(self._number)
        self._request = None
        if self._buffer:
            # Whatever comes next would be taken for the rest of it.
            self.broken = f"half an answer: {bytes(self._buffer[:32]).hex()}"
            return Verdict(OutcomeKind.CORRUPT, detail=self.broken)
        if self._strange:
            return Verdict(OutcomeKind.DESYNC, detail=self._strange)
        return Verdict(OutcomeKind.TIMEOUT, detail="no answer")

    def reset(self) -> None:
        self.broken = ""
        self._buffer.clear()
        self._request = None
        self._late.clear()
        self._strange = ""

    def _match(self, number: int, unit: int, pdu: bytes) -> Verdict | None:
        request = self._request
        if request is None:
            return None
        if number == 0 and not self._knows_numbers:
            return self._without_number(request, unit, pdu)
        if number != self._number:
            if number not in self._late:
                self._strange = f"a reply with transaction id {number} instead of {self._number}"
            return None
        self._request = None
        self.numbered = self._knows_numbers = True
        if unit != request.unit:
            return Verdict(OutcomeKind.DESYNC, detail=f"a reply from unit {unit} instead of {request.unit}")
        return judge(request, pdu)

    def _without_number(self, request: Request, unit: int, pdu: bytes) -> Verdict | None:
        """A reply with the id 0, which no request has: taken when nothing but the number is missing."""
        strange = f"a reply with transaction id 0 instead of {self._number}"
        if self.numbered:
            self.numbered = False
            self._request = None
            return Verdict(OutcomeKind.DESYNC, detail=strange)
        verdict = judge(request, pdu)
        if unit != request.unit or verdict.kind is OutcomeKind.CORRUPT:
            self._strange = strange
            return None
        self._request = None
        return verdict


class RtuFraming:
    """Modbus RTU, on a serial line or inside TCP: unit id, data unit, checksum; replies have no number.

    The reply is looked for anywhere in what came since the request, so noise and foreign frames before and
    after it do no harm. A frame that only looks like the reply is the link's business: it never asks for the
    same shape while an older answer of that shape may still come, be it to another master's request (`talk`).
    When another master asks for the same shape in the middle of our exchange, nobody knows whose the answer is.

    Some two-wire adapters hear themselves. What was sent is passed over when it comes back in front of the
    reply; the good reply to a write of one register looks the same, so there it counts as the reply unless
    the last read came back, too.
    """

    numbered = False

    def __init__(self) -> None:
        self.broken = ""  # bytes on a line are never beyond recovery
        self.talk: list[Talk] = []
        self._others = Overheard()
        self._buffer = bytearray()
        self._looked: dict[bytes, int] = {}  # up to where a frame with this head was looked for
        self._request: Request | None = None
        self._frame = b""  # of the request
        self._sent = b""  # the same; empty once it came back
        self._hears_itself = False

    def start(self, request: Request) -> bytes:
        self._buffer.clear()
        self._looked.clear()
        self._request = request
        self._frame = self._sent = rtu_frame(request.unit, request.pdu)
        return self._frame

    def feed(self, data: bytes) -> Verdict | None:
        request = self._request
        if request is None:
            self.talk += self._others.hear(data)
            return None
        self._buffer += data
        self._drop_echo(request)
        refusal = bytes([request.unit, request.function | 0x80])
        size = request.reply_size + 3
        verdict = self._find(request, request.shape, size) or self._find(request, refusal, 5)
        if verdict is not None:
            self._request = None
            if request.reads and self._sent:
                self._hears_itself = False
            if len(self._buffer) > (5 if verdict.kind is OutcomeKind.EXCEPTION else size):
                return self._among_others(request, verdict)
        elif len(self._buffer) > _BABBLE:
            del self._buffer[:-_LONGEST_RTU]
            self._looked.clear()
        return verdict

    def expire(self) -> Verdict:
        self._request = None
        buffer = bytes(self._buffer)
        if not buffer:
            return Verdict(OutcomeKind.TIMEOUT, detail="no answer")
        talk = self._others.hear(buffer)
        self.talk += talk
        if talk:
            unit, function = talk[0].shape[:2]
            detail = f"a frame of unit {unit}, function {function}, from another exchange: {buffer[:32].hex()}"
            return Verdict(OutcomeKind.DESYNC, detail=detail)
        return Verdict(OutcomeKind.CORRUPT, detail=f"{len(buffer)} bytes without a sound frame: {buffer[:32].hex()}")

    def reset(self) -> None:
        self._others.reset()
        self._buffer.clear()
        self._request = None

    def _among_others(self, request: Request, verdict: Verdict) -> Verdict:
        """The verdict when more came than the reply: ours, unless another master's request may have called for it.

        A request that equals ours is no other's, or its answer is as good.
        """
        talk = self._others.hear(bytes(self._buffer).replace(self._frame, b"", 1))
        self.talk += talk
        likeness = request.shape[:2] if verdict.kind is OutcomeKind.EXCEPTION else request.shape
        for other in talk:
            if other.may_answer(request.shape):
                break
            if other.is_request and other.shape.startswith(likeness):
                return Verdict(OutcomeKind.DESYNC, detail="another master asks for the same on this line")
        return verdict

    def _drop_echo(self, request: Request) -> None:
        may_be_reply = request.function == WRITE_SINGLE and not self._hears_itself
        if self._sent and not may_be_reply and self._buffer.startswith(self._sent):
            del self._buffer[: len(self._sent)]
            self._looked.clear()
            self._sent = b""
            self._hears_itself = True

    def _find(self, request: Request, head: bytes, size: int) -> Verdict | None:
        """The verdict on the first sound frame that begins with `head`, looked for where nobody looked before."""
        buffer = self._buffer
        start = buffer.find(head, self._looked.get(head, 0))
        for _ in range(_MOST_LOOKS):
            if not 0 <= start <= len(buffer) - size:
                break
            frame = bytes(buffer[start : start + size])
            if rtu_frame_is_sound(frame):
                return judge(request, frame[1:-2])
            # Exactly one frame of the right shape, damaged: nothing more will come, unless it is half an echo.
            if len(buffer) == size and not self._sent.startswith(buffer):
                return Verdict(OutcomeKind.CORRUPT, detail=f"wrong checksum: {frame[:32].hex()}")
            start = buffer.find(head, start + 1)
        self._looked[head] = start if start >= 0 else max(0, len(buffer) - len(head) + 1)
        return None
