"""What is wrong, in one sentence each, with what to do about it: a pure function of the gateway's facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LOW_DISK_BYTES = 200 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong."""

    what: str
    """A stable word that the page translates by."""
    where: str
    text: str
    remedy: str

    def as_json(self) -> dict[str, str]:
        """Plain data."""
        return {"what": self.what, "where": self.where, "text": self.text, "remedy": self.remedy}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the judgement rests on."""

    states: Mapping[str, str]
    """State of each device: a `gateway.live.State`."""
    links: Mapping[str, tuple[bool, str]]
    """Of each link: connected, last error. Without those that are down because all their devices sleep."""
    sync: Mapping[str, Any]
    """As in the status."""
    store_error: str | None
    clock_trusted: bool
    clock_behind_ms: int
    disk_free_bytes: int
    evicting: bool
    """The disk is so full that records which wait for the receiver are given up."""
    set_aside: Mapping[str, str]
    """The damaged databases that are kept: folder, reason."""
    undecided: int
    """Spans of suspect energy that nobody has decided about."""
    core: str


def problems(facts: Facts) -> Iterator[Problem]:
    """Everything that is wrong, the most urgent first."""
    if facts.store_error:
        yield Problem(
            what="store",
            where="data folder",
            text=f"Nothing can be written: {facts.store_error}.",
            remedy="What was measured waits in memory; mend the disk before the gateway restarts.",
        )
    if facts.disk_free_bytes < LOW_DISK_BYTES:
        yield Problem(
            what="disk",
            where="data folder",
            text=f"Only {facts.disk_free_bytes // (1024 * 1024)} MiB of disk are free.",
            remedy="Free some space or use a larger card.",
        )
    if facts.evicting:
        yield Problem(
            what="evicting",
            where="data folder",
            text="The disk is so full that the oldest records which wait for the receiver shrink to their sums.",
            remedy="Free some space or use a larger card, and bring the receiver back.",
        )
    for folder, reason in facts.set_aside.items():
        yield Problem(
            what="set_aside",
            where=folder,
            text=f"The database was damaged and set aside: {reason}.",
            remedy="See the alarm for what was saved. Copy the folder to a safe place, delete it, and doubt the card.",
        )
    yield from _clock(facts)
    for name, (connected, error) in facts.links.items():
        if not connected:
            yield Problem(
                what="link",
                where=name,
                text=f"Link {name} is not connected" + (f": {error}." if error else "."),
                remedy="Check power, cable and address; it connects again by itself.",
            )
    for name, state in facts.states.items():
        yield from _device(name, state)
    if facts.undecided:
        yield Problem(
            what="decision",
            where="ledger",
            text=f"Energy waits for a person's decision and counts as zero until then: {facts.undecided} times.",
            remedy="See `huxi ledger suspects`, then `huxi ledger accept`.",
        )
    yield from _sync(facts.sync)
    if facts.core != "cython":
        yield Problem(
            what="core",
            where="this installation",
            text="The plain-Python core is in use; it is slow.",
            remedy="Run `make setup` to compile the core.",
        )


def _device(name: str, state: str) -> Iterator[Problem]:
    """Nothing for a device that is ok or asleep: night is no fault."""
    if state == "frozen":
        yield Problem(
            what="frozen",
            where=name,
            text=f"Device {name} answers, but its values stand still; they are not used.",
            remedy="Restart the device or the dongle in front of it, and see that no second master talks to it.",
        )
    elif state == "disconnected":
        yield Problem(
            what="disconnected",
            where=name,
            text=f"Device {name} cannot be asked: its link is down.",
            remedy="Mend the link first; counters in the device go on counting meanwhile.",
        )
    elif state not in ("ok", "asleep"):
        yield Problem(
            what="device",
            where=name,
            text=f"Device {name} does not answer.",
            remedy="Check its power, its wiring and its unit id; its counters go on counting meanwhile.",
        )


def _clock(facts: Facts) -> Iterator[Problem]:
    if not facts.clock_trusted:
        yield Problem(
            what="clock",
            where="this machine",
            text="The clock cannot be right, so nothing is dated yet; readings are kept until it is set.",
            remedy="Connect the network for time, or set the clock by hand: sudo date -s '2026-01-31 12:00'.",
        )
    elif facts.clock_behind_ms:
        yield Problem(
            what="clock_back",
            where="this machine",
            text=f"The clock was set back; dates go on {facts.clock_behind_ms // 1000} s ahead of it.",
            remedy="Check which time is right; a restart waits until the clock has caught up.",
        )


def _sync(sync: Mapping[str, Any]) -> Iterator[Problem]:
    if sync.get("forked"):
        yield Problem(
            what="fork",
            where=str(sync["url"]),
            text=f"The receiver holds other records under the same numbers: {sync['last_error']}.",
            remedy="An old copy of this card runs, or two gateways have one id: stop the other one, or put the newest "
            "copy of the data folder back. Nothing is deleted; recording goes on.",
        )
    elif sync["configured"] and sync["reachable"] is False:
        yield Problem(
            what="sync",
            where=str(sync["url"]),
            text=f"The receiver cannot be reached: {sync['last_error']}.",
            remedy="Nothing is lost; it is sent when the receiver answers. Check the network and the address.",
        )
    elif sync["configured"] and sync["last_error"]:
        yield Problem(
            what="sync_held",
            where=str(sync["url"]),
            text=f"The receiver does not take everything: {sync['last_error']}.",
            remedy="See `huxi sync status`; nothing is deleted.",
        )
    if sync["configured"] and sync["quarantined"]:
        yield Problem(
            what="sync_quarantine",
            where=str(sync["url"]),
            text=f"The receiver rejects records; they are kept here, everything else goes on: {sync['quarantined']}.",
            remedy="See `huxi sync status` for the receiver's reasons and bring it up to date.",
        )
