"""Bare pymodbus in a link's place, on the same faulty server in the same virtual time: the control that must fail."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerType
from pymodbus.pdu import ModbusPDU

from drivers.modbus.outcome import Outcome, OutcomeKind
from tests.drivers.modbus.fault_memory import MemoryTransport
from tests.drivers.modbus.truth_run import TIMEOUT_S


class BareClient:
    """pymodbus's asyncio client as it is, with the calls of a link."""

    def __init__(self, transport: MemoryTransport, *, numbered: bool, retries: int = 0) -> None:
        self._pipe = transport
        self._numbered = numbered
        self._retries = retries

    async def __aenter__(self) -> Self:
        framer = FramerType.SOCKET if self._numbered else FramerType.RTU
        self._client = AsyncModbusTcpClient("memory", framer=framer, timeout=TIMEOUT_S, retries=self._retries)
        self._client.ctx.call_create = self._create
        await self._client.connect()
        return self

    async def __aexit__(self, *error: object) -> None:
        self._client.close()

    async def read(self, unit: int, function: int, address: int, count: int, *, timeout_s: float) -> Outcome:
        """Registers, as the client gives them."""
        client = self._client
        call = client.read_holding_registers if function == 3 else client.read_input_registers
        return await _outcome(lambda: call(address, count=count, device_id=unit))

    async def write(self, unit: int, function: int, address: int, words: Sequence[int], *, timeout_s: float) -> Outcome:
        """Success, as the client says it."""
        if function == 6:
            return await _outcome(lambda: self._client.write_register(address, words[0], device_id=unit))
        return await _outcome(lambda: self._client.write_registers(address, list(words), device_id=unit))

    async def _create(self) -> tuple[_Pipe, object]:
        pipe = _Pipe(self._pipe)
        protocol = self._client.ctx

        def receive(data: bytes) -> None:
            try:
                protocol.data_received(data)
            except Exception as error:  # noqa: BLE001 - asyncio too ends a connection whose protocol raises
                self._pipe.drop(str(error))

        await self._pipe.open(receive, lambda reason: protocol.connection_lost(OSError(reason)))
        protocol.connection_made(pipe)
        return pipe, protocol


class _Pipe(asyncio.Transport):
    def __init__(self, transport: MemoryTransport) -> None:
        super().__init__()
        self._transport = transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._transport.open_now:
            self._transport.send(bytes(data))

    def close(self) -> None:
        self._transport.open_now = False

    def abort(self) -> None:
        self.close()


async def _outcome(call: Callable[[], Awaitable[ModbusPDU]]) -> Outcome:
    try:
        reply = await call()
    except ModbusException as error:
        return Outcome(kind=OutcomeKind.TIMEOUT, mono_ns=0, detail=str(error))
    if reply.isError():
        return Outcome(kind=OutcomeKind.EXCEPTION, code=reply.exception_code, mono_ns=0)
    registers = reply.registers
    return Outcome(kind=OutcomeKind.OK, data=struct.pack(f">{len(registers)}H", *registers), mono_ns=0)
