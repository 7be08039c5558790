"""A rollback is rehearsed before anybody goes higher: it comes back when its steps pass, and stays down when they do not."""

from collections.abc import Callable
from datetime import datetime

from tests.acceptance.memory_service import document
from tests.acceptance.memory_stand import MemoryStand


def test_a_rehearsal_takes_all_six_flags_down_and_up_again_in_two_writes(ten: MemoryStand) -> None:
    ten.wait_for_phase("ready")
    soaked = ten.get()["since"]
    ten.must("anna", "rehearse", "--reason", "before 25 %")
    assert ten.document == document(10)
    assert [sorted(set(map(str, one["after"].values()))) for one in ten.history("applied")] == [
        ["0", "[]"],
        ["10", "['analyst', 'content', 'marketing', 'seo', 'support']"],
    ]
    [step] = ten.history("step")
    assert (step["step"], step["error"]) == (f"GET {ten.health.at(1)}", "")
    [rehearsed] = ten.history("rehearsed")
    assert (rehearsed["passed"], rehearsed["by"]) == (True, "anna")
    assert rehearsed["seconds"] < 120
    ten.wait_for_phase("ready")  # without soaking anew
    assert datetime.fromisoformat(ten.explain()["entered"]) < datetime.fromisoformat(soaked)
    ten.must("anna", "rehearse", "--reason", "once more")


def test_a_rehearsal_that_fails_stays_down_pages_and_closes_the_way_up(begin: Callable[..., MemoryStand]) -> None:
    stand = begin(changes={"timeout: 60s": "timeout: 1s"})
    stand.wait_for_phase("ready")
    stand.health.stuck = 10
    ran = stand.by("anna", "rehearse", "--reason", "before 25 %")
    assert ran.code == 1
    assert "/memory_percentage is 10, must be 0" in ran.err
    it_stays_down(stand)


def test_a_rehearsal_in_whose_middle_the_daemon_is_killed_has_failed(ten: MemoryStand) -> None:
    ten.wait_for_phase("ready")
    ten.health.stuck = 10
    assert ten.by("anna", "rehearse", "--wait", "0", "--reason", "before 25 %").code == 0
    ten.wait(lambda: ten.document == document(0) and ten.history("done"), "the flags to be down")
    ten.daemon.kill()
    ten.daemon.start()
    ten.health.stuck = None
    it_stays_down(ten)
    assert "the daemon was stopped in the middle of it" in ten.history("rehearsed")[0]["why"]


def test_flags_that_a_script_raises_in_the_middle_of_a_rehearsal_are_taken_down_and_it_has_failed(ten: MemoryStand) -> None:
    ten.wait_for_phase("ready")
    ten.health.stuck = 10
    assert ten.by("anna", "rehearse", "--wait", "0", "--reason", "before 25 %").code == 0
    ten.wait(lambda: ten.document == document(0) and ten.history("done"), "the flags to be down")
    ten.script(25)
    ten.wait(lambda: ten.history("rehearsed"), "the rehearsal to end")
    ten.wait(lambda: ten.document == document(0), "the flags to be down again")
    [rehearsed] = ten.history("rehearsed")
    assert (rehearsed["passed"], ten.get()["stage"]) == (False, "baseline")
    assert "the rehearsal failed: it was overtaken: " in rehearsed["why"]
    assert "no promotion to" in rehearsed["why"]
    assert ten.wait_for_alert("RolloutDrift")["labels"]["severity"] == "critical"
    assert ten.by("anna", "promote", "--reason", "up again").code == 1


def it_stays_down(stand: MemoryStand) -> None:
    told = stand.wait_for_alert("RolloutRehearsalFailed")
    assert (told["labels"]["severity"], told["labels"]["stage"]) == ("critical", "baseline")
    stand.wait_for_evaluations(3)
    assert (stand.get()["phase"], stand.get()["stage"], stand.document) == ("rolled_back", "baseline", document(0))
    assert [one["passed"] for one in stand.history("rehearsed")] == [False]
    refused = stand.by("anna", "promote", "--reason", "up again")
    assert refused.code == 1
    assert "resume it with a reason first" in refused.err
    assert stand.by("anna", "rehearse", "--reason", "once more").code == 1
