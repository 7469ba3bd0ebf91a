"""The page in a real browser, on a real server with a fake site."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from gateway.web.server import WebServer

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

pytestmark = pytest.mark.slow


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'browser'}"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"intl.accept_languages": "zh-CN"})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        yield driver
    finally:
        driver.quit()


class Page:
    """What a person sees; every question waits a little for its answer."""

    def __init__(self, browser: webdriver.Chrome) -> None:
        self._browser = browser

    def text(self, selector: str) -> str:
        return self._browser.find_element(By.CSS_SELECTOR, selector).text

    def waits_for(self, selector: str, wanted: str) -> None:
        def there(_: object) -> bool:
            found = self._browser.find_elements(By.CSS_SELECTOR, selector)
            return any(wanted in element.text for element in found)

        WebDriverWait(self._browser, 20, ignored_exceptions=(StaleElementReferenceException,)).until(
            there, f"{selector}: {wanted}"
        )

    def click(self, selector: str) -> None:
        self._browser.find_element(By.CSS_SELECTOR, selector).click()

    def evaluate(self, expression: str) -> Any:
        return self._browser.execute_script(f"return {expression}")

    def resize(self, width: int) -> None:
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
        self._browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


async def test_the_page_shows_the_site(browser: webdriver.Chrome, server: WebServer, site: Any) -> None:
    site.device_list[1]["title"] = "<img src=x onerror=alert(1)>"
    site.problems.append({"what": "device", "where": "grid-meter", "text": "unused", "remedy": "unused"})
    site.problems.append({"what": "new", "where": "x", "text": "A new <b>fault</b>.", "remedy": "Do this."})

    def look() -> None:
        page = Page(browser)
        browser.get(server.urls[0])
        page.waits_for("#emitted-exact", "9,007,199,254,740,993 ng")
        assert page.text("#emitted") == "9.007 t"
        assert page.text("#avoided") == "4.914 kg"
        page.waits_for(".tiles [data-role=pv]", "12.35 kW")
        assert "—" in page.text(".tiles [data-role=grid]")
        card = "[data-device-card=grid-meter]"
        assert "无应答" in page.text(card)
        assert page.text(f"{card} .figure") == "—"
        assert "<img src=x onerror=alert(1)>" in page.text(card)
        assert page.evaluate("document.querySelectorAll('main img').length") == 0
        page.click(f"{card} summary")
        page.waits_for(f"{card} .points", "— 应答超时")
        page.click("[data-device-card=pv-pergola] summary")
        page.waits_for("[data-device-card=pv-pergola] .points", "— 设备未给出数值")
        assert "on grid (512)" in page.text("[data-device-card=pv-pergola] .points")
        assert "grid-meter 无应答。" in page.text(".problems")
        assert "A new <b>fault</b>." in page.text(".problems")
        assert "四川" in page.text(".factor")
        assert "0.1404 kg/kWh" in page.text(".factor")
        assert "暂定值" in page.text(".provisional")
        assert page.evaluate("document.querySelectorAll('.power .plot canvas').length") == 1
        page.waits_for(".past .note", "每 1 分钟的平均值")
        page.click(".past [data-span=month]")
        page.waits_for(".past > .note", "每 15 分钟的平均值")
        assert page.evaluate("document.querySelectorAll('.past .plot canvas').length") == 1
        assert "30" in page.text(".sending")
        assert page.evaluate("document.documentElement.lang") == "zh-CN"

        page.click(".languages [lang=en]")
        page.waits_for(".tiles [data-role=pv]", "Solar")
        page.waits_for(".provisional", "Provisional")
        assert page.text("#emitted-exact") == "9,007,199,254,740,993 ng"
        browser.refresh()
        page.waits_for(".chip", "live")
        assert page.evaluate("document.documentElement.lang") == "en"

        origins = page.evaluate("performance.getEntriesByType('resource').map((e) => new URL(e.name).origin)")
        assert set(origins) == {server.urls[0].rstrip("/")}
        assert browser.get_log("browser") == []

    await asyncio.to_thread(look)


@pytest.mark.parametrize("width", [360, 768])
async def test_nothing_sticks_out_on_small_screens(
    browser: webdriver.Chrome, server: WebServer, site: Any, width: int
) -> None:
    site.device_list[0]["name"] = "inverter-of-the-south-west-service-centre-pergola-no-2"
    site.device_list[0]["points"][0]["name"] = "a_rather_long_name_of_a_point_without_any_place_to_break_it"

    def look() -> None:
        page = Page(browser)
        page.resize(width)
        browser.get(server.urls[0])
        page.waits_for(".languages", "English")
        for language in ("zh-CN", "en"):
            page.click(f".languages [lang={language}]")
            page.waits_for("#emitted-exact", "9,007,199,254,740,993 ng")
            page.waits_for("[data-device-card] h3", "inverter-of")
            browser.execute_script("document.querySelectorAll('details').forEach((e) => { e.open = true; })")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate("document.querySelector('.plot').scrollWidth") <= width

    await asyncio.to_thread(look)


async def test_a_broken_stream_is_said_and_mends_itself(
    browser: webdriver.Chrome, site: Any, tmp_path: Path, connect: Callable[[str], httpx.AsyncClient]
) -> None:
    page = Page(browser)
    path = tmp_path / "api.sock"
    async with WebServer(site, path, ("127.0.0.1", 0)) as server:
        url = httpx.URL(server.urls[0])
        await asyncio.to_thread(browser.get, str(url))
        await asyncio.to_thread(page.waits_for, ".chip", "实时")
        assert page.text(".banner") == ""
    await asyncio.to_thread(page.waits_for, ".banner", "与网关的连接已断开")
    assert page.evaluate("document.body.dataset.connection") == "stale"
    assert page.text("#emitted-exact") == "9,007,199,254,740,993 ng"  # the last known, marked as such
    site.device_list[0]["power_W"] = 4321.0
    assert url.port is not None
    async with WebServer(site, path, ("127.0.0.1", url.port)):
        await asyncio.to_thread(page.waits_for, ".chip", "实时")
        await asyncio.to_thread(page.waits_for, ".tiles [data-role=pv]", "4.32 kW")
        assert page.text(".banner") == ""
        await asyncio.to_thread(browser.get, "about:blank")
