"""Explanation: every word that an entry can have has its sentence, and every amount its calculation."""

from typing import Any

import pytest

from gateway.carbon.booking.rules import Method
from gateway.carbon.proof import explanation
from gateway.store.flag import Flag, flag_names
from gateway.store.row_class import RowClass

ENTRY: dict[str, Any] = {
    "method": Method.GRID_AVERAGE.value,
    "epoch": 1,
    "energy_mWh": 300,
    "matched_mWh": None,
    "emitted_ng": "42000000",
    "baseline_ng": None,
}


def test_every_class_and_every_flag_has_a_sentence() -> None:
    assert set(explanation.CLASSES) == {row_class.name.lower() for row_class in RowClass}
    assert set(explanation.FLAGS) == set(flag_names(sum(Flag)))


def test_a_counter_that_may_have_turned_over_is_no_wrap() -> None:
    said = explanation.words("suspect", ["ambiguous", "wrap", "provisional"])
    assert [step["about"] for step in said] == ["class suspect", "flags ambiguous, wrap", "flag provisional"]
    assert "any number of times" in said[1]["text"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "emitted_ng: 300 mWh x 140000 mg/kWh = 42000000 ng"),
        ({"matched_mWh": 100, "emitted_ng": "28000000"}, "emitted_ng: (300 - 100 under contract) mWh x 140000"),
        ({"emitted_ng": "0", "baseline_ng": "42000000"}, "baseline_ng: 300 mWh x 140000 mg/kWh = 42000000 ng"),
        ({"energy_mWh": -300, "emitted_ng": "-42000000"}, "emitted_ng: -300 mWh x 140000 mg/kWh = -42000000 ng"),
        (
            {"epoch": None, "method": Method.CONTRACT_RESIDUAL.value, "emitted_ng": "28000000"},
            "emitted_ng: (300 - 100 under contract) mWh x 140000 mg/kWh = 28000000 ng",
        ),
    ],
)
def test_how_an_amount_follows(changes: dict[str, Any], text: str) -> None:
    said = explanation.carbon(ENTRY | changes, 140_000)["text"]
    assert said.startswith(text)
    assert "verify" not in said


def test_an_amount_that_does_not_follow_is_said_so() -> None:
    said = explanation.carbon(ENTRY | {"emitted_ng": "42000001"}, 140_000)["text"]
    assert said.endswith("= 42000000 ng, but 42000001 ng is booked: run `huxi ledger verify`")
    assert "0 ng" in explanation.carbon(ENTRY, None)["text"]


@pytest.mark.parametrize(
    ("begin", "end", "energy_mWh", "text"),
    [
        (10, 13, 300, ": 3 x 100 mWh = 300 mWh"),
        (10, 13, 299, "; 299 mWh of what it counted fall into this row"),
        (10, 10, 50, "; 50 mWh of what it counted fall into this row"),
        (65530, 5, 1_100_000, "; 1100000 mWh of what it counted fall into this row"),
        (10, 9000, 0, ": 0 mWh are booked"),
        (10, 10, None, "the last count up to the begin is 10, up to the end 10"),
        (None, None, 77, "no counter: 77 mWh is the area under its power readings"),
    ],
)
def test_how_counts_give_energy(begin: int | None, end: int | None, energy_mWh: int | None, text: str) -> None:
    assert text in explanation.counter(begin, end, energy_mWh)["text"]
