"""Wastewater: process emissions of a treatment unit from its loads, in integers (docs/method.md).

Everything but the one rounding of each entry is exact: a load is a volume times a concentration, a factor a fraction.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final, NamedTuple

from ext import ratio
from gateway.carbon.errors import CarbonError

N2O_PER_N: Final = Fraction(44, 28)
"""Mass of nitrous oxide over that of the nitrogen in it."""


class WastewaterMethod(StrEnum):
    """How emissions follow from loads; the two never stand in one series. The ids are stored."""

    IPCC2019_INLET = "wastewater.ipcc2019-inlet/1"  # from what enters, and what leaves with the effluent
    CN_REMOVED = "wastewater.cn-removed/1"  # from the COD that is removed


@dataclass(frozen=True, slots=True, kw_only=True)
class GwpSet:
    """Global warming potentials over 100 years, in kg CO2e per kg."""

    id: str
    ch4: Fraction
    n2o: Fraction


GWP_SETS: Final = {
    gwp.id: gwp
    for gwp in (
        GwpSet(id="AR6-nonfossil", ch4=Fraction(27), n2o=Fraction(273)),
        GwpSet(id="AR6-27.9", ch4=Fraction(279, 10), n2o=Fraction(273)),
        GwpSet(id="AR5", ch4=Fraction(28), n2o=Fraction(265)),
    )
}
"""By id. Which one is used is declared, and part of every statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loads:
    """What goes through a unit in one interval, in nanograms."""

    cod_in: int
    cod_out: int
    tn_in: int
    tn_out: int
    cod_sludge: int = 0
    """COD that leaves with the sludge."""
    ch4_recovered: int = 0
    """Methane that is caught."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InletFactors:
    """Emission factors of `IPCC2019_INLET`."""

    ch4: Fraction
    """kg CH4 per kg COD that enters."""
    n2o: Fraction
    """kg N2O-N per kg N that enters."""
    ch4_effluent: Fraction
    """kg CH4 per kg COD in the effluent."""
    n2o_effluent: Fraction
    """kg N2O-N per kg N in the effluent."""


class Emission(NamedTuple):
    """One entry of process gas."""

    source: str
    """"plant" or "effluent"."""
    gas: str
    co2e_ng: int


def load_ng(volume_mL: int, concentration_ug_per_L: int) -> int:
    """Mass in a volume, exact: mL times ug/L is ng."""
    return volume_mL * concentration_ug_per_L


def ipcc2019_inlet(loads: Loads, factors: InletFactors, gwp: GwpSet) -> list[Emission]:
    """What plant and effluent emit, each rounded half to even once.

    Raises CarbonError when more leaves the balance than enters, OverflowError beyond 64 bits.
    """
    # Fractions of the factor's denominator, so that recovery comes off before the one rounding.
    digested = (loads.cod_in - loads.cod_sludge) * factors.ch4.numerator
    digested -= loads.ch4_recovered * factors.ch4.denominator
    return [
        _emission("plant", "CH4", digested, gwp.ch4 / factors.ch4.denominator),
        _emission("plant", "N2O", loads.tn_in, factors.n2o * N2O_PER_N * gwp.n2o),
        _emission("effluent", "CH4", loads.cod_out, factors.ch4_effluent * gwp.ch4),
        _emission("effluent", "N2O", loads.tn_out, factors.n2o_effluent * N2O_PER_N * gwp.n2o),
    ]


def cn_removed(loads: Loads, ch4: Fraction, gwp: GwpSet) -> list[Emission]:
    """What the plant emits, by a factor `ch4` in kg per kg COD removed; errors as above."""
    return [_emission("plant", "CH4", loads.cod_in - loads.cod_out, ch4 * gwp.ch4)]


def _emission(source: str, gas: str, mass: int, coefficient: Fraction) -> Emission:
    if mass < 0:
        raise CarbonError(f"the {gas} of the {source} would be below zero; check sludge, recovery and concentrations")
    return Emission(source, gas, ratio(mass, coefficient.numerator, coefficient.denominator))
