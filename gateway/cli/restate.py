"""`huxi ledger restate`: bring what is booked to newer factors, day by day, beside what stands."""

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click

from gateway.cli.client import DaemonClient, daemon
from gateway.cli.errors import CommandError
from gateway.cli.options import daemon_options, json_option
from gateway.cli.output import echo_json, echo_table, kg, progress_to

DAY: Final = click.DateTime(formats=["%Y-%m-%d"])
INTERRUPTED: Final = 130
"""Exit code of a command that Ctrl-C ended."""
_SUMS: Final = ("lens", "account", "amount")


@click.command()
@click.option("--factor-set", required=True, metavar="SET", help="Whose factors count; see huxi factors list.")
@click.option("--from", "first", type=DAY, metavar="YYYY-MM-DD", help="First day; all from the begin when left out.")
@click.option("--to", "last", type=DAY, metavar="YYYY-MM-DD", help="Last day, included.")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is kept with what is written.")
@click.option("--dry-run", is_flag=True, help="Only tell what would change.")
@daemon_options
@json_option
def restate(
    factor_set: str,
    first: datetime | None,
    last: datetime | None,
    reason: str,
    dry_run: bool,
    data: Path | None,
    config: Path,
    as_json: bool,
) -> None:
    """Bring the ledger to the newest factors of a set.

    Each entry whose look-up gives another factor of this set today is reversed and stated anew, in one record a
    day; nothing that stands is changed. Entries that need no factor stay as they are. Ctrl-C stops after the
    day at hand; the same command goes on, and finds the finished days unchanged.

    \b
    Examples:
      huxi ledger restate --factor-set cn-grid --dry-run
      huxi ledger restate --factor-set cn-grid --from 2026-01-01 --reason "values of 2024"
    """
    days = {name: f"{moment:%Y-%m-%d}" for name, moment in (("from", first), ("to", last)) if moment is not None}
    with daemon(data, config) as client, _between_days() as stop:
        plan = client.get("/api/v1/ledger/restatement", timeout_s=None, factor_set=factor_set, **days)
        found: list[dict[str, Any]] = []
        with progress_to(len(plan["days"]), "restating") as bar:
            for day in plan["days"]:
                if stop.is_asked:
                    break
                found.append(_restate(client, day, factor_set, plan["run"], reason, dry_run))
                bar.update(1)
    report = _report(plan["run"], found)
    if as_json:
        echo_json(report)
    else:
        _print(report, dry_run)
    if len(found) < len(plan["days"]):
        rest = ["--from", plan["days"][len(found)], *(["--to", days["to"]] if "to" in days else [])]
        again = shlex.join(["huxi", "ledger", "restate", "--factor-set", factor_set, *rest])
        raise CommandError(
            f"stopped before {plan['days'][len(found)]}, nothing is half done; go on with: {again}", INTERRUPTED
        )


class _Stop:
    """Whether Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.is_asked = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        """The first time wait for the day to end; the next time the command ends at once."""
        self.is_asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def _between_days() -> Iterator[_Stop]:
    stop = _Stop()
    before = signal.signal(signal.SIGINT, stop.ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _restate(client: DaemonClient, day: str, factor_set: str, run: str, reason: str, dry_run: bool) -> dict[str, Any]:
    try:
        return client.post(
            "/api/v1/ledger/restate",
            timeout_s=None,
            day=day,
            factor_set=factor_set,
            run=run,
            reason=reason,
            dry_run=str(dry_run).lower(),
        )
    except CommandError as error:
        raise CommandError(f"{day}: {error.message}; the days before it are done", error.exit_code) from None


def _report(run: str, days: list[dict[str, Any]]) -> dict[str, Any]:
    """How many days there were of each state, and the sums over all that changed."""
    sums: dict[tuple[str, ...], dict[str, Any]] = {}
    for change in (change for day in days for change in day["changes"]):
        key = tuple(change[name] for name in _SUMS)
        total = sums.setdefault(key, {"entries": 0, "before_ng": 0, "after_ng": 0})
        for name in total:
            total[name] += int(change[name])
    return {
        "run": run,
        "days": len(days),
        "changed_days": [day["day"] for day in days if day["state"] == "changed"],
        "pruned_days": [day["day"] for day in days if day["state"] == "pruned"],
        "changes": [
            dict(zip(_SUMS, key, strict=True))
            | {"entries": total["entries"], "before_ng": str(total["before_ng"]), "after_ng": str(total["after_ng"])}
            for key, total in sorted(sums.items())
        ],
    }


def _print(report: dict[str, Any], dry_run: bool) -> None:
    verb = "would change" if dry_run else "changed"
    changed, pruned = report["changed_days"], report["pruned_days"]
    click.echo(f"{len(changed)} of {report['days']} days {verb}{_span(changed)}.")
    if pruned:
        click.echo(f"{len(pruned)} days are pruned{_span(pruned)}: their intervals are at the receiver only.")
    if not changed:
        return
    rows = [
        [
            *(change[name] for name in _SUMS),
            str(change["entries"]),
            kg(change["before_ng"]),
            kg(change["after_ng"]),
            kg(int(change["after_ng"]) - int(change["before_ng"])),
        ]
        for change in report["changes"]
    ]
    headings = [*_SUMS, "entries", "kg before", "kg after", "difference"]
    click.echo()
    echo_table(headings, rows, right=frozenset(headings[3:]))
    click.echo("\nOnly entries that change are in these sums. Lenses and accounts stand side by side.")


def _span(days: list[str]) -> str:
    if not days:
        return ""
    return f" ({days[0]})" if len(days) == 1 else f" ({days[0]} to {days[-1]})"
