"""ledger trace: three steps from a total to the document behind it, on the daemon and offline."""

import asyncio
import json
import threading
from datetime import date
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.ledger_view import LedgerView
from gateway.store import outbox
from gateway.store.database import Store
from gateway.store.pruning import prune
from gateway.web.server import WebServer
from tests.day_totals import tamper

DAY = "2024-12-10"


@pytest.fixture
def trace(huxi, full_folder):
    """The output of `huxi ledger trace ARGS` for the stopped gateway."""

    def call(*args, exit_code=0):
        result = huxi("ledger", "trace", *args, "--offline", str(full_folder))
        assert result.exit_code == exit_code, result.stderr
        return result.stdout

    return call


def test_a_total_is_the_sum_of_its_entries(trace):
    lines = trace(DAY, "grid").splitlines()
    assert lines[:6] == [
        "grid on 2024-12-10, lens location",
        "F1 = cn-grid/CN-SC/2021/location@1",
        "F2 = cn-grid/CN-SC/2022/location@1",
        "",
        "import, inventory: 1.600000 kWh, emitted 0.224640000000 kg",
        "= the sum of 15 entries, to the last digit",
    ]
    answer = json.loads(trace(DAY, "grid", "--json"))
    (total,) = answer["totals"]
    assert sum(int(entry["emitted_ng"]) for entry in answer["entries"]) == int(total["emitted_ng"])
    assert sum(entry["energy_mWh"] for entry in answer["entries"]) == total["energy_mWh"]
    assert len(answer["entries"]) == total["rows"]
    assert [(row["seq"], row["row"]) for row in answer["missing"]] == [(5, 0)]
    assert "5:0  12-09 16:10:00Z  5 min  missing" in lines


def test_one_register_in_one_account(trace):
    answer = json.loads(trace(DAY, "pv", "yield", "--account", "project", "--json"))
    assert {(row["register"], row["account"]) for row in answer["totals"] + answer["entries"]} == {("yield", "project")}
    assert "baseline 0.140400000000 kg" in trace(DAY, "pv", "yield", "--account", "project")


def test_a_total_that_is_not_the_sum_is_said_so(trace, full_folder, write_in):
    write_in(full_folder, lambda conn: tamper(conn, of_device="grid", emitted_ng=1))
    assert "bad: the entries do not add up to it; run huxi ledger verify" in trace(DAY, "grid", exit_code=1)


def steps(trace, place):
    answer = json.loads(trace(place, "--json"))
    return {step["about"]: step["text"] for step in answer["steps"]}, answer


def test_an_entry_follows_from_its_interval_and_its_factor(trace):
    said, answer = steps(trace, "2:1")
    assert said["carbon"] == "emitted_ng: 200000 mWh x 125500 mg/kWh = 25100000000 ng"
    assert said["counter"] == "the last count up to the begin is 1000, up to the end 1002: 2 x 100000 mWh = 200000 mWh"
    assert said["flag wrap"].startswith("the counter passed its highest count")
    assert answer["entry"]["emitted_ng"] == "25100000000"
    assert (answer["factor"]["value_mg_per_kWh"], answer["factor"]["data_year"]) == (125_500, 2021)
    assert "Next step: huxi factors show cn-grid/CN-SC/2021/location@1" in trace("2:1")


def test_a_suspect_row_tells_its_bounds_and_its_alarms(trace):
    said, answer = steps(trace, "9:0")
    assert said["class suspect"].endswith("the bounds say what it can have been")
    assert "at least 0, at most 900000000 mWh" in said["bounds"]
    assert [(note["state"], note["at_ms"] > note["since_ms"]) for note in answer["coverage"]] == [("silent", True)]


def test_alarms_are_those_of_the_device_and_of_the_gateway(trace):
    _, answer = steps(trace, "11:0")
    assert [alarm["what"] for alarm in answer["alarms"]] == ["jump_rebased", "clock_step"]


def test_a_correction_shows_what_it_replaced_and_why(trace):
    said, answer = steps(trace, "14:0")
    assert said["kind reversal"].startswith(f"takes back entry {answer['past'][0]['entry_id']}: the counter showed")
    said, answer = steps(trace, "14:1")
    assert said["kind restatement"].startswith("states the time anew: the counter showed this energy late")
    kinds = [(entry["kind"], entry["rows"]) for entry in answer["past"]]
    assert kinds == [("normal", 1), ("reversal", 1), ("restatement", 1), ("reversal", 6), ("restatement", 6)]


