"""The night that must not happen again: a script raises six flags from 10 % to 25 %. It is undone and explained, and then done the proper way."""

import json
import os
import re
import threading
from collections.abc import Callable

import pytest

from rollback_daemon.flags.change_trace import trace_of
from rollback_daemon.lab.servers import wait_until
from tests.acceptance.memory_service import AGENTS, FEATURES, MemoryService, document, text
from tests.acceptance.memory_stand import ROLLOUT, VOTERS, MemoryStand

SELDOM = {"interval: 250ms": "interval: 1m", "max_gap: 1500ms": "max_gap: 3m", "window: 750ms": "window: 1h"}


def test_a_bypass_is_undone_and_explained_and_the_proper_way_leads_up(ten: MemoryStand) -> None:
    ten.wait(lambda: ten.explain()["soaked"] != "0s", "some time at 10 %")  # 1 h 42 min of the 48 h
    traces = Traces(ten)
    ten.script(25)
    ten.wait(lambda: ten.percentages == {10} and ten.get()["phase"] == "rolled_back", "the flags to be back at 10 %")
    raised = traces.end()
    assert ten.flags_now == text(10)
    the_record_says_who_what_when_and_what_was_missing(ten, raised)
    one_command_answers_who_raised_it(ten)
    told = ten.wait_for_alert("RolloutDrift")
    assert (told["labels"]["severity"], told["labels"]["owner"], told["labels"]["rollout"]) == ("critical", "deployment-lead", ROLLOUT)

    refused = ten.by("anna", "promote", "--reason", "it was nearly there")
    assert refused.code == 1
    assert "resume it with a reason first" in refused.err
    assert ten.alert("RolloutDrift")  # it stays until somebody has looked at it
    ten.must("anna", "resume", "--reason", "the script is gone, and so are its rights")
    ten.wait_for_resolved("RolloutDrift")
    the_proper_way(ten)


def the_record_says_who_what_when_and_what_was_missing(stand: MemoryStand, raised: dict[str, str]) -> None:
    [drift] = stand.history("drift", drift="higher")
    keys = {f"/features/{name}/progressive_config/initial_percentage": {"expected": 10, "actual": 25} for name in FEATURES}
    assert drift["keys"] == {**keys, "/enabled_agents": {"expected": AGENTS[10], "actual": AGENTS[25]}}
    assert drift["stage"] == "twenty-five"
    assert drift["known"]["owner"] == raised["owner"]
    assert drift["known"]["modified"] == raised["modified"]
    missing = "\n".join(drift["missing"])
    assert re.search(r'soaked \d+\S* of 3s at "ten"; .* to go', missing)
    assert 'checkpoint "hour-48" is not on record' in missing
    assert "no rollback has been rehearsed" in missing
    assert f'nobody has proposed the promotion to "twenty-five"; it needs {", ".join(VOTERS.values())}' in missing
    [intent] = stand.history("intended", kind="rollback")
    assert (intent["by"], intent["from"], intent["to"], intent["code"]) == ("rollbackd", "ten", "ten", "drift")
    [applied] = stand.history("applied")
    assert {key: (applied["before"][key], applied["after"][key]) for key in applied["after"]} == {
        key: (one["actual"], one["expected"]) for key, one in drift["keys"].items()
    }
    assert len(stand.history("done", id=intent["id"])) == 1


def one_command_answers_who_raised_it(stand: MemoryStand) -> None:
    shown = " ".join(stand.must("anna", "history").out.split())
    told = shown[shown.index(" drift ") :]
    for wanted in ("initial_percentage: 10 -> 25", "owner", "modified", "checkpoint", "hour-48", "soaked", "proposed"):
        assert wanted in told, told


def the_proper_way(stand: MemoryStand) -> None:
    stand.wait_for_phase("ready")  # 48 h later
    stand.must("anna", "rehearse", "--reason", "before 25 %")
    assert stand.document == document(10)
    report = stand.folder / "hour-48.md"
    report.write_text("48 hours at 10 %. Nothing to report.\n", encoding="utf-8")
    stand.must("carla", "checkpoint", "hour-48", "--decision", "GO", "--report", str(report), "--reason", "quiet hours")
    stand.wait_for_phase("ready")
    stand.must("frida", "propose", "--reason", "48 hours at 10 % were quiet")
    for name, role in VOTERS.items():
        assert stand.by("anna", "promote", "--reason", "are we there?").code == 1
        stand.must(name, "approve", "--role", role, "--reason", "seen, and fine")
    stand.climb("all five said GO")
    assert stand.document == document(25)
    assert (stand.get()["stage"], stand.get()["exposure"]) == ("twenty-five", 0.25)
    [intent] = stand.history("intended", kind="promote", to="twenty-five")
    assert intent["by"] == "anna"
    assert [(vote["by"], vote["role"], vote["go"]) for vote in intent["approved_by"]] == [(*one, True) for one in VOTERS.items()]


