"""Lessons: what the devices have taught about themselves, kept from run to run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from drivers.device import Device
from drivers.learnt import Learnt


class Lessons:
    """What each device has refused, as text for the store.

    A text holds for one unit of one link read by one profile; under any other it counts for nothing. Which
    individual it is about is the device's to judge (its serial number), when it answers.
    """

    def __init__(self, devices: Iterable[tuple[Device, str]]) -> None:
        """`devices` come with the URL of their link."""
        self._devices = {device.name: (device, _place(device, url)) for device, url in devices}

    def resume(self, kept: Mapping[str, str]) -> None:
        """Hands what `texts` gave in an earlier run to the devices it is about, before their first read.

        A damaged text counts for nothing: what was in it is learnt again.
        """
        for name, text in kept.items():
            if name not in self._devices:
                continue
            device, place = self._devices[name]
            try:
                found, identity, refused, barriers, max_block = json.loads(text)
                barriers = frozenset((function, address) for function, address in barriers)
                learnt = Learnt(refused=frozenset(refused), barriers=barriers, max_block=max_block)
            except (ValueError, TypeError):
                continue
            if found == place:
                device.resume(learnt, identity)

    def texts(self) -> dict[str, str]:
        """By device, what is known now."""
        return {name: _text(place, device) for name, (device, place) in self._devices.items()}

    def forget(self, name: str) -> None:
        """The device is learnt anew from its next read on. KeyError when there is none of that name."""
        self._devices[name][0].forget()

    def learnt(self, name: str) -> Learnt:
        """What is known of a device."""
        return self._devices[name][0].learnt


def _place(device: Device, url: str) -> list[str | int]:
    digest = hashlib.sha256(device.profile.model_dump_json().encode()).hexdigest()
    return [url, device.unit, digest]


def _text(place: list[str | int], device: Device) -> str:
    learnt = device.learnt
    lesson = [place, device.identity, sorted(learnt.refused), sorted(learnt.barriers), learnt.max_block]
    return json.dumps(lesson, ensure_ascii=False, separators=(",", ":"))
