"""An incident at the terminal: taken back by a trigger, told to an Alertmanager, plotted, written about, and resumed when that is complete."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from rollback_daemon.lab.servers import AlertmanagerServer, PrometheusServer, wait_until
from rollback_daemon.lab.toolset import Toolset
from tests.faces.http.bench import RULES, Bench

YES, NO, USAGE, UNKNOWN = 0, 1, 2, 3
OWED = RULES + "resume: {requires: postmortem}\n"


@dataclass(frozen=True, slots=True)
class Hurt:
    """A daemon whose rollout was taken back, and the Alertmanager that it tells."""

    bench: Bench
    alertmanager: AlertmanagerServer

    def incident(self, identity: str = "last") -> Any:
        return self.bench.get(f"/api/v1/rollouts/checkout/incidents/{identity}").json()

    def noted(self) -> Any:
        """The incident once all that is noted beside it is there."""

        def whole() -> Any:
            now = self.incident()
            told = {one["alertname"] for one in now["told"]}
            return now if now["plotted"] and {"ErrorRateHigh", "RolloutRolledBack"} <= told else None

        return wait_until(whole, "the signals and who was told to be on record", 20)

    def report(self, *words: str) -> str:
        ran = self.bench.rollbackd("report", "checkout", "--incident", "last", *words)
        assert ran.code == YES, ran.err
        return ran.out


@pytest.fixture(scope="module")
def hurt(told: PrometheusServer, toolset: Toolset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hurt]:
    folder = tmp_path_factory.mktemp("hurt")
    with AlertmanagerServer(toolset.alertmanager, folder / "alertmanager") as alertmanager:
        alerting = {"alerting": {"alertmanagers": [{"url": alertmanager.url}], "resend_delay": "1s"}}
        with Bench(folder / "guard", told.url, rules=OWED, config=alerting) as bench:
            bench.set_error_rate(0)
            bench.to_canary()
            bench.set_error_rate(0.07)
            bench.wait_for(stage="baseline", phase="rolled_back")
            yield Hurt(bench, alertmanager)


def test_the_signals_around_it_and_who_was_told_are_put_on_record_once(hurt: Hurt) -> None:
    one = hurt.noted()
    [signal] = one["signals"]
    assert (signal["name"], signal["alerts"], signal["lines"]) == ("error_rate", ["ErrorRateHigh"], [0.01])
    values = [value for _, value in signal["points"]]
    assert 1 < len(values) <= 240
    assert max(values) == 0.07
    assert {told["alertmanager"] for told in one["told"]} == {hurt.alertmanager.url}
    names = [told["alertname"] for told in one["told"]]
    assert len(names) == len(set(names))
    events = [event["event"] for event in hurt.bench.history()]
    assert events.count("plotted") == 1
    shown = hurt.bench.rollbackd("history", "checkout").out
    assert f"1 series around {one['incident']} kept" in shown.replace("\n", " ")
    assert "points" not in hurt.bench.get("/api/v1/rollouts/checkout/history?limit=1000").text


def test_the_report_tells_what_happened_with_value_and_limit(hurt: Hurt) -> None:
    hurt.noted()
    text = hurt.report()
    assert "ErrorRateHigh is firing: 0.07 (limit: &gt; 0.01)" in text
    assert "| `SHARE` | 10 | 0 |" in text
    assert "10 % -> 0 %" in text


def test_the_page_stands_alone_and_has_a_plot(hurt: Hurt) -> None:
    hurt.noted()
    page = hurt.report("--format", "html")
    assert page.count("<svg ") == 1
    assert not re.search(r'<script|<link|<img|@import|\bsrc=|href="(?!#)', page.replace('xlink:href="#', ""))


def test_it_goes_into_a_file_under_either_name_of_the_option(hurt: Hurt) -> None:
    for option in ("--out", "--output"):
        file = hurt.bench.folder / f"report{option}.json"
        assert hurt.report("--format", "json", option, str(file)) == ""
        assert '"incident": "' in file.read_text(encoding="utf-8")


def test_what_is_no_incident_is_said_and_what_there_was_is_listed(hurt: Hurt) -> None:
    [known] = hurt.bench.get("/api/v1/rollouts/checkout/incidents").json()
    ran = hurt.bench.rollbackd("report", "checkout", "--incident", "nope")
    assert (ran.code, ran.err) == (USAGE, f'rollbackd: there is no incident "nope" in checkout; known: {known["incident"]}\n')
    assert hurt.bench.rollbackd("report", "checkout", "--format", "html").code == USAGE


def test_it_is_resumed_only_when_the_report_is_complete(hurt: Hurt) -> None:
    bench = hurt.bench
    refused = bench.rollbackd("resume", "checkout", "--reason", "all good")
    assert refused.code == NO
    assert "rollbackd postmortem checkout --complete" in refused.err
    assert "is complete (rollbackd postmortem), and a person resumes it" in bench.rollout()["next"]
    first = bench.rollbackd("postmortem", "checkout", "--root-cause", "a slow <query>", "--reason", "as found")
    assert first.out.endswith("still lacks: users affected (--users-affected), fix plan (--fix-plan)\n")
    early = bench.rollbackd("postmortem", "checkout", "--fix-plan", "an index", "--complete", "--reason", "done")
    assert early.code == NO
    assert early.err.endswith("- it cannot be complete without its users affected (--users-affected)\n")
    done = bench.rollbackd("postmortem", "checkout", "--users-affected", "1 of 10", "--fix-plan", "an index", "--complete", "--reason", "done")
    assert "is complete" in done.out
    bench.set_error_rate(0)
    assert bench.rollbackd("resume", "checkout", "--reason", "all good").code == YES
    later = bench.ask_for("postmortem", reason="found later", incident="last", issues="the page was slow")
    assert later.status_code == 200, later.text
    one = hurt.incident()
    assert one["ended_by"]["event"] == "resumed"
    assert one["postmortem"]["fields"]["issues"]["text"] == "the page was slow"
    assert one["postmortem"]["complete"]
    assert "a slow &lt;query&gt;" in hurt.report("--format", "html")
