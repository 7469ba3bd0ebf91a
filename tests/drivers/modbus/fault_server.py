"""The faulty Modbus server without its sockets: bytes of requests in, bytes with their times out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.drivers.modbus.fault_answer import Answer, Ask, Emission
from tests.drivers.modbus.fault_wire import RawRequest, Wire
from tests.drivers.modbus.faults import Fault
from tests.drivers.modbus.truth_registers import REGISTERS, words_at

Rule = Callable[[Ask], Sequence[Fault]]  # the faults that meet the answer to this request

WRITABLE = range(0x1000, 0x1100)  # takes any value; reads tell the truth of address % 32 all the same
_READS = (1, 2, 3, 4)
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS = 1, 2


class FaultServer:
    """Every unit of a bus behind one endpoint, on whatever clock the caller keeps.

    With `queue_s` answers leave in the order of the requests, as from a serial converter, and what would leave
    later than that after its request is thrown away; without, each answer leaves for itself.
    """

    def __init__(
        self, wire: Wire, rule: Rule | None = None, *, turnaround_s: float = 0.005, queue_s: float | None = None
    ) -> None:
        self.wire = wire
        self.rule = rule or (lambda ask: ())
        self.turnaround_s = turnaround_s
        self.asks: int = 0
        self.writes: dict[tuple[int, int, tuple[int, ...]], float] = {}  # (unit, address, words) -> when
        self._queue_s = queue_s
        self._free_at_s = 0.0
        self.connect(0.0)

    def connect(self, now_s: float) -> None:
        """A client came; what the one before it left half said is forgotten."""
        self._buffer = bytearray()
        self._order = 0
        self._last_s = now_s
        self._before = b""

    def feed(self, data: bytes, now_s: float) -> list[Emission]:
        """Take bytes from the client; what leaves because of them."""
        self._buffer += data
        emissions: list[Emission] = []
        while request := self.wire.cut(self._buffer):
            emissions += self._answer(self._ask(request, now_s))
        return emissions

    def _ask(self, request: RawRequest, now_s: float) -> Ask:
        pdu = request.pdu
        is_multiple = pdu[0] in (15, 16)
        data = pdu[6:] if is_multiple else pdu[3:5] if pdu[0] in (5, 6) else b""
        ask = Ask(
            at_s=now_s,
            order=self._order,
            idle_s=now_s - self._last_s,
            unit=request.unit,
            number=request.number,
            function=pdu[0],
            address=int.from_bytes(pdu[1:3], "big"),
            count=1 if pdu[0] in (5, 6) else int.from_bytes(pdu[3:5], "big"),
            words=tuple(int.from_bytes(data[n : n + 2], "big") for n in range(0, len(data), 2)),
            frame=request.frame,
            before=self._before,
        )
        self.asks += 1
        self._order += 1
        self._last_s = now_s
        return ask

    def _answer(self, ask: Ask) -> list[Emission]:
        answer = Answer(ask=ask, unit=ask.unit, number=ask.number, pdu=self._good(ask), after_s=self.turnaround_s)
        for fault in self.rule(ask):
            fault(answer)
        self._before = self.wire.frame(answer.unit, answer.number, answer.pdu)
        return self._queued(ask, answer.emissions(self.wire))

    def _queued(self, ask: Ask, emissions: list[Emission]) -> list[Emission]:
        if self._queue_s is None or not emissions:
            return emissions
        wait_s = max(0.0, self._free_at_s - min(emission.at_s for emission in emissions))
        queued = [emission._replace(at_s=emission.at_s + wait_s) for emission in emissions]
        queued = [emission for emission in queued if emission.at_s <= ask.at_s + self._queue_s]
        self._free_at_s = max([self._free_at_s, *(emission.at_s for emission in queued)])
        return queued

    def _good(self, ask: Ask) -> bytes:
        if ask.function in _READS:
            if ask.address + ask.count > REGISTERS:
                return bytes([ask.function | 0x80, _ILLEGAL_ADDRESS])
            words = words_at(ask.at_s, ask.unit, ask.function, ask.address, ask.count)
            if ask.function <= 2:
                bits = sum((word & 1) << n for n, word in enumerate(words))
                data = bits.to_bytes((ask.count + 7) // 8, "little")
            else:
                data = b"".join(word.to_bytes(2, "big") for word in words)
            return bytes([ask.function, len(data)]) + data
        if ask.function not in (6, 16):
            return bytes([ask.function | 0x80, _ILLEGAL_FUNCTION])
        if ask.address not in WRITABLE:
            return bytes([ask.function | 0x80, _ILLEGAL_ADDRESS])
        self.writes[ask.unit, ask.address, ask.words] = ask.at_s
        last = ask.words[0] if ask.function == 6 else ask.count
        return bytes([ask.function]) + ask.address.to_bytes(2, "big") + last.to_bytes(2, "big")
