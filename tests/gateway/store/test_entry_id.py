"""Entry id: equal wherever the same was booked, so what goes into it is settled to the byte."""

import hashlib
from typing import Any

import pytest

from gateway.store.ledger.entry_id import entry_id
from gateway.store.row_class import RowKind

NORMAL: dict[str, Any] = {
    "device": "grid",
    "register": "import",
    "epoch": 1,
    "t0_ms": 1_733_760_000_000,
    "t1_ms": 1_733_760_300_000,
    "lens": "location",
    "account": "inventory",
    "method": "electricity.grid-average/1",
    "factor": "cn-grid/CN-SC/2021/location@1",
    "kind": RowKind.NORMAL,
    "reverses": None,
    "run": None,
}
TAKEN_BACK = NORMAL | {"kind": RowKind.REVERSAL, "reverses": "00ff" * 8, "run": "step/grid/import/1733760600000"}


def test_a_normal_entry_is_named_by_the_canonical_json_of_what_it_says() -> None:
    said = (
        b'{"account":"inventory","device":"grid","epoch":1,"factor":"cn-grid/CN-SC/2021/location@1","kind":"normal",'
        b'"lens":"location","method":"electricity.grid-average/1","register":"import","reverses":null,"run":null,'
        b'"t0_ms":1733760000000,"t1_ms":1733760300000}'
    )
    assert entry_id(**NORMAL) == hashlib.sha256(said).hexdigest()[:32] == "cd0e1907ab7b1c4e75a2136f7052be80"


def test_a_reversal_names_what_it_takes_back_and_what_made_it() -> None:
    said = (
        b'{"account":"inventory","device":"grid","epoch":1,"factor":"cn-grid/CN-SC/2021/location@1","kind":"reversal",'
        b'"lens":"location","method":"electricity.grid-average/1","register":"import",'
        b'"reverses":"00ff00ff00ff00ff00ff00ff00ff00ff","run":"step/grid/import/1733760600000",'
        b'"t0_ms":1733760000000,"t1_ms":1733760300000}'
    )
    assert entry_id(**TAKEN_BACK) == hashlib.sha256(said).hexdigest()[:32] == "60d9a205e6234c0545fb2a7283effd23"


@pytest.mark.parametrize("name", NORMAL)
def test_everything_that_is_said_makes_another_entry(name: str) -> None:
    other = RowKind.RESTATEMENT if name == "kind" else 7 if isinstance(NORMAL[name], int) else "x"
    assert entry_id(**(NORMAL | {name: other})) != entry_id(**NORMAL)
