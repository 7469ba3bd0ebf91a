"""The OpenAPI document, made from the operations and their models."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.web.models import Error, Live, Status
from gateway.web.operation import Operation

_REF = "#/components/schemas/{model}"


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """OpenAPI 3.1 of these operations; the events of a stream are described by their models too."""
    operations = tuple(operations)
    models: list[type[BaseModel]] = [Live, Status, Error]
    models += [operation.answer for operation in operations if operation.answer is not None]
    _, definitions = models_json_schema([(model, "serialization") for model in models], ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "huxi local API",
            "version": "1",
            "description": "Amounts of carbon (_ng) and raw counters are decimal strings: exact integers.",
        },
        "paths": {operation.path: {operation.method.lower(): _describe(operation)} for operation in operations},
        "components": {"schemas": definitions["$defs"]},
    }


def _describe(operation: Operation) -> dict[str, Any]:
    content: dict[str, Any] = {media: {"schema": {"type": "string"}} for media in operation.streams}
    if operation.answer is not None:
        content["application/json"] = {"schema": {"$ref": _REF.format(model=operation.answer.__name__)}}
    return {
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": {
            "200": {"description": "The answer", "content": content},
            "default": {
                "description": "What is wrong, and what to do about it",
                "content": {"application/json": {"schema": {"$ref": _REF.format(model="Error")}}},
            },
        },
    }


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    schema = operation.query.model_json_schema()
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": field}
        for name, field in schema.get("properties", {}).items()
    ]
