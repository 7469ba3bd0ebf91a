"""Writes to docs/schema what programs read: JSON Schemas of our files, the receiver's OpenAPI. `make docs`."""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from drivers.profile import profile_schema
from gateway.config_file import config_schema
from sync.central.app import build
from sync.central.store import CentralStore

FOLDER = Path(__file__).parent.parent / "docs" / "schema"


def schemas() -> dict[str, dict[str, Any]]:
    """File name and content: a schema of each kind of file that people write, and of the receiver's interface."""
    return {
        "huxi.schema.json": config_schema(),
        "profile.schema.json": profile_schema(),
        "central.openapi.json": asyncio.run(_central()),
    }


async def _central() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        async with CentralStore.open(Path(folder) / "central.db") as store:
            return build(store).openapi()


def text(schema: dict[str, Any]) -> str:
    """A schema as it stands in its file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (FOLDER / name).write_text(text(schema), encoding="utf-8")
        print(FOLDER / name)
