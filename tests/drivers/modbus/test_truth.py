"""No value that a link hands on is another register's, or another time's, whatever the bus does.

The stated lateness: an answer ends at most `LATE_S` after its time-out, a second copy follows it within a round trip.
Where replies have numbers there is no limit at all.
"""

import logging

import pytest

from tests.drivers.modbus.fault_memory import MemoryTransport
from tests.drivers.modbus.fault_rules import all_of, by_seed
from tests.drivers.modbus.fault_server import FaultServer
from tests.drivers.modbus.fault_wire import RtuWire, TcpWire, ZeroWire
from tests.drivers.modbus.truth_control import BareClient
from tests.drivers.modbus.truth_devices import poll_devices
from tests.drivers.modbus.truth_menus import breaking, numbered, overdue, unnumbered, zeroed
from tests.drivers.modbus.truth_run import (
    FAULTY,
    HEALTHY,
    LONGEST_S,
    PERIOD_S,
    TURNAROUND_S,
    Tally,
    make_link,
    poll_all,
    summary,
)
from tests.scale import scaled

LATE_BY_S = LONGEST_S - TURNAROUND_S - 0.05  # pieces and copies too come in time
COPY_BY_S = TURNAROUND_S - 0.01  # a second copy comes within a round trip
CHANCE = 0.3  # of a fault, at each exchange of a faulty unit
BREAKING = 0.02  # of one that costs the connection
KINDS = {  # wire, whether the answers come in the order of the requests
    "tcp": (TcpWire(), False),
    "tcp in order": (TcpWire(), True),
    "rtu": (RtuWire(), False),
    "rtu in order": (RtuWire(), True),
    "tcp without numbers": (ZeroWire(), False),
    "tcp without numbers in order": (ZeroWire(), True),
}
EXCHANGES_A_RUN = 2_000


@pytest.fixture(autouse=True)
def quiet(caplog):
    """Thousands of lost connections are no news here."""
    caplog.set_level(logging.CRITICAL, logger="huxi.drivers")


def server_of(wire, in_order, seed, menu=None):
    rule = all_of(
        by_seed(seed, menu or menu_of(wire), chance=CHANCE, units=FAULTY),
        by_seed(seed + 1, breaking(wire.has_header), chance=BREAKING, units=FAULTY),
    )
    return FaultServer(wire, rule, turnaround_s=TURNAROUND_S, queue_s=LONGEST_S if in_order else None)


def menu_of(wire):
    if wire.numbered:
        return numbered(3 * LATE_BY_S)
    return (zeroed if wire.has_header else unnumbered)(LATE_BY_S, COPY_BY_S)


async def run(wire, in_order, seed, exchanges, menu=None, **limits) -> Tally:
    server = server_of(wire, in_order, seed, menu)
    async with make_link(MemoryTransport(server), wire, **limits) as link:
        return await poll_all(link, server, seed=seed, exchanges=exchanges)


async def run_bare(wire, in_order, seed, exchanges, retries) -> Tally:
    server = server_of(wire, in_order, seed)
    async with BareClient(MemoryTransport(server), numbered=wire.has_header, retries=retries) as client:
        return await poll_all(client, server, seed=seed, exchanges=exchanges)


def assert_true(tally, kind, seed):
    """Nothing wrong; and no healthy unit waits, but where a converter lets all wait for the one that is late."""
    assert tally.wrong == [], f"seed {seed}, {kind}"
    if kind in ("tcp", "rtu"):
        assert max(tally.longest_s[unit] for unit in HEALTHY) <= 3 * PERIOD_S, f"seed {seed}, {kind}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_a_short_run(run_virtual, kind, seed):
    tally = run_virtual(run(*KINDS[kind], seed, 1_000))
    assert_true(tally, kind, seed)
    assert tally.failed > 10, "no fault met it"


@pytest.mark.slow
def test_no_value_is_wrong(run_virtual, figure):
    tallies = []
    for seed in range(100, 100 + scaled(100_000, 1_000_000) // EXCHANGES_A_RUN):
        kind = list(KINDS)[seed % len(KINDS)]
        tallies.append(run_virtual(run(*KINDS[kind], seed, EXCHANGES_A_RUN)))
        assert_true(tallies[-1], kind, seed)
    figure(f"{summary(tallies)}; healthy units within 3 periods")


@pytest.mark.parametrize("kind", KINDS)
def test_no_point_of_a_device_is_wrong(run_virtual, kind):
    async def main():
        server = server_of(*KINDS[kind], seed=7)
        async with make_link(MemoryTransport(server), server.wire) as link:
            return await poll_devices(link, polls=scaled(100, 2_000))

    points = run_virtual(main())
    assert points.wrong == []
    assert points.good > points.missing > 0


def test_the_test_can_fail(run_virtual):
    """A link that does not wait for late answers, on the same serial bus."""
    assert any(run_virtual(run(*KINDS["rtu"], seed, 1_000, late_s=0.0)).wrong for seed in range(5))


@pytest.mark.slow
def test_later_than_stated_is_counted_apart(run_virtual, figure):
    """Where replies have no number, what comes later than anybody said can be taken for true: how often?"""
    menu = overdue(LONGEST_S, 2 * LONGEST_S)
    tallies = [run_virtual(run(*KINDS["rtu"], seed, EXCHANGES_A_RUN, menu)) for seed in range(scaled(5, 50))]
    assert all(tally.asked >= EXCHANGES_A_RUN and tally.failed for tally in tallies)
    figure(summary(tallies))


@pytest.mark.slow
def test_the_control_misreads(run_virtual, figure):
    """Bare pymodbus, the same seeds: no retries, and its own three."""
    seeds = range(100, 100 + scaled(10, 100))
    figures = []
    for retries in (0, 3):
        tallies = [
            run_virtual(run_bare(*KINDS[kind], seed, EXCHANGES_A_RUN, retries))
            for seed in seeds
            for kind in ([list(KINDS)[seed % len(KINDS)]])
        ]
        assert sum(len(tally.wrong) for tally in tallies) > len(tallies)
        figures.append(f"retries={retries}: {summary(tallies)}")
    figure("; ".join(figures))
