"""The gateway's figures as Prometheus reads them."""

import re
from typing import Any

import httpx

from gateway.web.metrics import MEDIA_TYPE, metrics
from gateway.web.server import WebServer

LINE = re.compile(r'[a-z_]+(\{[a-z]+="[^"\n]*"(,[a-z]+="[^"\n]*")*\})? -?[0-9.e+]+')


def values(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(LINE.fullmatch(line) for line in lines), lines
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


async def test_what_the_status_says_is_there(server: WebServer, site: Any) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{server.urls[0]}metrics")
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, MEDIA_TYPE.split(";")[0])
    found, buffer = values(answer.text), (await site.status())["buffer"]
    assert found["huxi_buffer_hours_left"] == buffer["hours_left"]
    assert found["huxi_disk_written_bytes_per_day"] == buffer["written_bytes_per_day"]
    assert found["huxi_buffer_oldest_unsent_seconds"] == 600
    assert found['huxi_link_exchanges_total{link="roof",outcome="failed"}'] == 3
    assert found['huxi_devices{state="live"}'] == 1


async def test_what_is_not_known_is_left_out_and_not_zero(site: Any) -> None:
    status = await site.status()
    status["buffer"] |= {"hours_left": None, "oldest_unsent_ms": None}
    found = values(metrics(status))
    assert {"huxi_buffer_hours_left", "huxi_buffer_oldest_unsent_seconds"}.isdisjoint(found)
    assert found["huxi_buffer_records"] == 288


async def test_large_numbers_keep_their_digits_and_names_are_escaped(site: Any) -> None:
    status = await site.status()
    status["links"][0]["name"] = 'a "b" \\ c'
    status["buffer"]["bytes"] = 12_345_678_901
    text = metrics(status)
    assert "huxi_buffer_bytes 12345678901\n" in text
    assert r'huxi_link_connected{link="a \"b\" \\ c"} 1' in text
