"""What all tests share: the figures that promises are shown by."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import settings

from tests.promises import PAGE, refreshed
from tests.scale import FULL

settings.register_profile("huxi", deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("huxi")

_failed: set[str] = set()
_passed: set[str] = set()
_figures: dict[str, str] = {}


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Notes what a test has measured, for its row in docs/promises.md."""

    def note(text: str) -> None:
        _figures[_plain(request.node.nodeid)] = text

    return note


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remembers what passed and what did not."""
    if report.failed:
        _failed.add(_plain(report.nodeid))
    elif report.when == "call" and report.passed:
        _passed.add(_plain(report.nodeid))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """After a full run, the page of promises tells what was shown today."""
    if FULL:
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(refreshed(text, _passed - _failed, _figures, datetime.now(UTC).date()), encoding="utf-8")


def _plain(nodeid: str) -> str:
    return nodeid.partition("[")[0]
