"""Where each key of a TOML text stands: what tomllib does not tell."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect

Path = tuple[str | int, ...]

_BLANK = re.compile(r"[ \t]*")
_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:\\.|[^"\\])*"|'[^']*'""")
_BARE_VALUE = re.compile(r"[^,\]}#\n]*")
_STRING = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}(?!")'''
    r"""|'''.*?'{3,5}(?!')"""
    r"""|"(?:\\.|[^"\\])*"|'[^']*'""",
    re.DOTALL,
)


def key_lines(text: str) -> dict[Path, int]:
    """Return the line, from 1, of every table, key and array element of a valid TOML text.

    Paths are as in the parsed document: table names and keys as strings, positions in arrays as
    integers. A table that is only implied by a dotted name stands where it is first named.
    """
    return _Scan(text).lines


class _Scan:
    """One pass over a text that tomllib has accepted, so nothing is checked again here."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._breaks = [match.start() for match in re.finditer("\n", text)]
        self._array_sizes: dict[Path, int] = {}
        table: Path = ()
        self._skip(_SPACE)
        while self._at < len(text):
            if self._peek("["):
                table = self._header()
            else:
                self._pair(table)
            self._skip(_SPACE)

    def _header(self) -> Path:
        is_array = self._peek("[[")
        self._at += 2 if is_array else 1
        start = self._at
        names = self._dotted()
        self._at += 2 if is_array else 1
        path: Path = ()
        for name in names[:-1]:
            path = self._last_element((*path, name))
            self._note(path, start)
        path = (*path, names[-1])
        self._note(path, start)
        if is_array:
            size = self._array_sizes.get(path, 0)
            self._array_sizes[path] = size + 1
            path = (*path, size)
            self._note(path, start)
        return path

    def _last_element(self, path: Path) -> Path:
        size = self._array_sizes.get(path)
        return path if size is None else (*path, size - 1)

    def _pair(self, table: Path) -> None:
        start = self._at
        path = table
        for name in self._dotted():
            path = (*path, name)
            self._note(path, start)
        self._at += 1  # the equals sign
        self._skip(_BLANK)
        self._value(path)

    def _dotted(self) -> list[str]:
        names = []
        while True:
            self._skip(_BLANK)
            token = self._take(_KEY)
            names.append(next(iter(tomllib.loads(f"{token} = 0"))))
            self._skip(_BLANK)
            if not self._peek("."):
                return names
            self._at += 1

    def _value(self, path: Path) -> None:
        if self._peek("["):
            self._array(path)
        elif self._peek("{"):
            self._inline_table(path)
        elif self._peek('"') or self._peek("'"):
            self._take(_STRING)
        else:
            self._take(_BARE_VALUE)

    def _array(self, path: Path) -> None:
        self._at += 1
        self._skip(_SPACE)
        index = 0
        while not self._peek("]"):
            self._note((*path, index), self._at)
            self._value((*path, index))
            index += 1
            self._separator()
        self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        self._skip(_SPACE)
        while not self._peek("}"):
            self._pair(path)
            self._separator()
        self._at += 1

    def _separator(self) -> None:
        self._skip(_SPACE)
        if self._peek(","):
            self._at += 1
            self._skip(_SPACE)

    def _note(self, path: Path, offset: int) -> None:
        self.lines.setdefault(path, bisect(self._breaks, offset) + 1)

    def _peek(self, token: str) -> bool:
        return self._text.startswith(token, self._at)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        self._take(pattern)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise ValueError(f"not TOML at offset {self._at}")
        self._at = match.end()
        return match.group()
