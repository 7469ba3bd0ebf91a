"""status, devices and sync over the real socket."""

import json

import pytest

PROBLEM = {
    "what": "device_silent",
    "where": "grid-meter",
    "text": "has not answered for 95 s",
    "remedy": "check its power and its cable",
}


def test_status_of_a_well_gateway_is_one_screen(daemon):
    result = daemon.huxi("status")
    assert result.exit_code == 0, result.stderr
    assert len(result.stdout.splitlines()) < 24
    for part in (
        "qiyang-01, up 3 d",
        "140.404 g/kWh",
        "屋顶 (tcp://127.0.0.1:5020) ok, 99 good, 1 failed, 3.2 ms, answers up to 1.2 s late",
        "ok, 2 of 2 answer",
        "the oldest undelivered is 3 min old; 16.0 GiB of disk free",
        "enough for 30 d; 23 MiB a day are written to the disk",
        "https://central.example ok, 3 records wait, last acknowledgement 20 s ago",
        "pv 35.000 kWh, grid 64.154 kWh",
        "emitted 9007.199, baseline –, avoided –",
        "ok: it is well.",
    ):
        assert part in result.stdout


def test_status_with_problems_says_what_to_do_and_exits_1(daemon):
    daemon.site.state["problems"] = [PROBLEM]
    result = daemon.huxi("status")
    assert result.exit_code == 1
    assert "bad grid-meter: has not answered for 95 s\n     -> check its power" in result.stdout
    assert "it is well" not in result.stdout


def test_status_of_a_gateway_that_has_nothing_yet(daemon):
    state = daemon.site.state
    state["factor"] = None
    state["sync"] = dict.fromkeys(state["sync"]) | {
        "configured": False,
        "backlog_records": 0,
        "quarantined": 0,
        "quarantine": [],
    }
    state["clock"] = {"trusted": False, "source": None, "text": "nobody vouches for it"}
    state["buffer"]["oldest_unsent_ms"] = state["links"][0]["round_trip_ms"] = None
    state["links"][0] |= {"connected": False, "last_error": "connection refused", "latest_ms": 0.0}
    state["today"]["energy_by_role_mWh"] = {}
    result = daemon.huxi("status")
    assert result.exit_code == 0, result.stderr
    for part in (
        "bad, none in force",
        "bad: nobody vouches for it",
        "no central server",
        "nothing waits",
        "–: connection refused",
    ):
        assert part in result.stdout


@pytest.mark.parametrize(
    ("mqtt", "words"),
    [
        ({"connected": None, "last_error": None}, "mqtt://broker.lan not tried yet"),
        ({"connected": True, "last_error": None}, "mqtt://broker.lan ok"),
        ({"connected": False, "last_error": "no answer"}, "mqtt://broker.lan bad, no answer"),
    ],
)
def test_status_tells_of_the_mqtt_broker_where_there_is_one(daemon, mqtt, words):
    assert "mqtt" not in daemon.huxi("status").stdout
    daemon.site.state["mqtt"] = {"url": "mqtt://broker.lan", "trouble": None} | mqtt
    assert words in daemon.huxi("status").stdout


@pytest.mark.parametrize(
    ("sync", "words"),
    [
        (
            {"reachable": None, "last_ack_ms": None},
            "not tried yet, 3 records wait, last acknowledgement none so far",
        ),
        ({"reachable": False, "last_error": "timed out"}, "bad, not reachable (timed out)"),
    ],
)
def test_status_says_how_the_receiver_is(daemon, sync, words):
    daemon.site.state["sync"] |= sync
    assert words in daemon.huxi("status").stdout


def test_status_at_night_is_well(daemon):
    state = daemon.site.state
    state["devices"] = {"total": 2, "live": 1, "asleep": 1}
    state["links"][0] |= {"connected": False, "asleep": True}
    result = daemon.huxi("status")
    assert result.exit_code == 0, result.stderr
    assert "ok, 1 of 2 answer, 1 asleep" in result.stdout
    assert "屋顶 (tcp://127.0.0.1:5020) asleep, 99 good" in result.stdout


