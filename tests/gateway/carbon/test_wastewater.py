"""Wastewater: process emissions from loads, exact but for one rounding."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.carbon.errors import CarbonError
from gateway.carbon.wastewater import (
    GWP_SETS,
    InletFactors,
    Loads,
    WastewaterMethod,
    cn_removed,
    ipcc2019_inlet,
    load_ng,
)

AR6 = GWP_SETS["AR6-nonfossil"]
AEROBIC = InletFactors(
    ch4=Fraction("0.0075"), n2o=Fraction("0.016"), ch4_effluent=Fraction("0.009"), n2o_effluent=Fraction("0.005")
)
VOLUME_ML = 48_000_000
LOADS = Loads(
    cod_in=load_ng(VOLUME_ML, 280_000),
    cod_out=load_ng(VOLUME_ML, 40_000),
    tn_in=load_ng(VOLUME_ML, 42_000),
    tn_out=load_ng(VOLUME_ML, 14_000),
)


def test_i14_a_day_of_an_aerobic_unit() -> None:
    assert ipcc2019_inlet(LOADS, AEROBIC, AR6) == [
        ("plant", "CH4", 2_721_600_000_000),
        ("plant", "N2O", 13_837_824_000_000),
        ("effluent", "CH4", 466_560_000_000),
        ("effluent", "N2O", 1_441_440_000_000),
    ]


def test_the_two_methods_have_ids_and_results_of_their_own() -> None:
    assert [str(method) for method in WastewaterMethod] == ["wastewater.ipcc2019-inlet/1", "wastewater.cn-removed/1"]
    (only,) = cn_removed(LOADS, Fraction("0.0078"), AR6)
    assert only == ("plant", "CH4", 11_520 * 78 * 27 * 10**5)  # 11 520 g COD removed


def test_the_potentials_are_a_choice() -> None:
    methane = {name: ipcc2019_inlet(LOADS, AEROBIC, gwp)[0].co2e_ng for name, gwp in GWP_SETS.items()}
    assert methane == {
        "AR6-nonfossil": 2_721_600_000_000,
        "AR6-27.9": 2_812_320_000_000,
        "AR5": 2_822_400_000_000,
    }


def test_sludge_and_recovered_gas_come_off_before_the_one_rounding() -> None:
    loads = replace(LOADS, cod_in=1003, cod_sludge=2, ch4_recovered=7)
    # 1001 * 0.0075 = 7.5075, less 7 is 0.5075, times 27 is 13.7025
    assert ipcc2019_inlet(loads, AEROBIC, AR6)[0].co2e_ng == 14


@pytest.mark.parametrize(
    "loads", [replace(LOADS, cod_sludge=LOADS.cod_in + 1), replace(LOADS, ch4_recovered=101 * 10**9)]
)
def test_more_out_than_in_is_refused(loads: Loads) -> None:
    with pytest.raises(CarbonError, match="the CH4 of the plant would be below zero"):
        ipcc2019_inlet(loads, AEROBIC, AR6)
    with pytest.raises(CarbonError, match="below zero"):
        cn_removed(replace(LOADS, cod_out=LOADS.cod_in + 1), Fraction(1, 100), AR6)


def test_what_leaves_64_bits_raises() -> None:
    with pytest.raises(OverflowError):
        ipcc2019_inlet(replace(LOADS, tn_in=2**62), AEROBIC, AR6)


masses = st.integers(0, 10**15)


@given(masses, masses, masses, masses)
def test_each_entry_is_rounded_once(cod_in: int, cod_out: int, tn_in: int, tn_out: int) -> None:
    loads = Loads(cod_in=cod_in, cod_out=cod_out, tn_in=tn_in, tn_out=tn_out)
    exact = [
        cod_in * AEROBIC.ch4 * 27,
        tn_in * AEROBIC.n2o * Fraction(44, 28) * 273,
        cod_out * AEROBIC.ch4_effluent * 27,
        tn_out * AEROBIC.n2o_effluent * Fraction(44, 28) * 273,
    ]
    assert [each.co2e_ng for each in ipcc2019_inlet(loads, AEROBIC, AR6)] == [round(amount) for amount in exact]