def test_a_watched_file_is_acted_on_at_once_however_seldom_it_is_evaluated(begin: Callable[..., MemoryStand]) -> None:
    stand = begin(changes=SELDOM)
    evaluated = stand.get()["evaluated_at"]
    stand.script(25, "in place")
    stand.wait(lambda: stand.percentages == {10} and stand.get()["phase"] == "rolled_back", "the flags to be back at 10 %", 10)
    assert stand.flags_now == text(10)
    assert stand.wait_for_alert("RolloutDrift")["labels"]["severity"] == "critical"
    assert stand.get()["evaluated_at"] == evaluated


@pytest.mark.parametrize(("agents", "redis", "percentage"), [([*AGENTS[25], "billing"], True, 10), (AGENTS[25], False, 0)])
def test_a_raise_that_matches_no_stage_is_undone_as_well(agents: list[str], redis: bool, percentage: int, ten: MemoryStand) -> None:
    raised = {**document(25, redis=redis), "enabled_agents": agents}
    ten.flags.write_text(json.dumps(raised, indent=2), encoding="utf-8")
    ten.wait_for_phase("rolled_back")
    assert ten.document == document(percentage)  # where something else was changed, too, nobody knows what "back" would be: to the bottom
    assert ten.wait_for_alert("RolloutDrift")["labels"]["severity"] == "critical"


def test_a_script_that_does_not_give_up_is_undone_each_time_also_when_the_guard_was_away(ten: MemoryStand) -> None:
    for times in (1, 2):
        ten.script(25)
        ten.wait(lambda times=times: len(ten.history("done", kind="rollback")) == times, "the flags to be back at 10 %")  # type: ignore[misc]  # bound early
        assert (ten.get()["phase"], ten.flags_now) == ("rolled_back", text(10))
    ten.daemon.kill()
    ten.script(25)
    ten.daemon.start()
    ten.wait(lambda: ten.percentages == {10} and ten.get()["phase"] == "rolled_back", "the flags to be back at 10 %")
    assert len(ten.history("drift", drift="higher")) == 3
    assert ten.wait_for_alert("RolloutDrift")["labels"]["severity"] == "critical"
    assert ten.by("anna", "promote", "--reason", "so be it").code == 1


@pytest.mark.parametrize("when", ["soaking", "voting", "approved"])
def test_flags_that_a_person_lowers_stay_lowered(when: str, ten: MemoryStand) -> None:
    if when != "soaking":
        ten.prepare()
    if when == "approved":
        ten.approve(*VOTERS)
    ten.flags.write_text(text(0), encoding="utf-8")
    ten.wait(lambda: (ten.get()["phase"], ten.get()["stage"]) == ("held", "baseline"), "the rollout to be held where the flags are")
    assert ten.wait_for_alert("RolloutDrift")["labels"]["severity"] == "warning"
    refused = ten.by("anna", "promote", "--reason", "all is approved")
    assert refused.code == 1
    assert "its flags were lowered by hand" in refused.err
    ten.daemon.kill()
    ten.daemon.start()
    ten.wait_for_evaluations(3)
    assert (ten.get()["phase"], ten.get()["stage"]) == ("held", "baseline")
    ten.must("anna", "resume", "--reason", "it was I who lowered them")
    ten.wait_for_evaluations(3)
    assert ten.flags_now == text(0)  # byte for byte, and the votes for 25 % are worth nothing here
    assert ten.history("applied", kind="rollback", to="baseline") == []
    if when != "soaking":
        [voided] = ten.history("voided")
        assert (voided["votes"], voided["why"]) == (
            5 if when == "approved" else 0,
            'it was about the way up from "ten", and the rollout has been elsewhere since',
        )


def test_in_mode_observe_everything_is_told_and_nothing_is_touched(begin: Callable[..., MemoryStand], service: MemoryService) -> None:
    stand = begin(changes={"mode: enforce": "mode: observe"})
    stand.script(25)
    raised = stand.flags.stat()
    assert stand.wait_for_alert("RolloutDrift")["labels"]["severity"] == "critical"
    [observed] = stand.history("observed")
    assert (observed["alert"], observed["would"]) == ("RolloutDrift", "rollback to ten")
    service.set("genesis_test_pass_rate", 0.9)
    stand.wait(lambda: stand.history("observed", alert="TestPassRateLow"), "the trigger to say what it would do")
    assert "its mode is observe, in which no flag is touched" in stand.by("anna", "promote", "--reason", "why not").err
    assert stand.by("anna", "rollback", "--reason", "why not").code == 1
    assert stand.flags_now == text(25)
    assert stand.flags.stat().st_mtime_ns == raised.st_mtime_ns
    assert stand.history("intended") == []


class Traces:
    """What the flag file told of itself, each time that it was another one."""

    def __init__(self, stand: MemoryStand) -> None:
        self._stand, self._found, self._ended = stand, dict[int, tuple[str, dict[str, str]]](), threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        wait_until(lambda: self._found, "the first look")

    def _look(self) -> None:
        while not self._ended.is_set():
            with self._stand.flags.open(encoding="utf-8") as file:
                status = os.fstat(file.fileno())
                self._found[status.st_ino] = (file.read(), trace_of(status))

    def end(self) -> dict[str, str]:
        """No reader ever saw a mixture; returns the traces of the raised file."""
        self._ended.set()
        self._thread.join()
        assert {found for found, _ in self._found.values()} == {text(10), text(25)}
        return next(trace for found, trace in self._found.values() if found == text(25))
