"""Errors of this room: trouble that is not the outcome of an exchange."""


class ModbusError(Exception):
    """Root of this room's errors. The message names the endpoint and the remedy."""


class LinkUrlError(ModbusError):
    """The address of a link cannot be understood."""


class TransportError(ModbusError):
    """An endpoint cannot be opened."""