def test_status_as_json_is_what_the_daemon_said(daemon):
    daemon.site.state["problems"] = [PROBLEM]
    result = daemon.huxi("status", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == daemon.site.state
    assert json.loads(result.stdout)["today"]["emitted_ng"] == str(2**53 + 1)


def test_devices_in_a_table(daemon):
    result = daemon.huxi("devices")
    assert result.exit_code == 0, result.stderr
    heading, pv, grid = result.stdout.splitlines()
    assert heading.split()[:3] == ["device", "role", "state"]
    assert pv.split() == [
        "光伏棚",
        "pv",
        "ok",
        "0",
        "s",
        "12345.5",
        "35.000",
        "屋顶",
        "1",
        "inverter/huawei-sun2000",
    ]
    assert grid.split() == [
        "grid-meter",
        "grid",
        "silent",
        "95",
        "s",
        "–",
        "–",
        "cabinet",
        "3",
        "meter/acrel-adl400",
    ]


def test_points_of_one_device(daemon):
    result = daemon.huxi("devices", "光伏棚")
    assert result.exit_code == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines()[3:]]
    assert rows == [
        ["active_power", "12345.5", "W", "ok"],
        ["device_status", "512", "ok", "on", "grid"],
        ["temperature", "–", "degC", "no", "value"],
    ]
    only = json.loads(daemon.huxi("devices", "光伏棚", "--json").stdout)["devices"]
    assert [device["name"] for device in only] == ["光伏棚"]


def test_an_unknown_device_is_told_the_known_ones(daemon):
    result = daemon.huxi("devices", "pv")
    assert result.exit_code == 2
    assert result.stderr == "huxi: there is no device 'pv': this gateway has 光伏棚, grid-meter\n"


def test_what_a_device_refused_is_told_and_can_be_asked_for_again(daemon):
    daemon.site.device_list[0]["learnt"] = {"refused": ["phase_b", "phase_c"], "barriers": ["3:14"], "max_block": 45}
    told = daemon.huxi("devices", "光伏棚").stdout.splitlines()[1]
    assert told == (
        "refused when it was new: points phase_b, phase_c; reads across 3:14; "
        "reads of more than 45 registers (ask again with --relearn)"
    )
    assert "refused" not in daemon.huxi("devices", "grid-meter").stdout
    result = daemon.huxi("devices", "光伏棚", "--relearn")
    assert result.stdout == "光伏棚 is asked for everything again from its next poll on.\n"
    assert daemon.site.relearnt == ["光伏棚"]
    assert daemon.huxi("devices", "--relearn").exit_code == 2


def test_sync_status(daemon):
    result = daemon.huxi("sync", "status")
    assert result.exit_code == 0, result.stderr
    assert "https://central.example" in result.stdout
    assert ["ledger", "9"] in [line.split() for line in result.stdout.splitlines()]
    assert "1 records, which the server rejects" in result.stdout
    assert "no such meter (422)" in result.stdout
    assert json.loads(daemon.huxi("sync", "status", "--json").stdout) == daemon.site.state["sync"]


def test_sync_status_of_an_unreachable_receiver_exits_1(daemon):
    daemon.site.state["sync"] |= {"reachable": False, "last_error": "timed out"}
    result = daemon.huxi("sync", "status")
    assert result.exit_code == 1
    assert "timed out" in result.stdout


def test_sync_status_without_a_receiver(daemon):
    daemon.site.state["sync"] |= {"configured": False, "url": None, "reachable": None}
    result = daemon.huxi("sync", "status")
    assert result.exit_code == 0
    assert "No central server is configured" in result.stdout


def test_the_clock_is_told_in_one_sentence_and_a_person_can_vouch_for_it(daemon):
    result = daemon.huxi("clock", "status")
    assert (result.exit_code, result.stdout.endswith("ok: a time service keeps it right\n")) == (0, True)
    daemon.site.state["clock"] = {"trusted": False, "source": None, "text": "nobody vouches for it"}
    result = daemon.huxi("clock", "status")
    assert (result.exit_code, result.stdout.endswith("bad: nobody vouches for it\n")) == (1, True)
    assert json.loads(daemon.huxi("clock", "status", "--json").stdout)["trusted"] is False
    assert daemon.huxi("clock", "trust").stdout.endswith("is taken as right.\n")
    assert set(json.loads(daemon.huxi("clock", "trust", "--json").stdout)) == {"now_ms"}


def test_sync_now(daemon):
    assert daemon.huxi("sync", "now").stdout == "Everything is delivered.\n"
    daemon.site.drained = {"drained": False, "error": "the receiver does not answer"}
    result = daemon.huxi("sync", "now")
    assert (result.exit_code, result.stderr) == (
        1,
        "huxi: not everything was delivered: the receiver does not answer\n",
    )
    result = daemon.huxi("sync", "now", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (1, daemon.site.drained)


@pytest.mark.parametrize(
    "command", [["status"], ["devices"], ["sync", "status"], ["sync", "now"], ["status", "--json"]]
)
def test_without_a_daemon_every_command_says_how_to_start_one(huxi, tmp_path, command):
    result = huxi(*command, "--data", str(tmp_path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"no daemon answers at {tmp_path}/api.sock: start it" in result.stderr


def test_without_a_configuration_the_ways_to_name_one_are_told(huxi, tmp_path):
    result = huxi("status", "-c", str(tmp_path / "none.toml"))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"huxi: there is no configuration file {tmp_path}/none.toml: name yours")
