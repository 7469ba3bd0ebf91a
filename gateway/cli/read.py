"""`huxi read`: one reading of one device, with the registers it came from."""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any, Final

import click

from drivers.device import Device, Reading
from drivers.link_manners import link_manners
from drivers.modbus.errors import LinkUrlError
from drivers.modbus.link import Link
from drivers.modbus.open import open_link
from drivers.modbus.outcome import LinkProtocol, Outcome, OutcomeKind
from drivers.modbus.url import LinkScheme, parse_link_url
from drivers.point import Point
from drivers.profile import Profile
from ext.quality import Quality
from gateway.cli.errors import CommandError
from gateway.cli.options import json_option, load_profile, profile_option
from gateway.cli.output import echo_json, echo_table, quantity, reason
from gateway.cli.probe import probe

_SILENCE: Final = (Quality.TIMEOUT, Quality.LINK_DOWN, Quality.CORRUPT, Quality.UNREAD)
"""Qualities of points when their device said nothing that counts."""


@click.command()
@click.argument("url")
@profile_option
@click.option("--unit", type=click.IntRange(0, 255), help="Modbus unit id; the profile's when left out.")
@json_option
def read(url: str, profile_name: str, unit: int | None, as_json: bool) -> None:
    """Read the device at URL once and show every point with its raw registers. No gateway is needed.

    Exit code 2 when nothing answers. Stop a running gateway first when the device takes one connection only.

    \b
    Examples:
      huxi read tcp://192.168.1.20:502 --profile inverter/huawei-sun2000
      huxi read "rtu:///dev/ttyUSB0?baud=9600&parity=N" --profile meter/eastron-sdm630 --unit 3
    """
    profile = load_profile(profile_name)
    unit = profile.manners.unit if unit is None else unit
    try:
        link = open_link("read", url, link_manners({unit: profile.manners}))
    except LinkUrlError as error:
        raise CommandError(str(error)) from None
    logging.getLogger("huxi").addHandler(logging.NullHandler())  # our own message says it all
    reading, seen = asyncio.run(_read(link, unit, profile))
    if all(quality in _SILENCE for quality in reading.quality):
        raise _silent(url, unit, seen)
    if Quality.OK not in reading.quality:
        raise CommandError(
            f"unit {unit} at {url} answers and has none of these registers: is {profile.name} the right profile?", 1
        )
    points = [_row(index, point, reading, seen) for index, point in enumerate(profile.points)]
    if as_json:
        echo_json({"url": url, "unit": unit, "profile": profile.name, "points": points})
    else:
        _print(points)


@dataclass(slots=True)
class _Witness:
    """A link that remembers what went over it."""

    link: LinkProtocol
    words: dict[tuple[int, int], str] = field(default_factory=dict)
    """Raw words in hex, by function and address."""
    trouble: Outcome | None = None
    """The last exchange that brought nothing; a lost connection tells less than what came before it."""

    async def read(self, unit: int, function: int, address: int, count: int, *, timeout_s: float) -> Outcome:
        outcome = await self.link.read(unit, function, address, count, timeout_s=timeout_s)
        if outcome.kind is not OutcomeKind.OK and (outcome.kind is not OutcomeKind.LINK_DOWN or not self.trouble):
            self.trouble = outcome
        for offset in range(len(outcome.data) // 2):
            self.words[function, address + offset] = outcome.data[2 * offset : 2 * offset + 2].hex()
        return outcome


async def _read(link: Link, unit: int, profile: Profile) -> tuple[Reading, _Witness]:
    seen = _Witness(link)
    device = Device(name="device", unit=unit, profile=profile, link=seen)
    async with link:
        for _ in device.plan:  # one that is silent about its first registers may answer about others
            reading = await device.read()
            if reading.is_answer or Quality.TIMEOUT not in reading.quality:
                break
        return reading, seen


def _silent(url: str, unit: int, seen: _Witness) -> CommandError:
    trouble = seen.trouble
    if trouble is None or trouble.kind is OutcomeKind.LINK_DOWN:
        found = probe(parse_link_url(url))
        reason = f"{trouble.detail if trouble else 'nothing was read'}; check power, cable and address"
        return CommandError(f"cannot reach {url}: {found or reason}")
    is_on_line = parse_link_url(url).scheme is not LinkScheme.TCP
    if trouble.kind in (OutcomeKind.TIMEOUT, OutcomeKind.EXCEPTION):  # a gateway on the way can say it, too
        return CommandError(
            f"unit {unit} at {url} does not answer: check the unit id (--unit), the power and wiring of the device"
            + (", and speed and parity of the line" if is_on_line else "")
        )
    if is_on_line:
        remedy = "check speed and parity, and that no other master is on the line"
    elif trouble.kind is OutcomeKind.DESYNC:
        remedy = "check the unit id (--unit), and that nothing between here and the device mixes up answers"
    else:
        remedy = "this is no Modbus TCP device; a serial converter that passes the bytes on is rtu+tcp://"
    return CommandError(f"what unit {unit} at {url} answers cannot be used ({trouble.detail}): {remedy}")


def _row(index: int, point: Point, reading: Reading, seen: _Witness) -> dict[str, Any]:
    quality = Quality(reading.quality[index])
    value: float | str | None = None
    if quality == Quality.OK:
        value = reading.texts.get(index) if point.is_text else reading.values[index]
    return {
        "name": point.name,
        "function": point.function,
        "address": point.address,
        "raw": [word for address in point.addresses if (word := seen.words.get((point.function, address))) is not None],
        "value": value,
        "unit": point.unit,
        "quality": quality.name.lower(),
        "text": point.word(reading.raws[index]) if quality == Quality.OK else None,
    }


def _print(points: list[dict[str, Any]]) -> None:
    headings = ["address", "point", "raw", "value", "unit", "quality", "meaning"]
    rows = [
        [
            str(point["address"]),
            point["name"],
            _short(point["raw"]),
            quantity(point["value"]),
            point["unit"],
            reason(point["quality"]),
            point["text"] or "",
        ]
        for point in points
    ]
    echo_table(headings, rows, right=frozenset({"address", "value"}))


def _short(words: list[str]) -> str:
    """The words of a number; of a long text the first ones."""
    return " ".join(words) if len(words) <= 4 else f"{' '.join(words[:3])} …"
