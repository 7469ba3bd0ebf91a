"""Factor tables: what is published when, and every table that must be refused."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.carbon.errors import FactorError
from gateway.carbon.factors import FactorSet, shipped

HEAD = """
id = "t"
title = "test"
utc_offset_h = 8
"""
VINTAGE = """
[[vintage]]
data_year = {year}
published = {published}
publisher = "p"
document = "d"
unit = "kg/kWh"
gas_basis = "CO2"
lens = "location"
factors = [
    {{ region = "CN-SC", value = "{value}", confidence = "A" }},
]
"""


def ms(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type, misc]


def vintage(year: int, value: str = "0.1", published: str = "2024-04-12") -> str:
    return VINTAGE.format(year=year, value=value, published=published)


@pytest.fixture(scope="module")
def china() -> FactorSet:
    return FactorSet.load(shipped())


@pytest.mark.parametrize(
    ("region", "lens", "year", "value", "confidence"),
    [
        ("CN-SC", "location", 2021, 125_500, "A"),
        ("CN-SC", "location", 2022, 140_400, "A"),
        ("CN-SC", "location", 2023, 156_400, "A"),
        ("CN", "location", 2021, 556_800, "A"),
        ("CN", "location", 2022, 536_600, "A"),  # public code exists that swaps 2021 and 2022
        ("CN", "location", 2023, 530_600, "A"),
        ("CN", "market", 2021, 594_200, "A"),
        ("CN", "market", 2022, 585_600, "A"),
        ("CN", "market", 2023, 609_600, "A"),
        ("CN-GRID-NW", "location", 2022, 585_700, "A"),
        ("CN-GRID-S", "location", 2023, 404_200, "A"),
        ("CN-BJ", "location", 2022, 558_000, "B"),
        ("CN-XJ", "location", 2023, 602_100, "A"),
        ("CN-SN", "location", 2023, 633_500, "A"),  # Shaanxi
        ("CN-SX", "location", 2023, 663_400, "A"),  # Shanxi
    ],
)
def test_shipped_values(china: FactorSet, region: str, lens: str, year: int, value: int, confidence: str) -> None:
    factor = china.lookup(region, lens, ms(year, 7, 1), ms(2026, 3, 1))
    assert (factor.value_mg_per_kWh, factor.confidence) == (value, confidence)
    assert (factor.data_year, factor.provisional, factor.gas_basis) == (year, False, "CO2")
    assert factor.ref == f"cn-grid/{region}/{year}/{lens}@1"


def test_shipped_regions(china: FactorSet) -> None:
    regions = china.regions()
    assert len([region for region in regions if len(region) == 5]) == 30
    assert len([region for region in regions if region.startswith("CN-GRID-")]) == 7
    assert not {"CN-XZ", "CN-HK", "CN-MO", "CN-TW"} & set(regions)
    assert len(china.records) == 3 + 2 * 39


def test_data_years_begin_at_midnight_in_china(china: FactorSet) -> None:
    border = ms(2022, 12, 31, 16)
    assert china.lookup("CN-SC", "location", border - 1, ms(2026, 3, 1)).data_year == 2022
    assert china.lookup("CN-SC", "location", border, ms(2026, 3, 1)).data_year == 2023
    assert china.boundaries("CN-SC", border - 1, border + 1) == [border]
    assert china.boundaries("CN-SC", border, border + 1) == []
    assert china.boundaries("CN-SC", border - 1, border) == []
    assert china.boundaries("CN-SC", ms(2020, 7, 1), ms(2023, 7, 1)) == [
        ms(2020, 12, 31, 16),
        ms(2021, 12, 31, 16),
        ms(2022, 12, 31, 16),
    ]


@pytest.mark.parametrize(
    ("as_of", "data_year", "provisional"),
    [
        (ms(2024, 4, 11, 16), 2021, True),  # 12 April in China
        (ms(2024, 12, 19, 15, 59), 2021, True),
        (ms(2024, 12, 19, 16), 2022, True),
        (ms(2025, 12, 30, 15, 59), 2022, True),
        (ms(2025, 12, 30, 16), 2023, False),
    ],
)
def test_an_older_vintage_stands_in_until_publication(
    china: FactorSet, as_of: int, data_year: int, provisional: bool
) -> None:
    factor = china.lookup("CN-SC", "location", ms(2023, 7, 1), as_of)
    assert (factor.data_year, factor.provisional) == (data_year, provisional)


def test_today_is_computed_with_the_newest_vintage(china: FactorSet) -> None:
    factor = china.lookup("CN-SC", "location", ms(2026, 2, 1), ms(2026, 3, 1))
    assert (factor.data_year, factor.provisional) == (2023, True)


def test_nothing_stands_in_for_a_missing_value(china: FactorSet) -> None:
    with pytest.raises(FactorError, match=r"region CN-CQ has no location factor for 2021: .* begin with 2022"):
        china.lookup("CN-CQ", "location", ms(2021, 7, 1), ms(2026, 3, 1))
    with pytest.raises(FactorError, match="no location factor of region CN-SC was published by 2024-04-11"):
        china.lookup("CN-SC", "location", ms(2021, 7, 1), ms(2024, 4, 11, 15, 59))
    with pytest.raises(FactorError, match="region CN-SC has no factor for lens 'market'"):
        china.lookup("CN-SC", "market", ms(2022, 7, 1), ms(2026, 3, 1))
    for ask in (china.lookup, lambda region, *_: china.boundaries(region, 0, 1)):
        with pytest.raises(FactorError, match="no factor is known for region CN-SCH; did you mean CN-S"):
            ask("CN-SCH", "location", ms(2022, 7, 1), ms(2026, 3, 1))


def test_a_part_of_a_set_looks_up_the_same(china: FactorSet) -> None:
    part = china.only(["cn-grid/CN-SC/2022/location@1", "cn-grid/CN/2022/location@1", "unknown@1"])
    assert part.regions() == ["CN", "CN-SC"]
    assert part.lookup("CN-SC", "location", ms(2026, 1, 1), ms(2026, 3, 1)).value_mg_per_kWh == 140_400


def refused(tmp_path: Path, text: str) -> list[tuple[int, str]]:
    path = tmp_path / "factors.toml"
    path.write_text(HEAD + text)
    with pytest.raises(FactorError) as caught:
        FactorSet.load(path)
    assert all(fault.file == str(path) for fault in caught.value.faults)
    assert str(path) in str(caught.value)
    return [(fault.line, fault.message) for fault in caught.value.faults]


def test_a_sound_table_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "factors.toml"
    path.write_text(HEAD + vintage(2021) + vintage(2022, "0.123456"))
    assert [record.value_mg_per_kWh for record in FactorSet.load(path).records] == [100_000, 123_456]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("0.1234567", "more than six decimals"),
        ("0.1234560", "more than six decimals"),  # seven are seven: the literal is not the published one
        ("0", "between 0 and 2"),
        ("0.000000", "between 0 and 2"),
        ("2", "between 0 and 2"),
        ("140.4", "between 0 and 2"),  # g/kWh
        ("-0.1", "decimal number"),
        ("1e-1", "decimal number"),
        ("nan", "decimal number"),
        (".5", "decimal number"),
    ],
)
def test_values_that_are_refused(tmp_path: Path, value: str, reason: str) -> None:
    ((line, message),) = refused(tmp_path, vintage(2021, value))
    assert line == 15
    assert reason in message


def test_a_float_is_refused(tmp_path: Path) -> None:
    ((line, message),) = refused(tmp_path, vintage(2021).replace('"0.1"', "0.1"))
    assert line == 15
    assert "string" in message


def test_another_unit_is_refused(tmp_path: Path) -> None:
    ((line, message),) = refused(tmp_path, vintage(2021).replace("kg/kWh", "t/MWh"))
    assert line == 11
    assert "kg/kWh" in message


def test_a_hole_is_refused(tmp_path: Path) -> None:
    ((line, message),) = refused(tmp_path, vintage(2020) + vintage(2021) + vintage(2023))
    assert line == 15 + 2 * VINTAGE.count("\n")
    assert message == "CN-SC has location values for 2020 and 2023, and none for 2022"


def test_an_overlap_is_refused(tmp_path: Path) -> None:
    ((line, message),) = refused(tmp_path, vintage(2021) + vintage(2021, "0.2"))
    assert line == 15 + VINTAGE.count("\n")
    assert message == "CN-SC has a value for 2021 in line 15 already"


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    text = vintage(2021, "9").replace("CO2", "CH4") + 'color = "red"\n'
    lines = [line for line, _ in refused(tmp_path, text)]
    assert lines == [12, 15, 17]
