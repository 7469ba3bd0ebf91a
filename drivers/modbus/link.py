"""The link: one wire, one owner task, one exchange in flight, and a judged outcome for each request.

On a framing without numbers a late answer could pass for the answer to the next request. Two things prevent
it: after a failure the line is drained until it is quiet, and no request of the same shape (unit, function,
length) is sent until `late_s` after the failure, so whatever still comes cannot be mistaken for its answer.
"""

import asyncio
import itertools
import logging
import random
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from drivers.modbus.backoff import BackOff
from drivers.modbus.calls import Call, CallQueue, Priority
from drivers.modbus.errors import TransportError
from drivers.modbus.framing import Framing
from drivers.modbus.manners import LinkManners
from drivers.modbus.outcome import Outcome, OutcomeKind
from drivers.modbus.request import Request, Verdict, read_request, write_request
from drivers.modbus.stats import LinkStats
from drivers.modbus.transport import Transport

_ANSWERED = (OutcomeKind.OK, OutcomeKind.EXCEPTION)
_DOUBTFUL = (OutcomeKind.TIMEOUT, OutcomeKind.CORRUPT, OutcomeKind.DESYNC)
_SILENCES = 3  # time-outs in a row after which a connection on which nobody answers is opened anew

_CLOSED = "the link was closed"

_log = logging.getLogger("huxi.drivers")


