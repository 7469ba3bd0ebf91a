"""The main job, end to end, over real processes, sockets and an emulated serial line."""

import asyncio
import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.cli.community import Community, free_port
from gateway.cli.reckoning import Reckoning, RegisterRow, reckon, wait_until_equal

pytestmark = pytest.mark.slow

FULL = os.environ.get("HUXI_TEST_SCALE") == "full"
SEEDS = range(10) if FULL else range(2)


def explain(result: Reckoning) -> str:
    return json.dumps(result.as_json(), indent=1)


def test_the_command_compares_three_ledgers_and_they_are_equal() -> None:
    """Promise of `huxi demo --for … --json`: the simulators' truth, the gateway's and the receiver's ledger."""
    command = [
        sys.executable,
        "-c",
        "from gateway.cli.main import main; main()",
        "demo",
        "--for",
        "20s",
        "--json",
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    result = json.loads(ran.stdout)
    assert result["equal"] is True
    names = {(row["device"], row["register"]) for row in result["registers"]}
    assert {("pv-pergola", "accumulated_yield"), ("hydro-supply", "import_total")} <= names
    moving = [row for row in result["registers"] if row["simulator_mWh"] > 0]
    assert len({row["device"] for row in moving}) == 5, "every device has a counter that moved"
    assert any(int(row["gateway_ng"]) > 0 for row in result["registers"])
    assert result["power_only"], "power-only registers are listed apart"


@pytest.mark.parametrize("seed", SEEDS)
async def test_it_survives(tmp_path: Path, seed: int) -> None:
    """Receiver gone and back, daemon killed -9, a device gone and back, a counter that wraps: still equal."""
    chance = random.Random(seed)
    near_its_end = {"pv-pergola": ("--start", f"accumulated_yield={2**32 - 5}")}
    community = Community(folder=tmp_path, page_port=free_port(), seed=seed, day_s=40, simulator_arguments=near_its_end)
    async with community.running():
        await community.gateway_answers()
        for _ in range(100):  # trouble begins when every device has been read: a wrap before that is no wrap
            if all([(await community.tell(name, "truth"))["registers"] for name in community.devices]):
                break
            await asyncio.sleep(0.2)
        await trouble(community, chance)
        result = await wait_until_equal(community, lambda: reckon(community))
        wraps = (await community.tell("pv-pergola", "truth"))["registers"]["accumulated_yield"]
    assert result.equal, explain(result)
    assert result.starts == {"central": 2, "gateway": 2}
    assert wraps["last_raw"] < wraps["first_raw"], "the inverter's counter wrapped"


async def trouble(community: Community, chance: random.Random) -> None:
    """Three troubles, in a random order, that overlap by chance."""

    async def receiver() -> None:
        await asyncio.sleep(chance.uniform(1, 8))
        await community.stop_receiver()
        await asyncio.sleep(chance.uniform(4, 12))
        await community.start_receiver()

    async def gateway() -> None:
        await asyncio.sleep(chance.uniform(4, 16))
        await community.kill_gateway()

    async def device() -> None:
        name = chance.choice(["pv-pergola", "hydro-supply", "ev-charger", "grid-meter", "courtyard-wwtp"])
        await asyncio.sleep(chance.uniform(1, 8))
        await community.tell(name, "vanish")
        await asyncio.sleep(chance.uniform(3, 8))
        await community.tell(name, "return")

    async with asyncio.TaskGroup() as group:
        for part in (receiver(), gateway(), device()):
            group.create_task(part)
    await asyncio.sleep(3)


async def test_the_comparison_can_fail(tmp_path: Path) -> None:
    """Control: a register that is off by one milliwatt-hour, and a comparison of nothing, are not equal."""
    row = RegisterRow(
        device="a",
        register="b",
        simulator_mWh=5,
        gateway_mWh=5,
        receiver_mWh=5,
        gateway_ng="7",
        receiver_ng="7",
    )
    good = Reckoning(registers=(row,), power_only=(), starts={})
    assert good.equal
    assert not replace(good, registers=(replace(row, receiver_mWh=4),)).equal
    assert not replace(good, registers=(replace(row, receiver_ng="8"),)).equal
    assert not replace(good, registers=(replace(row, gateway_mWh=None),)).equal
    assert not replace(good, registers=()).equal
