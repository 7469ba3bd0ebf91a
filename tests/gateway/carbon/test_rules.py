"""Rules: which statement each register's energy goes into, under each lens."""

import pytest

from gateway.carbon.booking.rules import Declaration, lines_of, memo, takes_from_grid
from gateway.carbon.errors import RuleError

CONSUMERS = ("load", "charger", "wastewater", "water", "light")
BOTH = ("location", "market")
FLOWS = ("import", "export", "generation", "consumption", "charge", "discharge")


def found(declared: Declaration, flow: str, lens: str = "location") -> list[tuple[str, str]]:
    lines = lines_of(declared, flow, [lens])
    assert {line.lens for line in lines} == {lens}
    return [(line.account.value, line.method.name) for line in lines]


@pytest.mark.parametrize(
    ("role", "flow", "supply", "baseline", "lines"),
    [
        ("grid", "import", "grid", None, [("inventory", "GRID_AVERAGE")]),
        ("grid", "export", "grid", None, [("memo", "NONE")]),
        ("hydro", "import", "grid", None, [("allocation", "GRID_AVERAGE")]),
        ("hydro", "import", "direct", None, [("allocation", "NONE")]),
        ("hydro", "import", "direct", "grid", [("allocation", "NONE"), ("project", "DISPLACED")]),
        ("hydro", "export", "grid", None, [("memo", "NONE")]),
        ("hydro", "generation", "grid", None, [("memo", "NONE")]),
        ("pv", "generation", "grid", None, [("memo", "NONE")]),
        ("pv", "generation", "grid", "grid", [("memo", "NONE"), ("project", "DISPLACED")]),
        ("pv", "consumption", "grid", "grid", [("allocation", "GRID_AVERAGE")]),
        ("generator", "generation", "grid", "grid", [("memo", "NONE")]),
        ("battery", "charge", "grid", None, [("memo", "NONE")]),
        ("battery", "discharge", "grid", None, [("memo", "NONE")]),
        ("battery", "consumption", "grid", None, [("allocation", "GRID_AVERAGE")]),
        ("wastewater", "generation", "own", None, [("memo", "NONE")]),
        *((role, "consumption", "grid", None, [("allocation", "GRID_AVERAGE")]) for role in CONSUMERS),
        *((role, "import", "grid", None, [("allocation", "GRID_AVERAGE")]) for role in CONSUMERS),
        *((role, "consumption", "own", None, [("allocation", "NONE")]) for role in CONSUMERS),
        ("light", "consumption", "own", "grid", [("allocation", "NONE"), ("project", "DISPLACED")]),
    ],
)
def test_location(role: str, flow: str, supply: str, baseline: str | None, lines: list[tuple[str, str]]) -> None:
    assert found(Declaration(role=role, supply=supply, baseline=baseline), flow) == lines


SOLD = [("inventory", "RESIDUAL")]


@pytest.mark.parametrize(
    ("declared", "flow", "lines"),
    [
        (Declaration(role="grid"), "import", [("inventory", "RESIDUAL")]),
        (Declaration(role="grid", contract_mWh=1), "import", [("inventory", "CONTRACT_RESIDUAL")]),
        (Declaration(role="grid", contract_mWh=1), "export", [("memo", "NONE")]),
        (Declaration(role="hydro"), "import", [("allocation", "RESIDUAL")]),
        (Declaration(role="hydro", contract_mWh=1), "import", [("allocation", "CONTRACT_RESIDUAL")]),
        (Declaration(role="hydro", supply="direct", attributes_retained=True), "import", [("allocation", "NONE")]),
        (Declaration(role="hydro", supply="direct", attributes_retained=False), "import", SOLD),
        (Declaration(role="hydro", attributes_retained=False), "generation", SOLD),
        (Declaration(role="generator", attributes_retained=True), "generation", [("memo", "NONE")]),
        (Declaration(role="generator", attributes_retained=False), "generation", SOLD),
        (Declaration(role="pv", baseline="grid", attributes_retained=True), "generation", [("memo", "NONE")]),
        (Declaration(role="pv", baseline="grid", attributes_retained=False), "generation", SOLD),
        (Declaration(role="charger", contract_mWh=1), "charge", [("allocation", "CONTRACT_RESIDUAL")]),
        (Declaration(role="charger", supply="direct"), "charge", [("allocation", "NONE")]),
        (Declaration(role="light", supply="own", baseline="grid"), "consumption", [("allocation", "NONE")]),
        (Declaration(role="battery"), "charge", [("memo", "NONE")]),
        (Declaration(role="wastewater", supply="own"), "generation", [("memo", "NONE")]),
    ],
)
def test_market(declared: Declaration, flow: str, lines: list[tuple[str, str]]) -> None:
    assert found(declared, flow, "market") == lines


