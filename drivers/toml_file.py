"""Read a TOML file into a pydantic model; every fault is reported with its line, key and a hint."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from drivers.faults import Fault
from drivers.toml_lines import key_lines

_Model = TypeVar("_Model", bound=BaseModel)
Where = tuple[str | int, ...]  # path of a key in a document, array positions as integers

_SYNTAX_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class Finding(NamedTuple):
    """One thing that a model's own check found wrong."""

    where: Where  # path from the model that checks, by the names used in the file
    message: str
    hint: str = ""


MAX_BYTES = 16 * 1024 * 1024


def read_toml(path: Path, model: type[_Model]) -> tuple[_Model | None, list[Fault]]:
    """Return the file as `model` and no faults, or None and every fault of the file.

    A file that cannot be read or is not TOML gives one fault; nothing is raised for its content.
    """
    document, faults = read_document(path)
    if document is None:
        return None, faults
    try:
        return model.model_validate(document), []
    except ValidationError as error:
        text = path.read_text(encoding="utf-8-sig")
        return None, _faults(path, text, model, error.errors(include_url=False))


def read_document(path: Path) -> tuple[dict[str, Any] | None, list[Fault]]:
    """Return the file as plain tables, or None and the fault that keeps it from being TOML."""
    try:
        if path.exists() and not path.is_file():
            return None, [_fault(path, "is not a regular file", "name a TOML file")]
        if path.exists() and path.stat().st_size > MAX_BYTES:
            return None, [_fault(path, "is larger than 16 MiB", "name the right file")]
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows write a mark in front
    except OSError as error:
        return None, [_fault(path, f"cannot be read: {error.strerror}", "check the path and its rights")]
    except UnicodeDecodeError:
        return None, [_fault(path, "is not UTF-8 text", "save it as UTF-8")]
    try:
        return tomllib.loads(text), []
    except tomllib.TOMLDecodeError as error:
        return None, [_syntax_fault(path, text, str(error))]
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets nested thousands deep
        return None, [_fault(path, "holds what no such file needs", "look for endless numbers or brackets")]


def line_of(text: str, path: Where) -> int:
    """Return the line of `path` in a valid TOML text, or of the nearest table around it; 0 for none."""
    lines = key_lines(text)
    return lines.get(_known_part(lines, path), 0)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint naming the closest of the known words, or all of them when none is close."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(words)}" if words else ""


def refusal(title: str, findings: Sequence[Finding], earlier: ValidationError | None = None) -> ValidationError:
    """Return the error a validator raises for all its findings, joined to the errors found before it."""
    before = [] if earlier is None else earlier.errors(include_url=False)
    return ValidationError.from_exception_data(
        title,
        [_error(error["loc"], error["input"], error["type"], _message(error), _hint(error)) for error in before]
        + [_error(found.where, None, "finding", found.message, found.hint) for found in findings],
    )


def _error(where: Where, value: Any, kind: str, message: str, hint: str) -> InitErrorDetails:
    context = {"message": message, "hint": hint}
    # pydantic's own kinds stay recognisable (an unknown key gets its hint later); the text is ours.
    return InitErrorDetails(
        type=PydanticCustomError(kind, "{message}", context),
        loc=where,
        input=value,
    )


def _faults(path: Path, text: str, model: type[BaseModel], errors: Sequence[ErrorDetails]) -> list[Fault]:
    lines = key_lines(text)
    faults: list[Fault] = []
    unions: dict[Where, int] = {}  # where a value fits none of several types, and the fault that says so
    for error in errors:
        where = error["loc"]
        known = _known_part(lines, where)
        key = key_text(where if error["type"] in ("missing", "extra_forbidden") else known or where)
        fault = Fault(
            file=str(path),
            line=lines.get(known, 0),
            key=key,
            message=_message(error),
            hint=_hint(error) or _key_hint(model, error),
        )
        if known != where and error["type"] != "missing":
            if known in unions:
                first = faults[unions[known]]
                faults[unions[known]] = replace(first, message=f"{first.message} or {fault.message}")
                continue
            unions[known] = len(faults)
        faults.append(fault)
    return sorted(faults, key=lambda fault: fault.line)


def _known_part(lines: dict[Where, int], where: Where) -> Where:
    """Drop the steps of a pydantic location that are not in the file: union members, missing keys."""
    known: Where = ()
    for step in where:
        if (*known, step) in lines:
            known = (*known, step)
    return known


def key_text(where: Where) -> str:
    """Return the path of a key as people write it: `device[1].unit`."""
    text = ""
    for step in where:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _message(error: ErrorDetails) -> str:
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a known key"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            text = error["msg"]
            return text[:1].lower() + text[1:]


def _hint(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    if error["type"] == "literal_error" and isinstance(error["input"], str) and "expected" in context:
        return did_you_mean(error["input"], re.findall(r"'([^']*)'", context["expected"]))
    return str(context.get("hint", ""))


def _key_hint(model: type[BaseModel], error: ErrorDetails) -> str:
    if error["type"] != "extra_forbidden":
        return ""
    *parents, name = error["loc"]
    models = [model]
    for step in parents:
        if isinstance(step, str):
            inner = [found for outer in models for found in _models_under(outer, step)]
            models = inner or models
    return did_you_mean(str(name), {key for owner in models for key in _fields(owner)})


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _models_under(model: type[BaseModel], key: str) -> Iterator[type[BaseModel]]:
    pending = [_fields(model).get(key)]
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
        pending.extend(get_args(annotation))


def _fault(path: Path, message: str, hint: str) -> Fault:
    return Fault(file=str(path), line=0, key="", message=message, hint=hint)


def _syntax_fault(path: Path, text: str, message: str) -> Fault:
    place = _SYNTAX_PLACE.search(message)
    what = message[: place.start()] if place else message
    line = int(place[1]) if place and place[1] else len(text.splitlines())
    return Fault(file=str(path), line=line, key="", message=f"is not TOML: {what}", hint="")
