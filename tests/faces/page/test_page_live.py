"""The page in a real Chromium, beside a real daemon and a real Prometheus: live, without a script, on a phone, by keyboard, in the dark."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from rollback_daemon.faces.http.limits import connection_cap
from rollback_daemon.lab.remote_write import Series, write
from rollback_daemon.lab.servers import PrometheusServer
from tests.faces.http.bench import Bench
from tests.faces.page.conftest import Sight
from tests.faces.page.scene import NASTY

Look = Callable[..., Sight]
PHONE = {"width": 360, "height": 740}
RULES = """
rollout: checkout
owner: '{nasty}'
labels: {{tier: '{nasty}'}}
runbook_url: https://runbooks.example.com/checkout
interval: 200ms
flags: {{store: dotenv, path: flags.env}}
baseline: {{NEW_CHECKOUT: "false", SHARE: "0"}}
stages:
  - {{stage: canary, exposure: 10%, set: {{NEW_CHECKOUT: "true", SHARE: "10"}}, soak: 0s}}
  - {{stage: half, exposure: 50%, set: {{SHARE: "50"}}, soak: 1h, requires: {{checkpoints: [day-1], approvals: {{roles: [lead]}}}}}}
signals:
  error_rate: {{expr: 'errors{{shop="{shop}"}}'}}
  latency: {{expr: latency or vector(0.12), unit: s}}
  unseen: {{expr: nothing_has_this_name}}
gates:
  - {{gate: Errors, signal: error_rate, below: 0.1%}}
triggers:
  - {{alert: ErrorRateHigh, signal: error_rate, above: 1%, for: 2s, severity: critical}}
  - {{alert: LatencyHigh, signal: latency, above: 500ms, action: alert}}
"""


class Shop(Bench):
    """The rollout "checkout", whose words are those of somebody who means ill, on a series of its own."""

    def __init__(self, folder: Path, prometheus: str) -> None:
        super().__init__(
            folder, prometheus, rules=RULES.format(nasty=NASTY.replace("'", "''"), shop=folder.name), config={"roles": {"lead": ["ann"]}}
        )
        self._write_to = prometheus

    def set_error_rate(self, value: float) -> None:
        labels = {"__name__": "errors", "shop": self.folder.name, "path": NASTY}
        write(self._write_to, [Series(labels, [(time.time(), value)])])


@pytest.fixture(scope="module")
def shop(told: PrometheusServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """At the canary, with a reason on record that is a script."""
    with Shop(tmp_path_factory.mktemp("shop"), told.url) as made:
        made.set_error_rate(0.0004)
        made.to_canary()
        made.ask_for("hold", reason=NASTY)
        made.ask_for("resume", reason=f"resumed {NASTY}")
        made.wait_for(phase="ready")
        yield made


def keep(page: Page, folder: Path, name: str) -> None:
    """A picture to be looked at: under the test's own folder."""
    page.screenshot(path=folder / f"{name}.png", full_page=True)


def no_wider(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def faults(page: Page) -> list[Any]:
    """What axe-core finds that is serious or critical."""
    found = Axe().run(page).response["violations"]
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found if one["impact"] in {"serious", "critical"}]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_pages_are_accessible_and_fit_a_phone(shop: Shop, look: Look, tmp_path: Path, scheme: str) -> None:
    sight = look(color_scheme=scheme)
    page = sight.page
    for name, path in (("home", "/"), ("one", "/rollouts/checkout")):
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(shop.daemon.url + path)
        expect(page.locator("#live.on")).to_be_visible()
        assert faults(page) == []
        keep(page, tmp_path, f"{name}-{scheme}")
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]  # named as theirs
        assert no_wider(page)
        keep(page, tmp_path, f"{name}-{scheme}-phone")
    assert NASTY in page.locator("#standing").inner_text()
    assert page.locator("script").count() == 1
    assert sight.complaints == []


def test_without_a_script_everything_can_be_read_and_a_rollback_begun(shop: Shop, look: Look, tmp_path: Path) -> None:
    page = look(java_script_enabled=False, viewport=PHONE).page
    page.goto(f"{shop.daemon.url}/?q=check+canary&phase=ready")
    expect(page.locator("#rollouts > li")).to_be_visible()
    expect(page.locator("#count")).to_have_text("1 of 1")
    expect(page.locator("#live")).to_contain_text("as of")
    assert "refresh" in page.content()
    page.locator("#q").fill("no such thing")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#rollouts > li")).to_be_hidden()
    page.goto(f"{shop.daemon.url}/")
    keep(page, tmp_path, "no-script")
    page.get_by_role("link", name="checkout", exact=True).click()
    expect(page.locator("#ladder [aria-current]")).to_contain_text("canary")
    expect(page.locator("#timeline")).to_contain_text(f"resumed {NASTY}")
    assert page.get_by_role("link", name="Roll back").get_attribute("href") == "/rollouts/checkout/rollback"
    assert faults_in_text(page.content()) == []


def faults_in_text(text: str) -> list[str]:
    return [one for one in ("<script>alert", " style=", "javascript:", " onclick") if one in text]


