"""The whole life of the shipped Victor rollout: enabled, taken back, proven, put back from the copy, enabled again, and looked at for a month.

A minute of the rules takes 0.4 s here, a day 1.5 s; the month after completion three seconds.
"""

import difflib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rollback_daemon.lab.servers import AlertmanagerServer, PrometheusServer
from tests.acceptance.victor_service import Victor, VictorServices
from tests.acceptance.victor_stand import VictorStand, flags_of

NAME = "whole"


@pytest.fixture
def victor(victors: VictorServices, running: tuple[PrometheusServer, object]) -> Victor:
    """A service that is well, as Prometheus knows."""
    service = victors.add(NAME)
    running[0].wait_for(f"count_over_time({NAME}_chat_latency_seconds_count[2s]) >= 8 and on() rate({NAME}_chat_latency_seconds_count[1s]) > 0", 30)
    return service


@pytest.fixture
def stand(victor: Victor, running: tuple[PrometheusServer, object], alertmanager: AlertmanagerServer, tmp_path: Path) -> Iterator[VictorStand]:
    """The rollout at its baseline."""
    stand = VictorStand(tmp_path, [victor], running[0].url, alertmanager)
    stand.change_rules({"after: [1s500ms, 10s500ms, 45s]": "after: [1s, 2s, 3s]"})
    stand.flags.write_text(flags_of("false"), encoding="utf-8")
    with stand:
        stand.wait(lambda: stand.daemon.running and not stand.explain()["blind"], "the first evaluation")
        yield stand


def changed_lines(before: str, after: str) -> list[str]:
    """The lines that a diff shows."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return [line for line in lines if line[0] in "+-" and not line.startswith(("+++", "---"))]


def restarts(stand: VictorStand) -> list[str]:
    """What it was started anew for."""
    lines = (stand.folder / NAME / "done").read_text(encoding="utf-8").splitlines()
    return [line.removesuffix(" restart") for line in lines if line.endswith("restart")]


def enable(stand: VictorStand) -> None:
    """Promote it, as a person does who has waited until nothing blocks it."""
    before = stand.flags_now
    stand.insist(lambda: stand.rollbackd("promote", NAME, "--reason", "enable the coordinators"))
    assert changed_lines(before, stand.flags_now) == [
        "-use_coordinator_orchestrator: false   # see the runbook",
        "+use_coordinator_orchestrator: true   # see the runbook",
    ]


def corrupt_a_session_while_the_log_is_rotated(stand: VictorStand, victor: Victor) -> None:
    """A line is half written when its file is renamed; only what comes after that makes it whole, in a file that has another name by then."""
    old = victor.log.with_suffix(".jsonl.1")
    line = json.dumps({"timestamp": datetime.now(UTC).isoformat(), "event": "session_corruption", "session": "größer"}, ensure_ascii=False).encode()
    with victor.log.open("ab", buffering=0) as log:
        log.write(line[:-5])
        victor.log.rename(old)
        victor.notes("tool_call")
        stand.wait_for_evaluations(2)
        assert (stand.get()["phase"], stand.trigger("SessionCorruption")["phase"]) == ("soaking", "inactive")
        log.write(line[-5:] + b"\n")


def test_the_whole_life_of_a_switch(stand: VictorStand, victor: Victor) -> None:
    enable(stand)
    stand.wait(lambda: stand.explain()["evaluated_at"] > stand.explain()["entered"], "an evaluation with the switch on")
    before = stand.flags_now
    corrupt_a_session_while_the_log_is_rotated(stand, victor)
    stand.wait_for_phase("rolled_back")
    assert changed_lines(before, stand.flags_now) == [
        "-use_coordinator_orchestrator: true   # see the runbook",
        "+use_coordinator_orchestrator: false   # see the runbook",
    ]
    stand.wait(lambda: stand.history("verified"), "the rollback to be verified")
    assert restarts(stand) == ["promote", "rollback"]
    assert stand.flags_now == flags_of("false")

    stand.flags.write_text(stand.flags_now.replace("theme: dark", "theme: [broken"), encoding="utf-8")  # by a person in a hurry
    ran = stand.rollbackd("flags", NAME, "restore", "--reason", "the file was broken by hand")
    assert ran.code == 0, ran.err
    assert stand.flags_now == flags_of("false")
    assert restarts(stand) == ["promote", "rollback", "rollback"]

    ran = stand.rollbackd("resume", NAME, "--reason", "mended")
    assert (ran.code, "postmortem" in ran.err) == (1, True)
    known = ["--root-cause", "a race", "--users-affected", "12", "--fix-plan", "a lock", "--issues", "the file was broken by hand"]
    ran = stand.rollbackd("postmortem", NAME, *known, "--complete", "--reason", "understood")
    assert ran.code == 0, ran.err
    ran = stand.rollbackd("resume", NAME, "--reason", "mended")
    assert ran.code == 0, ran.err
    report = stand.rollbackd("report", NAME, "--incident", "last")
    assert all(word in report.out for word in ("a race", "12", "a lock", "SessionCorruption", "verified"))

    enable(stand)
    stand.wait_for_phase("complete")
    stand.wait(lambda: len(stand.history("followed_up")) == 3, "three follow-ups")
    assert [(one["number"], one["outcome"]) for one in stand.history("followed_up")] == [(1, "passed"), (2, "passed"), (3, "passed")]
    asked = stand.wait_for_alert("RolloutDecisionDue")
    assert asked["labels"]["owner"] == "tech-lead"
    ran = stand.rollbackd("decide", NAME, "keep", "--reason", "thirty quiet days")
    assert ran.code == 0, ran.err
    stand.wait_for_resolved("RolloutDecisionDue")
    told = {one["on"] for one in stand.history("hooked") if not one["error"]}
    assert {"rolled_back", "verified", "resumed", "decision_due"} <= told
