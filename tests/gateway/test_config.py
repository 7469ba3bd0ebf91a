"""The configuration: what it means, and that every fault is named at once with its place and a remedy."""

from pathlib import Path

import pytest

from gateway.config import Config, ConfigError, load_config, read_token
from gateway.config_file import SyncSection, duration_ms

GOOD = """\
[gateway]
id = "qiyang-01"
region = "CN-SC"
data_dir = "data"

[[link]]
name = "roof"
url = "tcp://192.0.2.20:502"

[[device]]
name = "pv-pergola"
link = "roof"
profile = "inverter/huawei-sun2000"
role = "pv"
max_power_W = 30000
"""


PV = 'profile = "inverter/huawei-sun2000"\nrole = "pv"\nmax_power_W = 30000'
CHARGER = 'profile = "charger/keba-p30"\nrole = "charger"\nmax_power_W = 900000000\nperiod = "1h"'


@pytest.fixture
def load(tmp_path: Path):
    def load(text: str) -> Config:
        path = tmp_path / "huxi.toml"
        path.write_text(text, encoding="utf-8")
        return load_config(path)

    return load


def faults(load, text: str) -> list[str]:
    """The faults without the folder: "line: key: message (hint)"."""
    with pytest.raises(ConfigError) as caught:
        load(text)
    return [str(fault).split("huxi.toml:", 1)[-1] for fault in caught.value.faults]


def test_a_good_file_and_its_defaults(load, tmp_path: Path) -> None:
    config = load(GOOD)
    assert config.gateway.data_dir == tmp_path / "data"
    assert config.unit(config.devices[0]) == 1
    assert (config.devices[0].period_ms, config.carbon.interval_ms) == (1_000, 300_000)
    assert config.gateway.checkpoint_ms == 60_000
    assert config.web.address == ("127.0.0.1", 8480)
    assert config.sync is None


@pytest.mark.parametrize(
    ("change", "line", "key", "says"),
    [
        (
            ('data_dir = "data"', 'data_dir = "data"\ncheckpont = "5s"'),
            5,
            "gateway.checkpont",
            "did you mean 'checkpoint'?",
        ),
        (('region = "CN-SC"', 'region = "CN-SX9"'), 3, "gateway.region", "no factor is known"),
        (("max_power_W = 30000", 'max_power_W = "30 kW"'), 15, "device[0].max_power_W", "integer"),
        (('name = "roof"', "name = 5"), 7, "link[0].name", "string"),
        (('"tcp://192.0.2.20:502"', '"tpc://192.0.2.20"'), 8, "link[0].url", "tcp://host:port"),
        (('link = "roof"', 'link = "rof"'), 12, "device[0].link", "did you mean 'roof'?"),
        (("huawei-sun2000", "huawei-sun200"), 13, "device[0].profile", "did you mean 'inverter/huawei-sun2000'?"),
        (('role = "pv"', 'role = "solar"'), 14, "device[0].role", "pv"),
        (('role = "pv"', 'role = "grid"'), 14, "device[0].role", "another role"),
        (("max_power_W = 30000\n", ""), 10, "device[0].max_power_W", "add max_power_W"),
        (
            ('data_dir = "data"', 'data_dir = "data"\ncheckpoint = "1h"'),
            5,
            "gateway.checkpoint",
            "between 1 s and 120 s",
        ),
        (('data_dir = "data"', 'data_dir = "data"\ntimezone = "Asia/Chengdu"'), 5, "gateway.timezone", "time zone"),
        (("max_power_W = 30000", 'period = "1"'), 15, "device[0].period", "a duration is text with a unit"),
        (
            ("max_power_W = 30000", 'max_power_W = 30000\n[carbon]\ninterval = "7min"'),
            17,
            "carbon.interval",
            "divide an hour",
        ),
        (
            ("max_power_W = 30000", 'max_power_W = 30000\n[carbon]\nretention = "30d"'),
            17,
            "carbon.retention",
            'between "31d" and "36525d"',
        ),
        (
            ("max_power_W = 30000", 'max_power_W = 30000\n[carbon]\nretention = "999999999d"'),
            17,
            "carbon.retention",
            'between "31d" and "36525d"',
        ),
        (('"tcp://192.0.2.20:502"', '"tcp://meter..lan:502"'), 8, "link[0].url", "cannot be a host"),
        (('"tcp://192.0.2.20:502"', '"line:///tmp/tty"'), 8, "link[0].url", "read it as rtu:///tmp/tty"),
        (
            ("max_power_W = 30000", 'max_power_W = 30000\n[carbon]\nlenses = ["market"]'),
            17,
            "carbon.lenses",
            '["location", "market"]',
        ),
        (
            ('data_dir = "data"', 'data_dir = "data"\n[[link]]\nname = "spare"\nurl = "tcp://192.0.2.9:502"'),
            6,
            "link[0].name",
            "no device is on link 'spare'",
        ),
        (
            ("inverter/huawei-sun2000", 'wastewater/wwtp-generic-v1"\nperiod = "5min'),
            14,
            "device[0].period",
            "has no counter",
        ),
        (
            (
                'profile = "inverter/huawei-sun2000"\nrole = "pv"\nmax_power_W = 30000',
                'profile = "charger/keba-p30"\nrole = "charger"\nmax_power_W = 900000000\nperiod = "1h"',
            ),
            16,
            "device[0].period",
            "may turn over",
        ),
        (
            ("tcp://192.0.2.20:502", "rtu:///dev/ttyUSB0?baud=2400"),
            8,
            "link[0].url",
            "the polls of link 'roof' do not fit: cycle 1.",
        ),
    ],
)
def test_each_fault_names_line_key_and_remedy(load, change: tuple[str, str], line: int, key: str, says: str) -> None:
    assert change[0] in GOOD
    found = faults(load, GOOD.replace(*change))
    assert len(found) == 1, found
    assert found[0].startswith(f"{line}: {key}: "), found
    assert says in found[0]


