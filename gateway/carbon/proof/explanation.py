"""Explanation: what the words of an entry mean, each in one plain sentence."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from gateway.carbon.booking.rules import Method

Step = dict[str, str]
"""One sentence: what it is about, and its text."""

CLASSES: Final[Mapping[str, str]] = {
    "measured": "a counter or a power reading stands at both ends of the energy",
    "estimated": "the amount is an estimate that somebody or some rule has put in place of a reading",
    "modelled": "the amount comes from a model, not from a meter",
    "manual": "the amount was entered by hand",
    "missing": "no reading was accepted in this time (none came, or the device marked it invalid, or it could not be"
    " decoded): nothing is booked, and it counts as missing time, not as zero",
    "suspect": "the counter claims energy that nothing proves: 0 is booked until a person decides, and the bounds say"
    " what it can have been",
}
FLAGS: Final[Mapping[str, str]] = {
    "interp_profile": "readings were further apart than usual: the energy is measured in total, and laid evenly over"
    " the time between them",
    "lower_bound": "at least this much flowed: what the counter counted just before it began anew is lost, and is not"
    " booked",
    "wrap": "the counter passed its highest count and went on from zero: the energy across the turn is booked in full",
    "reset": "the counter began at zero again: what it has counted since is booked",
    "glitch": "a reading in between contradicted its neighbours and was withdrawn: it counts for nothing, the energy"
    " is that from the last good reading to the next",
    "jitter": "the counter fell by a count or two, as some do: nothing is booked for it, and nothing twice when it"
    " rises again",
    "swap": "another counter answers since then (serial number, scale or register map changed): the energy of the"
    " change is not known, and counting began anew",
    "jump": "the counter rose by more than the device can do, and stayed there",
    "ambiguous": "the counter fell and rose again, which a reset and a false reading both explain: the smaller energy"
    " is booked",
    "recovered": "the counter had not been reset after all: the difference to its count before the false reset is"
    " booked in place of what was",
    "clock_step": "the wall clock was set in this time: begin and end may be off by as much, the energy of a counter"
    " is not",
    "imbalance": "the energies of the devices around it do not add up",
    "disagree": "two registers of the device tell different energies",
    "provisional": "the factor of its data year was not published at the booking: an older year's stands in until the"
    " ledger is restated",
    "s_default": "organics removed with the sludge are not known and were taken as none, which overstates methane",
    "stale_day": "a daily counter still showed its value of the day before, which books nothing",
    "span_unknown": "nobody vouched for the clock in this boot, which never got a date: begin and end are estimated,"
    " and lie for certain between what was dated before and after",
    "overflow": "its carbon would leave 64 bits: it is set aside with amount 0, and its energy stands in the bounds",
}
TURNED_OVER: Final = (
    "in the time between two readings the counter may have turned over any number of times: its difference proves"
    " nothing"
)
REASONS: Final[Mapping[str, str]] = {
    "step": "the counter showed this energy late, in one step: it is laid over the time since its last change, and the"
    " closed rows of that time are taken back and stated anew",
    "recovered": "the counter had not been reset after all: what was booked since is taken back, and what it really"
    " counted is stated",
    "accepted": "a person said what the energy of a suspect row was; it counts as they said",
}


WRONG: Final = "carbon, wrong"
"""What the step is about in which an amount does not follow."""


def words(row_class: str, flags: Iterable[str]) -> list[Step]:
    """The class and each flag of a row with its sentence."""
    found = [_said(f"class {row_class}", CLASSES[row_class])]
    flags = list(flags)
    if row_class == "suspect" and {"ambiguous", "wrap"} <= set(flags):
        found.append(_said("flags ambiguous, wrap", TURNED_OVER))
        flags = [flag for flag in flags if flag not in ("ambiguous", "wrap")]
    return found + [_said(f"flag {flag}", FLAGS[flag]) for flag in flags]


def kind(entry: Mapping[str, Any]) -> list[Step]:
    """What a reversal or restatement (as the API gives it) does, and why; nothing for a normal entry."""
    is_sum = entry["epoch"] is None
    word, _, note = (entry["reason"] or "").partition(": ")
    reason = entry["reason"] if is_sum else ": ".join(filter(None, (REASONS.get(word, word), note)))
    if entry["kind"] == "reversal":
        what = f"a sum over {entry['rows']} entries of the day" if is_sum else f"entry {entry['reverses']}"
        return [_said("kind reversal", f"takes back {what}: {reason}")]
    if entry["kind"] == "restatement":
        what = "states them with another factor" if is_sum else "states the time anew"
        return [_said("kind restatement", f"{what}: {reason}")]
    return []


def counter(raw_begin: int | None, raw_end: int | None, energy_mWh: int | None) -> Step:
    """How the counts of a row (None: it has no counter) give its energy."""
    if raw_begin is None or raw_end is None:
        return _said("power", f"no counter: {energy_mWh} mWh is the area under its power readings")
    counts = raw_end - raw_begin
    found = f"the last count up to the begin is {raw_begin}, up to the end {raw_end}"
    if energy_mWh is None:
        return _said("counter", found)
    if energy_mWh == 0:
        return _said("counter", f"{found}: 0 mWh are booked")
    if counts and energy_mWh * counts > 0 and energy_mWh % counts == 0:
        return _said("counter", f"{found}: {counts} x {energy_mWh // counts} mWh = {energy_mWh} mWh")
    share = "a step between two readings is shared by time among the rows that it crosses"
    return _said("counter", f"{found}; {energy_mWh} mWh of what it counted fall into this row: {share}")


def carbon(entry: Mapping[str, Any], value_mg_per_kWh: int | None) -> Step:
    """How the amount of an entry (as the API gives it) follows; the value is that of its factor, None without one."""
    if value_mg_per_kWh is None:
        return _said("carbon", f"method {entry['method']} books no carbon: 0 ng")
    name = "emitted_ng" if entry["baseline_ng"] is None else "baseline_ng"
    energy_mWh, matched_mWh = entry["energy_mWh"], entry["matched_mWh"] or 0
    if entry["epoch"] is None and entry["method"] == Method.CONTRACT_RESIDUAL and value_mg_per_kWh:
        matched_mWh = energy_mWh - int(entry[name]) // value_mg_per_kWh  # a sum keeps its carbon, not its contract part
    product_ng = (energy_mWh - matched_mWh) * value_mg_per_kWh
    energy = f"({energy_mWh} - {matched_mWh} under contract) mWh" if matched_mWh else f"{energy_mWh} mWh"
    text = f"{name}: {energy} x {value_mg_per_kWh} mg/kWh = {product_ng} ng"
    if str(product_ng) != entry[name]:
        return _said(WRONG, f"{text}, but {entry[name]} ng is booked: run `huxi ledger verify`")
    return _said("carbon", text)


def doubt(what: str, lo: int | str, hi: int | str, unit: str) -> Step:
    """Between what something lies that nobody knows exactly."""
    return _said("bounds", f"{what}: at least {lo}, at most {hi} {unit}")


def gap(span: str) -> Step:
    """A row inside a long time between two readings."""
    return _said("gap", f"more than a day lay between two readings ({span}): when in it the energy flowed is not known")


def _said(about: str, text: str) -> Step:
    return {"about": about, "text": text}
