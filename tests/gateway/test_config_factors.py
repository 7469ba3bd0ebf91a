"""The factors of a configuration: own files, and what must be accepted by name."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.carbon.errors import FactorError
from gateway.config import Config, ConfigError, load_config

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
"""
OWN = """\
id = "cn-grid"
title = "t"
utc_offset_h = 8
[[vintage]]
data_year = 2024
published = 2026-01-01
publisher = "p"
document = "an annex"
unit = "kg/kWh"
gas_basis = "CO2"
lens = "location"
factors = [{ region = "CN-CQ", value = "0.55", confidence = "B" }]
"""
SUMMER_2022_MS, SUMMER_2024_MS = 1_656_600_000_000, 1_719_800_000_000
REF = "cn-grid/CN-CQ/2024/location@1"

Load = Callable[[str], Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(carbon: str) -> Config:
        path = tmp_path / "huxi.toml"
        path.write_text(CONFIG + carbon, encoding="utf-8")
        return load_config(path)

    return load


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "factors" / "annex.toml"
    path.parent.mkdir(parents=True)
    path.write_text(OWN)
    return path


def faults(load: Load, carbon: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(carbon)
    return [
        str(fault).rpartition("/")[2] if "/huxi.toml" not in str(fault) else str(fault).split("huxi.toml:")[1]
        for fault in caught.value.faults
    ]


def test_nothing_unverified_is_used_unless_it_is_accepted(load: Load) -> None:
    strict = load("").factors
    with pytest.raises(FactorError, match="cn-grid/CN-CQ/2022/location@1 has confidence B"):
        strict.lookup("CN-CQ", "location", SUMMER_2022_MS, 2**53)
    for accept in ("true", '["cn-grid/CN-CQ/2022/location@1"]'):
        factors = load(f"accept_unverified = {accept}").factors
        assert factors.lookup("CN-CQ", "location", SUMMER_2022_MS, 2**53).value_mg_per_kWh == 522_700


def test_an_own_file_counts_and_its_present_value_must_be_accepted(load: Load, own: Path) -> None:
    assert faults(load, "") == [
        f"3: gateway.region: factor {REF} has confidence B (one public copy) "
        f'(check it against an annex, then add accept_unverified = ["{REF}"] to [carbon])'
    ]
    config = load(f'accept_unverified = ["{REF}"]')
    assert config.factors.lookup("CN-CQ", "location", SUMMER_2024_MS, 2**53).value_mg_per_kWh == 550_000


def test_a_value_with_a_date_to_come_must_be_accepted_now(load: Load, own: Path) -> None:
    own.write_text(OWN.replace("2026-01-01", "2199-01-01"))
    assert len(faults(load, "")) == 1


def test_a_value_of_another_region_needs_nothing(load: Load, own: Path) -> None:
    own.write_text(OWN.replace("CN-CQ", "CN-SC"))
    assert load("").carbon.accept_unverified is False


def test_what_is_accepted_must_be_there(load: Load) -> None:
    found = faults(load, 'accept_unverified = ["cn-grid/CN-CQ/2022/location@1", "cn-grid/CN-CQ/2022/locatoin@1"]')
    assert found == [
        "17: carbon.accept_unverified[1]: there is no factor 'cn-grid/CN-CQ/2022/locatoin@1' "
        "(did you mean 'cn-grid/CN-CQ/2022/location@1'?)"
    ]


def test_faults_of_own_files_come_with_all_others(load: Load, own: Path) -> None:
    own.write_text(OWN.replace('"0.55"', "0.55"))
    with pytest.raises(ConfigError) as caught:
        load('interval = "7min"\n')
    assert [(Path(fault.file).name, fault.line) for fault in caught.value.faults] == [
        ("huxi.toml", 17),
        ("annex.toml", 12),
    ]