def test_all_faults_are_reported_at_once(load) -> None:
    text = GOOD.replace('"qiyang-01"', '"Qi Yang"').replace('"roof"\nurl', '"roof"\nspeed = 9600\nurl')
    text = text.replace("30000", "-1")
    found = faults(load, text)
    assert [line.split(": ")[1] for line in found] == ["gateway.id", "link[0].speed", "device[0].max_power_W"]


def test_what_is_sound_is_checked_although_something_else_is_faulty(load) -> None:
    text = GOOD.replace('role = "pv"', 'role = "gird"').replace('"CN-SC"', '"CN-SX9"').replace("tcp://", "tpc://")
    more = '[[device]]\nname = "b"\nlink = "imm"\nprofile = "x/y"\nrole = "load"\n'
    keys = [line.split(": ")[1] for line in faults(load, text + more)]
    assert sorted(keys) == ["device[0].role", "device[1].link", "device[1].profile", "gateway.region", "link[0].url"]


def test_two_devices_cannot_have_one_address(load) -> None:
    second = GOOD[GOOD.index("[[device]]") :].replace("pv-pergola", "pv-garage")
    found = faults(load, GOOD + "\n" + second + "unit = 1\n")
    assert found == [
        "23: device[1].unit: device 'pv-pergola' is unit 1 of link 'roof' already "
        "(two devices cannot have one address; set the unit id of one of them)"
    ]


