"""Rules: which statement each register's energy goes into."""

import pytest

from gateway.carbon.errors import RuleError
from gateway.carbon.rules import Declaration, lines_of

CONSUMERS = ("load", "charger", "wastewater", "water", "light")


def found(role: str, flow: str, supply: str = "grid", baseline: str | None = None) -> list[tuple[str, str]]:
    declared = Declaration(role=role, supply=supply, baseline=baseline)
    return [(line.account.value, line.method.name) for line in lines_of(declared, flow)]


@pytest.mark.parametrize(
    ("role", "flow", "supply", "baseline", "lines"),
    [
        ("grid", "import", "grid", None, [("inventory", "GRID_AVERAGE")]),
        ("grid", "export", "grid", None, [("memo", "NONE")]),
        ("hydro", "import", "grid", None, [("allocation", "GRID_AVERAGE")]),
        ("hydro", "import", "direct", None, [("allocation", "NONE")]),
        ("hydro", "import", "direct", "grid", [("allocation", "NONE"), ("project", "DISPLACED")]),
        ("hydro", "export", "grid", None, [("memo", "NONE")]),
        ("pv", "generation", "grid", None, [("memo", "NONE")]),
        ("pv", "generation", "grid", "grid", [("memo", "NONE"), ("project", "DISPLACED")]),
        ("pv", "consumption", "grid", "grid", [("allocation", "GRID_AVERAGE")]),
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
def test_rules(role: str, flow: str, supply: str, baseline: str | None, lines: list[tuple[str, str]]) -> None:
    assert found(role, flow, supply, baseline) == lines


def test_only_grid_import_is_in_the_inventory() -> None:
    flows = ("import", "export", "generation", "consumption", "charge", "discharge")
    for role in ("hydro", "pv", "battery", "generator", *CONSUMERS):
        for flow in flows:
            try:
                lines = found(role, flow)
            except RuleError:
                continue
            assert "inventory" not in [account for account, _ in lines]


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
    ],
)
def test_declarations_without_a_rule(declared: Declaration, flow: str, message: str) -> None:
    with pytest.raises(RuleError, match=message):
        lines_of(declared, flow)


def test_the_market_lens_comes_later() -> None:
    with pytest.raises(RuleError, match="lens 'market' comes later"):
        lines_of(Declaration(role="grid"), "import", "market")
