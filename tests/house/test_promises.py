"""The page of promises names tests that exist, and is refreshed by what has passed."""

import re
from datetime import date

from tests.promises import PAGE, refreshed

ROW = "| it holds | `tests/a/test_b.py::test_c` | 3 of 3 | 2026-01-01 |"
TODAY = date(2026, 5, 1)


def test_a_row_is_dated_when_its_tests_passed() -> None:
    assert refreshed(ROW, {"tests/a/test_b.py::test_c"}, {}, TODAY) == ROW.replace("2026-01-01", "2026-05-01")


def test_a_row_keeps_its_date_when_they_did_not() -> None:
    assert refreshed(ROW, {"tests/a/test_b.py::test_other"}, {}, TODAY) == ROW


def test_a_measured_figure_takes_the_place_of_the_one_before() -> None:
    found = refreshed(ROW, {"tests/a/test_b.py::test_c"}, {"tests/a/test_b.py::test_c": "10 of 10"}, TODAY)
    assert found == "| it holds | `tests/a/test_b.py::test_c` | 10 of 10 | 2026-05-01 |"


def test_a_file_stands_for_all_its_tests_and_other_lines_stay() -> None:
    page = f"# Promises\n\n{ROW.replace('::test_c', '')}\n| --- | --- | --- | --- |\n"
    found = refreshed(page, {"tests/a/test_b.py::test_x"}, {"tests/a/test_b.py::test_x": "7"}, TODAY)
    assert "| 7 | 2026-05-01 |" in found
    assert found.startswith("# Promises\n\n")


def test_every_test_that_the_page_names_exists() -> None:
    root = PAGE.parent.parent
    for name in re.findall(r"`(tests/[^`]+)`", PAGE.read_text(encoding="utf-8")):
        path, _, test = name.partition("::")
        assert (root / path).exists(), name
        last = test.rpartition("::")[2]
        assert last in (root / path).read_text(encoding="utf-8") if last else True, name
