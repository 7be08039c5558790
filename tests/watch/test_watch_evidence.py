"""Evidence in every face of a watch: metrics, a terminal, the report, the preflight. On a real journal, with a clock that is set by hand."""

import io
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from rich.console import Console

from rollback_daemon.evidence import KINDS
from rollback_daemon.faces import views
from rollback_daemon.faces.cli import show
from rollback_daemon.faces.metrics import RolloutCollector
from rollback_daemon.governance.evidence_checks import evidence as preflight
from rollback_daemon.governance.markdown import markdown
from rollback_daemon.governance.report import KINDS as RECORDS
from rollback_daemon.governance.report import report
from rollback_daemon.judge import consent, figures
from rollback_daemon.judge.reasons import Outcome
from rollback_daemon.judge.refusal import Person
from rollback_daemon.lab.toolset import Toolset
from rollback_daemon.rules.duties import Command, Declared, Followed, Fresh, Inbox, Requires, Scheduled
from rollback_daemon.rules.measures import Condition, OnNoData, Op, Signal
from rollback_daemon.rules.model import Gate, Trigger
from rollback_daemon.rules.triggers import Threshold
from rollback_daemon.signals.observation import NoData, Value
from tests.watch.guarded import GOOD, Desk

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RUN = b"""<testsuite tests="4" failures="1">
  <testcase classname="tests.test_pay" name="test_card"/>
  <testcase classname="tests.test_pay" name="test_cash"/>
  <testcase classname="tests.test_old" name="test_fax"><failure message="no fax"/></testcase>
  <testcase classname="tests.test_pay" name="test_coin"><skipped/></testcase>
</testsuite>"""
REASON = "nobody has a fax"
PASS_RATE = Signal("pass_rate", "", "%", evidence="tests", figure="pass_rate")
TOLD = {"pass_rate": 1.0, "tests": 3.0, "passed": 2.0, "failures": 0.0, "errors": 0.0, "skipped": 1.0, "excluded": 1.0, "flaky": 0.0}


def declared(name: str = "tests", kind: str = "junit", comes: Inbox | Scheduled | Followed | None = None, **settings: object) -> Declared:
    """Evidence that counts for a day."""
    said = KINDS[kind].settings.model_validate(settings)
    return Declared(name, kind, said, DAY, f"{kind} {settings}", comes)


TESTS = declared(exclude=[{"name": "tests/test_old.py*", "reason": REASON}, {"name": "gone", "reason": "was flaky"}])


@pytest.fixture
def tested(desk: Desk) -> Desk:
    """At canary; half asks for tests that are no older than two hours, and a gate looks at them."""
    half = Requires(evidence=(Fresh("tests", 2 * HOUR),))
    stages = tuple(replace(one, requires=half) if one.name == "half" else one for one in desk.rollout.stages)
    gate = Gate("PassRate", PASS_RATE, Condition(Op.AT_LEAST, 0.98), frozenset({"canary"}))
    signals, gates = (*desk.rollout.signals, PASS_RATE), (*desk.rollout.gates, gate)
    desk.restart(stages=stages, evidence=(TESTS,), signals=signals, gates=gates)
    return desk.climb_to("canary")


def hand_in(desk: Desk, data: bytes = RUN, name: str = "tests") -> None:
    """As the API does."""
    source = desk.rollout.declared(name)
    reading = figures.read(source, data, "run.xml", desk.hands.now()) if source else None
    file = consent.File("run.xml", "d" * 64, len(data))

    def decide(rollout: object, state: object, judgement: object, now: datetime) -> object:
        return consent.evidence(rollout, state, Person("cid", frozenset()), name, "CI", file, reading, now)  # type: ignore[arg-type]

    desk.watch.request("evidence", "cid", "CI", decide)  # type: ignore[arg-type]  # the types of a decision, which this passes on


def metric(desk: Desk, name: str) -> dict[str, float]:
    families = [one for one in RolloutCollector(lambda: [desk.watch]).collect() if one.name == f"rollback_daemon_evidence_{name}"]
    samples = [sample for family in families for sample in family.samples]
    assert all(sample.labels["rollout"] == "checkout" for sample in samples)
    return {sample.labels.get("figure", sample.labels["evidence"]): sample.value for sample in samples}


