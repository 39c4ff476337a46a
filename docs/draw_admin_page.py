"""Take screenshots of the page of the fake, in light and in dark mode.

Needs Chromium, selenium and Pillow: ``python docs/draw_admin_page.py``. No test compares
the pictures, because they depend on the browser and its fonts.
"""

from __future__ import annotations

import datetime as dt
import http.client
import io
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By

from dub_uplink.testing import FakeDub, faults

HERE = Path(__file__).parent
NOON = dt.datetime(2026, 8, 21, 12, tzinfo=dt.timezone.utc)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1180,1010",
)


def fill(fake: FakeDub, url: str) -> None:
    """Make the customers, faults and requests that the page shows."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"))

    def send(method: str, path: str, body: object = None) -> None:
        headers = {"Authorization": f"Bearer {fake.token}"}
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            connection.getresponse().read()
        except (http.client.HTTPException, ConnectionError):
            connection.close()

    names = (
        "Ada Lovelace",
        "Grace Hopper",
        "Zoë Šafářová",
        "Emmy Noether",
        "Alan Turing",
        "Radia Perlman",
    )
    countries = ("GB", "US", "JP", "DE", "GB", "US")
    for number, (name, country) in enumerate(zip(names, countries, strict=True), 1):
        body = {"externalId": f"user_{number}", "name": name, "country": country}
        send("POST", "/customers", {**body, "email": f"user_{number}@example.com"})
    send("GET", "/customers/ext_user_1")
    send("GET", "/customers?country=GB&pageSize=20")
    fake.faults.add(faults.Status(503))
    send("GET", "/customers/ext_user_2")
    fake.faults.add(faults.DropAfter())
    send("PATCH", "/customers/ext_user_2", {"name": "Grace Brewster Hopper"})
    fake.faults.add(faults.Delay(0.2))
    send("GET", "/customers/ext_user_9")
    send("DELETE", "/customers/ext_user_6")
    fake.faults.add(faults.DropAfter(), times=3, method="POST")
    fake.faults.randomly({faults.Status(502): 0.05}, seed=1)


def main() -> None:
    """Take the screenshots."""
    chromium, driver_path = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver_path is None:
        sys.exit("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    with tempfile.TemporaryDirectory() as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options, webdriver.ChromeService(driver_path))
        try:
            with FakeDub(rate_limit=20) as fake, fake.serve(admin=True) as url:
                fake.clock.set(NOON)
                fill(fake, url)
                for scheme in ("light", "dark"):
                    feature = {"name": "prefers-color-scheme", "value": scheme}
                    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
                    driver.get(f"{url}/_fake/")
                    while not driver.find_elements(By.CSS_SELECTOR, "#customers tr"):
                        time.sleep(0.1)
                    picture = Image.open(io.BytesIO(driver.get_screenshot_as_png()))
                    picture.convert("RGB").quantize(160, Image.Quantize.MAXCOVERAGE).save(
                        HERE / f"admin-page-{scheme}.png", optimize=True
                    )
        finally:
            driver.quit()


if __name__ == "__main__":
    main()
