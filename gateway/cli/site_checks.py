"""The doctor's look at one site: configuration, data folder, daemon, links, token."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from drivers.load import BUSY
from drivers.modbus.url import parse_link_url
from gateway.cli.client import daemon
from gateway.cli.errors import CommandError
from gateway.cli.finding import Finding
from gateway.cli.machine_checks import disk
from gateway.cli.options import read_config
from gateway.cli.probe import probe
from gateway.cli.store_checks import check_store
from gateway.config import Config, ConfigError, read_trust
from gateway.config_file import MqttSection
from gateway.health import MQTT_REMEDIES

RTC = Path("/sys/class/rtc")


def check_site(path: Path) -> Iterator[Finding]:
    """Everything that the configuration file at `path` leads to; a faulty one ends the look."""
    try:
        config = read_config(path)
    except CommandError as error:
        yield Finding(check="configuration", state="bad", text=error.message, remedy="mend the lines named")
        return
    yield Finding(check="configuration", state="ok", text=str(path))
    if config.gateway.clock == "system":
        yield own_clock(RTC)
    yield data_folder(config.gateway.data_dir)
    yield from check_store(config.gateway.data_dir)
    yield disk(config.gateway.data_dir)
    yield from _loads(config)
    status = _ask_daemon(config.gateway.data_dir, path)
    yield _daemon(status)
    yield from _links(config, status)
    if config.sync is not None:
        yield secret_file("sync token", config.sync.token_file, "the token that the central server gave this gateway")
    if config.mqtt is not None:
        yield from _mqtt(config.mqtt, status)


def own_clock(devices: Path) -> Finding:
    """Whether the machine has a clock that runs on while it is off, as the configuration says."""
    if devices.is_dir() and any(devices.iterdir()):
        return Finding(check="own clock", state="ok", text="this machine has a real-time clock, and it is believed")
    return Finding(
        check="own clock",
        state="warn",
        text='clock = "system", and this machine has no real-time clock: after a power cut its time is a guess',
        remedy="remove the line; after a power cut without network set the clock, then huxi clock trust",
    )


def data_folder(folder: Path) -> Finding:
    """Whether the data folder is there, ours, and closed to others."""
    try:
        found = folder.stat()
    except FileNotFoundError:
        return Finding(
            check="data folder",
            state="warn",
            text=f"{folder} is not there yet",
            remedy="the first run makes it",
        )
    except OSError as error:
        return Finding(
            check="data folder",
            state="bad",
            text=f"{folder}: {error.strerror}",
            remedy="run doctor as the user that runs huxi: sudo -u huxi huxi doctor",
        )
    mode = stat.filemode(found.st_mode)
    if not stat.S_ISDIR(found.st_mode):
        return Finding(check="data folder", state="bad", text=f"{folder} is no folder", remedy="name another data_dir")
    if found.st_mode & stat.S_IWOTH:
        return Finding(
            check="data folder",
            state="bad",
            text=f"everybody may write to {folder} ({mode})",
            remedy=f"chmod o-w {folder}",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding(
            check="data folder",
            state="warn",
            text=f"you may not write to {folder} ({mode})",
            remedy="give it to the user that runs huxi, unless that is another one than you",
        )
    return Finding(check="data folder", state="ok", text=f"{folder} ({mode})")


def secret_file(check: str, path: Path, what: str) -> Finding:
    """Whether the file of a secret can be read, by few; `what` belongs into it."""
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Finding(
            check=check,
            state="bad",
            text=f"there is no file {path}",
            remedy=f"write {what} into it",
        )
    except (OSError, UnicodeDecodeError) as error:
        return Finding(
            check=check,
            state="bad",
            text=f"{path} cannot be read ({error})",
            remedy="let the user that runs huxi read it",
        )
    if not text.strip():
        return Finding(check=check, state="bad", text=f"{path} is empty", remedy=f"write {what} into it")
    if mode & stat.S_IRWXO:
        return Finding(
            check=check,
            state="bad",
            text=f"everybody may read {path} ({stat.filemode(mode)})",
            remedy=f"chmod 640 {path}",
        )
    return Finding(check=check, state="ok", text=str(path))


def _mqtt(mqtt: MqttSection, status: dict[str, Any] | CommandError) -> Iterator[Finding]:
    """The password's file, the certificates, and what the daemon says of the broker."""
    if mqtt.password_file is not None:
        yield secret_file("mqtt password", mqtt.password_file, "the password that the broker knows this gateway by")
    try:
        read_trust(mqtt)
    except ConfigError as error:
        yield from (
            Finding(check="mqtt ca_file", state="bad", text=f"{fault.file} {fault.message}", remedy=fault.hint)
            for fault in error.faults
        )
    state = None if isinstance(status, CommandError) else status["mqtt"]
    if state is not None and state["connected"] is not None:
        is_good = state["connected"]
        yield Finding(
            check="mqtt broker",
            state="ok" if is_good else "bad",
            text=mqtt.url if is_good else state["last_error"],
            remedy="" if is_good else MQTT_REMEDIES[state["trouble"]],
        )


def _ask_daemon(data_dir: Path, config: Path) -> dict[str, Any] | CommandError:
    try:
        with daemon(data_dir, config) as client:
            return client.get("/api/v1/status")
    except CommandError as error:
        return error


def _daemon(status: dict[str, Any] | CommandError) -> Finding:
    if isinstance(status, CommandError):
        return Finding(check="daemon", state="warn", text="does not answer", remedy=status.message)
    if status["problems"]:
        text = f"answers, and reports problems: {len(status['problems'])}"
        return Finding(check="daemon", state="warn", text=text, remedy="see huxi status")
    return Finding(check="daemon", state="ok", text=f"answers (pid {status['pid']}, version {status['version']})")


def _loads(config: Config) -> Iterator[Finding]:
    for link in config.links:
        load = config.load(link)
        if load.share > BUSY:
            remedy = "give its devices longer periods, or the line more baud"
            yield Finding(check=f"link {link.name}", state="warn", text=f"little room: {load}", remedy=remedy)


def _links(config: Config, status: dict[str, Any] | CommandError) -> Iterator[Finding]:
    if not isinstance(status, CommandError):
        # A second connection may disturb a device that takes one only: the daemon knows already.
        for link in status["links"]:
            yield _link_of_daemon(link)
        return
    for section in config.links:
        address = parse_link_url(section.url)
        trouble = probe(address)
        if trouble is None:
            yield Finding(check=f"link {section.name}", state="ok", text=str(address))
        else:
            yield Finding(check=f"link {section.name}", state="bad", text=trouble.text, remedy=trouble.remedy)


def _link_of_daemon(link: dict[str, Any]) -> Finding:
    if link["connected"]:
        return Finding(check=f"link {link['name']}", state="ok", text=link["url"])
    return Finding(
        check=f"link {link['name']}",
        state="bad",
        text=f"{link['url']}: {link['last_error'] or 'not connected'}",
        remedy="check power, cable and address; see huxi status",
    )
