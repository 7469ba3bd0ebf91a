"""run and central: what keeps them from starting is one sentence; central serves and stops well."""

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
    (tmp_path / "tokens").write_text("g:0123456789abcdef0123456789abcdef\n")
    (tmp_path / "tokens").chmod(0o600)
    options = ["--db", str(tmp_path / "db"), "--token-file", str(tmp_path / "tokens")]
    result = huxi("central", *options, "--listen", f"127.0.0.1:{taken}")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"huxi: cannot listen on 127.0.0.1:{taken}: the port is in use")
    result = huxi("central", "serve", "--db", str(tmp_path / "db"), "--token-file", str(tmp_path / "none"))
    assert result.exit_code == 2
    assert result.stderr.startswith("huxi: ")


@pytest.mark.parametrize("serve", [["serve"], []])
def test_central_serves_until_it_is_stopped(tmp_path, serve):
    (tmp_path / "tokens").write_text("g:0123456789abcdef0123456789abcdef\n")
    (tmp_path / "tokens").chmod(0o600)
    command = [sys.executable, "-c", "from gateway.cli.main import main; main()", "central", *serve]
    options = [
        "--db",
        str(tmp_path / "db"),
        "--listen",
        "127.0.0.1:0",
        "--token-file",
        str(tmp_path / "tokens"),
    ]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        url = re.search(r"http://\S+", process.stdout.readline())[0]
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
