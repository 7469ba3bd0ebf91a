"""From what the products on a link ask for to how the link treats them."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.modbus.manners import LinkManners
from drivers.profile_tables import Manners


def link_manners(units: Mapping[int, Manners]) -> LinkManners:
    """The manners of a link on which the units given hang: those of its strictest product, gaps each its own."""
    products = units.values()
    return LinkManners(
        connect_delay_s=max((product.connect_delay_ms for product in products), default=0) / 1000,
        # A late answer may come as late as the device is slow.
        late_s=max((product.timeout_ms for product in products), default=1000) / 1000,
        unit_gap_s={unit: product.gap_ms / 1000 for unit, product in units.items() if product.gap_ms},
    )
