"""factors: what is known and where it comes from; taking the next year's file, completely or not at all."""

import hashlib
import json
import os
import stat
from pathlib import Path

import pytest

from gateway.carbon.factors.factor_set import load_all

ANNEX = b"%PDF-1.7 the annex of 2024"
OWN = f"""\
id = "cn-grid"
title = "China, data year 2024"
utc_offset_h = 8

[[vintage]]
data_year = 2024
published = 2026-01-15
publisher = "Ministry"
document = "announcement 2026 no. 1"
document_sha256 = "{hashlib.sha256(ANNEX).hexdigest()}"
unit = "kg/kWh"
gas_basis = "CO2"
lens = "location"
factors = [
    {{ region = "CN-SC", value = "0.1620", confidence = "A" }},
    {{ region = "CN-CQ", value = "0.5500", confidence = "B" }},
]
"""
CONFIG = """\
[gateway]
id = "qiyang-01"
region = "CN-CQ"
data_dir = "data"

[[link]]
name = "roof"
url = "tcp://192.0.2.20:502"

[[device]]
name = "grid-meter"
link = "roof"
profile = "meter/eastron-sdm630"
role = "grid"

[carbon]
accept_unverified = ["cn-grid/CN-CQ/2022/location@1"]
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "annex-2024.toml"
    path.write_text(OWN)
    return path


@pytest.fixture
def config(tmp_path: Path, data: Path) -> Path:
    path = tmp_path / "huxi.toml"
    path.write_text(CONFIG)
    return path


def stored(data: Path) -> list[Path]:
    return sorted((data / "factors").glob("*")) if (data / "factors").exists() else []


def test_the_factors_of_a_region_are_listed(huxi, config):
    result = huxi("factors", "list", "--region", "CN-CQ", "-c", str(config))
    assert result.exit_code == 0, result.stderr
    assert [line.split()[:6] for line in result.stdout.splitlines()[1:]] == [
        ["cn-grid/CN-CQ/2022/location@1", "522.700", "CO2", "B", "yes", "2024-12-20"],
        ["cn-grid/CN-CQ/2023/location@1", "558.100", "CO2", "A", "yes", "2025-12-31"],
    ]
    everything = json.loads(huxi("factors", "list", "-c", str(config), "--json").stdout)["factors"]
    assert len(everything) == 4 + 2 * 39
    assert sum(record["accepted"] is False for record in everything) == 29
    assert {record["ref"]: record["value_mg_per_kWh"] for record in everything}[
        "cn-grid/CN-SC/2023/location@1"
    ] == 156_400


def test_without_a_configuration_nobody_knows_what_is_accepted(huxi, data):
    records = json.loads(huxi("factors", "list", "--data", str(data), "--json").stdout)["factors"]
    assert {(record["confidence"], record["accepted"]) for record in records} == {("A", True), ("B", None), ("M", None)}


def test_a_factor_is_shown_with_all_that_is_known_of_it(huxi, config):
    result = huxi("factors", "show", "cn-grid/CN-GRID-SW/2021/location", "-c", str(config))
    assert result.exit_code == 0, result.stderr
    for part in (
        "cn-grid/CN-GRID-SW/2021/location@1",
        "0.2113 kg/kWh CO2",
        "2021: 2020-12-31 16:00:00Z to 2021-12-31 16:00:00Z",
        "announcement 2024 no. 12",
        "M: from memory, unverified",
        'no; accept_unverified = ["cn-grid/CN-GRID-SW/2021/location@1"] in [carbon] accepts it',
        "1 of 2024-04-12",
    ):
        assert part in result.stdout
    assert huxi("factors", "show", "CN-SC", "-c", str(config)).stdout.count("published  ") == 3
    (record,) = json.loads(huxi("factors", "show", "cn-grid/CN/2023/market@1", "--json", "-c", str(config)).stdout)[
        "factors"
    ]
    assert (record["value_mg_per_kWh"], record["lens"], record["published"]) == (609_600, "market", "2025-12-31")
    assert (record["document_sha256"], record["retrieved"], record["accepted"]) == (None, None, True)


def test_an_unknown_factor(huxi, config):
    for args in (("show", "CN-SCC"), ("list", "--region", "CN-SCC")):
        result = huxi("factors", *args, "-c", str(config))
        assert (result.exit_code, result.stdout) == (2, "")
        assert "there is no factor CN-SCC; did you mean CN-S" in result.stderr


def test_the_next_year_is_taken(huxi, config, data, own, tmp_path):
    (tmp_path / "annex.pdf").write_bytes(ANNEX)
    result = huxi("factors", "import", str(own), "--document", str(tmp_path / "annex.pdf"), "-c", str(config))
    assert result.exit_code == 0, result.stderr
    (path,) = stored(data)
    assert path.read_bytes() == own.read_bytes()
    assert (path.parent.name, path.suffix) == ("factors", ".toml")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    for part in (
        f"{own} is good: 2 new factors of set cn-grid.",
        f"It stands in {path}.",
        "Data year 2024, version 1, published 2026-01-15: counts from the next start of the gateway.",
        "1 of them have confidence B or M",
        'accept_unverified = ["cn-grid/CN-CQ/2024/location@1"]',
        "Restart the gateway",
        "huxi ledger restate --factor-set cn-grid",
    ):
        assert part in result.stdout
    assert load_all(data).record("cn-grid/CN-SC/2024/location@1").value_mg_per_kWh == 162_000
    again = huxi("factors", "import", str(own), "--data", str(data))
    assert (again.exit_code, stored(data)) == (0, [path])
    assert "says nothing new: it is there already (2 factors)" in again.stdout


def test_it_stops_the_gateway_only_where_nobody_accepted_it(huxi, config, own):
    assert huxi("check", "-c", str(config)).exit_code == 0
    huxi("factors", "import", str(own), "-c", str(config))
    result = huxi("check", "-c", str(config))
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{config}:3: gateway.region: factor cn-grid/CN-CQ/2024/location@1 has confidence B" in result.stderr
    # The command that is to mend it still works.
    assert huxi("factors", "show", "CN-CQ", "-c", str(config)).exit_code == 0
    config.write_text(CONFIG.replace("2022", "2024"))
    assert "550.000 g CO2/kWh for CN-CQ (data of 2024" in huxi("check", "-c", str(config)).stdout


def test_a_publication_to_come_is_taken_and_said(huxi, data, own):
    own.write_text(OWN.replace("2026-01-15", "2199-12-20"))
    result = huxi("factors", "import", str(own), "--data", str(data))
    assert result.exit_code == 0, result.stderr
    assert "published 2199-12-20: counts from 2199-12-20, which is still to come." in result.stdout


def test_a_correction_comes_as_a_higher_version(huxi, data, own):
    assert huxi("factors", "import", str(own), "--data", str(data)).exit_code == 0
    own.write_text(OWN.replace("0.1620", "0.1630"))
    result = huxi("factors", "import", str(own), "--data", str(data))
    assert (result.exit_code, result.stdout) == (1, "")
    (path,) = stored(data)
    assert f"{own}:15: " in result.stderr
    assert f"cn-grid/CN-SC/2024/location@1 stands in {path}:15 with another value_mg_per_kWh" in result.stderr
    own.write_text(OWN.replace("0.1620", "0.1630").replace("2024\npub", "2024\nversion = 2\npub"))
    result = huxi("factors", "import", str(own), "--data", str(data))
    assert result.exit_code == 0, result.stderr
    assert load_all(data).lookup("CN-SC", "location", 1_719_800_000_000, 2**53).value_mg_per_kWh == 163_000
    assert "2 of 2026-01-15" in huxi("factors", "show", "CN-SC", "--data", str(data)).stdout


def test_every_fault_of_a_file_is_told_with_its_line(huxi, data, own):
    text = OWN.replace("2024\npub", "2025\npub").replace('"0.1620"', '"0.16200000"').replace("kg/kWh", "g/kWh")
    own.write_text(text.replace('"B" },\n', '"B" },\n    { region = "CN-CQ", value = "-1", confidence = "D" },\n'))
    result = huxi("factors", "import", str(own), "--data", str(data))
    assert (result.exit_code, result.stdout, stored(data)) == (1, "", [])
    lines = result.stderr.removeprefix("huxi: ").splitlines()
    assert [line.removeprefix(f"{own}:").split(": ")[0] for line in lines] == ["11", "15", "15", "16", "17", "17", "17"]
    assert "for 2023 and 2025, and none for 2024" in result.stderr


def test_another_document_is_refused(huxi, data, own, tmp_path):
    other = tmp_path / "other.pdf"
    other.write_bytes(b"another rendition")
    result = huxi("factors", "import", str(own), "--document", str(other), "--data", str(data))
    assert (result.exit_code, stored(data)) == (1, [])
    assert f"{own}:10: vintage[0].document_sha256: " in result.stderr
    assert hashlib.sha256(b"another rendition").hexdigest() in result.stderr
    own.write_text("\n".join(line for line in OWN.splitlines() if "sha256" not in line))
    result = huxi("factors", "import", str(own), "--document", str(other), "--data", str(data))
    assert (result.exit_code, stored(data)) == (1, [])
    assert f"{own}:5: vintage[0]: names no document_sha256" in result.stderr


def test_an_import_that_breaks_off_leaves_nothing(huxi, data, own, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "the disk")

    monkeypatch.setattr(os, "replace", fail)
    result = huxi("factors", "import", str(own), "--data", str(data))
    assert (result.exit_code, stored(data)) == (2, [])
    assert "No space left on device" in result.stderr


@pytest.mark.parametrize("args", [("--data", "none"), ("-c", "none.toml")])
def test_questions_that_are_bad(huxi, own, tmp_path, args):
    option, name = args
    result = huxi("factors", "import", str(own), option, str(tmp_path / name))
    assert result.exit_code == 2
    assert str(tmp_path / name) in result.stderr


def test_a_broken_file_in_the_folder_is_not_blamed_on_the_new_one(huxi, data, own):
    (data / "factors").mkdir()
    (data / "factors" / "old.toml").write_text("id = 5\n")
    result = huxi("factors", "import", str(own), "--data", str(data))
    assert result.exit_code == 2
    assert f"{data}/factors/old.toml:1: id: " in result.stderr
    assert huxi("factors", "import", "none.toml", "--data", str(data)).exit_code == 2
