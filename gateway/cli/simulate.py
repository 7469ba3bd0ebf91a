"""`huxi simulate`: a device that is not there, on a real Modbus socket or serial line."""

import asyncio
import contextlib
import signal
from typing import Final, get_args

import click

from drivers.errors import DriverError
from drivers.modbus.errors import ModbusError
from drivers.modbus.url import LinkAddress, parse_listen_url
from drivers.profile_tables import Shape
from drivers.simulator import Simulator
from gateway.cli.endpoint import serving
from gateway.cli.errors import CommandError
from gateway.cli.options import load_profile, profile_option
from gateway.cli.simulator_control import SimulatorControl

DAY_S: Final = 86_400


@click.command()
@profile_option
@click.option(
    "--listen",
    required=True,
    metavar="URL",
    help="tcp://HOST:PORT (port 0: any free one), rtu+tcp://HOST:PORT, rtu:///dev/…, "
    "or line:///PATH for an emulated serial line at PATH.",
)
@click.option("--unit", type=click.IntRange(0, 255), help="Modbus unit id; the profile's when left out.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same device.")
@click.option("--shape", type=click.Choice(get_args(Shape)), help="Shape of the power; the profile's when left out.")
@click.option(
    "--power", "power_W", type=click.IntRange(1, 1_000_000_000), metavar="W", help="Power at the top of the shape."
)
@click.option(
    "--day",
    "day_s",
    type=click.IntRange(1, 366 * 86_400),
    default=DAY_S,
    show_default=True,
    metavar="S",
    help="Seconds that a day of the shape takes.",
)
@click.option("--start", multiple=True, metavar="POINT=RAW", help="Raw count at which a counter starts; repeatable.")
@click.option(
    "--control",
    is_flag=True,
    help='Take orders as JSON lines on stdin ({"do": "truth"}; freeze, vanish, return) and answer on stdout.',
)
def simulate(
    profile_name: str,
    listen: str,
    unit: int | None,
    seed: int,
    shape: Shape | None,
    power_W: int | None,
    day_s: int,
    start: tuple[str, ...],
    control: bool,
) -> None:
    """Serve a simulated device over Modbus until it is stopped (Ctrl-C).

    Its power follows a shape, and its counters add that power up exactly.

    \b
    Examples:
      huxi simulate --profile inverter/huawei-sun2000 --listen tcp://127.0.0.1:5020
      huxi simulate --profile meter/eastron-sdm630 --listen "line:///tmp/ttyMETER?baud=9600"
    """
    profile = load_profile(profile_name)
    try:
        address = parse_listen_url(listen)
        simulator = Simulator(
            profile, unit=unit, seed=seed, shape=shape, power_W=power_W, start=_counts(start), day_s=day_s
        )
        top_W = power_W or (profile.simulate.power_W if profile.simulate else 0)
        asyncio.run(_serve(simulator, address, control, top_W))
    except (DriverError, ModbusError) as error:
        raise CommandError(str(error)) from None


def _counts(pairs: tuple[str, ...]) -> dict[str, int]:
    counts = {}
    for pair in pairs:
        name, _, raw = pair.partition("=")
        try:
            counts[name] = int(raw, 0)
        except ValueError:
            raise CommandError(f"--start {pair!r}: write POINT=RAW, for example energy_total=4294967000") from None
    return counts


async def _serve(simulator: Simulator, address: LinkAddress, control: bool, top_W: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(simulator, address, one_client=simulator.profile.manners.one_client) as endpoint:
        if not control:
            click.echo(f"{simulator.profile.name} is unit {simulator.unit} at {endpoint.address} (Ctrl-C ends it)")
            await stop.wait()
            return
        obeying = asyncio.create_task(SimulatorControl(simulator, endpoint, top_W=top_W).obey())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait((obeying, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        obeying.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await obeying
