"""The page speaks both languages completely, and only of things that exist."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

import gateway.health
from ext.quality import Quality
from gateway.config_file import Role
from gateway.receiver_time import RECEIVER
from gateway.web.models import DeviceState, QualityName
from gateway.witness import CONFIGURATION, HAND, KERNEL, TIMESYNCD
from sync.telemetry.telemetry import Trouble

PAGE = Path(gateway.health.__file__).parent / "web" / "page"
LANGUAGES = ("zh-CN", "en")
FAMILIES = ("problem.", "clock.", "role.", "state.", "quality.", "lens.", "region.")


def words(language: str) -> dict[str, str]:
    pairs = json.loads((PAGE / "i18n" / f"{language}.json").read_text(), object_pairs_hook=list)
    assert len({key for key, _ in pairs}) == len(pairs), "a key stands twice"
    return dict(pairs)


def used_keys() -> set[str]:
    sources = "\n".join(path.read_text() for path in (PAGE / "js").rglob("*.js"))
    literals = set(re.findall(r'"([a-z]+\.[a-zA-Z.]+)"', sources))
    return {key for key in literals if not key.endswith(".js")} - {"huxi.language"}


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_both_languages_say_the_same_things_with_the_same_values() -> None:
    chinese, english = (words(language) for language in LANGUAGES)
    assert list(chinese) == list(english)
    assert {key: placeholders(text) for key, text in chinese.items()} == {
        key: placeholders(text) for key, text in english.items()
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_in_use_has_words_and_no_words_are_left_over(language: str) -> None:
    fixed = {key for key in words(language) if not key.startswith(FAMILIES)}
    assert len(used_keys()) > 40
    assert used_keys() == fixed


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_role_state_quality_and_problem_of_the_gateway_has_words(language: str) -> None:
    problems = set(re.findall(r'what="(\w+)"', Path(gateway.health.__file__).read_text()))
    assert len(problems) > 5
    problems |= {f"mqtt_{trouble}" for trouble in get_args(Trouble)}
    needed = {
        *(f"role.{role}" for role in get_args(Role)),
        *(f"state.{state}" for state in get_args(DeviceState)),
        *(f"quality.{quality.name.lower()}" for quality in Quality if quality is not Quality.OK),
        *(f"problem.{problem}" for problem in problems),
        *(f"problem.{problem}.remedy" for problem in problems),
        *(f"clock.{source}" for source in (KERNEL, TIMESYNCD, CONFIGURATION, HAND, RECEIVER)),
        "lens.location",
        "lens.market",
    }
    known = {key for key in words(language) if key.startswith(FAMILIES) and not key.startswith("region.")}
    assert known == needed


def test_the_published_qualities_are_those_of_the_core() -> None:
    assert set(get_args(QualityName)) == {quality.name.lower() for quality in Quality}


def test_chinese_uses_chinese_punctuation() -> None:
    for key, text in words("zh-CN").items():
        assert re.search(r"[\u4e00-\u9fff]", text), key
        assert not re.search(r"[\u4e00-\u9fff][,;:(]", text), f"{key}: {text}"
