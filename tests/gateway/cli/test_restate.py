"""huxi ledger restate: a real desk over a real store, asked through the socket."""

import asyncio
import json
import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner, Result

from gateway.carbon.booking.close import Books
from gateway.carbon.booking.entries import Scope
from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.proof.auditor import Auditor
from gateway.cli.main import main
from gateway.ledger_desk import LedgerDesk
from gateway.store.audit.verification import verify
from gateway.store.database import Store
from gateway.web.server import WebServer

DAY = 86_400_000
MIDNIGHT = 1_733_760_000_000
"""Begin of the site's 10 December 2024; the value of 2022 is published ten days later."""
LATER = MIDNIGHT + 60 * DAY
FACTORS = FactorSet.load(shipped())
BOOKS = Books(scope=Scope(lenses={"location": "CN-SC"}, zone="Asia/Shanghai"), factors=FACTORS, devices={})
BEFORE, AFTER = 125_500, 140_400
"""mg/kWh of 2021 and 2022."""

T = TypeVar("T")


class Served:
    """A desk that answers from a thread of its own, and the command asking it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.on_write: Callable[[], None] = lambda: None
        self.dating = SimpleNamespace(trusted=True, now_ms=lambda: LATER)

    def huxi(self, *args: str) -> Result:
        command = ["ledger", "restate", *args, "--data", str(self.folder)]
        return CliRunner().invoke(main, command, catch_exceptions=False)

    def ask(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """What `fn` finds or does, in the store that is open."""
        return asyncio.run_coroutine_threadsafe(self.store.run(fn), self.loop).result(30)

    def read(self, query: str) -> list[Any]:
        return self.ask(lambda conn: [found for (found,) in conn.execute(query)])

    def problems(self) -> list[str]:
        return self.ask(lambda conn: verify(conn, Auditor(FACTORS)))

    async def serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        self.loop = asyncio.get_running_loop()
        async with Store.open(self.folder) as self.store:
            store = self.store
            desk = LedgerDesk(
                store=store,
                books=BOOKS,
                dating=self.dating,  # type: ignore[arg-type]  # a clock that stands
                on_write=lambda: self.on_write(),
            )
            site: Any = SimpleNamespace(desk=desk, ledger=None)  # nothing else is asked for
            async with WebServer(site, self.folder / "api.sock", None):
                ready.set()
                await stop.wait()


@pytest.fixture
def served(tmp_path: Path, gateway: type, write_in: Callable[..., None]) -> Iterator[Served]:
    """Three days of a grid meter, 300 kWh each, the last of them with a PV meter too."""

    def write(conn: sqlite3.Connection) -> None:
        for day in range(3):
            gateway(conn, MIDNIGHT + day * DAY).sweep(0, [1000, 2000])
        gateway(conn, MIDNIGHT + 2 * DAY).sweep(0, [7], pv(gateway))

    write_in(tmp_path, write)
    found = Served(tmp_path)
    loop = asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=[found.serve(ready, stop)])
    thread.start()
    assert ready.wait(10)
    yield found
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


def pv(gateway: type) -> Any:
    from gateway.carbon.intervals import RegisterName

    return RegisterName("pv", "yield", "generation")


def kg(ng: int) -> str:
    return f"{Decimal(ng).scaleb(-12):.12f}"


def test_what_changed_is_told_with_every_digit(served: Served) -> None:
    result = served.huxi("--factor-set", "cn-grid", "--reason", "values of 2022")
    assert result.exit_code == 0
    energy_mWh = 3 * 300_000_000
    lines = [line.split() for line in result.output.splitlines()]
    assert result.output.startswith("3 of 3 days changed (2024-12-10 to 2024-12-12).\n")
    numbers = [kg(energy_mWh * value) for value in (BEFORE, AFTER, AFTER - BEFORE)]
    assert ["location", "inventory", "emitted", "6", *numbers] in lines
    numbers = [kg(700_000 * value) for value in (BEFORE, AFTER, AFTER - BEFORE)]
    assert ["location", "project", "baseline", "1", *numbers] in lines
    bodies = served.read("SELECT body FROM record WHERE kind = 'restatement' ORDER BY seq")
    metas = [json.loads(body)["meta"] for body in bodies]
    assert [(meta["day"], meta["run"], meta["reason"], meta["booked_ms"]) for meta in metas] == [
        (f"2024-12-{day}", "cn-grid@2025-02-08", "values of 2022", LATER) for day in (10, 11, 12)
    ]
    assert served.problems() == []
    again = served.huxi("--factor-set", "cn-grid")
    assert (again.exit_code, again.output) == (0, "0 of 3 days changed.\n")


def test_only_the_days_that_were_named_and_as_json(served: Served) -> None:
    result = served.huxi("--factor-set", "cn-grid", "--from", "2024-12-11", "--to", "2024-12-11", "--json")
    assert json.loads(result.output) == {
        "run": "cn-grid@2025-02-08",
        "days": 1,
        "changed_days": ["2024-12-11"],
        "pruned_days": [],
        "changes": [
            {
                "lens": "location",
                "account": "inventory",
                "amount": "emitted",
                "entries": 2,
                "before_ng": str(300_000_000 * BEFORE),
                "after_ng": str(300_000_000 * AFTER),
            }
        ],
    }


def test_a_dry_run_writes_nothing(served: Served) -> None:
    result = served.huxi("--factor-set", "cn-grid", "--dry-run")
    assert result.output.startswith("3 of 3 days would change (2024-12-10 to 2024-12-12).\n")
    assert served.read("SELECT kind FROM record WHERE kind = 'restatement'") == []


def test_ctrl_c_ends_after_the_day_at_hand_and_the_command_goes_on(served: Served) -> None:
    served.on_write = lambda: os.kill(os.getpid(), signal.SIGINT)
    before = signal.getsignal(signal.SIGINT)
    result = served.huxi("--factor-set", "cn-grid", "--to", "2024-12-31")
    assert result.exit_code == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert len(served.read("SELECT kind FROM record WHERE kind = 'restatement'")) == 1
    assert "1 of 1 days changed (2024-12-10)." in result.output
    rest = "huxi ledger restate --factor-set cn-grid --from 2024-12-11 --to 2024-12-31"
    assert f"stopped before 2024-12-11, nothing is half done; go on with: {rest}" in result.output
    served.on_write = lambda: None
    assert served.huxi(*rest.split()[3:]).exit_code == 0
    assert len(served.read("SELECT kind FROM record WHERE kind = 'restatement'")) == 3
    assert served.problems() == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cn-gird", "there is no factor set 'cn-gird': did you mean cn-grid?"),
        ("xx", "there is no factor set 'xx': known are cn-grid"),
    ],
)
def test_an_unknown_set(served: Served, name: str, says: str) -> None:
    result = served.huxi("--factor-set", name)
    assert result.exit_code == 2
    assert says in result.output


def test_days_in_the_wrong_order(served: Served) -> None:
    result = served.huxi("--factor-set", "cn-grid", "--from", "2024-12-12", "--to", "2024-12-10")
    assert result.exit_code == 2
    assert "from=2024-12-12 is after to=2024-12-10" in result.output


def test_without_a_date_nothing_is_booked(served: Served) -> None:
    served.dating.trusted = False
    result = served.huxi("--factor-set", "cn-grid")
    assert result.exit_code == 2
    assert "the clock is not trusted yet, so nothing can be booked" in result.output


def test_a_day_that_cannot_be_restated_is_named(served: Served) -> None:
    served.dating.now_ms = lambda: MIDNIGHT
    result = served.huxi("--factor-set", "cn-grid", "--from", "2024-12-11")
    assert result.exit_code == 2
    assert "2024-12-11: " in result.output
    assert "set the gateway's clock" in result.output
    assert "the days before it are done" in result.output


def test_pruned_days_are_left_alone(served: Served) -> None:
    served.ask(lambda conn: conn.execute("UPDATE record SET kind = 'header' WHERE seq <= 2").rowcount)
    result = served.huxi("--factor-set", "cn-grid")
    assert "2 of 3 days changed (2024-12-11 to 2024-12-12).\n" in result.output
    assert "1 days are pruned (2024-12-10): their intervals are at the receiver only.\n" in result.output


def test_factors_that_the_gateway_has_not_read_are_not_silently_left_out(served: Served) -> None:
    (served.folder / "factors").mkdir()
    (served.folder / "factors" / "next.toml").write_text(
        """
id = "cn-grid"
title = "the next year"
utc_offset_h = 8
[[vintage]]
data_year = 2024
published = 2026-12-31
publisher = "p"
document = "d"
unit = "kg/kWh"
gas_basis = "CO2"
lens = "location"
factors = [{ region = "CN-SC", value = "0.1620", confidence = "A" }]
"""
    )
    result = served.huxi("--factor-set", "cn-grid")
    assert result.exit_code == 2
    assert "factors of cn-grid were imported after the gateway was started: restart it first" in result.stderr
