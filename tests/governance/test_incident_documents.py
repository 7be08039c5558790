"""The report of an incident as Markdown and as a page: all that matters is there, and nothing that people wrote is more than text."""

import re
import sys
from html.parser import HTMLParser
from typing import Any

import pytest
from markdown_it import MarkdownIt

from rollback_daemon.governance.incident_html import incident_html
from rollback_daemon.governance.incident_markdown import incident_markdown
from rollback_daemon.governance.incident_plots import REMEDY, plots
from rollback_daemon.governance.incident_words import lasted, offset
from tests.governance.tale_incident import Affair, whole

NASTY = '"><script>alert(1)</script> {{ 7*7 }} | **bold** `x`'
_VOID = {"meta", "br", "hr", "img", "link", "input"}


class Shape(HTMLParser):
    """Whether every element is closed, which there are, and where they lead."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.wrong: list[str] = []
        self.led: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.led += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def shape(page: str) -> Shape:
    found = Shape()
    found.feed(page)
    return found


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return whole().report()


@pytest.fixture(scope="module")
def page(report: dict[str, Any]) -> str:
    return incident_html(report)


def test_the_page_is_whole_and_leads_nowhere_else(page: str) -> None:
    found = shape(page)
    assert not found.wrong
    assert not found.open
    assert "script" not in found.seen
    assert all(one.startswith("#") for one in found.led)
    assert "@import" not in page
    assert "url(http" not in page


def test_the_page_has_a_plot_for_each_signal_and_no_id_twice(page: str) -> None:
    found = shape(page)
    assert found.seen.count("svg") == 2
    assert len(found.ids) == len(set(found.ids))


def test_a_plot_shows_value_limit_pending_firing_and_the_moments(report: dict[str, Any]) -> None:
    drawn = plots(report)
    assert drawn
    first, second = (one["svg"] for one in drawn)
    for name in ("value", "limit", "pending", "firing", "flags", "verified"):
        assert f"var(--{name})" in first
    assert "var(--pending)" not in second  # no trigger is on that signal
    assert not re.search(r"#0101", first)
    assert ">13:00<" in first


def test_the_page_is_light_and_dark_and_can_be_printed(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_the_page_says_what_a_person_has_still_to_write(page: str) -> None:
    assert "Still missing: fix plan." in page
    assert "a query without an index" in page


def test_without_matplotlib_the_page_is_made_without_plots_and_says_how_to_get_them(report: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    page = incident_html(report)
    assert "<svg" not in page
    assert REMEDY.replace("'", "&#39;") in page


def test_without_any_value_on_record_there_is_a_page_all_the_same() -> None:
    page = incident_html(Affair().adopted().intended(code="person", triggers=[], by="ann").report())
    assert "nothing to plot" in page
    assert not shape(page).wrong


def nasty() -> dict[str, Any]:
    affair = Affair(NASTY).adopted().trigger("firing", 0.02, code=NASTY).intended(why=[NASTY]).applied(before={NASTY: NASTY}, after={NASTY: NASTY})
    affair.done().checked(0, NASTY, "fail", error=NASTY, output=NASTY).unverified(why=NASTY, final=True)
    affair.put("told", incident="i1", alerts=[{"alertname": NASTY, "severity": NASTY}], alertmanager=NASTY)
    other = {"rollout": NASTY, "incident": "i7", "from": NASTY, "to": NASTY, "began": None, "ended": None}
    return affair.wrote(root_cause=NASTY, by=NASTY).report(elsewhere=[other])


def test_nothing_that_people_wrote_is_markup_in_the_page() -> None:
    found = shape(incident_html(nasty()))
    assert not found.wrong
    assert "script" not in found.seen


def test_nothing_that_people_wrote_is_markup_in_the_document() -> None:
    html = MarkdownIt("gfm-like", {"linkify": False}).render(incident_markdown(nasty()))
    assert "<script" not in html
    assert "<strong>bold" not in html
    assert "<code>x" not in html


def test_the_document_tells_times_values_and_limits(report: dict[str, Any]) -> None:
    text = incident_markdown(report)
    assert "| First breach to flags read back | 5m2s |" in text
    assert "ErrorRateHigh is firing: 0.031 (limit: &gt; 0.01)" in text
    assert "| error\\_rate | - | &gt; 0.01 |" in text
    assert "bob asked for promote and was refused" in text
    assert text.count("# checkout: incident") == 1


def test_the_runbook_is_named_where_the_rule_file_has_one(report: dict[str, Any]) -> None:
    known = {**report, "runbook_url": "https://runbooks.example.com/checkout"}
    assert "Runbook: https" in incident_markdown(known)
    assert "Runbook: <code>https://runbooks.example.com/checkout</code>" in incident_html(known)
    assert "Runbook" not in incident_markdown(report) + incident_html(report)


LASTED = [(0, "0 s"), (0.024, "24 ms"), (0.24, "0.2 s"), (59.6, "1m"), (302.1, "5m2s"), (5412, "1h30m"), (90000, "1d1h"), (None, "-")]


@pytest.mark.parametrize(("seconds", "said"), LASTED)
def test_durations_are_for_people(seconds: float | None, said: str) -> None:
    assert lasted(seconds) == said


def test_what_came_before_the_breach_has_a_minus() -> None:
    assert offset("2026-03-01T12:00:10.000Z", "2026-03-01T12:00:00.000Z") == "-10s"
