"""doctor: each check can say ok and not ok, and what to do."""

import fcntl
import json
import os
import pty
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from drivers.modbus.url import parse_link_url
from gateway.cli import machine_checks, probe, site_checks, store_checks
from gateway.clock import LATEST_MS
from gateway.store.lock import locked

DAY_MS = 86_400_000


def config(folder: Path, url: str = "rtu:///nowhere/tty") -> Path:
    path = folder / "huxi.toml"
    path.write_text(
        '[gateway]\nid = "g"\nregion = "CN-SC"\ndata_dir = "."\n'
        f'[[link]]\nname = "line"\nurl = "{url}"\n'
        '[[device]]\nname = "d"\nlink = "line"\nprofile = "charger/keba-p30"\nrole = "charger"\n'
        'max_power_W = 22000\nperiod = "5s"\n'
        '[sync]\nurl = "https://central.example"\ntoken_file = "token"\n'
    )
    return path


def findings(result) -> dict[str, dict]:
    return {finding["check"]: finding for finding in json.loads(result.stdout)["findings"]}


@pytest.mark.parametrize(
    ("now_ms", "state"),
    [
        (0, "bad"),
        (1_790_000_000_000, "ok"),
        (LATEST_MS + DAY_MS, "bad"),
    ],
)
def test_the_year_must_be_possible(now_ms, state):
    assert machine_checks.clock_year(now_ms).state == state


@pytest.mark.parametrize(("kept", "state"), [(True, "ok"), (False, "warn")])
def test_without_a_time_service_the_remedies_are_told(kept, state):
    finding = machine_checks.clock_sync(is_kept=kept)
    assert finding.state == state
    assert bool(finding.remedy) == (state != "ok")


def test_an_old_sqlite_comes_with_its_note():
    old, new = machine_checks.sqlite((3, 40, 1)), machine_checks.sqlite((3, 51, 3))
    assert (old.state, new.state) == ("ok", "ok")
    assert "SQLite 3.40.1 (WAL-reset" in old.text
    assert new.text == "SQLite 3.51.3"


@pytest.mark.parametrize(("free", "state"), [(2**31, "ok"), (2**29, "warn"), (2**20, "bad")])
def test_a_full_disk_is_bad(tmp_path, monkeypatch, free, state):
    monkeypatch.setattr(machine_checks.shutil, "disk_usage", lambda folder: _Usage(free))
    assert machine_checks.disk(tmp_path / "not" / "yet" / "there").state == state


class _Usage:
    def __init__(self, free: int) -> None:
        self.free = free


def test_the_data_folder(tmp_path):
    assert site_checks.data_folder(tmp_path).state == "ok"
    assert site_checks.data_folder(tmp_path / "later").state == "warn"
    (tmp_path / "file").touch()
    assert site_checks.data_folder(tmp_path / "file").state == "bad"
    tmp_path.chmod(0o777)
    finding = site_checks.data_folder(tmp_path)
    assert (finding.state, finding.remedy) == ("bad", f"chmod o-w {tmp_path}")


@pytest.mark.parametrize(
    ("content", "mode", "state", "text"),
    [
        (None, 0, "bad", "there is no file"),
        (b"", 0o600, "bad", "is empty"),
        (b"\n", 0o600, "bad", "is empty"),
        (b"\xff\xfe", 0o600, "bad", "cannot be read"),
        (b"secret", 0o644, "bad", "everybody may read"),
        (b"secret", 0o640, "ok", "token"),
    ],
)
def test_the_token_file(tmp_path, content, mode, state, text):
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    finding = site_checks.secret_file("sync token", path, "the token")
    assert finding.state == state
    assert text in finding.text
    assert "secret" not in (finding.text + finding.remedy).replace(str(path), "")


def test_a_serial_port_is_probed_without_a_word():
    master, slave = pty.openpty()
    try:
        address = parse_link_url(f"rtu://{os.ttyname(slave)}")
        assert probe.probe(address) is None
        holder = os.open(os.ttyname(slave), os.O_RDWR | os.O_NOCTTY)
        fcntl.flock(holder, fcntl.LOCK_EX)
        assert "is in use" in str(probe.probe(address))
        os.close(holder)
        assert probe.probe(address) is None
    finally:
        os.close(master)
        os.close(slave)


def test_without_a_configuration_only_the_machine_is_looked_at(huxi, monkeypatch):
    monkeypatch.setattr("gateway.cli.doctor.DEFAULT_CONFIG", Path("/nowhere/huxi.toml"))
    result = huxi("doctor", "-c", "/nowhere/huxi.toml")
    assert result.exit_code == 0, result.stdout
    assert "warn  configuration: there is no /nowhere/huxi.toml" in result.stdout
    assert "core: compiled" in result.stdout


def test_a_named_configuration_that_is_faulty_is_bad(huxi, tmp_path):
    result = huxi("doctor", "-c", str(tmp_path / "none.toml"), "--json")
    assert result.exit_code == 1
    found = findings(result)
    assert found["configuration"]["state"] == "bad"
    assert "cannot be read" in found["configuration"]["text"]
    assert "data folder" not in found


def test_a_site_is_looked_at_from_end_to_end(huxi, tmp_path):
    result = huxi("doctor", "-c", str(config(tmp_path)))
    assert result.exit_code == 1
    for line in (
        f"ok    data folder: {tmp_path} (drwx",
        "warn  daemon: does not answer\n      -> no daemon answers at",
        "bad   link line: there is no serial port /nowhere/tty\n      -> plug the adapter in",
        f"bad   sync token: there is no file {tmp_path}/token\n      -> write the token",
    ):
        assert line in result.stdout


