"""Whether the far end of a link can be opened at all, and what to do when it cannot."""

import errno
import fcntl
import os
import socket
from pathlib import Path
from typing import Final, NamedTuple

from drivers.modbus.url import LinkAddress

CONNECT_S: Final = 3.0
BY_ID: Final = Path("/dev/serial/by-id")
"""Where Linux lists serial adapters under names that survive replugging."""


class Trouble(NamedTuple):
    """Why something does not work, and what helps."""

    text: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.text}: {self.remedy}"


def probe(address: LinkAddress) -> Trouble | None:
    """Open and close the endpoint without a word on the bus; None when that works.

    A device that takes one connection only refuses this while a gateway is connected to it.
    """
    return _probe_tty(address.path) if address.serial else _probe_tcp(address.host, address.port)


def serial_adapters(by_id: Path = BY_ID) -> list[str]:
    """Paths of the serial adapters that are plugged in."""
    return sorted(str(path) for path in by_id.iterdir()) if by_id.is_dir() else []


def stable_name(path: str, by_id: Path = BY_ID) -> str | None:
    """What to write instead of a serial port's name that counts adapters in the order in which they were found."""
    if not Path(path).name.startswith(("ttyUSB", "ttyACM")) or Path(path).parent != Path("/dev"):
        return None
    return next((name for name in serial_adapters(by_id) if Path(name).resolve() == Path(path).resolve()), f"{by_id}/…")


def _probe_tcp(host: str, port: int) -> Trouble | None:
    try:
        socket.create_connection((host, port), timeout=CONNECT_S).close()
    except socket.gaierror:
        return Trouble(f"the name {host} is not known", "write the IP address, or mend the DNS of this network")
    except ConnectionRefusedError:
        return Trouble(
            f"{host} refuses connections on port {port}",
            "switch on Modbus TCP in the device, check the port, "
            "and see that no other master holds its only connection",
        )
    except TimeoutError:
        return Trouble(f"{host} does not answer", "check its power, cable and IP address")
    except OSError as error:
        return Trouble(
            f"{host} cannot be reached ({error.strerror})",
            "check the cable and the network settings of this machine",
        )
    return None


def _probe_tty(path: str) -> Trouble | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return _no_tty(path, error)
    try:
        if not os.isatty(descriptor):
            return Trouble(f"{path} is not a serial port", "name the adapter's path under /dev/serial/by-id")
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as a gateway holds it while it runs
    except BlockingIOError:
        return _in_use(path)
    finally:
        os.close(descriptor)
    return None


def _no_tty(path: str, error: OSError) -> Trouble:
    match error.errno:
        case errno.ENOENT:
            adapters = ", ".join(serial_adapters()) or "none"
            return Trouble(f"there is no serial port {path}", f"plug the adapter in; present now: {adapters}")
        case errno.EACCES:
            return Trouble(
                f"you may not open {path}",
                "join the group dialout (sudo usermod -aG dialout $USER, then log in again)",
            )
        case errno.EBUSY:
            return _in_use(path)
        case _:
            return Trouble(f"{path} cannot be opened ({error.strerror})", "replug the adapter and look at dmesg")


def _in_use(path: str) -> Trouble:
    return Trouble(f"{path} is in use", "stop the other program, perhaps a running gateway")
