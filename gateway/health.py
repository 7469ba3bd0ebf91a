"""What is wrong, in one sentence each, with what to do about it: a pure function of the gateway's facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.carbon.metering.sweep import Lateness

LOW_DISK_BYTES = 200 * 1024 * 1024

MQTT_REMEDIES = {
    "unreachable": "Check the network, the address and that the broker runs; the ledger does not need it.",
    "refused": "Check username and password_file of [mqtt] against the broker's; then restart the gateway.",
    "untrusted": "Name the certificate that signed it in ca_file of [mqtt], and the broker by the name in it.",
}
"""By the trouble that the telemetry reports."""


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
    strange: Mapping[str, str]
    """Of each device that said something else than an answer: what, in words."""
    links: Mapping[str, tuple[bool, str]]
    """Of each link: connected, last error. Without those that are down because all their devices sleep."""
    sync: Mapping[str, Any]
    """As in the status."""
    mqtt: Mapping[str, Any] | None
    """As in the status."""
    store_error: str | None
    clock_trusted: bool
    clock_astray_ms: int
    """How far the machine's clock is ahead of our dates; 0 when it is not, or dates follow it."""
    disk_free_bytes: int
    evicting: bool
    """The disk is so full that records which wait for the receiver are given up."""
    set_aside: Mapping[str, str]
    """The damaged databases that are kept: folder, reason."""
    doubted: Mapping[tuple[str, str], Lateness]
    """Device and register of which nothing is booked: HELD, OUT_OF_RANGE or REFUSED."""
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
        yield from _device(name, state, facts.strange.get(name, ""))
    for (device, register), lateness in facts.doubted.items():
        yield _doubted(device, register, lateness)
    if facts.undecided:
        yield Problem(
            what="decision",
            where="ledger",
            text=f"Energy waits for a person's decision and counts as zero until then: {facts.undecided} times.",
            remedy="See `huxi ledger suspects`, then `huxi ledger accept`.",
        )
    yield from _sync(facts.sync)
    if facts.mqtt and facts.mqtt["connected"] is False:
        yield Problem(
            what=f"mqtt_{facts.mqtt['trouble']}",
            where=facts.mqtt["url"],
            text=f"No live values leave by MQTT: {facts.mqtt['last_error']}.",
            remedy=MQTT_REMEDIES[facts.mqtt["trouble"]],
        )
    if facts.core != "cython":
        yield Problem(
            what="core",
            where="this installation",
            text="The plain-Python core is in use; it is slow.",
            remedy="Run `make setup` to compile the core.",
        )


def _device(name: str, state: str, strange: str) -> Iterator[Problem]:
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
    elif state not in ("ok", "asleep") and strange:
        yield Problem(
            what="strange",
            where=name,
            text=f"What comes from device {name} is no answer: {strange}.",
            remedy="Check its unit id and its profile, and that nothing else answers or asks on its line.",
        )
    elif state not in ("ok", "asleep"):
        yield Problem(
            what="device",
            where=name,
            text=f"Device {name} does not answer.",
            remedy="Check its power, its wiring and its unit id; its counters go on counting meanwhile.",
        )


def _doubted(device: str, register: str, lateness: Lateness) -> Problem:
    if lateness == Lateness.OUT_OF_RANGE:
        return Problem(
            what="out_of_range",
            where=f"{device} {register}",
            text=f"Register {register} of {device} reads what it cannot be; nothing of it is booked.",
            remedy="Compare the profile with the device: word order, scale and unit; see `huxi read`.",
        )
    if lateness == Lateness.REFUSED:
        return Problem(
            what="refused",
            where=f"{device} {register}",
            text=f"Device {device} refuses its register {register}; nothing of it is booked.",
            remedy="It is asked for again by itself. When the device never had it, use the profile of its model; "
            f"after an update of its firmware, `huxi devices {device} --relearn`.",
        )
    return Problem(
        what="implausible",
        where=f"{device} {register}",
        text=f"The readings of register {register} of {device} contradict each other; nothing of it is booked.",
        remedy="It goes on by itself once they settle; look at the device's display when they do not.",
    )


_VOUCHERS = {
    "kernel": "a time service keeps it right",
    "timesyncd": "systemd-timesyncd has set it right since the boot",
    "configuration": "the configuration says that it has a battery",
    "hand": "a person said that it was right",
}


def clock_text(source: str | None, *, vouched: bool) -> str:
    """What the clock is worth, in one sentence: who has vouched for it (`source`), and whether anybody does now."""
    if source is None:
        return "nobody vouches for it: nothing is dated yet, everything is kept"
    said = _VOUCHERS.get(source, f"the {source} vouches for it")
    return said if vouched else f"{said}; nobody vouches for it now, dates go on from then"


def _clock(facts: Facts) -> Iterator[Problem]:
    if not facts.clock_trusted:
        yield Problem(
            what="clock",
            where="this machine",
            text="Nobody vouches for the clock, so nothing is dated yet; what is measured is kept until somebody does.",
            remedy="Connect the network for time; or set it, sudo date -s '2026-01-31 12:00', then `huxi clock trust`;"
            ' with a battery-backed clock, `clock = "system"` under [gateway].',
        )
    elif facts.clock_astray_ms:
        seconds = abs(facts.clock_astray_ms) // 1000
        way = "forward" if facts.clock_astray_ms > 0 else "back"
        yield Problem(
            what="clock_astray",
            where="this machine",
            text=f"The clock was set {way} by {seconds} s and nobody vouches for that; dates go on without it.",
            remedy="If it is right now, say so with `huxi clock trust`; otherwise set it right.",
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
