"""What holds for the repository as a whole."""

import importlib.metadata
import re
import runpy
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("gateway", "drivers", "ext", "sync")


def tracked(*patterns: str) -> list[Path]:
    """Files that git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def code_blocks(path: Path) -> list[str]:
    """The fenced blocks of a page, without their comments and alignment."""
    blocks = re.findall(r"```\w*\n(.*?)```", path.read_text(encoding="utf-8"), re.S)
    return [re.sub(r"\s+", " ", re.sub(r"\s*#.*", "", block)).strip() for block in blocks]


@pytest.mark.parametrize("name", ["huxi.schema.json", "profile.schema.json", "central.openapi.json"])
def test_the_json_schemas_are_up_to_date(name: str) -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "schemas.py"))
    stored = (ROOT / "docs" / "schema" / name).read_text(encoding="utf-8")
    assert stored == script["text"](script["schemas"]()[name]), "run `make docs`"


def test_nobody_else_owns_the_names_of_the_rooms() -> None:
    owners = importlib.metadata.packages_distributions()
    assert {room: set(owners.get(room, ["huxi"])) for room in ROOMS} == {room: {"huxi"} for room in ROOMS}


def test_both_readmes_have_the_same_commands_and_sections() -> None:
    english, chinese = ROOT / "README.md", ROOT / "README.zh-CN.md"
    assert code_blocks(english) == code_blocks(chinese)
    counts = [len(re.findall(r"^#+ ", path.read_text(encoding="utf-8"), re.M)) for path in (english, chinese)]
    assert counts[0] == counts[1]


def test_every_link_between_pages_leads_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)} -> {target}"
        for page in tracked("*.md")
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_requirements_are_pinned_hashed_and_name_no_registry() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text, path
        pins = re.findall(r"^[a-z0-9][^\s#]*==[^\s]+ \\\n\s+--hash=sha256:", text, re.M)
        assert len(pins) == len(re.findall(r"^[A-Za-z0-9]", text, re.M)) > 0, path


def test_files_stay_small() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked("*.py", "*.js", "*.mjs", "*.css")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert long == {}


def test_every_promise_names_a_test_that_is_there() -> None:
    text = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 10
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (ROOT / file).exists() or test not in (ROOT / file).read_text(encoding="utf-8")
    ]
    assert missing == []
