"""run and central: what keeps them from starting is one sentence; central serves and stops well."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

CONFIG = """\
[gateway]
id = "g"
region = "CN-SC"
data_dir = "data"
[[link]]
name = "line"
url = "tcp://127.0.0.1:9"
[[device]]
name = "d"
link = "line"
profile = "charger/keba-p30"
role = "charger"
max_power_W = 22000
period = "5s"
"""


@pytest.fixture
def taken():
    """A port of this machine that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('[web]\nlisten = "127.0.0.1:{taken}"\n', "the port is in use: stop the program that uses it"),
        ('[web]\nenabled = false\n[sync]\nurl = "http://127.0.0.1:9"\ntoken_file = "none"\n', "none"),
    ],
)
def test_run_says_why_it_cannot_start(huxi, tmp_path, taken, more, message):
    (tmp_path / "huxi.toml").write_text(CONFIG + more.format(taken=taken))
    result = huxi("run", "-c", str(tmp_path / "huxi.toml"))
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_run_says_that_the_data_folder_is_no_folder(huxi, tmp_path):
    (tmp_path / "huxi.toml").write_text(CONFIG + "[web]\nenabled = false\n")
    (tmp_path / "data").touch()
    result = huxi("run", "-c", str(tmp_path / "huxi.toml"))
    assert result.exit_code == 2
    assert f"huxi: cannot use data folder {tmp_path}/data" in result.stderr


def test_central_says_why_it_cannot_start(huxi, tmp_path, taken):
    db = str(tmp_path / "db")
    result = huxi("central", "--db", db, "--listen", f"127.0.0.1:{taken}")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"huxi: cannot listen on 127.0.0.1:{taken}: the port is in use")
    result = huxi("central", "serve", "--db", str(tmp_path / "none" / "db"))
    assert result.exit_code == 2
    assert result.stderr.startswith("huxi: ")
    result = huxi("central", "serve", "--db", db, "--tls-cert", str(tmp_path / "cert.pem"))
    assert result.exit_code == 2
    assert "--tls-cert and --tls-key go together" in result.stderr


@pytest.mark.parametrize("serve", [["serve"], []])
def test_central_serves_until_it_is_stopped(tmp_path, serve):
    command = [sys.executable, "-c", "from gateway.cli.main import main; main()", "central", *serve]
    options = ["--db", str(tmp_path / "db"), "--listen", "127.0.0.1:0"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        url = re.search(r"http://\S+", process.stdout.readline())[0]
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_central_keeps_who_may_deliver_and_read(huxi, tmp_path):
    db = ("--db", str(tmp_path / "central.db"))
    assert huxi("central", "gateway", "list", *db).stdout == "No gateway has a token yet: huxi central gateway add\n"
    added = huxi("central", "gateway", "add", "qiyang-01", *db, "--tenant", "qiyang", "--site", "pavilion")
    token = added.stdout.strip()
    assert len(token) == 43
    assert added.stderr == "gateway qiyang-01 was added; this is its token, which is shown only now:\n"
    again = huxi("central", "gateway", "add", "qiyang-01", *db)
    assert (again.exit_code, again.stdout) == (2, "")
    assert "has a token already: revoke it first (huxi central gateway revoke qiyang-01)" in again.stderr
    assert token.encode() not in (tmp_path / "central.db.access").read_bytes()
    assert (tmp_path / "central.db.access").stat().st_mode & 0o077 == 0
    assert huxi("central", "reader", "add", "brain", *db, "--tenant", "qiyang").exit_code == 0
    (reader,) = json.loads(huxi("central", "reader", "list", *db, "--json").stdout)
    assert (reader["name"], reader["tenant"], reader["revoked_ms"]) == ("brain", "qiyang", None)
    heading, line = huxi("central", "gateway", "list", *db).stdout.splitlines()
    assert heading.split() == ["gateway", "tenant", "site", "added", "revoked"]
    assert line.split()[:3] == ["qiyang-01", "qiyang", "pavilion"]
    assert huxi("central", "gateway", "revoke", "qiyang-01", *db).exit_code == 0
    assert "has no token here" in huxi("central", "gateway", "revoke", "qiyang-01", *db).stderr
    assert "has no token here" in huxi("central", "reader", "revoke", "nobody", *db).stderr
    assert huxi("central", "reader", "revoke", "brain", *db).exit_code == 0
    wrong = huxi("central", "gateway", "add", "a b", *db)
    assert wrong.exit_code == 2
    assert "the gateway 'a b' is not possible: write letters" in wrong.stderr
