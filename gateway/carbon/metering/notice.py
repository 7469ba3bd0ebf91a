"""Notice: something in a reading that a person should know."""

from typing import NamedTuple

from ext import EventKind
from gateway.carbon.metering.register_spec import RegisterSpec

_TEXTS = {
    EventKind.RESET: "counter began at zero again; what it counted just before is lost",
    EventKind.AMBIGUOUS: "counter fell and rose again; the smaller energy is booked",
    EventKind.SWAP: "counter is another one now; the energy of the change is not known",
    EventKind.JUMP_REBASED: "counter rose beyond the device's power; nothing is booked until someone decides",
    EventKind.AMBIGUOUS_WRAP: "counter may have turned over unseen; nothing is booked until someone decides",
    EventKind.INVALID: "counter gave a value that it cannot have; it was not taken",
    EventKind.RECOVERED: "counter had not been reset after all; what was booked since is corrected",
}


class Notice(NamedTuple):
    """One finding about one register."""

    what: str
    """Stable word: "overflow", or an event kind as "reset" or "jump_rebased"."""
    device: str
    text: str


def notice_of(spec: RegisterSpec, kind: EventKind, raw_begin: int, raw_end: int) -> Notice | None:
    """What to tell of an event of the counter table; None for the everyday kinds."""
    if kind not in _TEXTS or (kind == EventKind.RESET and spec.session is not None):
        return None
    text = f"{spec.register}: {_TEXTS[kind]} ({raw_begin} to {raw_end})"
    return Notice(kind.name.lower(), spec.device, text)


def overflow(spec: RegisterSpec) -> Notice:
    """What to tell of a reading that does not fit the core's integers."""
    return Notice("overflow", spec.device, f"{spec.register}: a reading beyond all measure was set aside")


def unreadable_scale(spec: RegisterSpec, exponent: int) -> Notice:
    """What to tell of a power of ten that no counter can have."""
    return Notice("scale", spec.device, f"{spec.register}: 10^{exponent} is no scale; its readings are not taken")


def disagreement(spec: RegisterSpec, counted_mWh: int, integral_mWh: int) -> Notice:
    """What to tell of a counter and a power that do not belong together."""
    text = f"counted {counted_mWh} mWh in a day in which its power gave {integral_mWh} mWh; check scale and wiring"
    return Notice("disagree", spec.device, f"{spec.register}: {text}")
