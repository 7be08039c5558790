"""What follows a rollback, on a real file and a real journal: steps that are run, ways back that are taken, and a kill between any two of them."""

import os
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from rollback_daemon.errors import OperationRefused
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge import recovery
from rollback_daemon.judge.act import intended
from rollback_daemon.judge.aftermath import Verification
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.state import Happened, State
from rollback_daemon.judge.transitions import Event, Kind, Phase
from rollback_daemon.lab.servers import wait_until
from rollback_daemon.rules.aftercare import Aftercare, LogScan, Proof, Recovery, Way, WayKind
from rollback_daemon.rules.duties import Command
from rollback_daemon.rules.model import Rollout
from rollback_daemon.transitions.ways import marks_of
from tests.watch.guarded import BAD, GOOD, SECOND, Desk, content

RESTARTED = Command(("/bin/sh", "-c", "true"))


def noting(path: Path, then: str = "true", word: str = "$ROLLBACKD_STAGE") -> Command:
    """A program that writes a word down, and ends as `then` does."""
    return Command(("/bin/sh", "-c", f'echo "{word}" >> {path}; {then}'), timedelta(seconds=20))


def noted(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def cared(folder: Path, *verify: Proof, ways: tuple[Way, ...] = ()) -> Desk:
    """A desk at half, whose rollbacks are verified."""
    return Desk(folder, RESTARTED, Aftercare(verify=verify, ways=(Way(), *ways))).climb_to("half")


def outcomes(desk: Desk) -> list[tuple[str, str]]:
    return [(body["step"].partition(" ")[0], body["outcome"]) for body in desk.bodies(Event.CHECKED)]


def test_every_step_is_on_record_in_its_order_with_output_and_duration(tmp_path: Path) -> None:
    steps = (noting(tmp_path / "ran", "echo fine"), Recovery(2 * SECOND, 9 * SECOND))
    with closing(cared(tmp_path, *steps)) as desk:
        desk.evaluate(BAD)
        desk.settle()
        wait_until(lambda: len(desk.bodies(Event.CHECKED)) == 2, "the steps before the gates to be run", 30)
        desk.evaluate(GOOD, times=4)
        told = desk.bodies(Event.CHECKED)
        assert [(body["number"], body["outcome"]) for body in told] == [(0, "pass"), (1, "pass"), (2, "pass")]
        assert told[0]["step"] == "flags read back"
        assert told[0]["output"].startswith("2 flags of ")
        assert (told[1]["output"], told[1]["error"]) == ("fine", "")
        assert told[2]["step"] == "gates pass for 2s"
        assert all(body["seconds"] >= 0 for body in told)
        assert desk.kinds[-1] == Event.VERIFIED
        assert noted(tmp_path / "ran") == ["canary"]


def test_flags_that_whatever_restarted_set_again_are_not_as_read_back(tmp_path: Path) -> None:
    with closing(cared(tmp_path, noting(tmp_path / "ran"))) as desk:
        desk.evaluate(BAD)
        desk.settle().verify()
        assert desk.watch.state.aftermath.outcome is Verification.VERIFIED
        desk.env.write_text(content("half"))
        desk.watch.request("verify", "ann", "again", lambda rollout, state, *_: recovery.again(rollout, state, "ann", "again", {}))
        desk.verify()
        assert outcomes(desk)[-1] == ("flags", "fail")
        assert "PERCENT" in desk.bodies(Event.UNVERIFIED)[-1]["why"]


def test_a_log_is_scanned_from_the_moment_the_flags_were_read_back(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("ERROR spice: of before\n")
    later = Command(("/bin/sh", "-c", f"echo 'ERROR spice: of after' >> {log}"))
    for steps, outcome in (
        ((LogScan(str(log), "ERROR spice"),), Verification.VERIFIED),
        ((later, LogScan(str(log), "ERROR spice")), Verification.FAILED),
    ):
        folder = tmp_path / str(outcome)
        folder.mkdir()
        with closing(cared(folder, *steps)) as desk:
            desk.evaluate(BAD)
            desk.settle().verify()
            assert desk.watch.state.aftermath.outcome is outcome
            assert all("of after" in body["why"] for body in desk.bodies(Event.UNVERIFIED))


def test_who_asks_for_it_again_has_logs_scanned_from_then_on(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    noise = Command(("/bin/sh", "-c", f"test -e {tmp_path}/calm || echo 'ERROR spice' >> {log}"))
    with closing(cared(tmp_path, noise, LogScan(str(log), "ERROR spice"))) as desk:
        desk.evaluate(BAD)
        desk.settle().verify()
        assert outcomes(desk)[-1] == ("log", "fail")
        (tmp_path / "calm").touch()
        desk.watch.request(
            "verify", "ann", "mended", lambda rollout, state, *_: recovery.again(rollout, state, "ann", "mended", marks_of(rollout.aftercare.verify))
        )
        desk.verify()
        assert desk.watch.state.aftermath.outcome is Verification.VERIFIED
        assert desk.bodies(Event.VERIFYING)[0]["why"] == "ann: mended"


def test_nothing_is_verified_again_that_was_not_rolled_back(tmp_path: Path) -> None:
    with closing(cared(tmp_path, RESTARTED)) as desk, pytest.raises(OperationRefused, match="nothing to verify"):
        desk.watch.request("verify", "ann", "again", lambda rollout, state, *_: recovery.again(rollout, state, "ann", "again", {}))


def test_the_file_is_put_back_that_was_kept_when_its_flags_were_so(tmp_path: Path) -> None:
    calm = Command(("/bin/sh", "-c", f"grep -q broken {tmp_path}/.env && exit 1; exit 0"))
    with closing(cared(tmp_path, calm, ways=(Way(WayKind.BACKUP),))) as desk:
        desk.env.write_text(desk.flags + "OTHER=broken\n")
        desk.evaluate(BAD)
        desk.settle().verify()
        assert desk.watch.state.aftermath.outcome is Verification.VERIFIED
        assert desk.flags == content("canary")
        put_back = desk.bodies(Event.APPLIED)[-1]
        assert put_back["restored"] != put_back["backup"]
        assert "OTHER=broken" in Path(put_back["backup"]).read_text()
        assert desk.position.why.startswith("ErrorsHigh")


def test_without_a_backup_that_has_these_flags_the_next_way_follows(tmp_path: Path) -> None:
    broken = Command(("/bin/sh", "-c", "test $ROLLBACKD_STAGE = baseline"))
    with closing(cared(tmp_path, broken, ways=(Way(WayKind.BACKUP), Way(WayKind.THEN, to="baseline")))) as desk:
        for backup in desk.env.parent.glob("*.bak"):
            backup.unlink()
        desk.evaluate(BAD)
        desk.settle().verify()
        assert (desk.position.phase, desk.position.stage) == (Phase.ROLLED_BACK, "baseline")
        (abandoned,) = desk.bodies(Event.ABANDONED)
        assert "there is no backup with the flags" in abandoned["why"]
        assert abandoned["next"] == "rollback to baseline"


def test_a_file_is_not_put_back_over_flags_that_a_person_lowered(tmp_path: Path) -> None:
    lowering = Command(("/bin/sh", "-c", f"sed -i -e s/NEW=yes/NEW=no/ -e s/PERCENT=10/PERCENT=0/ {tmp_path}/.env; exit 1"))
    with closing(cared(tmp_path, lowering, ways=(Way(WayKind.BACKUP),))) as desk:
        desk.evaluate(BAD)
        desk.settle().verify()
        assert desk.flags == content("baseline")
        assert desk.watch.state.aftermath.outcome is Verification.FAILED


def test_a_program_that_fails_is_given_up_after_a_few_tries(tmp_path: Path) -> None:
    way = Way(WayKind.COMMAND, noting(tmp_path / "installed", "exit 3", "$ROLLBACKD_KIND"))
    with closing(cared(tmp_path, Command(("false",)), ways=(way,))) as desk:
        desk.evaluate(BAD)
        desk.settle().verify()
        assert noted(tmp_path / "installed") == ["rollback"] * 3
        assert desk.watch.state.aftermath.outcome is Verification.FAILED
        assert "exited with 3" in desk.watch.state.aftermath.why


def test_a_further_rollback_cuts_the_step_that_is_running(tmp_path: Path) -> None:
    with closing(cared(tmp_path, noting(tmp_path / "ran", 'test "$ROLLBACKD_STAGE" = baseline || sleep 60'))) as desk:
        desk.evaluate(BAD)
        wait_until(lambda: noted(tmp_path / "ran"), "the step to run", 30)
        desk.evaluate(BAD, times=5)
        desk.settle().verify()
        assert noted(tmp_path / "ran") == ["canary", "baseline"]
        assert outcomes(desk) == [("flags", "pass"), ("flags", "pass"), ("/bin/sh", "pass")]


def test_who_resumes_ends_a_verification(tmp_path: Path) -> None:
    with closing(cared(tmp_path, noting(tmp_path / "ran", "sleep 60"))) as desk:
        desk.evaluate(BAD)
        wait_until(lambda: noted(tmp_path / "ran"), "the step to run", 30)
        desk.evaluate()
        desk.watch.resume("ann", "seen")
        assert not desk.watch.state.aftermath.verifying
        desk.evaluate(times=3)
        assert outcomes(desk) == [("flags", "pass")]


# a kill between any two records

WAYS = (Way(WayKind.BACKUP), Way(WayKind.COMMAND, Command(("/bin/true",))), Way(WayKind.THEN, to="baseline"))


def story(folder: Path) -> Desk:
    """An application that ignores its flags until they are those of the baseline: every way back is taken."""
    folder.mkdir()
    return cared(folder, RESTARTED, noting(folder.parent / "ran", 'test "$ROLLBACKD_STAGE" = baseline'), ways=WAYS)


def test_the_next_start_goes_on_where_it_was(tmp_path: Path) -> None:
    with closing(story(tmp_path / "whole")) as whole:
        climbed = len(whole.records())
        whole.evaluate(BAD)
        whole.settle().verify()
        told = whole.records()[climbed:]
    assert outcomes_of(told) == [("flags", "pass"), ("/bin/sh", "pass"), ("/bin/sh", "fail")] * 3 + [
        ("flags", "pass"),
        ("/bin/sh", "pass"),
        ("/bin/sh", "pass"),
    ]
    begun = next(number for number, record in enumerate(told) if record.kind == Event.INTENDED)
    assert len(told) - begun > 20
    for number in range(begun + 1, len(told) + 1):
        with closing(story(tmp_path / str(number))) as desk:
            applied = [record.body["after"] for record in told[:number] if record.kind == Event.APPLIED]
            stage = "half" if not applied else "baseline" if any(after.get("PERCENT") == "0" for after in applied) else "canary"
            desk.env.write_text(content(stage))
            left = [(Event(record.kind), record.body) for record in told[:number]]
            desk.restart(left_by_kill=left)
            desk.evaluate()  # what is due, and what nobody is at, is taken up by the first evaluation
            desk.verify()
            assert (desk.position.phase, desk.position.stage, desk.flags) == (Phase.ROLLED_BACK, "baseline", content("baseline")), number
            assert desk.watch.state.aftermath.outcome is Verification.VERIFIED, number
            again = [
                (record.body["id"], record.body["number"])
                for record in desk.records()
                if record.kind == Event.CHECKED and record.body["outcome"] == "pass"
            ]
            assert len(again) == len(set(again)), f"a step that had passed was run again after a kill behind record {number}"


def outcomes_of(records: Sequence[Record]) -> list[tuple[str, str]]:
    return [(record.body["step"].partition(" ")[0], record.body["outcome"]) for record in records if record.kind == Event.CHECKED]


def test_a_defect_in_a_step_is_an_outcome_of_it(tmp_path: Path) -> None:
    (tmp_path / "app.log").touch()
    with closing(cared(tmp_path, LogScan(str(tmp_path / "app.log"), "("))) as desk:  # no rule file with such a pattern is loaded
        desk.evaluate(BAD)
        desk.settle().verify()
        (told,) = desk.bodies(Event.UNVERIFIED)
        assert (told["unknown"], "a defect of rollbackd" in told["why"]) == (True, True)


def test_who_resumes_in_the_middle_leaves_it_on_record_that_it_was_not_verified(tmp_path: Path) -> None:
    with closing(cared(tmp_path, noting(tmp_path / "ran", "sleep 60"))) as desk:
        desk.evaluate(BAD)
        wait_until(lambda: noted(tmp_path / "ran"), "the step to run", 30)
        desk.evaluate()
        desk.watch.resume("ann", "seen")
        assert desk.bodies(Event.RESUMED)[-1]["dropped"] == "1 of 2 steps had passed"


def test_a_watch_that_is_let_go_of_changes_no_flag(tmp_path: Path) -> None:
    with closing(cared(tmp_path, RESTARTED)) as desk:
        desk.watch.drain()
        desk.evaluate(BAD)
        desk.watch.close(5)
        assert desk.flags == content("half")
        desk.restart().settle()  # what it intended is finished by the next start
        assert desk.flags == content("canary")


def test_a_watch_that_is_let_go_of_begins_nothing_more(tmp_path: Path) -> None:
    slow = noting(tmp_path / "ran", f"while ! test -e {tmp_path}/go; do sleep 0.02; done; exit 1")
    way = Way(WayKind.COMMAND, noting(tmp_path / "installed", word="$ROLLBACKD_KIND"))
    with closing(cared(tmp_path, slow, ways=(way,))) as desk:
        desk.evaluate(BAD)
        wait_until(lambda: noted(tmp_path / "ran"), "the step to run", 30)
        desk.watch.drain()
        (tmp_path / "go").touch()
        desk.evaluate()
        desk.watch.close(5)
        assert noted(tmp_path / "installed") == []
        assert not desk.bodies(Event.UNVERIFIED)


def test_a_further_rollback_does_not_wait_for_a_program_that_will_not_end(tmp_path: Path) -> None:
    held, pid = tmp_path / "held", tmp_path / "pid"
    program = f'test "$ROLLBACKD_TO" = canary || exit 1; trap "" TERM; echo $$ > {pid}; touch {held}; sleep 30'
    stubborn = Way(WayKind.COMMAND, Command(("/bin/sh", "-c", program)))
    with closing(cared(tmp_path, Command(("false",)), ways=(stubborn,))) as desk:
        desk.evaluate(BAD)
        wait_until(held.exists, "the program to run", 30)
        desk.watch.rollback("baseline", "ann", "at once")
        wait_until(lambda: desk.flags == content("baseline"), "the flags to be set", 30)
        os.kill(int(pid.read_text()), 0)  # it is still there: nobody has waited for its end


def test_one_altered_record_leaves_the_rest_of_the_journal_in_force(tmp_path: Path) -> None:
    with closing(cared(tmp_path, RESTARTED)) as desk:
        desk.restart(left_by_kill=[(Event.SCHEDULED, {"alert": "ErrorsHigh", "due": 5, "to": "canary", "why": None})])
        assert (desk.position.phase, desk.position.stage) == (Phase.READY, "half")
        desk.evaluate(BAD)
        desk.settle()
        assert desk.flags == content("canary")


def test_a_copy_that_cannot_be_put_back_as_a_person_wishes_leads_to_nothing_else(tmp_path: Path) -> None:
    way = Way(WayKind.COMMAND, noting(tmp_path / "installed", word="$ROLLBACKD_KIND"))
    with closing(cared(tmp_path, RESTARTED, ways=(way,))) as desk:
        backup = str(next(desk.env.parent.glob("*.bak")))

        def wish(rollout: Rollout, state: State, *_: object) -> Happened:
            assert state.position is not None
            more = {"code": Code.PERSON, "way_kind": WayKind.BACKUP, "backup": backup}
            return intended(rollout, state.position, Kind.ROLLBACK, rollout.stages[1], ["ann: please"], "ann", desk.hands.time, more)

        Path(backup).unlink()
        desk.watch.request("flags restore", "ann", "please", wish)
        desk.settle().verify()
        desk.evaluate(times=2)
        assert noted(tmp_path / "installed") == []
        assert desk.bodies(Event.ABANDONED)[-1]["next"] == "a person"