def test_a_failure_is_watched_from_clear_to_rolled_back_without_loading_the_page_again(told: PrometheusServer, look: Look, tmp_path: Path) -> None:
    with Shop(tmp_path / "shop", told.url) as shop:
        shop.set_error_rate(0.0004)
        shop.to_canary()
        home, one = look(), look()
        home.page.goto(f"{shop.daemon.url}/")
        one.page.goto(f"{shop.daemon.url}/rollouts/checkout")
        for sight in (home, one):
            expect(sight.page.locator("#live")).to_have_text("live")
            sight.page.evaluate("window.stayed = true")
        trigger = one.page.locator(".trigger", has_text="ErrorRateHigh").first
        expect(trigger.locator(".badge").first).to_have_text("inactive")
        trigger.locator("summary").click()
        trigger.locator("summary").focus()
        shop.set_error_rate(0.04)
        expect(home.page.locator(".row .badge.watch, .row .badge", has_text="pending")).to_be_visible()
        expect(trigger.locator(".badge").first).to_have_text("pending")
        expect(trigger).to_contain_text("fires in")
        expect(trigger.locator(".badge").first).to_have_text("firing")
        expect(one.page.locator("#standing")).to_contain_text('rolled back from "canary" to "baseline"')
        expect(one.page.locator("#ladder [aria-current]")).to_contain_text("baseline")
        expect(home.page.locator(".row .state .badge")).to_have_text("rolled back")
        expect(home.page.locator("#summary")).to_contain_text("1 needs a person")
        assert trigger.locator("details").get_attribute("open") is not None, "what was open stays open"
        assert one.page.evaluate("document.activeElement.localName") == "summary", "the focus stays where it was"
        for name, sight in (("home", home), ("one", one)):
            assert sight.page.evaluate("window.stayed") is True
            assert sight.complaints == []
            keep(sight.page, tmp_path, f"rolled-back-{name}")
        shop.daemon.stop()
        expect(one.page.locator("body.stale #live")).to_contain_text("not live since")
        assert one.page.title().startswith("not live")
        keep(one.page, tmp_path, "not-live")
        shop.daemon.start()
        expect(one.page.locator("#live")).to_have_text("live")
        assert one.page.evaluate("window.stayed") is True


def test_the_filter_is_instant_and_follows_what_changes(shop: Shop, look: Look) -> None:
    page = look().page
    page.goto(f"{shop.daemon.url}/")
    expect(page.locator("#live")).to_have_text("live")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.locator("#q").fill("nothing like it")
    expect(page.locator("#rollouts > li")).to_be_hidden()
    expect(page.locator("#count")).to_have_text("0 of 1")
    page.locator("#q").fill("CANARY latencyhigh")
    expect(page.locator("#rollouts > li")).to_be_visible()
    page.locator("#phase").select_option("held")
    expect(page.locator("#rollouts > li")).to_be_hidden()
    assert page.url.endswith("?q=CANARY+latencyhigh&phase=held")
    shop.ask_for("hold", reason="for the filter")
    expect(page.locator("#rollouts > li")).to_be_visible()
    shop.ask_for("resume", reason="back again")
    expect(page.locator("#rollouts > li")).to_be_hidden()


def test_a_page_that_gets_no_stream_looks_again_and_says_so(shop: Shop, look: Look) -> None:
    taken = [socket.create_connection(("127.0.0.1", shop.daemon.port), 10) for _ in range(max(1, connection_cap() // 5))]
    try:
        for one in taken:
            one.sendall(b"GET /api/v1/events HTTP/1.1\r\nhost: x\r\n\r\n")
            assert one.recv(15).startswith(b"HTTP/1.1 200")
        page = look().page
        page.goto(f"{shop.daemon.url}/")
        expect(page.locator("#live")).to_contain_text("no stream; looked again at")
        expect(page.locator("#live.on")).to_have_count(0)
    finally:
        for one in taken:
            one.close()
    expect(page.locator("#live")).to_have_text("live")


def test_the_report_of_an_incident_is_a_page(shop: Shop, look: Look, tmp_path: Path) -> None:
    shop.ask_for("rollback", reason=NASTY)
    shop.wait_for(phase="rolled_back")
    page = look().page
    page.goto(f"{shop.daemon.url}/rollouts/checkout")
    page.get_by_role("link", name=re.compile("^2[0-9]{7}T")).click()
    expect(page.locator(".report")).to_contain_text("rolled back")
    assert page.locator("script").count() == 0
    assert faults(page) == []
    keep(page, tmp_path, "incident")


def test_a_page_without_its_rollout_is_a_page(shop: Shop, look: Look) -> None:
    page = look().page
    answer = page.goto(f"{shop.daemon.url}/rollouts/%3Cscript%3Ealert(1)")
    assert answer is not None
    assert (answer.status, "there is no rollout" in page.locator("main").inner_text()) == (404, True)
    headers = answer.headers
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'; script-src 'self'")
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
    assert json.loads(page.evaluate("JSON.stringify(document.scripts.length)")) == 0
