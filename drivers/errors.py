"""Errors of the drivers room."""

from __future__ import annotations

from collections.abc import Sequence

from drivers.faults import Fault


class DriverError(Exception):
    """Root of everything the drivers room raises."""


class ProfileError(DriverError):
    """A profile is unknown or its file is faulty; `faults` holds every fault found."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = list(faults)


class CodecError(DriverError):
    """A value cannot be written into the registers of a point."""
