"""Takes the README's pictures of the page of a running demo: `python scripts/screenshots.py http://127.0.0.1:8480/`.

Needs chromium, chromedriver and a font with Chinese characters (Debian: fonts-noto-cjk).
"""

import sys
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

FOLDER = Path(__file__).parent.parent / "docs" / "images"
PICTURES = {"page-en": ("en-US", 1280, 1180), "page-zh": ("zh-CN", 1280, 1180), "page-phone-zh": ("zh-CN", 390, 1600)}
LOOK_S = 8.0


def take(url: str, name: str, language: str, width: int, height: int) -> Path:
    """One picture of the page at `url`."""
    options = webdriver.ChromeOptions()
    with tempfile.TemporaryDirectory() as profile:
        for argument in (
            "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars "
            f"--disable-background-networking --disable-component-update --disable-sync --lang={language} "
            f"--user-data-dir={profile} --window-size={width},{height}"
        ).split():
            options.add_argument(argument)
        options.add_experimental_option("prefs", {"intl.accept_languages": language})
        driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        try:
            metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            driver.get(url)
            time.sleep(LOOK_S)
            path = FOLDER / f"{name}.png"
            driver.save_screenshot(str(path))
        finally:
            driver.quit()
    return path


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for picture, (locale, pixels_wide, pixels_high) in PICTURES.items():
        print(take(sys.argv[1], picture, locale, pixels_wide, pixels_high))
