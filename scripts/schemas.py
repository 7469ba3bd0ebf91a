"""Writes the JSON Schemas of the configuration and of a profile to docs/schema: `make docs`."""

import json
from pathlib import Path
from typing import Any

from drivers.profile import profile_schema
from gateway.config_file import config_schema

FOLDER = Path(__file__).parent.parent / "docs" / "schema"


def schemas() -> dict[str, dict[str, Any]]:
    """File name and schema of each kind of file that people write."""
    return {"huxi.schema.json": config_schema(), "profile.schema.json": profile_schema()}


def text(schema: dict[str, Any]) -> str:
    """A schema as it stands in its file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (FOLDER / name).write_text(text(schema), encoding="utf-8")
        print(FOLDER / name)
