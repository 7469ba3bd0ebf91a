"""How much of the time of a link the polls of its devices take, before anything is connected."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from drivers.modbus.rtu import least_gap_s
from drivers.modbus.url import LinkAddress, LinkScheme
from drivers.plan import Block, plan_blocks
from drivers.profile import Profile

# From the last byte of a request to the first of its answer, of a quick device; many take longer.
TURNAROUND_S = 0.005
FULL = 1.0
BUSY = 0.7
"""More than this leaves no room for time-outs, slower devices and commands."""

_REQUEST_BYTES, _REPLY_BYTES = 8, 5  # of a read on a serial line; the reply without its registers


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """A device of a link, as far as its polls take time."""

    profile: Profile
    period_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The time that a link's polls take, of the time there is."""

    period_s: float  # the shortest of its devices
    share: float  # of all time; above 1 the polls cannot be kept

    @property
    def cycle_s(self) -> float:
        """Time taken of each shortest period."""
        return self.share * self.period_s

    def __str__(self) -> str:
        return f"cycle {self.cycle_s:.2f} s of {self.period_s:g} s ({100 * self.share:.0f} %)"


def link_load(address: LinkAddress, devices: Sequence[Polled], *, turnaround_s: float = TURNAROUND_S) -> Load:
    """The load of one or more devices on a link whose units answer within `turnaround_s`.

    Behind a TCP port nothing is known of a serial line but what its devices are set to in the factory, and of
    Modbus TCP only the turnaround counts. A device that wants a pause of its own, or has blocks of one length in a
    row (drivers/modbus/suspects.py), may be the one that does not get round, though the line has room.
    """
    line_share = 0.0
    slowest_share = 0.0
    for device in devices:
        byte_s, gap_s = _line(address, device.profile)
        blocks = [block for block in plan_blocks(device.profile.points, device.profile.manners) if not block.once]
        registers = sum(block.count for block in blocks)
        wire_s = (len(blocks) * (_REQUEST_BYTES + _REPLY_BYTES) + 2 * registers) * byte_s
        busy_s = wire_s + len(blocks) * (turnaround_s + gap_s)
        pause_s = len(blocks) * max(0.0, device.profile.manners.gap_ms / 1000 - gap_s)
        if address.scheme is not LinkScheme.TCP:
            pause_s += _rests_s(blocks, byte_s, turnaround_s)
        line_share += 1000 * busy_s / device.period_ms
        slowest_share = max(slowest_share, 1000 * (busy_s + pause_s) / device.period_ms)
    period_s = min(device.period_ms for device in devices) / 1000
    return Load(period_s=period_s, share=max(line_share, slowest_share))


def _rests_s(blocks: Sequence[Block], byte_s: float, turnaround_s: float) -> float:
    """Time in which a device is not asked, since its next block looks like the one that it has just given."""
    return sum(
        (_REQUEST_BYTES + _REPLY_BYTES + 2 * block.count) * byte_s + turnaround_s
        for before, block in pairwise(blocks)
        if (before.function, before.count) == (block.function, block.count)
    )


def _line(address: LinkAddress, profile: Profile) -> tuple[float, float]:
    """Seconds of a byte, and of the silence after an exchange."""
    if address.scheme is LinkScheme.TCP:
        return 0.0, 0.0
    if address.scheme is LinkScheme.RTU_OVER_TCP:
        baud, form = profile.manners.serial.split("-")
        return _byte_s(int(baud), form[1], int(form[2])), least_gap_s(int(baud))
    return _byte_s(address.baud, address.parity, address.stop), least_gap_s(address.baud)


def _byte_s(baud: int, parity: str, stop: int) -> float:
    return (1 + 8 + (parity != "N") + stop) / baud
