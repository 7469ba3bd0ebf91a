"""Catalogue: profiles by name, the site's own before the shipped ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.catalogue import Catalogue, shipped
from drivers.errors import ProfileError

METER = """\
[profile]
title = "T"
make = "M"
model = "X"
kind = "{kind}"
[[point]]
name = "a"
address = 1
type = "u16"
"""


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_names_and_profiles_of_the_shipped_folder():
    catalogue = Catalogue([shipped()])
    assert "inverter/huawei-sun2000" in catalogue.names()
    assert catalogue.names() == sorted(catalogue.names())
    profile = catalogue.load("inverter/huawei-sun2000")
    assert (profile.name, profile.about.make) == ("inverter/huawei-sun2000", "Huawei")
    assert catalogue.text("inverter/huawei-sun2000").startswith("[profile]")


def test_a_later_folder_wins_and_adds(tmp_path):
    put(tmp_path, "meter/eastron-sdm630", METER.format(kind="meter"))
    put(tmp_path, "meter/own", METER.format(kind="meter"))
    catalogue = Catalogue([shipped(), tmp_path])
    assert catalogue.load("meter/eastron-sdm630").about.title == "T"
    assert catalogue.names() == sorted([*Catalogue([shipped()]).names(), "meter/own"])
    assert Catalogue([tmp_path, shipped()]).load("meter/eastron-sdm630").about.title != "T"


@pytest.mark.parametrize("name", ["inverter/huawei-sun200", "../meter/own", "/etc/passwd", "meter"])
def test_an_unknown_name_is_refused_with_a_hint(name):
    catalogue = Catalogue([shipped()])
    with pytest.raises(ProfileError, match=f"there is no profile '{name}'") as caught:
        catalogue.load(name)
    assert [fault.hint != "" for fault in caught.value.faults] == [True]
    with pytest.raises(ProfileError):
        catalogue.text(name)


def test_the_hint_names_the_near_profile():
    with pytest.raises(ProfileError, match="did you mean 'inverter/huawei-sun2000'"):
        Catalogue([shipped()]).load("inverter/huawei-sun200")


def test_every_fault_of_a_file_is_in_the_error(tmp_path):
    path = put(tmp_path, "meter/own", METER.format(kind="metre").replace("u16", "u17"))
    with pytest.raises(ProfileError) as caught:
        Catalogue([tmp_path]).load("meter/own")
    assert [(fault.file, fault.line) for fault in caught.value.faults] == [(str(path), 5), (str(path), 9)]
    assert len(str(caught.value).splitlines()) == 2


def test_the_kind_is_that_of_the_folder(tmp_path):
    path = put(tmp_path, "meter/own", METER.format(kind="charger"))
    with pytest.raises(ProfileError) as caught:
        Catalogue([tmp_path]).load("meter/own")
    assert str(caught.value).startswith(f"{path}:5: profile.kind: 'charger' stands in folder 'meter'")


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ProfileError, match="is not a folder"):
        Catalogue([shipped(), tmp_path / "none"])
