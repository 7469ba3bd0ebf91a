"""ledger commands: asking the daemon, and reading the folder of a stopped gateway, which say the same."""

import asyncio
import csv
import json
from datetime import date
from pathlib import Path

import pytest

from gateway.carbon.booking.close import Books, close
from gateway.carbon.booking.entries import Scope
from gateway.carbon.booking.rules import Declaration
from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.intervals import Intervals, RegisterName
from gateway.carbon.metering.sweep import Sweep
from gateway.store.database import FILE_NAME, Store
from gateway.store.row_class import RowClass
from tests.day_totals import tamper

FIVE_MIN = 300_000
T0 = 1_790_000_100_000 // FIVE_MIN * FIVE_MIN
ENERGY_MWH = 2**45 + 1
"""Times 156 400 mg/kWh: more ng than a float can count."""
EMITTED_NG = ENERGY_MWH * 156_400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data folder of a gateway that has run and was stopped: three intervals of a grid meter."""
    intervals = Intervals(
        registers=[RegisterName("电表", "import", "import")],
        r=[0] * 3,
        epoch=[1] * 3,
        t0_ms=[T0 + n * FIVE_MIN for n in range(3)],
        t1_ms=[T0 + (n + 1) * FIVE_MIN for n in range(3)],
        energy_mWh=[ENERGY_MWH, 0, None],
        raw_begin=[2**60] * 3,
        raw_end=[2**60 + 1] * 3,
        row_class=[int(RowClass.MEASURED), int(RowClass.MEASURED), int(RowClass.MISSING)],
        flags=[0] * 3,
        kind=[0] * 3,
    )
    books = Books(
        scope=Scope(lenses={"location": "CN-SC"}, zone="Asia/Shanghai"),
        factors=FactorSet.load(shipped()),
        devices={"电表": Declaration(role="grid")},
    )

    async def fill() -> None:
        async with Store.open(tmp_path / "data") as store:
            await store.run(close, sweep=Sweep(intervals=intervals), books=books, now_ms=T0 + FIVE_MIN)

    asyncio.run(fill())
    return tmp_path / "data"


def test_totals_in_a_table(daemon):
    result = daemon.huxi("ledger", "totals", "--from", "2026-09-01", "--to", "2026-09-21")
    assert result.exit_code == 0, result.stderr
    assert daemon.site.ledger.asked == [("totals", date(2026, 9, 1), date(2026, 9, 21), None, None)]
    rows = [line.split() for line in result.stdout.splitlines()[1:3]]
    assert rows == [
        ["光伏棚", "accumulated_yield", "generation", "project", "35.000", "0.000", "9007.199", "288", "–"],
        ["grid-meter", "import_energy", "import", "inventory", "64.154", "9007.199", "–", "280", "40", "min"],
    ]


def test_totals_say_under_which_lens_and_as_known_when(daemon):
    today = daemon.huxi("ledger", "totals").stdout
    assert "Lens location, as known today." in today
    then = daemon.huxi("ledger", "totals", "--lens", "market", "--as-of", "2026-09-10")
    assert then.exit_code == 0, then.stderr
    assert "Lens market, as reported on 2026-09-10." in then.stdout
    assert daemon.site.ledger.asked[-1] == ("totals", date.min, date.max, "market", date(2026, 9, 10))


def test_totals_as_json_keep_every_digit(daemon):
    answer = json.loads(daemon.huxi("ledger", "totals", "--json").stdout)
    assert answer["registers"][1]["emitted_ng"] == str(2**53 + 1)
    assert daemon.site.ledger.asked == [("totals", date.min, date.max, None, None)]


def test_entries_in_a_table_keep_every_digit(daemon):
    result = daemon.huxi("ledger", "list", "--limit", "7", "--before", "99")
    assert result.exit_code == 0, result.stderr
    assert daemon.site.ledger.asked == [("entries", 7, 99)]
    legend, _, row, *_ = result.stdout.splitlines()
    assert legend == "F1 = cn-sc-2023"
    assert row.startswith("41:2   2026-09-21 14:08:20Z  14:13:20Z  grid-meter  import_energy  location  inventory")
    assert row.endswith(" 1.234567  9007.199254740993  F1  measured wrap  0123456789ab")
    assert result.stdout.endswith("Older ones: huxi ledger list --before 41\n")
    assert json.loads(daemon.huxi("ledger", "list", "--json").stdout)["entries"][0]["raw_begin"] == str(2**64 - 1)


def test_verify_of_a_sound_ledger(daemon):
    result = daemon.huxi("ledger", "verify")
    lines = result.stdout.splitlines()
    assert (result.exit_code, lines[0]) == (0, "The ledger is sound: 12 records, every hash, entry and sum agrees.")
    assert lines[-1].split() == ["ledger", "9", 64 * "a"]


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_verify_of_a_damaged_ledger_names_every_problem_and_exits_1(daemon, options):
    daemon.site.ledger.verification = {
        "ok": False,
        "records": 12,
        "problems": ["record 3 is missing", "record 7 differs"],
        "heads": {},
    }
    result = daemon.huxi("ledger", "verify", *options)
    assert result.exit_code == 1
    assert "record 3 is missing" in result.stdout
    assert "record 7 differs" in result.stdout
    assert result.stderr.startswith("huxi: the ledger does not agree with itself (2 problems): keep a copy")


def test_export_to_standard_output(daemon):
    result = daemon.huxi("ledger", "export", "--format", "jsonl")
    assert (result.exit_code, result.stdout) == (0, "seq,energy_mWh\n1,100\n")
    assert daemon.site.ledger.asked == [("export", "jsonl", False)]


def test_export_to_a_file_leaves_nothing_else(daemon, tmp_path):
    (tmp_path / "out").mkdir()
    result = daemon.huxi("ledger", "export", "-o", str(tmp_path / "out" / "ledger.csv"))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["ledger.csv"]
    assert (tmp_path / "out" / "ledger.csv").read_text() == "seq,energy_mWh\n1,100\n"


def test_export_to_a_place_that_is_not_there(daemon, tmp_path):
    result = daemon.huxi("ledger", "export", "-o", str(tmp_path / "no" / "ledger.csv"))
    assert result.exit_code == 2
    assert (
        result.stderr
        == f"huxi: cannot write {tmp_path}/no/ledger.csv: No such file or directory; choose another place\n"
    )


def test_a_stopped_gateway_is_read_to_the_last_nanogram(huxi, folder):
    result = huxi("ledger", "totals", "--offline", str(folder), "--json")
    assert result.exit_code == 0, result.stderr
    (register,) = json.loads(result.stdout)["registers"]
    assert register["energy_mWh"] == ENERGY_MWH
    assert register["emitted_ng"] == str(EMITTED_NG)
    assert (register["rows"], register["missing_ms"], register["account"]) == (2, FIVE_MIN, "inventory")
    entries = json.loads(huxi("ledger", "list", "--offline", str(folder), "--json").stdout)
    assert [entry["emitted_ng"] for entry in entries["entries"]] == [str(EMITTED_NG), "0"]
    kilograms = f"{EMITTED_NG // 10**12}.{EMITTED_NG % 10**12:012}"
    assert kilograms in huxi("ledger", "list", "--offline", str(folder)).stdout


def test_totals_of_a_stopped_gateway_as_reported_then_and_now(huxi, full_folder):
    def grid_ng(*options):
        answer = huxi("ledger", "totals", "--offline", str(full_folder), "--to", "2024-12-10", "--json", *options)
        return [row["emitted_ng"] for row in json.loads(answer.stdout)["registers"] if row["device"] == "grid"]

    assert grid_ng() == [str(1_600_000 * 140_400)]
    assert grid_ng("--as-of", "2024-12-10") == [str(1_600_000 * 125_500)]
    assert grid_ng("--as-of", "2024-12-09") == []
    assert grid_ng("--lens", "market") == []


def test_days_without_entries_are_said_to_be_empty(huxi, folder):
    result = huxi("ledger", "totals", "--offline", str(folder), "--to", "2020-01-01")
    assert (result.exit_code, result.stdout) == (0, "The ledger has no entries there.\n")


def test_a_stopped_gateway_is_exported(huxi, folder, tmp_path):
    huxi("ledger", "export", "--offline", str(folder), "-o", str(tmp_path / "ledger.csv"))
    with (tmp_path / "ledger.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["device"], row["emitted_ng"]) for row in rows] == [("电表", str(EMITTED_NG)), ("电表", "0")]
    lines = huxi("ledger", "export", "--offline", str(folder), "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["emitted_ng"] for line in lines] == [str(EMITTED_NG), "0"]


def test_a_rebuilt_export_is_the_same_file(huxi, full_folder):
    plain, rebuilt = (
        huxi("ledger", "export", "--offline", str(full_folder), *how).stdout for how in ((), ("--rebuilt",))
    )
    assert plain == rebuilt
    assert len(plain.splitlines()) == 23


def test_verify_of_a_stopped_gateway_finds_one_changed_digit(huxi, folder):
    sound = huxi("ledger", "verify", "--offline", str(folder))
    assert sound.exit_code == 0
    assert sound.stdout.startswith("The ledger is sound: 2 records, every hash, entry and sum agrees.\n")

    async def damage() -> None:
        async with Store.open(folder) as store:
            await store.run(lambda conn: tamper(conn, emitted_ng=EMITTED_NG + 1))

    asyncio.run(damage())
    damaged = huxi("ledger", "verify", "--offline", str(folder))
    assert damaged.exit_code == 1
    assert str(EMITTED_NG + 1) in damaged.stdout


def test_status_of_a_stopped_gateway_is_its_buffer(huxi, folder):
    result = huxi("status", "--offline", str(folder))
    assert result.exit_code == 0, result.stderr
    assert "2 records" in result.stdout
    assert "the oldest undelivered is of 2026-09-21 14:15:00Z" in result.stdout
    buffer = json.loads(huxi("status", "--offline", str(folder), "--json").stdout)["buffer"]
    assert (buffer["records"], buffer["backlog_records"], buffer["oldest_unsent_ms"]) == (2, 2, T0)


def test_a_folder_in_use_is_not_touched(huxi, folder):
    async def ask():
        async with Store.open(folder):
            return huxi("ledger", "verify", "--offline", str(folder))

    result = asyncio.run(ask())
    assert result.exit_code == 2
    assert "in use by process" in result.stderr


@pytest.mark.parametrize("command", [["ledger", "totals"], ["ledger", "export"], ["status"]])
def test_a_folder_without_a_ledger_is_said_so(huxi, tmp_path, command):
    result = huxi(*command, "--offline", str(tmp_path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"huxi: there is no database {tmp_path}/{FILE_NAME}")


def test_a_damaged_file_is_said_so(huxi, folder):
    content = bytearray((folder / FILE_NAME).read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    (folder / FILE_NAME).write_bytes(content)
    result = huxi("ledger", "totals", "--offline", str(folder))
    assert result.exit_code == 2
    assert result.stderr.startswith("huxi: ")
    assert str(folder) in result.stderr
