"""docs/promises.md as a table that a full run of the tests keeps up to date."""

import re
from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "promises.md"
_TEST = re.compile(r"`(tests/[^`]+)`")


def refreshed(text: str, passed: Collection[str], figures: Mapping[str, str], today: date) -> str:
    """The page after a run: rows whose tests all passed get today's date, and the figure that was measured.

    `passed` are node ids without parameters, `figures` the text of those that measured something. A row names
    its tests in its second column, as a file or as `file::test`; its third column is the figure, its fourth the
    date of the last full run.
    """
    return "\n".join(_row(line, passed, figures, today) for line in text.split("\n"))


def _row(line: str, passed: Collection[str], figures: Mapping[str, str], today: date) -> str:
    cells = line.split("|")
    if len(cells) != 6 or not (names := _TEST.findall(cells[2])):
        return line
    ran = [[node for node in passed if _belongs(node, name)] for name in names]
    if not all(ran):
        return line
    measured = [figures[node] for nodes in ran for node in sorted(nodes) if node in figures]
    if measured:
        cells[3] = f" {'; '.join(measured)} "
    cells[4] = f" {today.isoformat()} "
    return "|".join(cells)


def _belongs(node: str, name: str) -> bool:
    return node == name or node.startswith((f"{name}::", f"{name}/"))
