"""The status as Prometheus reads it (text format 0.0.4). What is not known is left out, never zero."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

MEDIA_TYPE: Final = "text/plain; version=0.0.4"

_HELP: Final = {
    "huxi_up_seconds": "Time since the gateway started.",
    "huxi_clock_trusted": "1 when readings can be dated.",
    "huxi_devices": "Devices by state.",
    "huxi_link_connected": "1 while the link is connected.",
    "huxi_link_exchanges_total": "Exchanges on the link since start, by outcome.",
    "huxi_buffer_records": "Records of all streams.",
    "huxi_buffer_backlog_records": "Records that the receiver has not acknowledged.",
    "huxi_buffer_bytes": "Size of the database.",
    "huxi_buffer_oldest_unsent_seconds": "Age of the oldest record that waits.",
    "huxi_buffer_hours_left": "Hours until the disk is full at the pace of the last day.",
    "huxi_disk_free_bytes": "Free space on the disk of the data folder.",
    "huxi_disk_written_bytes_per_day": "Bytes written to that disk in a day, by everybody.",
    "huxi_raw_series_bytes_today": "Raw series written on this UTC day.",
    "huxi_raw_series_budget_bytes": "Most that a day of raw series may take.",
    "huxi_problems": "Problems that the status names.",
}


def metrics(status: Mapping[str, Any]) -> str:
    """`status` is `models.Status`."""
    lines, told = [], set()
    for name, labels, value in _samples(status):
        if value is None:
            continue
        if name not in told:
            told.add(name)
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [f"# HELP {name} {_HELP[name]}", f"# TYPE {name} {kind}"]
        lines.append(f"{name}{labels} {float(value):g}" if isinstance(value, float) else f"{name}{labels} {int(value)}")
    return "\n".join([*lines, ""])


def _samples(status: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    now_ms, buffer, devices = status["now_ms"], status["buffer"], status["devices"]
    oldest_ms = buffer["oldest_unsent_ms"]
    yield "huxi_up_seconds", "", (now_ms - status["started_ms"]) / 1000
    yield "huxi_clock_trusted", "", status["clock"]["trusted"]
    yield "huxi_devices", _labels(state="live"), devices["live"]
    yield "huxi_devices", _labels(state="asleep"), devices["asleep"]
    yield "huxi_devices", _labels(state="other"), devices["total"] - devices["live"] - devices["asleep"]
    for link in status["links"]:
        yield "huxi_link_connected", _labels(link=link["name"]), link["connected"]
    for link in status["links"]:
        for outcome in ("ok", "failed"):
            yield "huxi_link_exchanges_total", _labels(link=link["name"], outcome=outcome), link[outcome]
    yield "huxi_buffer_records", "", buffer["records"]
    yield "huxi_buffer_backlog_records", "", status["sync"]["backlog_records"]
    yield "huxi_buffer_bytes", "", buffer["bytes"]
    yield "huxi_buffer_oldest_unsent_seconds", "", None if oldest_ms is None else max(0, now_ms - oldest_ms) / 1000
    yield "huxi_buffer_hours_left", "", buffer["hours_left"]
    yield "huxi_disk_free_bytes", "", buffer["disk_free_bytes"]
    yield "huxi_disk_written_bytes_per_day", "", buffer["written_bytes_per_day"]
    yield "huxi_raw_series_bytes_today", "", buffer["raw_today_bytes"]
    yield "huxi_raw_series_budget_bytes", "", buffer["raw_budget_bytes"]
    yield "huxi_problems", "", len(status["problems"])


def _labels(**labels: str) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
