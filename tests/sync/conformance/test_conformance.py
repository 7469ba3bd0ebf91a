"""The conformance kit: a small foreign receiver keeps every clause, ours too; each planted mistake is found."""

import re
from pathlib import Path

import pytest

import sync
from sync.conformance.checks import CHECKS
from sync.conformance.report import examine
from sync.errors import Refused, SyncError
from sync.transports.client import Way
from tests.sync.conformance.small_receiver import TOKEN, SmallReceiver, serving

CLAUSES = [check.__name__.replace("_", "-") for check in CHECKS]


async def broken(app, *clauses):
    """Those of the clauses, or of all, that the receiver breaks, with what it does instead."""
    asked = clauses or tuple(CLAUSES)
    checks = [check for check, clause in zip(CHECKS, CLAUSES, strict=True) if clause in asked]
    async with serving(app) as url:
        findings = [finding async for finding in examine(Way(url=url), TOKEN, "conform-01", checks)]
    assert [finding.clause for finding in findings] == list(asked)
    return {finding.clause: finding.wrong for finding in findings if finding.wrong is not None}


@pytest.mark.slow
async def test_a_small_receiver_written_from_the_page_conforms():
    assert await broken(SmallReceiver().app) == {}


@pytest.mark.parametrize("mistake", CLAUSES)
async def test_each_planted_mistake_is_found_at_its_clause(mistake):
    found = await broken(SmallReceiver(mistake).app, mistake)
    assert len(found[mistake]) > 10


@pytest.mark.slow
@pytest.mark.parametrize("mistake", ["chain-before-gap", "tombstone-chain", "byte-for-byte"])
async def test_a_small_mistake_is_found_at_its_clause_alone(mistake):
    assert list(await broken(SmallReceiver(mistake).app)) == [mistake]


async def test_amounts_as_numbers_are_found():
    found = await broken(SmallReceiver("exact").app, "totals")
    assert "not a decimal string" in found["totals"]


async def test_a_receiver_that_cannot_be_asked_is_no_finding():
    async with serving(SmallReceiver().app) as url:
        with pytest.raises(Refused, match="refuses this token"):
            await anext(examine(Way(url=url), "wrong-token", "conform-01"))
        with pytest.raises(SyncError, match="not like a huxi receiver"):
            await anext(examine(Way(url=f"{url}/elsewhere"), TOKEN, "conform-01"))


def test_every_clause_is_named_in_the_contract():
    text = (Path(sync.__file__).parents[1] / "docs" / "sync-contract.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z-]+)` \| rule", text, re.MULTILINE)) == set(CLAUSES)
