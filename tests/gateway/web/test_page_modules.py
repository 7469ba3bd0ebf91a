"""The page's own arithmetic, run by node: carbon is exact, gaps stay gaps."""

import json
import random
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import gateway.web.server

JS = Path(gateway.web.server.__file__).parent / "page" / "js"
NBSP = "\u00a0"
MINUS = "\u2212"


def run_js(code: str, given: Any = None) -> Any:
    """What the function body `code` returns; it sees `given` and the modules `format` and `history`."""
    script = f"""
        import * as format from {json.dumps((JS / "format.js").as_uri())};
        import * as history from {json.dumps((JS / "history.js").as_uri())};
        const given = {json.dumps(given)};
        console.log(JSON.stringify((() => {{ {code} }})()));
    """
    ran = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, text=True, timeout=30)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def carbon_text(ng: int) -> str:
    """The same rule as the page's, in Python's integers: three places, half to even, no unit below 1."""
    for unit, exponent in (("t", 15), ("kg", 12), ("g", 9), ("mg", 6)):
        thousandths = round(Fraction(abs(ng), 10 ** (exponent - 3)))
        if thousandths >= 1000:
            sign = MINUS if ng < 0 else ""
            return f"{sign}{thousandths // 1000:,}.{thousandths % 1000:03d}{NBSP}{unit}"
    return f"{ng:,}{NBSP}ng".replace("-", MINUS)


def test_carbon_is_exact_far_beyond_what_a_number_holds() -> None:
    chance = random.Random(7)
    amounts = [0, 1, -1, 2**53 + 1, 10**24 + 1, 10**12 - 1, 999_500, 999_999, 10**6]
    amounts += [1_000_500_000, 1_001_500_000, -1_000_500_000]  # halves, to even
    amounts += [chance.randrange(-(10**k), 10**k) for k in range(1, 25) for _ in range(8)]
    shown = run_js(
        "const f = format.makeFormat('en'); return given.map((ng) => [f.carbon(ng), f.exactCarbon(ng)])",
        [str(ng) for ng in amounts],
    )
    assert shown == [[carbon_text(ng), f"{ng:,}{NBSP}ng".replace("-", MINUS)] for ng in amounts]
    assert [carbon_text(2**53 + 1), f"9,007,199,254,740,993{NBSP}ng"] == shown[3]


def test_no_value_is_a_dash_in_every_kind() -> None:
    code = """
        const f = format.makeFormat("zh-CN");
        return [f.power, f.energy, f.carbon, f.exactCarbon, f.value, f.bytes].map((kind) => kind(null));
    """
    assert run_js(code) == ["—"] * 6


def test_units_follow_the_size() -> None:
    code = """
        const f = format.makeFormat("en");
        return [
            f.power(0), f.power(999.4), f.power(999.6), f.power(-2410), f.power(999994), f.power(1.5e6),
            f.energy(0), f.energy(999499), f.energy(100000000), f.energy(640000000), f.energy(64e10),
            f.factor(140400), f.factor(1), f.bytes(999), f.bytes(1234567),
            f.value(0.1234, "mg/L"), f.value("HV1", ""),
        ];
    """
    assert [text.replace(NBSP, " ") for text in run_js(code)] == [
        *("0 W", "999 W", "1.00 kW", "−2.41 kW", "999.99 kW", "1.50 MW"),
        *("0 Wh", "999 Wh", "100.00 kWh", "640.00 kWh", "640.00 MWh"),
        *("0.1404 kg/kWh", "0.000001 kg/kWh", "999 B", "1.2 MB", "0.123 mg/L", "HV1"),
    ]


def test_ages_are_said_in_both_languages() -> None:
    code = """
        const say = (locale) => [0, 30, 89, 90, 5400, 172800].map(format.makeFormat(locale).ago);
        return [say("en"), say("zh-CN")];
    """
    english, chinese = run_js(code)
    assert english == ["now", "30s ago", "89s ago", "2m ago", "2h ago", "2d ago"]
    assert chinese[0] == "现在"
    assert all(text.endswith("前") for text in chinese[1:5])


def test_a_young_history_begins_with_its_first_value_and_keeps_its_gaps() -> None:
    code = """
        const power = new history.PowerHistory(60);
        power.replace("a", [60000, 65000, 70000, 80000], [100, 300, null, 500]);
        power.replace("b", [60000, 70000, 80000], [10, 20, 30]);
        power.replace("never", [60000, 70000], [null, null]);
        power.add("a", 90000, 7);
        return power.columns([["a", "b", "never"], ["b"], ["never"], ["unknown"]], 90500);
    """
    assert run_js(code) == [
        [60, 70, 80, 90],
        [210, None, 530, None],  # a and b: mean of a's two values; a is missing, then b
        [10, 20, 30, None],
        [None] * 4,
        [None] * 4,
    ]


def test_a_longer_history_is_drawn_by_the_minute_and_forgets_what_left_its_window() -> None:
    code = """
        const power = new history.PowerHistory(12);
        for (let step = 0; step < 20 * 6; step += 1) power.add("a", step * 10000, step);
        return power.columns([["a"]], 20 * 60000 - 1);
    """
    times, means = run_js(code)
    assert times == [60 * minute for minute in range(8, 20)]
    assert means == [6 * minute + 2.5 for minute in range(8, 20)]


def test_a_history_without_values_is_one_gap() -> None:
    assert run_js("return new history.PowerHistory(60).columns([['a']], 60000)") == [[60], [None]]
