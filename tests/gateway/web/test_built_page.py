"""The built page: nothing from elsewhere, small, and served through both doors."""

import gzip
import re
from pathlib import Path

import httpx
import pytest

import gateway.web.server

STATIC = Path(gateway.web.server.__file__).parent / "static"
LOADS = re.compile(r"""(?:src|href)\s*=\s*["']?|url\(\s*["']?|@import\s*["']|import[\s(][^;]*?["']|fetch\(\s*["'`]""")


def built_files() -> list[Path]:
    assert STATIC.is_dir(), "the page is not built: make page"
    return [path for path in STATIC.rglob("*") if path.is_file()]


def test_nothing_is_loaded_from_elsewhere() -> None:
    for path in built_files():
        text = path.read_text()
        for match in LOADS.finditer(text):
            target = text[match.end() : match.end() + 12]
            assert not re.match(r"(?:[a-z]+:)?//", target), f"{path.name} loads {target}"
        if "vendor" not in path.parts:
            urls = set(re.findall(r"https?://[^\s\"'`)]+", text)) - {"http://www.w3.org/2000/svg"}
            assert urls == set(), path.name


def test_the_page_is_small() -> None:
    assert 20_000 < sum(len(gzip.compress(path.read_bytes())) for path in built_files()) <= 200_000


def test_the_lock_file_names_no_registry() -> None:
    lock = (STATIC.parent / "page" / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert '"integrity": "sha512-' in lock


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/style.css", "text/css"),
        ("/js/main.js", "javascript"),
        ("/i18n/zh-CN.json", "application/json"),
        ("/favicon.svg", "image/svg+xml"),
        ("/vendor/uPlot.esm.js", "javascript"),
        ("/vendor/uPlot-LICENSE.txt", "text/plain"),
    ],
)
async def test_the_page_is_served(unix: httpx.AsyncClient, tcp: httpx.AsyncClient, path: str, kind: str) -> None:
    for client in (unix, tcp):
        answer = await client.get(path)
        assert answer.status_code == 200
        assert kind in answer.headers["content-type"]
        assert answer.headers["cache-control"] == "no-cache"
        again = await client.get(path, headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304


async def test_files_outside_the_page_are_not_served(tcp: httpx.AsyncClient) -> None:
    for path in ("/%2e%2e/server.py", "/..%2fserver.py", "/js/%2e%2e/%2e%2e/server.py"):
        assert (await tcp.get(path)).status_code == 404
