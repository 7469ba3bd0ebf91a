"""Tables, exact amounts and JSON as the command prints them."""

import json

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from ext import Quality
from gateway.cli import output


def printed(function, *args, color: bool = False, **kwargs) -> str:
    @click.command()
    def command() -> None:
        function(*args, **kwargs)

    return CliRunner().invoke(command, color=color, catch_exceptions=False).output


@pytest.mark.parametrize(
    ("amount_ng", "text"),
    [
        (2**53 + 1, "9007.199254740993"),
        ("9007199254740993", "9007.199254740993"),
        (1, "0.000000000001"),
        (-1, "-0.000000000001"),
        (0, "0.000000000000"),
        (None, output.NONE),
        (10**40 + 1, "1" + "0" * 28 + ".000000000001"),
    ],
)
def test_a_gram_is_believed_to_the_last_nanogram(amount_ng, text):
    assert output.kg(amount_ng) == text


@given(st.integers(-(10**38), 10**38))
def test_exact_amounts_read_back_unchanged(amount):
    assert int(output.kWh(amount).replace(".", "")) == amount
    assert int(output.kg(amount).replace(".", "")) == amount


@pytest.mark.parametrize(
    ("energy_mWh", "text"),
    [
        (500, "0.000"),
        (501, "0.001"),
        (1500, "0.002"),
        (2500, "0.002"),
        (-1500, "-0.002"),
        (123456789, "123.457"),
    ],
)
def test_fewer_places_round_half_to_even(energy_mWh, text):
    assert output.kWh(energy_mWh, places=3) == text


def test_an_emission_factor_keeps_its_digits():
    assert output.g_per_kWh(140_404) == "140.404"


def test_columns_stay_in_line_beside_chinese_names_and_colours():
    rows = [["光伏棚", click.style("ok", fg="green"), "1.5"], ["pump-2", "late", "12.25"]]
    lines = printed(output.echo_table, ["device", "state", "kWh"], rows, right=frozenset({"kWh"})).splitlines()
    assert lines == ["device  state    kWh", "光伏棚  ok       1.5", "pump-2  late   12.25"]
    assert {output.cells(line) for line in lines} == {20}


def test_a_combining_mark_takes_no_cell():
    assert output.cells("e\u0301") == 1
    assert output.cells("度") == 2
    assert output.cells(click.style("度", fg="red")) == 2


def test_colours_only_reach_terminals():
    assert printed(lambda: click.echo(output.mark("bad"))) == "bad\n"
    assert "\x1b[31m" in printed(lambda: click.echo(output.mark("bad")), color=True)


def test_json_keeps_text_and_numbers():
    data = {"device": "光伏棚", "emitted_ng": str(2**53 + 1), "energy_mWh": 2**53 - 1, "power_W": None}
    text = printed(output.echo_json, data)
    assert json.loads(text) == data
    assert "光伏棚" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (3 * 86400, "3 d"), (None, output.NONE)],
)
def test_spans_are_short(seconds, text):
    assert output.span(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(1023, "1023 B"), (2048, "2 KiB"), (5 * 2**20, "5 MiB"), (2**40, "1024.0 GiB"), (None, output.NONE)],
)
def test_sizes_are_short(count, text):
    assert output.size(count) == text


def test_times_are_utc():
    assert output.utc(1_790_000_000_000) == "2026-09-21 14:13:20Z"
    assert output.utc(None) == output.NONE


@pytest.mark.parametrize(("value", "text"), [(230.10000000000002, "230.1"), (7, "7"), ("SN1", "SN1"), (None, "–")])
def test_values_carry_no_noise(value, text):
    assert output.quantity(value) == text


def test_each_reason_for_no_value_is_another_word():
    words = [output.reason(quality.name.lower()) for quality in Quality]
    assert len(set(words)) == len(words)
    assert {"asleep", "stale", "frozen", "out of range", "implausible", "disconnected", "refused"} <= set(words)
    assert not any("_" in word for word in words)
