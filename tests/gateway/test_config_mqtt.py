"""The table [mqtt]: its defaults, its faults by key and line, and the files that it names."""

from pathlib import Path
from typing import Any

import pytest

from gateway.config import Config, ConfigError, load_config, read_password, read_trust
from gateway.config_file import MqttSection
from tests.gateway.test_config import GOOD

LINES_BEFORE = GOOD.count("\n")


def load(folder: Path, table: str) -> Config:
    path = folder / "huxi.toml"
    path.write_text(GOOD + table, encoding="utf-8")
    return load_config(path)


def section(**keys: Any) -> MqttSection:
    return MqttSection(**{"url": "mqtts://broker.lan"} | keys)


def test_it_may_be_left_out_and_has_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, "").mqtt is None
    mqtt = load(tmp_path, '[mqtt]\nurl = "mqtt://broker.lan"\n').mqtt
    assert mqtt is not None
    assert (mqtt.period_ms, mqtt.discovery, mqtt.discovery_prefix) == (10_000, True, "homeassistant")
    assert (mqtt.prefix, mqtt.username, read_password(mqtt), read_trust(mqtt)) == (None, None, None, None)


def test_its_files_are_taken_from_the_folder_of_the_configuration(tmp_path: Path) -> None:
    keys = '[mqtt]\nurl = "mqtts://b"\nusername = "huxi"\npassword_file = "password"\nca_file = "ca.pem"\n'
    mqtt = load(tmp_path, keys).mqtt
    assert mqtt is not None
    assert (mqtt.password_file, mqtt.ca_file) == (tmp_path / "password", tmp_path / "ca.pem")


def test_every_fault_is_named_with_its_line(tmp_path: Path) -> None:
    table = """\
[mqtt]
url = "http://broker.lan"
period = "1ms"
prefix = "huxi/#"
discovery = "yes"
discovery_prefix = ""
pasword_file = "p"
"""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, table)
    found = {(fault.line - LINES_BEFORE, fault.key) for fault in caught.value.faults}
    keys = ["url", "period", "prefix", "discovery", "discovery_prefix", "pasword_file"]
    assert found == {(line, f"mqtt.{key}") for line, key in enumerate(keys, start=2)}
    text = str(caught.value)
    for words in ('must be "mqtt://host:1883"', "must lie between 1 s and 3600 s", "must be a topic", "password_file"):
        assert words in text


def test_keys_that_do_not_fit_together_are_faults_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, '[mqtt]\nurl = "mqtt://b"\npassword_file = "p"\nca_file = "c"\n')
    found = [(fault.line - LINES_BEFORE, fault.key, bool(fault.hint)) for fault in caught.value.faults]
    assert found == [(3, "mqtt.password_file", True), (4, "mqtt.ca_file", True)]


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        ("", 0o600, "holds no usable password"),
        ("two\nlines", 0o600, "holds no usable password"),
        ("x" * 513, 0o600, "holds no usable password"),
        ("secret", 0o644, "can be read by everybody"),
    ],
)
def test_a_password_file_that_cannot_be_used(tmp_path: Path, content: str, mode: int, says: str) -> None:
    path = tmp_path / "password"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=rf"mqtt\.password_file: {says}"):
        read_password(section(username="huxi", password_file=path))


def test_a_good_password(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("呼吸 secret\n", encoding="utf-8")
    path.chmod(0o600)
    assert read_password(section(username="huxi", password_file=path)) == "呼吸 secret"


def test_certificates_that_cannot_be_used(tmp_path: Path) -> None:
    assert read_trust(section()) is not None, "this machine's own"
    path = tmp_path / "ca.pem"
    for content in (None, "no certificate"):
        if content is not None:
            path.write_text(content)
        with pytest.raises(ConfigError, match=r"mqtt\.ca_file: cannot be used"):
            read_trust(section(ca_file=path))
