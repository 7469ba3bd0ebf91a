"""Programs of others at the other end of the wire: what we read of theirs, and what they read of ours."""

import asyncio
import json
import shutil
import socket
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest
import serial
from modbus_tk import defines, modbus_rtu
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.catalogue import Catalogue, shipped
from drivers.modbus.line import EmulatedLine
from drivers.modbus.open import open_link
from drivers.modbus.outcome import OutcomeKind
from drivers.modbus.server import RtuServer, TcpServer
from drivers.simulator import Simulator

MBPOLL = shutil.which("mbpoll")
NODE = Path(__file__).parent / "node"
needs_modbus_serial = pytest.mark.skipif(
    not (NODE / "node_modules" / "modbus-serial").is_dir(), reason="modbus-serial is missing: make setup-test"
)
needs_mbpoll = pytest.mark.skipif(MBPOLL is None, reason="mbpoll is missing: sudo apt-get install mbpoll")

METER = Catalogue([shipped()]).load("meter/eastron-sdm630")  # unit 1, function 4, floats from address 0
VOLTAGES = (230.5, 229.75, 231.25)  # its examples


class TestTheirDevices:
    @pytest.mark.filterwarnings("ignore:isSet:DeprecationWarning")  # modbus_tk 1.1.5 calls it
    async def test_a_modbus_tk_device_on_a_serial_line(self, tmp_path):
        ends = tmp_path / "master", tmp_path / "slave"
        async with EmulatedLine(ends, baud=19200):
            device = modbus_rtu.RtuServer(serial.Serial(str(ends[1]), 19200))
            unit = device.add_slave(5)
            unit.add_block("holding", defines.HOLDING_REGISTERS, 100, 40)
            unit.set_values("holding", 100, list(range(1000, 1040)))
            device.start()
            try:
                async with open_link("bus", f"rtu://{ends[0]}?baud=19200") as link:
                    outcome = await link.read(5, 3, 105, 30, timeout_s=2)
                    assert outcome.data == b"".join(word.to_bytes(2, "big") for word in range(1005, 1035))
                    assert (await link.read(5, 3, 139, 2, timeout_s=2)).code == 2
                    assert (await link.read(6, 3, 100, 1, timeout_s=0.2)).kind is OutcomeKind.TIMEOUT
                    assert (await link.write(5, 6, 100, [7], timeout_s=2)).kind is OutcomeKind.OK
                    assert (await link.write(5, 16, 101, [8, 9], timeout_s=2)).kind is OutcomeKind.OK
                    assert unit.get_values("holding", 100, 3) == (7, 8, 9)
            finally:
                await asyncio.to_thread(device.stop)
                device.close()

    async def test_a_pymodbus_device(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        words = SimData(100, values=list(range(1000, 1040)), datatype=DataType.REGISTERS)
        device = ModbusTcpServer(SimDevice(5, simdata=[words]), address=("127.0.0.1", port))
        await device.serve_forever(background=True)
        try:
            async with open_link("roof", f"tcp://127.0.0.1:{port}") as link:
                outcome = await link.read(5, 3, 105, 30, timeout_s=2)
                assert outcome.data == b"".join(word.to_bytes(2, "big") for word in range(1005, 1035))
                assert (await link.read(5, 3, 139, 2, timeout_s=2)).code == 2
                assert (await link.write(5, 16, 101, [8, 9], timeout_s=2)).kind is OutcomeKind.OK
                assert (await link.read(5, 3, 101, 2, timeout_s=2)).data == bytes.fromhex("0008 0009")
        finally:
            await device.shutdown()

    @needs_modbus_serial
    async def test_a_modbus_serial_device(self):
        device = await asyncio.create_subprocess_exec("node", NODE / "device.cjs", stdin=PIPE, stdout=PIPE)
        assert device.stdin is not None and device.stdout is not None
        async with asyncio.timeout(15):
            port = int(await device.stdout.readline())
            async with open_link("roof", f"tcp://127.0.0.1:{port}") as link:
                outcome = await link.read(5, 3, 105, 30, timeout_s=2)
                assert outcome.data == b"".join(word.to_bytes(2, "big") for word in range(1005, 1035))
                assert (await link.read(5, 3, 139, 2, timeout_s=2)).code == 2
                assert (await link.write(5, 16, 101, [8, 9], timeout_s=2)).kind is OutcomeKind.OK
                assert (await link.write(5, 6, 103, [10], timeout_s=2)).kind is OutcomeKind.OK
                assert (await link.read(5, 3, 101, 3, timeout_s=2)).data == bytes.fromhex("0008 0009 000A")
                assert (await link.read(6, 3, 101, 3, timeout_s=0.2)).kind is OutcomeKind.TIMEOUT
            device.stdin.close()
            await device.wait()


class TestTheirMasters:
    async def test_pymodbus_reads_a_simulated_device(self):
        async with TcpServer(Simulator(METER), "127.0.0.1", 0) as server:
            client = AsyncModbusTcpClient("127.0.0.1", port=server.port)
            await client.connect()
            reply = await client.read_input_registers(0, count=6, device_id=1)
            assert client.convert_from_registers(reply.registers, client.DATATYPE.FLOAT32) == list(VOLTAGES)
            assert (await client.read_input_registers(9000, count=1, device_id=1)).exception_code == 2
            assert (await client.read_input_registers(0, count=1, device_id=2)).exception_code == 0x0B
            assert (await client.write_register(0, 1, device_id=1)).exception_code == 1
            client.close()

    @needs_modbus_serial
    async def test_modbus_serial_reads_a_simulated_device(self):
        async with TcpServer(Simulator(METER), "127.0.0.1", 0) as server, asyncio.timeout(15):
            master = await asyncio.create_subprocess_exec("node", NODE / "master.cjs", str(server.port), stdout=PIPE)
            output = (await master.communicate())[0]
            assert json.loads(output) == {"floats": list(VOLTAGES), "refused": 2}

    @needs_mbpoll
    async def test_mbpoll_reads_a_simulated_device_over_tcp(self):
        async with TcpServer(Simulator(METER), "127.0.0.1", 0) as server:
            options = ["-m", "tcp", "-p", str(server.port), "127.0.0.1"]
            assert await mbpoll(*options) == VOLTAGES

    @needs_mbpoll
    async def test_mbpoll_reads_a_simulated_device_on_a_line(self, tmp_path):
        ends = tmp_path / "master", tmp_path / "slave"
        async with (
            EmulatedLine(ends, baud=9600),
            RtuServer(Simulator(METER), str(ends[1]), baud=9600, parity="N", stop=1),
        ):
            options = ["-m", "rtu", "-b", "9600", "-P", "none", str(ends[0])]
            assert await mbpoll(*options) == VOLTAGES


async def mbpoll(*options: str) -> tuple[float, ...]:
    """Three floats from the first input registers of unit 1; mbpoll counts references from 1."""
    command = [MBPOLL, "-a", "1", "-t", "3:float", "-B", "-r", "1", "-c", "3", "-1", *options]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT)
    async with asyncio.timeout(15):
        output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    return tuple(float(line.split()[1]) for line in output.splitlines() if line.startswith("["))
