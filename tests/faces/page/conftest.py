"""A browser for this folder, and the daemons that it looks at."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.faces.http.conftest import bench, reading, told

__all__ = ["bench", "reading", "told"]
CHROMIUM = Path("/usr/bin/chromium")
_QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-gpu", "--disable-dev-shm-usage"]
expect.set_options(timeout=15_000)  # a machine that is busy takes its time


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium, one for all tests of a file. Without one they are skipped; with CI=true they fail.

    Not for longer: as long as it is there, no other test of the process can run an event loop.
    """
    if not CHROMIUM.exists():
        missing = "there is no /usr/bin/chromium; install the package chromium"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    with sync_playwright() as playwright:
        arguments = [*_QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
        yield started
        started.close()


class Sight:
    """A tab that remembers what went wrong in it: messages of the console, of which policy violations are one, and uncaught errors."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda one: self.complaints.append(one.text) if one.type in {"error", "warning"} else None)
        self.page.on("pageerror", lambda one: self.complaints.append(str(one)))
        self.page.on("dialog", lambda one: self.complaints.append(f"dialog: {one.message}"))


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[..., Sight]]:
    """Opens a tab of its own context: `look(color_scheme="dark", viewport=…, java_script_enabled=False)`."""
    contexts: list[BrowserContext] = []

    def opened(**settings: object) -> Sight:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})  # type: ignore[arg-type]  # named as theirs
        context.set_default_timeout(15_000)
        contexts.append(context)
        return Sight(context)

    yield opened
    for one in contexts:
        one.close()
