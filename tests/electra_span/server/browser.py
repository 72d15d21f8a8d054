"""A real browser without a window."""

import contextlib
import json
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest


@contextlib.contextmanager
def open_browser(profile: pathlib.Path, *, width: int = 1000, height: int = 900) -> Iterator[Any]:
    """A Chromium with a profile of its own, driven by selenium; skips where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium, of the extra test")
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (browser and driver):
        pytest.skip("needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-dev-shm-usage",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "lang=en",
        f"user-data-dir={profile}",
        f"window-size={width},{height}",
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        opened.get("about:blank")  # in place of a page of the browser's own
        yield opened
    finally:
        opened.quit()


def set_width(browser: Any, width: int) -> None:
    """Gives the page a width in CSS pixels, as a phone's screen has it."""
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def set_scheme(browser: Any, scheme: str) -> None:
    """Makes the reader prefer "light" or "dark"."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def requested_urls(browser: Any) -> set[str]:
    """Returns the addresses of all requests since it was asked last, but those that ask no server."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = (message for message in messages if message["method"] == "Network.requestWillBeSent")
    urls = {message["params"]["request"]["url"] for message in sent}
    return {url for url in urls if not url.startswith(("chrome:", "chrome-untrusted:", "data:"))}


class Page:
    """What a visitor does, and sees: found by CSS selectors.

    Args:
        browser: that opens the page.
        url: of the page.
        seconds: that an answer may take.
    """

    def __init__(self, browser: Any, url: str, seconds: float = 20) -> None:
        from selenium.webdriver.common.by import By
        from selenium.webdriver.common.keys import Keys
        from selenium.webdriver.support.ui import Select, WebDriverWait

        self.browser, self.keys, self._by, self._select = browser, Keys, By.CSS_SELECTOR, Select
        self._wait = WebDriverWait(browser, seconds)
        browser.get(url)
        self._wait.until(lambda _: self.all("#model option"))

    def all(self, selector):
        return self.browser.find_elements(self._by, selector)

    def one(self, selector):
        return self.browser.find_element(self._by, selector)

    def texts(self, selector):
        return [found.text for found in self.all(selector)]

    def choose(self, selector, name):
        self._select(self.one(selector)).select_by_visible_text(name)

    def write(self, selector, text):
        self.browser.execute_script(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))",
            self.one(selector),
            text,
        )

    def run(self, command):
        """Presses the button, and returns the status that comes."""
        self.one(f"#panel-{command} [type=submit]").click()
        return self.status(command)

    def status(self, command):
        return self._wait.until(lambda _: self._finished(self.one(f"#panel-{command} .status").text))

    def error(self, command):
        return self._wait.until(lambda _: self.one(f"#panel-{command} form .error").text)

    @staticmethod
    def _finished(status):
        return status if status and not status.startswith("Working") else ""

    def wait_until(self, is_so):
        """Returns what a function returns, once that is true."""
        return self._wait.until(lambda _: is_so())

    @property
    def focused(self):
        return self.browser.switch_to.active_element
