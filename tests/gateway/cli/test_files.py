"""check and profile: what is wrong with a file, all at once and by line; what it means."""

import json
import re
from pathlib import Path

import pytest

from drivers.catalogue import Catalogue, shipped

GOOD = """\
[gateway]
id = "qiyang-01"
region = "CN-SC"
data_dir = "data"

[[link]]
name = "屋顶"
url = "tcp://192.168.1.20:502"

[[device]]
name = "光伏棚"
link = "屋顶"
unit = 4
profile = "inverter/huawei-sun2000"
role = "pv"
max_power_W = 33000
period = "2s"

[sync]
url = "https://central.example"
token_file = "token"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "huxi.toml"
    path.write_text(GOOD)
    (tmp_path / "token").touch(mode=0o600)
    (tmp_path / "token").write_text("secret-token-1\n")
    return path


def test_a_token_that_cannot_be_used_is_a_fault(huxi, config):
    (config.parent / "token").write_text("short\n")
    result = huxi("check", "-c", str(config))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "sync.token_file: holds no usable token" in result.stderr


@pytest.mark.parametrize("key", ["ca_file", "cert_file"])
def test_a_certificate_file_that_cannot_be_used_is_a_fault(huxi, config, key):
    config.write_text(GOOD + f'{key} = "missing.pem"\n')
    result = huxi("check", "-c", str(config))
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"[sync] {key} {config.parent}/missing.pem cannot be used" in result.stderr


def test_every_key_of_the_way_is_understood(huxi, config):
    more = 'proxy = "http://10.0.0.1:3128"\nbudget_kB_per_day = 1500\nledger_every = "6h"\nlive = "10s"\n'
    config.write_text(GOOD + more)
    result = huxi("check", "-c", str(config))
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize(
    "line", ['proxy = "socks5://10.0.0.1"', "budget_kB_per_day = 5", 'ledger_every = "2d"', 'live = "10"']
)
def test_a_key_of_the_way_out_of_range_is_a_fault(huxi, config, line):
    config.write_text(f"{GOOD}{line}\n")
    result = huxi("check", "-c", str(config))
    assert result.exit_code == 2
    assert f"sync.{line.partition(' ')[0]}" in result.stderr


def test_a_good_file_is_explained(huxi, config):
    result = huxi("check", "-c", str(config))
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"{config} is good.\n")
    for part in (
        f"qiyang-01 in Asia/Shanghai, data in {config.parent}/data",
        "5 min, lens location",
        "g CO2/kWh for CN-SC (data of 20",
        "https://central.example",
        "http://127.0.0.1:8480/",
        "屋顶  tcp://192.168.1.20:502  cycle 0.2",
    ):
        assert part in result.stdout
    row = result.stdout.splitlines()[-1].split()
    assert row[:7] == ["光伏棚", "pv", "屋顶", "4", "2", "s", "inverter/huawei-sun2000"]
    assert "accumulated_yield (generation)" in result.stdout


def test_the_mqtt_broker_is_explained_and_its_files_are_read(huxi, config):
    text = config.read_text()
    config.write_text(text + '[mqtt]\nurl = "mqtt://broker.lan"\n')
    result = huxi("check", "-c", str(config))
    assert "mqtt://broker.lan each 10 s; Home Assistant finds the devices under homeassistant/" in result.stdout
    config.write_text(text + '[mqtt]\nurl = "mqtts://broker.lan"\nusername = "u"\npassword_file = "none"\n')
    result = huxi("check", "-c", str(config))
    assert result.exit_code == 2
    assert "mqtt.password_file: cannot be read" in result.stderr


def test_a_good_file_as_json(huxi, config):
    answer = json.loads(huxi("check", "-c", str(config), "--json").stdout)
    assert (answer["ok"], answer["faults"], answer["interval_ms"]) == (True, [], 300_000)
    (link,) = answer["links"]
    assert 0 < link["cycle_ms"] == pytest.approx(link["load"] * link["period_ms"], rel=0.01)
    (device,) = answer["devices"]
    assert (device["unit"], device["period_ms"]) == (4, 2000)
    assert {"name": "accumulated_yield", "flow": "generation"} in device["registers"]
    assert isinstance(answer["factors"]["location"]["value_mg_per_kWh"], int)


def test_a_line_with_little_room_is_said(huxi, config):
    config.write_text(GOOD.replace("tcp://192.168.1.20:502", "rtu:///dev/ttyUSB0?baud=2400"))
    result = huxi("check", "-c", str(config))
    assert result.exit_code == 0
    assert "; that is close: give its devices longer periods, or the line more baud" in result.stdout


def test_polls_that_cannot_be_kept_are_refused_with_the_remedy(huxi, config):
    slow = GOOD.replace("tcp://192.168.1.20:502", "rtu:///dev/ttyUSB0?baud=2400").replace('"2s"', '"1s"')
    config.write_text(slow)
    result = huxi("check", "-c", str(config))
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.fullmatch(
        r".*link\[0\].url: the polls of link '屋顶' do not fit: cycle \d\.\d\d s of 1 s \(1\d\d %\)"
        r".*give its devices periods 1\.\d times as long, or the line more baud.*",
        result.stderr.strip(),
    )


def test_every_fault_is_told_with_its_line(huxi, config):
    config.write_text(GOOD.replace('"CN-SC"', '"CN-XX"').replace('link = "屋顶"', 'link = "roof"'))
    result = huxi("check", "-c", str(config))
    assert (result.exit_code, result.stdout) == (2, "")
    first, second = result.stderr.splitlines()
    assert first.startswith(f"{config}:3: gateway.region: ")
    assert second.startswith(f"{config}:12: device")
    answer = json.loads(huxi("check", "-c", str(config), "--json").stdout)
    assert [fault["line"] for fault in answer["faults"]] == [3, 12]


@pytest.mark.parametrize("command", ["check", "run", "status", "devices"])
def test_no_command_takes_a_faulty_file(huxi, config, command):
    config.write_text("[gateway\n")
    result = huxi(command, "-c", str(config))
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{config}:1: is not TOML" in result.stderr


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_file_that_is_not_there(huxi, tmp_path, command):
    result = huxi(command, "-c", str(tmp_path / "none.toml"))
    assert result.exit_code == 2
    assert f"{tmp_path}/none.toml: cannot be read: No such file" in result.stderr


def test_the_profiles_are_listed(huxi):
    names = Catalogue([shipped()]).names()
    result = huxi("profile", "list")
    assert result.exit_code == 0, result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["profile", *names]
    listed = json.loads(huxi("profile", "list", "--json").stdout)["profiles"]
    assert [profile["name"] for profile in listed] == names
    assert all(profile["points"] > 0 for profile in listed)


def test_a_profile_is_shown_as_it_stands(huxi):
    name = "inverter/huawei-sun2000"
    assert huxi("profile", "show", name).stdout == Catalogue([shipped()]).text(name)
    answer = json.loads(huxi("profile", "show", name, "--json").stdout)
    assert (answer["name"], answer["profile"]["make"]) == (name, "Huawei")


def test_an_unknown_profile(huxi):
    result = huxi("profile", "show", "inverter/huawei")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean 'inverter/huawei-sun2000'?" in result.stderr


def test_a_profile_of_ones_own_is_checked(huxi, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(Catalogue([shipped()]).text("meter/eastron-sdm630"))
    result = huxi("profile", "check", str(own))
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"{own} is good: ")
    own.write_text(own.read_text() + '\n[[point]]\nnam = "x"\naddress = -1\ntype = "u17"\n')
    result = huxi("profile", "check", str(own))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "did you mean 'name'?" in result.stderr
    assert all(line.startswith(f"{own}:") for line in result.stderr.splitlines())
    faults = json.loads(huxi("profile", "check", str(own), "--json").stdout)["faults"]
    assert len(faults) >= 4
