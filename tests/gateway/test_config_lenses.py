"""The lenses of a configuration: what the market lens must be told, and what it makes of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.carbon.intervals import RegisterName
from gateway.config import Config, ConfigError, load_config
from gateway.wiring import books, factor_borders

GOOD = """\
[gateway]
id = "qiyang-01"
region = "CN-SC"
data_dir = "data"

[[link]]
name = "roof"
url = "tcp://192.0.2.20:502"

[[device]]
name = "grid"
link = "roof"
unit = 2
profile = "meter/eastron-sdm630"
role = "grid"
contract_kWh_per_year = 120000

[[device]]
name = "pv"
link = "roof"
profile = "inverter/huawei-sun2000"
role = "pv"
max_power_W = 30000
baseline = "grid"
attributes_retained = true

[carbon]
lenses = ["location", "market"]
residual_region = "CN"
"""
MARKET = 'lenses = ["location", "market"]\n'
Load = Callable[[str], Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str) -> Config:
        path = tmp_path / "huxi.toml"
        path.write_text(text, encoding="utf-8")
        return load_config(path)

    return load


def test_a_site_with_both_lenses(load: Load) -> None:
    config = load(GOOD)
    of_site = books(config)
    assert of_site.scope.lenses == {"location": "CN-SC", "market": "CN"}
    assert of_site.devices["grid"].contract_mWh == 120_000_000_000
    lines = of_site.lines_of(RegisterName("grid", "import_total", "import"))
    assert [(line.lens, line.account.value, line.method.value) for line in lines] == [
        ("location", "inventory", "electricity.grid-average/1"),
        ("market", "inventory", "electricity.contract-residual/1"),
    ]
    years = factor_borders(config, 1_640_000_000_000, 1_680_000_000_000)
    assert years == [1_640_966_400_000, 1_672_502_400_000]  # 16:00 UTC on 31 December 2021 and 2022, once each


@pytest.mark.parametrize(
    ("change", "key", "says", "remedy"),
    [
        (
            ('residual_region = "CN"\n', ""),
            "carbon.residual_region",
            "a national one inside a province is a choice",
            "CN",
        ),
        (('residual_region = "CN"', 'residual_region = "CN-SC"'), "carbon.residual_region", "'CN-SC'", "known are CN"),
        (("attributes_retained = true\n", ""), "device[1].attributes_retained", "without attributes_retained", "false"),
        (("unit = 2", "unit = 2\nattributes_retained = true"), "device[0].attributes_retained", "no certificates", ""),
        (("max_power_W", "contract_kWh_per_year = 1\nmax_power_W"), "device[1].contract_kWh_per_year", "has 0", ""),
        ((" = 120000", " = 1.5"), "device[0].contract_kWh_per_year", "valid integer", ""),
        ((MARKET, 'lenses = ["market", "location"]\n'), "carbon.lenses", '["location", "market"]', ""),
    ],
)
def test_each_fault_names_its_key(load: Load, change: tuple[str, str], key: str, says: str, remedy: str) -> None:
    assert GOOD.count(change[0]) == 1
    with pytest.raises(ConfigError) as caught:
        load(GOOD.replace(*change))
    (fault,) = caught.value.faults
    assert fault.key == key
    assert says in fault.message
    assert remedy in f"{fault.message} {fault.hint}"


def test_what_only_the_market_lens_uses_is_not_ignored_in_silence(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load(GOOD.replace(MARKET, ""))
    assert [fault.key for fault in caught.value.faults] == ["carbon.residual_region", "device[0].contract_kWh_per_year"]
    assert all('add "market" to carbon.lenses' in fault.hint for fault in caught.value.faults)
    kept = (
        GOOD.replace(MARKET, "").replace('residual_region = "CN"\n', "").replace("contract_kWh_per_year = 120000\n", "")
    )
    assert books(load(kept)).scope.lenses == {"location": "CN-SC"}