def test_names_and_wires_are_unique(load) -> None:
    link = (
        '[[link]]\nname = "roof"\nurl = "tcp://192.0.2.21:502"\n[[link]]\nname = "yard"\nurl = "tcp://192.0.2.20:502"\n'
    )
    device = GOOD[GOOD.index("[[device]]") :] + "unit = 2\n"
    found = faults(load, GOOD + link + device)
    assert ["a second link is called" in line for line in found].count(True) == 1
    assert ["has this address already" in line for line in found].count(True) == 1
    assert ["a second device is called" in line for line in found].count(True) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tcp://127.0.0.1:1502", "tcp://127.0.0.1:1502/"),
        ("tcp://127.0.0.1:1502", "tcp://localhost:1502"),
        ("tcp://[::1]", "tcp://LOCALHOST:502"),
        ("tcp://Meter.lan", "rtu+tcp://meter.lan.:502"),
        ("rtu://{folder}/bus", "rtu://{folder}/by-id?baud=19200"),
    ],
)
def test_one_wire_is_one_link_however_it_is_written(load, tmp_path: Path, one: str, other: str) -> None:
    (tmp_path / "bus").touch()
    (tmp_path / "by-id").symlink_to("bus")
    one, other = one.format(folder=tmp_path), other.format(folder=tmp_path)
    device = GOOD[GOOD.index("[[device]]") :].replace("roof", "yard").replace("pv-pergola", "pv-garage")
    device += 'period = "1min"\n'
    text = GOOD.replace("tcp://192.0.2.20:502", one) + f'period = "1min"\n[[link]]\nname = "yard"\nurl = "{other}"\n'
    found = faults(load, text + device)
    assert [line.split(": ", 1)[1] for line in found] == [
        "link[1].url: link 'roof' has this address already (one wire is one link; put both devices on it)"
    ]


def test_a_file_that_is_no_toml_or_is_not_there(load, tmp_path: Path) -> None:
    assert faults(load, GOOD + "[[device\n")[0].startswith("16: ")
    with pytest.raises(ConfigError, match=r"nothing\.toml"):
        load_config(tmp_path / "nothing.toml")


def test_a_folder_of_own_profiles_overrides_the_shipped_ones(load, tmp_path: Path) -> None:
    own = tmp_path / "profiles" / "inverter"
    own.mkdir(parents=True)
    (own / "huawei-sun2000.toml").write_text("[profile]\ntitel = 1\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(GOOD)
    assert {Path(fault.file).name for fault in caught.value.faults} == {"huawei-sun2000.toml"}
    assert any(fault.line == 2 for fault in caught.value.faults)


@pytest.mark.parametrize(
    "url",
    ["http://[::1", "http://x:99999", "http://:80", "https://u:p@host/", "https://h/?a=b", "ftp://host", "https://a b"],
)
def test_a_receiver_address_that_cannot_work_is_refused(load, url: str) -> None:
    found = faults(load, GOOD + f'[sync]\nurl = "{url}"\ntoken_file = "token"\n')
    assert len(found) == 1
    assert found[0].startswith("17: sync.url: ")


@pytest.mark.parametrize(
    "text",
    ["a = " + "9" * 5000, "a = " + "[" * 5000, GOOD.replace('"data"', '"a\\u0000b"'), GOOD + "[carbon]\nlenses = []\n"],
)
def test_absurd_files_get_one_clear_fault(load, text: str) -> None:
    assert len(faults(load, text)) == 1


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    for path in (Path("/dev/zero"), tmp_path):
        with pytest.raises(ConfigError, match="not a regular file"):
            load_config(path)


def test_durations() -> None:
    assert [duration_ms(text) for text in ("500ms", "1s", "5 min", "2h", "1d")] == [
        500,
        1000,
        300_000,
        7_200_000,
        86_400_000,
    ]
    for bad in ("", "1", "0s", "-1s", "1.5s", "1 week", 5, None):
        with pytest.raises(ValueError, match="duration"):
            duration_ms(bad)


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        ("secret-token-1", 0o604, "chmod 640"),
        ("", 0o600, "holds no usable token"),
        ("two\nlines-of-token", 0o600, "holds no usable token"),
    ],
)
def test_a_token_file_that_cannot_be_used(tmp_path: Path, content: str, mode: int, says: str) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=says):
        read_token(SyncSection(url="https://central.example", token_file=path))


def test_a_good_token_is_stripped(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("secret-token-1\n")
    path.chmod(0o640)
    assert read_token(SyncSection(url="https://central.example", token_file=path)) == "secret-token-1"
    path.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        read_token(SyncSection(url="https://central.example", token_file=path))
