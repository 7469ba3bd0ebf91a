"""From the line in the configuration to a link."""

from dataclasses import replace

from drivers.modbus.framing import RtuFraming, TcpFraming
from drivers.modbus.link import Link
from drivers.modbus.manners import LinkManners
from drivers.modbus.rtu import SerialTransport, least_gap_s, silence_s
from drivers.modbus.tcp import TcpTransport
from drivers.modbus.url import LinkScheme, parse_link_url


def open_link(name: str, url: str, manners: LinkManners | None = None) -> Link:
    """The link to `url`, not yet entered; LinkUrlError when the address is wrong.

    On a serial line the gaps are at least what its speed demands, whatever the manners say. Where replies have no
    number nothing is asked before the answer to another process's last request must have come: to one that was killed a
    moment ago, say.
    """
    address = parse_link_url(url)
    manners = manners or LinkManners()
    if address.scheme is LinkScheme.TCP:
        return Link(
            name=name,
            transport=TcpTransport(address.host, address.port),
            framing=TcpFraming(),
            manners=manners,
        )
    manners = replace(manners, listen_s=2 * manners.late_s)  # its time-out, and as late as it may be
    if address.scheme is LinkScheme.RTU_OVER_TCP:
        return Link(
            name=name,
            transport=TcpTransport(address.host, address.port),
            framing=RtuFraming(),
            manners=manners,
        )
    silence = silence_s(address.baud)
    gap_s = max(manners.gap_s, least_gap_s(address.baud))
    return Link(
        name=name,
        transport=SerialTransport(address.path, baud=address.baud, parity=address.parity, stop=address.stop),
        framing=RtuFraming(),
        manners=replace(manners, gap_s=gap_s, quiet_s=max(manners.quiet_s, 2 * silence)),
    )