@pytest.mark.parametrize(
    ("role", "supply", "flow"), [("pv", "grid", "generation"), ("hydro", "direct", "import"), ("pv", "own", "import")]
)
def test_who_sells_the_certificates_has_no_avoided_claim_under_any_lens(role: str, supply: str, flow: str) -> None:
    for retained in (True, None, False):
        declared = Declaration(role=role, supply=supply, baseline="grid", attributes_retained=retained)
        accounts = [account for account, _ in found(declared, flow)]
        has_certificates = (role, flow) != ("pv", "import")
        assert ("project" in accounts) is not (has_certificates and retained is False)


@pytest.mark.parametrize(
    ("role", "supply", "flow"),
    [
        ("pv", "grid", "generation"),
        ("generator", "grid", "generation"),
        ("hydro", "grid", "generation"),
        ("hydro", "direct", "import"),
        ("hydro", "own", "consumption"),
    ],
)
def test_the_market_lens_does_not_guess_what_became_of_certificates(role: str, supply: str, flow: str) -> None:
    declared = Declaration(role=role, supply=supply)
    assert found(declared, flow)  # the location lens does not need it
    with pytest.raises(RuleError, match=f"cannot report a device of role '{role}' without attributes_retained") as told:
        lines_of(declared, flow, BOTH)
    assert told.value.key == "attributes_retained"


def test_lenses_stand_side_by_side_in_their_order() -> None:
    declared = Declaration(role="pv", baseline="grid", attributes_retained=True)
    assert [(line.lens, line.account.value) for line in lines_of(declared, "generation", BOTH)] == [
        ("location", "memo"),
        ("location", "project"),
        ("market", "memo"),
    ]
    assert [(line.lens, line.account.value) for line in memo(BOTH)] == [("location", "memo"), ("market", "memo")]


def test_only_grid_import_is_in_the_inventory_while_certificates_are_kept() -> None:
    for role in ("hydro", "pv", "battery", "generator", *CONSUMERS):
        retained = True if role in ("hydro", "pv", "generator") else None
        for flow in FLOWS:
            try:
                lines = lines_of(Declaration(role=role, attributes_retained=retained), flow, BOTH)
            except RuleError:
                continue
            assert "inventory" not in [line.account for line in lines]


@pytest.mark.parametrize(
    ("declared", "flow", "message"),
    [
        (Declaration(role="sun"), "import", "role 'sun' has no rules; the roles are grid, "),
        (Declaration(role="grid"), "generation", "role 'grid' cannot have a register of flow 'generation'"),
        (Declaration(role="grid", supply="own"), "import", "neither supply nor baseline"),
        (Declaration(role="grid", baseline="grid"), "import", "neither supply nor baseline"),
        (
            Declaration(role="charger", baseline="grid"),
            "consumption",
            "declare its supply, or remove the baseline",
        ),
        (Declaration(role="charger", attributes_retained=True), "charge", "remove attributes_retained"),
    ],
)
def test_declarations_without_a_rule(declared: Declaration, flow: str, message: str) -> None:
    with pytest.raises(RuleError, match=message):
        lines_of(declared, flow, ["location"])


def test_an_unknown_lens_is_refused() -> None:
    with pytest.raises(RuleError, match="lens 'lifecycle' has no rules; the lenses are location, market"):
        lines_of(Declaration(role="grid"), "import", ["location", "lifecycle"])


def test_a_contract_is_for_what_comes_from_the_grid() -> None:
    assert takes_from_grid(Declaration(role="grid"), "import")
    assert takes_from_grid(Declaration(role="charger"), "charge")
    assert not takes_from_grid(Declaration(role="grid"), "export")
    assert not takes_from_grid(Declaration(role="charger", supply="direct"), "charge")
    assert not takes_from_grid(Declaration(role="battery"), "charge")
