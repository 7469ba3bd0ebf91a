"""The link: one wire with one owner, one exchange in flight, and a judged outcome for each request.

A task owns the connection. Exchanges need no task: whatever happens (a call, bytes, the alarm) makes the next
step at once, so an exchange costs one future and seldom a timer.

On a framing without numbers a late answer could pass for the answer to the next request. Two things prevent
it: after a failure the line is drained until it is quiet, and no request of the same shape (unit, function,
length) is sent until `late_s` after its time-out, so whatever still comes cannot be mistaken for its answer.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from drivers.modbus.alarm import Alarm
from drivers.modbus.backoff import BackOff
from drivers.modbus.calls import WAIT_S, Call, CallQueue, Priority
from drivers.modbus.errors import TransportError
from drivers.modbus.framing import Framing
from drivers.modbus.link_log import LinkLog
from drivers.modbus.manners import LinkManners
from drivers.modbus.outcome import Outcome, OutcomeKind
from drivers.modbus.pacing import Pacing
from drivers.modbus.patience import Patience
from drivers.modbus.pdu import BUSY
from drivers.modbus.request import Request, Verdict, read_request, write_request
from drivers.modbus.silence import Silence
from drivers.modbus.stats import LinkStats
from drivers.modbus.suspects import Suspects
from drivers.modbus.transport import Transport

_DOUBTFUL = (OutcomeKind.TIMEOUT, OutcomeKind.CORRUPT, OutcomeKind.DESYNC)
_BUSY_FIRST_S, _BUSY_LAST_S, _BUSY_TRIES = 0.1, 2.0, 5
_TICK_S = 1e-6  # times nearer than this are the same

_CLOSED = "the link was closed"


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
        self._numbered = framing.numbered
        self._manners = manners or LinkManners()
        self._log = LinkLog(name)
        self._clock_ns = clock_ns
        self._random = random
        self._back_off = BackOff(random, first_s=1.0, last_s=60.0)
        self._calls = CallQueue()
        self._down = "the link is not open"  # why calls end at once; empty while they are taken
        # They outlive a connection: what a converter has queued comes out on the next.
        self._suspects = Suspects(self._manners.late_s)
        self._patience: dict[int, Patience] = {}  # of each unit
        self._call: Call | None = None  # the one in flight
        self._sent = 0.0
        self._expires = 0.0

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._loop, self._ring)
        self._begin_connection()
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
        priority: Priority = Priority.FAST,
        within_s: float = WAIT_S,
    ) -> Outcome:
        """Read `count` registers (functions 3, 4) or bits (1, 2).

        `timeout_s` counts from the sending and is the most: a unit that answered quickly so far gets less.
        UNSENT when it could not be sent `within_s`. Never raises for trouble on the bus; ValueError for a
        request that cannot be put on the wire.
        """
        return await self._ask(read_request(unit, function, address, count), timeout_s, priority, within_s)

    async def write(
        self,
        unit: int,
        function: int,
        address: int,
        words: Sequence[int],
        *,
        timeout_s: float = 1.0,
        priority: Priority = Priority.CONTROL,
        within_s: float = WAIT_S,
    ) -> Outcome:
        """Write registers with function 6 (one) or 16; OK when the device echoed it. Errors as in `read`.

        EXCEPTION with code 5 means that the device took it and is at work: read it back, do not repeat it.
        After any outcome but OK, EXCEPTION and UNSENT it is unknown whether the device took the value.
        """
        return await self._ask(write_request(unit, function, address, words), timeout_s, priority, within_s)

    def _ask(
        self, request: Request, timeout_s: float, priority: Priority, within_s: float
    ) -> "asyncio.Future[Outcome]":
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        if self._down:
            answer.set_result(self._link_down())
            return answer
        self._calls.put(
            Call(
                request=request,
                priority=priority,
                timeout_s=timeout_s,
                deadline=self._loop.time() + within_s,
                answers=[answer],
            )
        )
        self._try(self._next)
        return answer

    # --- the owner task: connect, wait for the loss, reconnect

    async def _own(self) -> None:
        try:
            while True:
                self._begin_connection()
                try:
                    await self._transport.open(self._feed, self._lose)
                except TransportError as error:
                    self._go_down(str(error))
                else:
                    loss = await self._serve()
                    await self._transport.close()
                    if self._silence.anybody_answered:
                        # A healthy endpoint dropped us: try again at once, the callers may wait.
                        self._back_off.reset()
                        continue
                    self._go_down(loss)
                await asyncio.sleep(self._back_off.next_s())
        finally:
            self._go_down(_CLOSED)
            await self._transport.close()

    def _begin_connection(self) -> None:
        self._framing.reset()
        self._open = False
        self._loss: asyncio.Future[str] = self._loop.create_future()  # why this connection is over
        self._silence = Silence()
        self._pacing = Pacing(self._manners, self._loop.time())

    async def _serve(self) -> str:
        self._down = ""
        self.stats.connected = self._open = True
        self.stats.connections += 1
        self._log.opened()
        self._pacing = Pacing(self._manners, self._loop.time())
        self._next()
        loss = await self._loss
        self.stats.connected = False
        return loss

    def _go_down(self, reason: str) -> None:
        if reason != _CLOSED:
            self._log.trouble(reason, self._loop.time())
        self._down = self.stats.last_error = reason
        self.stats.connected = self._open = False
        self._alarm.cancel()
        for call in self._calls.clear() + ([self._call] if self._call else []):
            call.end(self._link_down())
        self._call = None

    def _link_down(self) -> Outcome:
        self.stats.counts[OutcomeKind.LINK_DOWN] += 1
        return Outcome(kind=OutcomeKind.LINK_DOWN, mono_ns=self._clock_ns(), detail=self._down)

    # --- the steps of exchanges

    def _next(self) -> None:
        """Send the first call that may go, if the wire is free; else look again when one may."""
        if self._call is not None or not self._open or not self._calls:
            return
        now = self._loop.time() + _TICK_S
        for late in self._calls.overdue(now):
            self.stats.counts[OutcomeKind.UNSENT] += 1
            late.end(
                Outcome(kind=OutcomeKind.UNSENT, mono_ns=self._clock_ns(), detail="its time passed before its turn")
            )
        if quiet_at := self._pacing.quiet_at():
            if quiet_at > now:
                self._alarm.set(quiet_at)
                return
            self._pacing.drained()
        call, again = self._calls.take(now, self._ready_at)
        if call is not None:
            self._send(call)
        elif again is not None:
            self._alarm.set(again)

    def _ready_at(self, call: Call) -> float:
        request = call.request
        return max(self._pacing.ready_at(request.unit), self._suspects.free_at(request), call.not_before)

    def _send(self, call: Call) -> None:
        request = call.request
        wait_s = call.timeout_s
        if request.reads and request.unit in self._patience:
            wait_s = self._patience[request.unit].wait_s(wait_s)
        self._call = call
        self._sent = self._loop.time()
        self._expires = self._sent + wait_s
        self._silence.ask(request.unit)
        self._suspects.ask(request)
        self._alarm.set(self._expires)
        self._transport.send(self._framing.start(request))

    def _ring(self) -> None:
        if self._call is None:
            self._try(self._next)
        elif self._expires > self._loop.time() + _TICK_S:
            self._alarm.set(self._expires)
        else:
            self._try(self._finish, self._framing.expire())

    def _feed(self, data: bytes) -> None:
        framing = self._framing
        verdict = framing.feed(data)
        if framing.broken:
            self._over(framing.broken)
        if self._call is None:
            if not framing.numbered:
                self._listen(self._loop.time())
                self._try(self._next)  # what it was that a call waits for may be over
        elif verdict is not None:
            self._try(self._finish, verdict)

    def _listen(self, now: float) -> None:
        """Somebody spoke outside of our exchanges, or in the middle of one."""
        self._pacing.heard(now)
        talk, self._framing.talk = self._framing.talk, []
        self._suspects.overhear(talk, now)
        self.stats.latest_ms = 1000 * self._suspects.latest_s
        if any(other.is_request for other in talk):
            self._pacing.yield_to(now)

    def _lose(self, reason: str) -> None:
        # A device that closes an idle connection, as many do, is no event.
        is_idle = self._call is None and not self._calls and self._silence.anybody_answered
        self._over(reason, is_event=not is_idle)
        if self._call is not None:
            self._try(self._finish, Verdict(OutcomeKind.LINK_DOWN, detail=reason))

    def _over(self, reason: str, *, is_event: bool = True) -> None:
        self._open = False
        if is_event:
            self._log.trouble(reason, self._loop.time())
        if not self._loss.done():
            self._loss.set_result(reason)

    def _try(self, step: Callable[..., None], *arguments: object) -> None:
        """Take a step. A mistake in it ends the owner task and is seen, wherever the step came from."""
        try:
            step(*arguments)
        except Exception as error:
            if self._loss.done():
                raise
            self._loss.set_exception(error)

    def _finish(self, verdict: Verdict) -> None:
        """End the exchange in flight and begin the next."""
        call, self._call = self._call, None
        assert call is not None
        now = self._loop.time()
        outcome = self._outcome(call.request, verdict, now)
        self._note(call, outcome, now)
        again = now + min(_BUSY_FIRST_S * 2**call.tries, _BUSY_LAST_S)
        if _is_busy(outcome) and call.tries < _BUSY_TRIES and again < call.deadline and self._open:
            call.tries += 1
            call.not_before = again
            self._calls.put(call)
        elif self._was_hung_up_on(call, outcome):
            call.is_second_try = True
            self._calls.put(call)
        else:
            call.end(outcome)
        self._next()

    def _was_hung_up_on(self, call: Call, outcome: Outcome) -> bool:
        """Whether the endpoint works and has only hung up, as some do after each answer: a read may go once more."""
        is_down = outcome.kind is OutcomeKind.LINK_DOWN
        return is_down and call.request.reads and not call.is_second_try and self._silence.anybody_answered

    def _outcome(self, request: Request, verdict: Verdict, now: float) -> Outcome:
        kind, data, code, detail = verdict
        outcome = Outcome(kind=kind, data=data, code=code, mono_ns=self._clock_ns(), detail=detail)
        if kind is not OutcomeKind.EXCEPTION or self._framing.numbered or outcome.by_gateway:
            return outcome
        if not self._suspects.may_refuse(request, now):
            return outcome
        return replace(outcome, kind=OutcomeKind.DESYNC, code=0, detail=f"{detail}, perhaps to an earlier request")

    def _note(self, call: Call, outcome: Outcome, now: float) -> None:
        """Remember what this exchange says about the line and the unit."""
        unit, manners = call.request.unit, self._manners
        self.stats.note(outcome, unit, now - self._sent)
        self._pacing.exchanged(unit, now)
        if outcome.answered:
            if call.request.reads:
                if unit not in self._patience:
                    self._patience[unit] = Patience()
                self._patience[unit].heard(now - self._sent, call.timeout_s)
        elif outcome.by_gateway or not self._framing.numbered:
            # However short this wait was: lateness counts from the end of the whole time-out.
            due = self._sent + call.timeout_s
            if outcome.kind is OutcomeKind.DESYNC:  # out of the rhythm of another master that asks for the same
                due += self._random() * manners.late_s
            self._suspects.add(call.request, now, due)
        if not self._framing.numbered:
            self._note_line(call, outcome, now)
        if outcome.kind is OutcomeKind.TIMEOUT:
            self._note_silence(unit)
        else:
            if not self._silence.anybody_answered and (outcome.answered or outcome.by_gateway):
                self._log.answered(now)
            self._silence.heard(answer=outcome.answered or outcome.by_gateway)

    def _note_line(self, call: Call, outcome: Outcome, now: float) -> None:
        """The same, of a line whose replies have no number."""
        if outcome.kind in _DOUBTFUL:
            self._pacing.drain(now)
        if self._framing.talk:
            self._listen(now)
        if self._numbered:
            # Only now it is known that they have none: whatever was asked before is waited for, once.
            self._numbered = False
            self._log.unnumbered()
            self._pacing.hold(now + call.timeout_s + self._manners.late_s)

    def _note_silence(self, unit: int) -> None:
        if unit in self._patience:
            self._patience[unit].not_heard()
        self._silence.not_heard(unit)
        if self._transport.reopening_helps and self._silence.nobody_there:
            self._over("time-outs in a row and no unit answers")


def _is_busy(outcome: Outcome) -> bool:
    return outcome.kind is OutcomeKind.EXCEPTION and outcome.code == BUSY