def test_a_restated_day_is_a_sum_over_its_entries(trace):
    said, answer = steps(trace, "17:1")
    assert said["carbon"] == "emitted_ng: 1600000 mWh x 140400 mg/kWh = 224640000000 ng"
    assert said["kind restatement"] == "states them with another factor: newer values"
    assert answer["interval"] is None


def test_missing_time_is_explained_by_its_row_of_intervals(trace):
    said, answer = steps(trace, "5:0")
    assert answer["entry"] is None
    assert said["class missing"].startswith("no reading was accepted in this time")


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (["1:9"], "record 1 has no row 9: its rows are 0 to 1"),
        (["12:0"], "record 12 of the ledger has no entries: see `huxi ledger list` for those that have"),
        (["2:0", "grid"], "2:0 names an entry by itself: leave grid away"),
        ([DAY], f"whose day? huxi ledger trace {DAY} DEVICE; the names are in huxi ledger totals"),
        (["yesterday", "grid"], "'yesterday' is neither a day (YYYY-MM-DD) nor an entry (SEQ:ROW)"),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(huxi, full_folder, args, error):
    result = huxi("ledger", "trace", *args, "--offline", str(full_folder))
    assert (result.exit_code, result.stderr) == (2, f"huxi: {error}\n")


def test_a_day_without_the_device_names_where_to_look(huxi, full_folder):
    result = huxi("ledger", "trace", "2024-12-12", "grid", "--offline", str(full_folder))
    assert result.exit_code == 2
    assert "huxi ledger totals --from 2024-12-12 --to 2024-12-12" in result.stderr


def test_pruned_records_leave_sums_and_a_word_where_the_rest_is(huxi, trace, full_folder, write_in):
    before = json.loads(trace(DAY, "grid", "--json"))["totals"]

    def forget(conn):
        conn.execute("UPDATE mark SET acked_through = ?", (outbox.head(conn, "ledger").seq,))
        prune(conn, 2**53, 1000)

    write_in(full_folder, forget)
    assert json.loads(trace(DAY, "grid", "--json"))["totals"] == before
    assert "Pruned records keep their sums only: the receiver has the entries" in trace(DAY, "grid")
    result = huxi("ledger", "trace", "2:0", "--offline", str(full_folder))
    assert result.stderr == "huxi: record 2 is pruned to its header and sums: the receiver holds all of its rows\n"
    listed = huxi("ledger", "list", "--offline", str(full_folder)).stdout
    assert "Records 1 to 17 are pruned: their sums are here, their entries at the receiver." in listed


@pytest.fixture
def running(full_folder):
    """The same gateway while it runs: its ledger, served from a thread of its own."""
    loop, stop, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()

    async def serve():
        async with Store.open(full_folder) as store:
            factors = FactorSet.load(shipped())
            view = LedgerView(store=store, factors=factors, zone=ZoneInfo("Asia/Shanghai"), lenses=["location"])
            async with WebServer(SimpleNamespace(ledger=view, desk=None), full_folder / "api.sock", None):
                ready.set()
                await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    yield
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


COMMANDS = [
    ["totals"],
    ["totals", "--as-of", DAY, "--from", DAY, "--to", DAY],
    ["list"],
    ["trace", DAY, "grid"],
    ["trace", "14:1"],
    ["trace", "5:0"],
    ["trace", "17:0", "--json"],
    ["trace", "12:0"],
    ["verify"],
    ["export"],
    ["export", "--rebuilt", "--format", "jsonl"],
]


def test_a_running_gateway_says_the_same_as_a_stopped_one(huxi, full_folder, request):
    def answers(*where):
        results = [huxi("ledger", *command, *where) for command in COMMANDS]
        return [(result.exit_code, result.stdout, result.stderr) for result in results]

    stopped = answers("--offline", str(full_folder))
    request.getfixturevalue("running")
    assert answers("--data", str(full_folder)) == stopped
    assert [code for code, _, _ in stopped] == [0] * 7 + [2] + [0] * 3


def test_the_daemon_is_asked_for_a_day_and_for_an_entry(daemon):
    daemon.huxi("ledger", "trace", DAY, "grid", "import", "--account", "memo", "--lens", "market")
    result = daemon.huxi("ledger", "trace", "41:2")
    assert daemon.site.ledger.asked == [
        ("trace_day", date(2024, 12, 10), "grid", "import", "memo", "market"),
        ("trace_entry", 41, 2),
    ]
    assert result.stderr == "huxi: record 41 of the ledger has no entries: see `huxi ledger list` for those that have\n"