class Link:
    """The one owner of a wire. Use it as an async context manager; it connects, and reconnects, by itself.

    While the endpoint cannot be opened every call ends at once with LINK_DOWN. A caller that is cancelled
    loses its answer; its exchange, once begun, goes on to its end.
    """

    def __init__(
        self,
        *,
        name: str,
        transport: Transport,
        framing: Framing,
        manners: LinkManners | None = None,
        random: Callable[[], float] = random.random,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.name = name
        self.stats = LinkStats()
        self._transport = transport
        self._framing = framing
        self._manners = manners or LinkManners()
        self._clock_ns = clock_ns
        self._back_off = BackOff(random)
        self._calls = CallQueue()
        self._order = itertools.count()
        self._down = "the link is not open"  # why calls end at once; empty while they are taken
        self._wake: asyncio.Future[None] | None = None
        self._reply: asyncio.Future[Verdict] | None = None
        self._verdict_ns = 0
        # Shape of which an old answer may come -> until when. Outlives a connection: what lies in the queue
        # of a serial converter comes out on the next one.
        self._suspects: dict[bytes, float] = {}
        self._begin_connection()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        self._down = ""
        self._owner = self._tasks.create_task(self._own(), name=f"link {self.name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._down = _CLOSED
        self._owner.cancel()
        if kind is not None and not issubclass(kind, asyncio.CancelledError):
            kind = error = trace = None  # the caller's own error passes through as it is, not in a group
        await self._tasks.__aexit__(kind, error, trace)

    async def read(
        self,
        unit: int,
        function: int,
        address: int,
        count: int,
        *,
        timeout_s: float,
        priority: Priority = Priority.POLL,
    ) -> Outcome:
        """Read `count` registers (functions 3, 4) or bits (1, 2); `timeout_s` counts from the sending.

        Never raises for trouble on the bus; ValueError for a request that cannot be put on the wire.
        """
        return await self._call(read_request(unit, function, address, count), timeout_s, priority)

    async def write(
        self,
        unit: int,
        function: int,
        address: int,
        words: Sequence[int],
        *,
        timeout_s: float = 1.0,
        priority: Priority = Priority.CONTROL,
    ) -> Outcome:
        """Write registers with function 6 (one) or 16; OK when the device echoed it. Errors as in `read`.

        After any outcome but OK and EXCEPTION it is unknown whether the device took the value: read it back.
        """
        return await self._call(write_request(unit, function, address, words), timeout_s, priority)

    async def _call(self, request: Request, timeout_s: float, priority: Priority) -> Outcome:
        if self._down:
            return self._link_down(request)
        answer: asyncio.Future[Outcome] = self._loop.create_future()
        self._calls.put(
            Call(
                priority=priority,
                order=next(self._order),
                request=request,
                timeout_s=timeout_s,
                answer=answer,
            )
        )
        self._nudge()
        return await answer

    # --- the owner task: connect, serve, reconnect

    async def _own(self) -> None:
        try:
            while True:
                self._begin_connection()
                try:
                    await self._transport.open(self._feed, self._lose)
                except TransportError as error:
                    self._go_down(str(error))
                else:
                    await self._serve()
                    await self._transport.close()
                    if self._answered:
                        # A healthy endpoint dropped us: try again at once, the callers may wait.
                        self._back_off.reset()
                        continue
                    self._go_down(self._loss)
                await asyncio.sleep(self._back_off.next_s())
        finally:
            self._go_down(_CLOSED)
            await self._transport.close()

    def _begin_connection(self) -> None:
        self._framing.reset()
        self._loss = ""  # why this connection is over
        self._answered = False  # whether any unit answered on this connection
        self._asked: set[int] = set()
        self._silent: set[int] = set()
        self._silences = 0
        self._line_ready = 0.0  # loop time from which the next request may go
        self._unit_ready: dict[int, float] = {}
        self._last_byte = 0.0

    async def _serve(self) -> None:
        self._down = ""
        self.stats.connected = True
        self.stats.connections += 1
        _log.info("link connected link=%s", self.name)
        self._line_ready = self._loop.time() + self._manners.connect_delay_s
        while not self._loss:
            call, ready = self._calls.take(self._loop.time(), self._ready_at)
            if call is None:
                await self._pause(ready)
                continue
            outcome = await self._exchange(call)
            if outcome.kind in _DOUBTFUL and not self._framing.numbered:
                await self._drain()
        self.stats.connected = False
        _log.warning("link lost link=%s reason=%r", self.name, self._loss)

    def _go_down(self, reason: str) -> None:
        if not self._down:
            _log.warning("link went down link=%s reason=%r", self.name, reason)
        self._down = self.stats.last_error = reason
        self.stats.connected = False
        for call in self._calls.clear():
            if not call.answer.done():
                call.answer.set_result(self._link_down(call.request))

    def _link_down(self, request: Request) -> Outcome:
        self.stats.counts[OutcomeKind.LINK_DOWN] += 1
        return Outcome(kind=OutcomeKind.LINK_DOWN, mono_ns=self._clock_ns(), detail=self._down)

    # --- one exchange

    async def _exchange(self, call: Call) -> Outcome:
        self._reply = self._loop.create_future()
        self._asked.add(call.request.unit)
        sent = self._loop.time()
        self._transport.send(self._framing.start(call.request))
        timer = self._loop.call_at(sent + call.timeout_s, self._expire)
        try:
            verdict = await self._reply
        except asyncio.CancelledError:  # the link is being closed
            if not call.answer.done():
                call.answer.set_result(self._link_down(call.request))
            raise
        finally:
            timer.cancel()
            self._reply = None
        if verdict.kind is OutcomeKind.EXCEPTION and self._may_be_late(call.request):
            verdict = Verdict(OutcomeKind.DESYNC, detail=f"{verdict.detail}, perhaps to an earlier request")
        outcome = Outcome(
            kind=verdict.kind,
            data=verdict.data,
            code=verdict.code,
            mono_ns=self._verdict_ns,
            detail=verdict.detail,
        )
        self._note(call.request, outcome, sent)
        if not call.answer.done():
            call.answer.set_result(outcome)
        return outcome

    def _note(self, request: Request, outcome: Outcome, sent: float) -> None:
        now = self._loop.time()
        self.stats.note(outcome, request.unit, now - sent)
        self._line_ready = now + self._manners.gap_s
        if request.unit in self._manners.unit_gap_s:
            self._unit_ready[request.unit] = now + self._manners.unit_gap_s[request.unit]
        if outcome.kind not in _ANSWERED and not self._framing.numbered:
            self._suspects[request.shape] = now + self._manners.late_s
        if outcome.kind is OutcomeKind.TIMEOUT:
            self._note_silence(request.unit)
        else:
            self._silences = 0
            self._silent.clear()
            self._answered = self._answered or outcome.kind in _ANSWERED

    def _note_silence(self, unit: int) -> None:
        self._silences += 1
        self._silent.add(unit)
        if self._transport.reopening_helps and self._silences >= _SILENCES and self._silent >= self._asked:
            self._lose(f"{self._silences} time-outs in a row and no unit answers")

    def _ready_at(self, request: Request) -> float:
        return max(
            self._line_ready,
            self._unit_ready.get(request.unit, 0.0),
            self._suspects.get(request.shape, 0.0),
        )

    def _may_be_late(self, request: Request) -> bool:
        """Whether a refusal, which has no length of its own, may be the late answer to another request."""
        now = self._loop.time()
        return any(
            until > now and shape[0] == request.unit and shape[1] == request.function
            for shape, until in self._suspects.items()
        )

    async def _drain(self) -> None:
        """Listen and drop until the line is quiet, for a bounded time."""
        begin = self._loop.time()
        self._last_byte = begin
        while not self._loss:
            now = self._loop.time()
            until = min(self._last_byte + self._manners.quiet_s, begin + self._manners.drain_max_s)
            if now >= until:
                break
            await asyncio.sleep(until - now)
        self._suspects = {shape: until for shape, until in self._suspects.items() if until > begin}

    # --- called by the transport and by timers

    def _feed(self, data: bytes) -> None:
        self._last_byte = self._loop.time()
        self._decide(self._framing.feed(data))
        if self._framing.broken:
            self._lose(self._framing.broken)

    def _expire(self) -> None:
        if self._reply is not None and not self._reply.done():
            self._decide(self._framing.expire())

    def _lose(self, reason: str) -> None:
        self._loss = self._loss or reason
        self._decide(Verdict(OutcomeKind.LINK_DOWN, detail=reason))
        self._nudge()

    def _decide(self, verdict: Verdict | None) -> None:
        if verdict is not None and self._reply is not None and not self._reply.done():
            self._verdict_ns = self._clock_ns()
            self._reply.set_result(verdict)

    async def _pause(self, until: float | None) -> None:
        """Wait for a new call, the loss of the connection, or the loop time `until`."""
        self._wake = self._loop.create_future()
        timer = self._loop.call_at(until, self._nudge) if until is not None else None
        try:
            await self._wake
        finally:
            self._wake = None
            if timer is not None:
                timer.cancel()

    def _nudge(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
