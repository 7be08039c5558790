"""The daemon's own metrics: both formats parse, promtool has no complaint, and every label set is there from the start."""

import subprocess
from collections.abc import Iterator

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from rollback_daemon import __version__
from rollback_daemon.faces.alertmanager import Outcome
from rollback_daemon.judge.transitions import Kind, Phase
from rollback_daemon.judge.trigger import TriggerPhase
from rollback_daemon.lab.servers import wait_until
from rollback_daemon.lab.toolset import Toolset
from rollback_daemon.rules.reading import Health
from rollback_daemon.signals.observation import Failure
from tests.faces.http.bench import NOBODY_LISTENS, Bench

PREFIX = "rollback_daemon_"
OF_ROLLOUT = {"rollout": "checkout"}
TRIGGERS = ("ErrorRateHigh", "Warned")
AMONG_THE_FIRST: dict[str, list[dict[str, str]]] = {  # the catalogue of the design, with the label sets of a rollout that has only just been loaded
    "rollout_exposure_ratio": [OF_ROLLOUT],
    "rollout_phase": [{**OF_ROLLOUT, "phase": phase.value} for phase in Phase],
    "rollout_stage": [{**OF_ROLLOUT, "stage": stage} for stage in ("baseline", "canary", "half")],
    "trigger_limit": [{**OF_ROLLOUT, "alert": alert} for alert in TRIGGERS],
    "trigger_phase": [{**OF_ROLLOUT, "alert": alert, "phase": phase.value} for alert in TRIGGERS for phase in TriggerPhase],
    "trigger_health": [{**OF_ROLLOUT, "alert": alert, "health": health.value} for alert in TRIGGERS for health in Health],
    "drift": [OF_ROLLOUT],
    "transitions_total": [{**OF_ROLLOUT, "kind": kind.value, "outcome": outcome} for kind in Kind for outcome in ("done", "attempted", "abandoned")],
    "breach_to_flags_seconds_count": [OF_ROLLOUT],
    "transition_seconds_count": [{**OF_ROLLOUT, "kind": kind.value} for kind in Kind],
    "cycle_seconds_count": [{}],
    "cycle_lag_seconds_count": [{}],
    "cycles_missed_total": [{}],
    "queries_total": [{"outcome": outcome} for outcome in ("ok", "no_data", *(failure.value for failure in Failure))],
    "query_seconds_count": [{}],
    "alertmanager_notifications_total": [{"alertmanager": NOBODY_LISTENS, "outcome": outcome.value} for outcome in Outcome],
    "journal_append_seconds_count": [{}],
    "leader": [OF_ROLLOUT],
    "config_last_reload_successful": [{}],
    "build_info": [{"version": __version__}],
}
AT_FIRST_ZERO = ("transitions_total", "breach_to_flags_seconds_count", "transition_seconds_count", "drift")
WHILE_SEEN = {"signal_value": [{**OF_ROLLOUT, "signal": "error_rate"}], "gate_passing": [{**OF_ROLLOUT, "gate": "Errors"}]}


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A daemon that reaches no Prometheus and no Alertmanager."""
    alerting = {"alertmanagers": [{"url": NOBODY_LISTENS}]}
    with Bench(tmp_path_factory.mktemp("blind"), NOBODY_LISTENS, config={"alerting": alerting}) as bench:
        yield bench


def samples(bench: Bench, name: str) -> list[tuple[dict[str, str], float]]:
    """Labels and value of every sample of that name."""
    return [(one.labels, one.value) for family in scraped(bench) for one in family.samples if one.name == PREFIX + name]


def scraped(bench: Bench) -> list[Metric]:
    return list(parse_text(bench.get("/metrics").text))


@pytest.mark.parametrize("name", AMONG_THE_FIRST)
def test_every_label_set_is_there_though_nothing_has_been_seen(blind: Bench, name: str) -> None:
    found = samples(blind, name)
    assert sorted(sorted(labels.items()) for labels, _ in found) == sorted(sorted(labels.items()) for labels in AMONG_THE_FIRST[name])
    if name in AT_FIRST_ZERO:
        assert {value for _, value in found} == {0}


@pytest.mark.parametrize("name", WHILE_SEEN)
def test_what_is_unknown_is_absent_and_not_zero(blind: Bench, reading: Bench, name: str) -> None:
    assert samples(blind, name) == []
    assert [labels for labels, _ in samples(reading, name)] == WHILE_SEEN[name]


def test_failed_queries_are_counted_by_their_reason(blind: Bench) -> None:
    wait_until(lambda: ({"outcome": "unreachable"}, 0.0) not in samples(blind, "queries_total"), "a query to fail", 30)
    assert ({"outcome": "ok"}, 0.0) in samples(blind, "queries_total")
    healths = {(labels["alert"], labels["health"]) for labels, value in samples(blind, "trigger_health") if value}
    assert healths == {(alert, "error") for alert in TRIGGERS}


def test_exactly_one_phase_and_stage_is_one(reading: Bench) -> None:
    assert [labels["phase"] for labels, value in samples(reading, "rollout_phase") if value] == ["baseline"]
    assert [labels["stage"] for labels, value in samples(reading, "rollout_stage") if value] == ["baseline"]
    assert samples(reading, "leader") == [(OF_ROLLOUT, 1.0)]


def test_a_passive_daemon_leads_nothing_and_shows_no_rollout(reading: Bench) -> None:
    journal = f"sqlite:///{reading.folder}/journal.db"
    with Bench(reading.folder / "passive", NOBODY_LISTENS, ready="/-/healthy", arguments=["--storage.url", journal]) as passive:
        assert samples(passive, "leader") == [(OF_ROLLOUT, 0.0)]
        assert samples(passive, "rollout_phase") == []


def test_transitions_are_counted_and_timed(bench: Bench) -> None:
    bench.to_canary()
    bench.set_error_rate(0.02)
    bench.wait_for(phase="rolled_back")
    assert ({**OF_ROLLOUT, "kind": "promote", "outcome": "done"}, 1.0) in samples(bench, "transitions_total")
    assert ({**OF_ROLLOUT, "kind": "rollback", "outcome": "done"}, 1.0) in samples(bench, "transitions_total")
    assert samples(bench, "breach_to_flags_seconds_count") == [(OF_ROLLOUT, 1.0)]
    [(_, seconds)] = samples(bench, "breach_to_flags_seconds_sum")
    assert 0 <= seconds < 30
    assert samples(bench, "rollout_exposure_ratio") == [(OF_ROLLOUT, 0.0)]


def test_the_text_format_is_the_default(reading: Bench) -> None:
    answer = reading.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert all(family.documentation for family in parse_text(answer.text))


def test_openmetrics_are_served_to_whom_accepts_them(reading: Bench) -> None:
    answer = reading.get("/metrics", Accept="application/openmetrics-text; version=1.0.0; charset=utf-8, text/plain;q=0.5")
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in parse_openmetrics(answer.text)}  # type: ignore[no-untyped-call]  # it ships without types
    assert families[PREFIX + "transitions"].type == "counter"
    assert families[PREFIX + "cycle_seconds"].type == "histogram"


@pytest.mark.every_prometheus
def test_promtool_has_no_complaint(reading: Bench, toolset: Toolset) -> None:
    if toolset.promtool is None:
        pytest.skip("no promtool beside this Prometheus")
    text = reading.get("/metrics").text
    done = subprocess.run([toolset.promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_no_metric_has_a_name_of_the_outside_world(reading: Bench) -> None:
    """Besides our own there are those of the process, the interpreter and its memory, as every Python program has them."""
    assert {family.name.split("_")[0] for family in scraped(reading)} == {"rollback", "process", "python"}
