"""Reading TOML into a model: every fault with file, line, key and hint."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from drivers.faults import Fault
from drivers.toml_file import Finding, did_you_mean, line_of, read_toml, refusal


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Device(Strict):
    name: str
    unit: int = Field(default=1, ge=0, le=255)
    role: Literal["pv", "grid", "load"] = "load"
    size: float | str | None = None
    tags: dict[str, int] = {}


class Site(Strict):
    region: str
    devices: list[Device] = Field(default=[], alias="device")
    spare: Device | None = None

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [device.name for device in self.devices]
        findings = [
            Finding(("device", index, "name"), f"'{name}' is taken", "choose another")
            for index, name in enumerate(names)
            if name in names[:index]
        ]
        findings += [
            Finding(("device", index, "name"), "starts with a blank")
            for index, name in enumerate(names)
            if name.startswith(" ")
        ]
        if findings:
            raise refusal("site", findings)
        return self


@pytest.fixture
def read(tmp_path: Path):
    def read(text: str | bytes) -> tuple[Site | None, list[tuple[int, str, str, str]]]:
        path = tmp_path / "site.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        site, faults = read_toml(path, Site)
        assert {fault.file for fault in faults} <= {str(path)}
        assert (site is None) == bool(faults)
        return site, [(fault.line, fault.key, fault.message, fault.hint) for fault in faults]

    return read


def test_a_sound_file_gives_the_model(read):
    site, faults = read('region = "CN-SC"\n[[device]]\nname = "roof"\nunit = 3\n')
    assert faults == []
    assert site.devices[0].unit == 3


def test_a_mark_in_front_of_the_text_is_no_fault(read):
    assert read('\ufeffregion = "CN-SC"\n')[0].region == "CN-SC"


def test_every_fault_is_told_at_once_in_the_order_of_lines(read):
    _, faults = read(
        """\
regoin = "CN-SC"
[[device]]
name = "roof"
unit = "3"
[[device]]
unit = 300
rol = "pv"
role = "gird"
[spare]
name = "x"
tags = { a = 1, b = "two" }
size = [
  1,
]
"""
    )
    assert faults == [
        (0, "region", "is missing", ""),
        (1, "regoin", "is not a known key", "did you mean 'region'?"),
        (4, "device[0].unit", "input should be a valid integer", ""),
        (5, "device[1].name", "is missing", ""),
        (6, "device[1].unit", "input should be less than or equal to 255", ""),
        (7, "device[1].rol", "is not a known key", "did you mean 'role'?"),
        (8, "device[1].role", "input should be 'pv', 'grid' or 'load'", "did you mean 'grid'?"),
        (11, "spare.tags.b", "input should be a valid integer", ""),
        (12, "spare.size", "input should be a valid number or input should be a valid string", ""),
    ]


def test_findings_of_a_model_stand_at_the_key_they_name(read):
    _, faults = read('region = "x"\n[[device]]\nname = "a"\n[[device]]\n\nname = "a"\n')
    assert faults == [(6, "device[1].name", "'a' is taken", "choose another")]


def test_two_findings_at_one_key_stay_two(read):
    _, faults = read('region = "x"\n[[device]]\nname = " a"\n[[device]]\nname = " a"\n')
    assert [(line, message) for line, _, message, _ in faults] == [
        (3, "starts with a blank"),
        (5, "' a' is taken"),
        (5, "starts with a blank"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('region = "x"\nunit = \n', 2, "is not TOML: Invalid value"),
        ('region = "x"\nregion = "y"\n', 2, "is not TOML: Cannot overwrite a value"),
        ('[[device]]\nname = "x', 2, "is not TOML: Unterminated string"),
        ("[device", 1, "is not TOML: Expected ']' at the end of a table declaration"),
        ("a = [1,\n2\n", 2, "is not TOML: Unclosed array"),
        (b"a = '\xff'", 0, "is not UTF-8 text"),
    ],
)
def test_a_text_that_is_not_toml_is_one_fault(read, text, line, message):
    site, faults = read(text)
    assert site is None
    assert [(at, what) for at, _, what, _ in faults] == [(line, message)]


def test_a_file_that_is_not_there_is_a_fault(tmp_path):
    _, faults = read_toml(tmp_path / "none.toml", Site)
    assert [fault.message for fault in faults] == ["cannot be read: No such file or directory"]


def test_line_of_gives_the_nearest_table_for_a_key_that_is_not_there():
    text = 'a = 1\n\n[link]\nname = "x"\n'
    assert line_of(text, ("link", "name")) == 4
    assert line_of(text, ("link", "url")) == 3
    assert line_of(text, ("sync",)) == 0


def test_did_you_mean_lists_what_there_is_when_nothing_is_close():
    assert did_you_mean("tmeout", ["timeout", "unit"]) == "did you mean 'timeout'?"
    assert did_you_mean("zzz", ["unit", "name"]) == "known: name, unit"
    assert did_you_mean("zzz", []) == ""


@pytest.mark.parametrize(
    ("line", "key", "hint", "text"),
    [
        (3, "link.unit", "1..247", "a.toml:3: link.unit: is wrong (1..247)"),
        (0, "", "", "a.toml: is wrong"),
        (7, "link", "", "a.toml:7: link: is wrong"),
    ],
)
def test_a_fault_reads_as_one_line(line, key, hint, text):
    assert str(Fault(file="a.toml", line=line, key=key, message="is wrong", hint=hint)) == text
