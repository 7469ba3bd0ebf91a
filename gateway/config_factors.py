"""The factors of a configuration: its data folder's with the shipped ones, and whether they may be used."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from drivers.faults import Fault
from drivers.toml_file import Where, did_you_mean, key_text, line_of
from gateway.carbon.errors import FactorError
from gateway.carbon.factors.factor_set import CONFIDENCE, Factor, FactorSet, own_files, shipped
from gateway.config_checks import Sound

END_MS = 2**53
"""By then everything is published that is in the tables."""


def site_factors(path: Path, text: str, sound: Sound, now_ms: int) -> tuple[FactorSet | None, list[Fault]]:
    """The factors that the configuration `text` in `path` may use, and what is wrong with them or its choice.

    None when a factor file has faults, which are then the only ones.
    """
    accept = sound.carbon.accept_unverified if sound.carbon else False
    try:
        own = [] if sound.data_dir is None else own_files(path.parent / sound.data_dir)
        factors = FactorSet.load(shipped(), *own).accepting(accept)
    except FactorError as error:
        return None, error.faults
    found = [
        *_unknown_region(factors, sound),
        *_residual_region(factors, sound),
        *_not_accepted(factors, sound, now_ms),
    ]
    if not isinstance(accept, bool):
        found += _unknown_refs(factors, accept)
    return factors, [
        Fault(file=str(path), line=line_of(text, where), key=key_text(where), message=message, hint=hint)
        for where, message, hint in found
    ]


_Found = tuple[Where, str, str]  # place, message, hint


def _unknown_region(factors: FactorSet, sound: Sound) -> Iterator[_Found]:
    regions = factors.regions()
    if sound.region is not None and sound.region not in regions:
        hint = did_you_mean(sound.region, regions)
        yield ("gateway", "region"), f"no factor is known for region {sound.region!r}", hint


def _residual_region(factors: FactorSet, sound: Sound) -> Iterator[_Found]:
    """Which residual mix a site takes is its own declaration: China publishes one for the nation only."""
    if sound.carbon is None:
        return
    residual = sound.carbon.residual_region
    known = sorted({record.region for record in factors.records if record.lens == "market"})
    where = ("carbon", "residual_region")
    if "market" not in sound.carbon.lenses:
        if residual is not None:
            yield where, "only the market lens takes a residual mix", 'add "market" to carbon.lenses, or remove it'
    elif residual is None:
        text = "the market lens needs the region of its residual mix: a national one inside a province is a choice"
        yield where, text, f"declare it; a residual mix is published for {', '.join(known)}"
    elif residual not in known:
        yield where, f"no residual mix is known for region {residual!r}", f"known are {', '.join(known)}"


def _not_accepted(factors: FactorSet, sound: Sound, now_ms: int) -> Iterator[_Found]:
    """The factors of present energy: by today's publications, and by those that have a date already."""
    in_force: dict[str, tuple[Where, Factor]] = {}
    for lens, region in (sound.carbon.regions(sound.region) if sound.carbon and sound.region else {}).items():
        for t_ms in (now_ms, END_MS):
            with suppress(FactorError):  # by a clock of 1970 nothing is published; a region may be unknown
                factor = factors.accepting(True).lookup(region, lens, t_ms, t_ms)
                where: Where = ("gateway", "region") if lens == "location" else ("carbon", "residual_region")
                in_force[factor.ref] = where, factor
    for where, factor in in_force.values():
        if not factors.accepts(factor):
            yield (
                where,
                f"factor {factor.ref} has confidence {factor.confidence} ({CONFIDENCE[factor.confidence]})",
                f'check it against {factor.document}, then add accept_unverified = ["{factor.ref}"] to [carbon]',
            )


def _unknown_refs(factors: FactorSet, accept: list[str]) -> Iterator[_Found]:
    """A misspelt reference would accept nothing."""
    refs = {record.ref for record in factors.records}
    for at, ref in enumerate(accept):
        if ref not in refs:
            near = difflib.get_close_matches(ref, refs, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "see `huxi factors list`"
            yield ("carbon", "accept_unverified", at), f"there is no factor {ref!r}", hint