def test_the_mqtt_broker_is_looked_at_where_there_is_one(huxi, daemon):
    path = config(daemon.data_dir)
    assert not [check for check in findings(huxi("doctor", "-c", str(path), "--json")) if "mqtt" in check]
    keys = 'url = "mqtts://broker.lan"\nusername = "huxi"\npassword_file = "p"\nca_file = "ca"\n'
    path.write_text(f"{path.read_text()}[mqtt]\n{keys}")
    daemon.site.state["mqtt"] = {
        "url": "mqtts://broker.lan",
        "connected": False,
        "trouble": "untrusted",
        "last_error": "its certificate is not trusted",
    }
    found = findings(huxi("doctor", "-c", str(path), "--json"))
    assert found["mqtt password"]["text"] == f"there is no file {daemon.data_dir}/p"
    assert "cannot be used" in found["mqtt ca_file"]["text"]
    assert found["mqtt broker"]["text"] == "its certificate is not trusted"
    assert "ca_file" in found["mqtt broker"]["remedy"]
    daemon.site.state["mqtt"] |= {"connected": True, "trouble": None, "last_error": None}
    assert findings(huxi("doctor", "-c", str(path), "--json"))["mqtt broker"]["state"] == "ok"


def test_a_running_daemon_is_asked_about_its_links(huxi, daemon):
    (daemon.data_dir / "token").write_text("secret\n")
    (daemon.data_dir / "token").chmod(0o600)
    path = config(daemon.data_dir)
    found = findings(huxi("doctor", "-c", str(path), "--json"))
    assert found["daemon"]["state"] == "ok"
    assert found["link 屋顶"]["state"] == "ok"
    assert "link line" not in found, "the line is the daemon's: nobody else opens it"
    daemon.site.state["links"][0] |= {"connected": False, "last_error": "refused"}
    daemon.site.state["problems"] = [{"what": "link", "where": "屋顶", "text": "down", "remedy": "up"}]
    result = huxi("doctor", "-c", str(path), "--json")
    assert result.exit_code == 1
    found = findings(result)
    assert found["daemon"]["state"] == "warn"
    assert found["link 屋顶"]["text"] == "tcp://127.0.0.1:5020: refused"


def test_a_clock_that_is_said_to_have_a_battery_should_have_one(tmp_path):
    assert site_checks.own_clock(tmp_path / "rtc").state == "warn"
    (tmp_path / "rtc" / "rtc0").mkdir(parents=True)
    assert site_checks.own_clock(tmp_path / "rtc").state == "ok"


class TestDatabase:
    """The states of the store, as the doctor tells them; it changes nothing."""

    @staticmethod
    def looked_at(folder):
        before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name == "huxi.db"}
        found = list(store_checks.check_store(folder))
        assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name == "huxi.db"} == before
        assert all(finding.remedy for finding in found if finding.state != "ok")
        return [(finding.check, finding.state) for finding in found], " ".join(finding.text for finding in found)

    def test_none_yet(self, tmp_path):
        assert list(store_checks.check_store(tmp_path / "later")) == []
        assert self.looked_at(tmp_path) == ([("database", "ok")], f"{tmp_path}/huxi.db is not there yet")

    def test_sound(self, full_folder):
        assert self.looked_at(full_folder) == ([("database", "ok")], f"{full_folder}/huxi.db is sound")

    def test_damaged(self, full_folder):
        (full_folder / "huxi.db").write_bytes((full_folder / "huxi.db").read_bytes()[:9000])
        states, text = self.looked_at(full_folder)
        assert states == [("database", "warn")]
        assert "cannot be used" in text

    def test_gone(self, full_folder):
        (full_folder / "huxi.db").unlink()
        assert self.looked_at(full_folder) == (
            [("database", "warn")],
            f"{full_folder}/huxi.db cannot be used: huxi.db is gone",
        )

    def test_of_a_newer_version(self, full_folder):
        with closing(sqlite3.connect(full_folder / "huxi.db", isolation_level=None)) as conn:
            conn.execute("INSERT INTO _sqlite_migrations (migration_set, name) VALUES ('huxi', '9999-later')")
        states, text = self.looked_at(full_folder)
        assert states == [("database", "bad")]
        assert "newer huxi" in text

    def test_in_use(self, full_folder):
        with locked(full_folder):
            states, text = self.looked_at(full_folder)
        assert states == [("database", "ok")]
        assert "in use" in text

    def test_quarantined(self, full_folder, write_in):
        (full_folder / "huxi.db").write_bytes(b"damaged")
        write_in(full_folder, lambda conn: None)
        states, text = self.looked_at(full_folder)
        assert states == [("database", "ok"), ("quarantine", "warn")]
        assert "file is not a database" in text

    def test_a_read_only_disk(self, full_folder):
        if os.geteuid() != 0:
            pytest.skip("a disk can be made read-only by root only")
        for command in (["mount", "--bind", full_folder, full_folder], ["mount", "-o", "remount,ro,bind", full_folder]):
            made = subprocess.run(command, capture_output=True, text=True)
            if made.returncode:
                pytest.skip(f"no disk can be made read-only here: {made.stderr.strip()}")
        try:
            states, text = self.looked_at(full_folder)
        finally:
            subprocess.run(["umount", full_folder], check=True)
        assert states == [("database", "bad")]
        assert "read-only" in text
