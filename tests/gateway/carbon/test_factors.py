"""Factors: the shipped values, what is known when, and what may be used."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.carbon.errors import FactorError
from gateway.carbon.factors.factor_set import Factor, FactorSet, shipped


def ms(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type, misc]


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
        ("CN-GRID-SW", "location", 2021, 211_300, "M"),
        ("CN-GRID-SW", "location", 2022, 226_800, "A"),
        ("CN-GRID-SW", "location", 2023, 247_200, "A"),
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
    assert len(china.records) == 4 + 2 * 39


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
    assert part.boundaries("CN-SC", ms(2022, 7, 1), ms(2023, 7, 1)) == [ms(2022, 12, 31, 16)]
    assert part.lookup("CN-SC", "location", ms(2026, 1, 1), ms(2026, 3, 1)).value_mg_per_kWh == 140_400


def test_only_what_is_unverified_needs_acceptance(china: FactorSet) -> None:
    strict = china.accepting(False)
    unverified = {record.ref for record in china.records if record.confidence != "A"}
    assert {record.ref for record in china.records if not strict.accepts(record)} == unverified
    by_year = {year: len([ref for ref in unverified if f"/{year}/" in ref]) for year in (2021, 2022, 2023)}
    assert by_year == {2021: 1, 2022: 29, 2023: 0}
    assert all(china.accepting(True).accepts(record) for record in china.records)


def test_an_unaccepted_value_is_refused_and_nothing_stands_in(china: FactorSet) -> None:
    strict, ref = china.accepting(False), "cn-grid/CN-CQ/2022/location@1"
    now = ms(2026, 3, 1)
    with pytest.raises(
        FactorError, match=rf"factor {ref} has confidence B \(one public copy\) and is not accepted"
    ) as caught:
        strict.lookup("CN-CQ", "location", ms(2022, 7, 1), now)
    assert f'check it against its document (announcement 2024 no. 33), then add accept_unverified = ["{ref}"]' in str(
        caught.value
    )
    with pytest.raises(FactorError, match=ref):  # as a stand-in too
        strict.lookup("CN-CQ", "location", ms(2024, 7, 1), ms(2025, 6, 1))
    assert strict.lookup("CN-CQ", "location", ms(2023, 7, 1), now).confidence == "A"
    assert china.accepting([ref]).lookup("CN-CQ", "location", ms(2022, 7, 1), now).value_mg_per_kWh == 522_700
    with pytest.raises(FactorError, match="CN-BJ/2022"):
        china.accepting([ref]).lookup("CN-BJ", "location", ms(2022, 7, 1), now)


def test_what_is_booked_is_found_whatever_is_accepted(china: FactorSet) -> None:
    strict, ref = china.accepting(False), "cn-grid/CN-GRID-SW/2021/location@1"
    assert strict.record(ref).value_text == "0.2113 kg/kWh"
    assert strict.only([ref]).lookup("CN-GRID-SW", "location", ms(2021, 7, 1), ms(2026, 3, 1)).ref == ref
    with pytest.raises(FactorError, match=r"there is no factor cn-grid/CN-GRID-SW/2021/location@2; did you mean"):
        china.record("cn-grid/CN-GRID-SW/2021/location@2")


def test_a_record_knows_its_days(china: FactorSet) -> None:
    record = china.record("cn-grid/CN-SC/2023/location@1")
    assert (record.set_id, record.published, record.utc_offset_ms) == ("cn-grid", date(2025, 12, 31), 8 * 3_600_000)
    assert (record.document_sha256, record.retrieved, record.u_rel_ppm) == (None, None, None)
    assert "d43b60a3eaad9f3fe59ca37c204d3d0e1b6ea52742a092f0d856971a3f018e5a" in record.note


def test_a_correction_counts_from_its_publication(china: FactorSet) -> None:
    old = china.record("cn-grid/CN-SC/2023/location@1")
    corrected = FactorSet([*china.records, replace(old, version=2, value_mg_per_kWh=1, published_ms=ms(2026, 2, 1))])
    summer = ms(2023, 7, 1)
    assert corrected.lookup("CN-SC", "location", summer, ms(2026, 2, 1) - 1) == old
    assert corrected.lookup("CN-SC", "location", summer, ms(2026, 2, 1)).ref == "cn-grid/CN-SC/2023/location@2"
    stand_in = corrected.lookup("CN-SC", "location", ms(2026, 2, 1), ms(2026, 2, 1))
    assert (stand_in.version, stand_in.provisional) == (2, True)


DAY_MS = 86_400_000
YEARS = range(2018, 2024)
REGIONS = ("AA", "BB-X")


def year_ms(year: int) -> int:
    return ms(year, 1, 1) - 8 * 3_600_000


@st.composite
def tables(draw: st.DrawFn) -> list[Factor]:
    """Records of two regions, any years of theirs, up to three versions each, published whenever."""
    keys = draw(
        st.sets(st.tuples(st.sampled_from(REGIONS), st.sampled_from(YEARS), st.integers(1, 3)), min_size=1, max_size=12)
    )
    return [
        Factor(
            id=f"s/{region}/{year}/location",
            version=version,
            region=region,
            lens="location",
            value_mg_per_kWh=draw(st.integers(1, 1_999_999)),
            gas_basis="CO2",
            data_year=year,
            valid_from_ms=year_ms(year),
            valid_to_ms=year_ms(year + 1),
            published_ms=year_ms(2018) + draw(st.integers(0, 2500)) * DAY_MS,
            confidence=draw(st.sampled_from("AB")),
            publisher="p",
            document="d",
        )
        for region, year, version in sorted(keys)
    ]


def naive(records: list[Factor], region: str, t_ms: int, as_of_ms: int) -> Factor | None:
    """The rule word for word: the year of t, its highest version; else the newest older year, provisional."""
    local = datetime.fromtimestamp(t_ms // 1000 + 8 * 3600, UTC)
    known = [each for each in records if each.region == region and each.published_ms <= as_of_ms]
    for year in range(local.year, YEARS[0] - 1, -1):
        of_year = [each for each in known if each.data_year == year]
        if of_year:
            return replace(max(of_year, key=lambda each: each.version), provisional=year != local.year)
    return None


TIMES = st.one_of(
    st.integers(year_ms(2017), year_ms(2026)),
    st.builds(lambda year, off: year_ms(year) + off, st.integers(2017, 2025), st.integers(-1000, 1000)),
)


@given(tables(), st.sampled_from(REGIONS), st.lists(TIMES, min_size=1, max_size=5), TIMES, st.booleans())
def test_the_look_up_agrees_with_a_naive_search(
    records: list[Factor], region: str, times: list[int], as_of: int, everything: bool
) -> None:
    factors = FactorSet(records, everything)
    booked: dict[int, Factor] = {}
    for t_ms in times:
        expected = naive(records, region, t_ms, as_of)
        if expected is None or not (everything or expected.confidence == "A"):
            with pytest.raises(FactorError):
                factors.lookup(region, "location", t_ms, as_of)
        else:
            booked[t_ms] = factors.lookup(region, "location", t_ms, as_of)
            assert booked[t_ms] == expected
    # What a block names is enough to find all of it again, also when more is known by then.
    part = factors.only(factor.ref for factor in booked.values())
    assert {t_ms: part.lookup(region, "location", t_ms, as_of) for t_ms in booked} == booked
    assert {t_ms: part.lookup(region, "location", t_ms, 2**53) for t_ms in booked} == booked