def test_figures_are_metrics_as_long_as_they_tell_something(tested: Desk) -> None:
    assert (metric(tested, "figure"), metric(tested, "made_timestamp_seconds"), metric(tested, "valid")) == ({}, {}, {"tests": 0})
    hand_in(tested)
    handed = tested.hands.now()
    tested.evaluate()
    assert metric(tested, "figure").items() >= TOLD.items()
    assert (metric(tested, "made_timestamp_seconds"), metric(tested, "valid")) == ({"tests": handed.timestamp()}, {"tests": 1})
    tested.hands.time += DAY
    tested.evaluate()
    assert (metric(tested, "figure"), metric(tested, "valid")) == ({}, {"tests": 0})
    assert metric(tested, "made_timestamp_seconds") == {"tests": handed.timestamp()}


def test_promtool_has_no_complaint(tested: Desk, toolset: Toolset) -> None:
    if toolset.promtool is None:
        pytest.skip("no promtool beside this Prometheus")
    hand_in(tested)
    tested.evaluate()
    registry = CollectorRegistry()
    registry.register(RolloutCollector(lambda: [tested.watch]))
    done = subprocess.run([toolset.promtool, "check", "metrics"], input=generate_latest(registry), capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_restart_and_other_rules_for_the_same_file_change_what_is_told(tested: Desk) -> None:
    hand_in(tested)
    tested.restart()
    assert metric(tested, "valid") == {}  # nothing has been evaluated yet
    tested.evaluate()
    assert metric(tested, "figure")["pass_rate"] == 1
    tested.restart(evidence=(declared(),))
    tested.evaluate()
    assert (metric(tested, "figure"), metric(tested, "valid")) == ({}, {"tests": 0})


@pytest.mark.parametrize(("seen", "told"), [(Value({(): 12.5}), {"value": 12.5}), (NoData("no line is newer than 1d"), {})])
def test_a_followed_figure_is_what_the_evaluation_was_answered(tested: Desk, seen: Value | NoData, told: Mapping[str, float]) -> None:
    latency = Signal("latency", "", evidence="log", figure="value")
    log = declared("log", "jsonl", Followed("/var/log/app.jsonl"), field="/ms")
    tested.restart(evidence=(log,), signals=(latency,), gates=())
    tested.evaluate({**GOOD, latency.figure_key: seen})
    assert (metric(tested, "figure"), metric(tested, "valid")) == (told, {"log": float(bool(told))})
    tested.restart(signals=())
    tested.evaluate()
    assert metric(tested, "valid") == {}  # nobody asks


def terminal(desk: Desk) -> str:
    out = Console(file=io.StringIO(), width=160)
    show.explain(out, show.clean(views.explanation(desk.watch)))
    assert isinstance(out.file, io.StringIO)
    return "\n".join(line.rstrip() for line in out.file.getvalue().splitlines())


def test_explain_shows_figures_and_what_was_left_out_of_them(tested: Desk) -> None:
    assert 'evidence "tests" is not on record' in terminal(tested)
    hand_in(tested)
    tested.evaluate()
    said = terminal(tested)
    flat = " ".join(said.split())
    assert " evidence tests of 2026-03-01 12:00:03Z (when it was handed in: it does not say when it was made) by cid" in flat
    assert " by cid, run.xml, sha256 dddddddddddd, counts for 1d; pass_rate 1, tests 3, passed 2" in flat
    assert f"\n           left out tests.test_old::test_fax (failed): {REASON}\n" in said
    assert '\n           the exclusion "gone" holds for nothing in the file; take it out\n' in said
    tested.hands.time += DAY + HOUR
    tested.evaluate()
    assert '  evidence tests  evidence "tests" is 1d1h2s old, must be no older than 1d; of 2026-03-01' in terminal(tested)


def written(desk: Desk) -> str:
    records = desk.journal.records("checkout", kinds=RECORDS)
    explained, card = views.explanation(desk.watch), views.scorecard(desk.watch)
    return markdown(report(records, explained, card, desk.journal.head(), desk.hands.now()))


def test_the_report_shows_what_counts_now_what_was_taken_and_what_was_left_out(tested: Desk) -> None:
    hand_in(tested)
    tested.evaluate()
    whole = "d" * 64
    section = written(tested).split("\n## Evidence\n")[1].split("\n## ")[0]
    assert "\n| tests | junit | yes, for 1d | pass\\_rate 1, tests 3, passed 2" in section
    assert f" | 2026-03-01 12:00:03 UTC | cid | `{whole}` | handed in |\n" in section
    assert f"\n| `5` | 2026-03-01 12:00:03 UTC | tests | canary | cid | CI | run.xml | `{whole}` | {len(RUN)} | - | pass\\_rate 1, tests 3" in section
    assert f"\n- left out: tests.test\\_old::test\\_fax (failed), because: {REASON}\n" in section
    tested.hands.time += DAY + HOUR
    tested.evaluate()
    assert '| tests | junit | **no**: evidence "tests" is 1d1h2s old, must be no older than 1d | ' in written(tested)


def checked(desk: Desk, one: Declared = TESTS, away: str = "", **changes: Any) -> tuple[Outcome, str]:
    """What the preflight says of that evidence in the place of the one that the rules have. `away`: why it cannot come."""
    state = desk.watch.state
    (found,) = preflight(replace(desk.rollout, evidence=(one,), **changes), state.position, state.dossier, desk.hands.now(), {one.name: away})
    assert found.check == f"evidence {one.name}"
    return found.outcome, found.evidence


def test_the_preflight_says_what_is_missing_for_whom_and_how_it_comes(tested: Desk) -> None:
    by_hand = "it comes by rollbackd evidence"
    missing = "is not on record; for the promotion to half, PassRate"
    run = Scheduled(Command(("./suite.sh", "--all")), 6 * HOUR)
    assert checked(tested) == (Outcome.FAIL, f"{missing}; {by_hand}")
    assert checked(tested, declared(comes=Inbox("/srv/ci", "*.xml"))) == (Outcome.FAIL, f"{missing}; it comes as *.xml in /srv/ci")
    assert checked(tested, declared(comes=run)) == (Outcome.FAIL, f"{missing}; it comes from ./suite.sh, every 6h")
    hand_in(tested)
    assert checked(tested) == (Outcome.PASS, f"by cid, 0s old, counts for 1d; {by_hand}")
    tested.hands.time += 3 * HOUR  # for the gate it still counts, for the promotion it does not
    assert checked(tested) == (Outcome.FAIL, f"is 3h old, must be no older than 2h; for the promotion to half, PassRate; {by_hand}")
    tested.hands.time += DAY
    assert checked(tested) == (Outcome.FAIL, f"is 1d3h old, must be no older than 1d; for the promotion to half, PassRate; {by_hand}")


def test_what_nothing_needs_where_the_rollout_stands_is_no_failure_of_the_preflight(tested: Desk) -> None:
    by_hand = "it comes by rollbackd evidence"
    ladder = [replace(one, requires=Requires()) for one in tested.rollout.stages]
    ladder[3] = replace(ladder[3], requires=Requires(evidence=(Fresh("tests"),)))
    assert checked(tested, gates=(), stages=tuple(ladder)) == (
        Outcome.PASS,
        f"is not on record; nothing at canary needs it, first half does; {by_hand}",
    )
    ladder[3] = replace(ladder[3], requires=Requires())
    assert checked(tested, gates=(), stages=tuple(ladder)) == (Outcome.PASS, f"is not on record; nothing needs it; {by_hand}")
    (gate,) = tested.rollout.gates[1:]
    need_not = replace(gate, signal=replace(PASS_RATE, no_data=OnNoData.IGNORE))
    assert checked(tested, gates=(need_not,), stages=tuple(ladder))[0] is Outcome.PASS


def test_the_preflight_looks_at_where_evidence_comes_from_at_the_stage_and_for_the_triggers_of_the_next(tested: Desk) -> None:
    log, folder = declared("tests", "jsonl", Followed("/var/log/app.jsonl"), field="/ms"), declared(comes=Inbox("/srv/ci", "*.xml"))
    assert checked(tested, log) == (Outcome.PASS, "its file is there and can be read; it comes from the last lines of /var/log/app.jsonl")
    ladder = tuple(replace(one, requires=Requires()) for one in tested.rollout.stages)
    low = Trigger("PassRateLow", Threshold(PASS_RATE, Condition(Op.BELOW, 0.9)), frozenset({"half"}))
    said = "it is gone; for PassRateLow at half; it comes from the last lines of /var/log/app.jsonl"
    assert checked(tested, log, "it is gone", gates=(), stages=ladder, triggers=(low,)) == (Outcome.FAIL, said)
    assert checked(tested, folder, gates=(), stages=ladder)[1] == "is not on record; nothing needs it; it comes as *.xml in /srv/ci"
    assert checked(tested, folder, "it is gone", gates=(), stages=ladder)[0] is Outcome.PASS
    hand_in(tested)
    assert checked(tested, folder)[0] is Outcome.FAIL  # read by other rules
    assert checked(tested, replace(TESTS, comes=folder.comes), "it is gone")[1].startswith("it is gone; for the promotion to half, PassRate; ")


def test_required_evidence_that_is_not_declared_is_looked_at_too(tested: Desk) -> None:
    (found,) = preflight(replace(tested.rollout, evidence=(), gates=()), None, tested.watch.state.dossier, tested.hands.now())
    assert (found.check, found.outcome) == ("evidence tests", Outcome.PASS)
    assert "nothing at baseline needs it, first canary does" in found.evidence
