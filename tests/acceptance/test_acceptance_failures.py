"""When something that a rollback needs does not work: the flags go down as soon as they can, somebody is paged, and it is tried until it is done."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import psutil
import pytest

from tests.acceptance.genesis import Genesis
from tests.acceptance.stand import BASELINE, CANARY, ROLLOUT, Stand

FAILS = "echo the unit does not start; exit 3"
HANGS = 'sleep 600 & echo $! > "$(dirname "$0")/left-over"; wait'


@pytest.mark.parametrize(
    ("how", "error"),
    [(FAILS, 'deploy.sh" exited with 3'), (HANGS, 'deploy.sh" did not end within 1s and was killed')],
    ids=["fails", "hangs"],
)
def test_a_deploy_command_that_does_not_work_is_run_until_it_does(how: str, error: str, start: Callable[..., Stand], genesis: Genesis) -> None:
    stand = start(flags=CANARY, changes={"timeout: 60s": "timeout: 1s"})
    stand.deploys(how)
    genesis.passes(0.9)
    told = stand.wait_for_alert("RolloutRollbackFailed")
    assert stand.flags_now == BASELINE  # already: the command comes after the flags
    assert {"rollout": ROLLOUT, "owner": "deployment-lead", "severity": "critical"}.items() <= told["labels"].items()
    assert error in told["annotations"]["value"]
    assert stand.get()["phase"] == "failed"
    assert "under way; it failed so far" in stand.get()["next"]
    stand.wait(lambda: len(stand.history("attempted")) >= 2, "two tries")
    pauses = [datetime.fromisoformat(one["next"]) - datetime.fromisoformat(one["at"]) for one in stand.history("attempted")[:2]]
    assert [round(pause / timedelta(seconds=1)) for pause in pauses] == [1, 2]
    assert stand.promote().code == 1
    stand.deploys()
    stand.wait_for_phase("rolled_back")
    stand.wait_for_resolved("RolloutRollbackFailed")
    assert stand.wait_for_alert("RolloutRolledBack")
    assert len(stand.history("applied", kind="rollback")) == 1  # the flags were not touched again
    assert len(stand.history("done", kind="rollback")) == 1
    assert nothing_is_left_over(stand)


def test_a_rollback_that_failed_before_a_restart_is_tried_again_after_it(canary: Stand, genesis: Genesis) -> None:
    canary.deploys(FAILS)
    genesis.passes(0.9)
    canary.wait_for_phase("failed")
    canary.daemon.stop()
    canary.daemon.start()
    canary.wait(lambda: len(canary.history("ran", kind="rollback")) >= 2, "another try")
    assert canary.wait_for_alert("RolloutRollbackFailed")
    canary.deploys()
    canary.wait_for_phase("rolled_back")
    assert len(canary.history("done", kind="rollback")) == 1


def test_a_promotion_whose_deploy_command_fails_is_taken_back(stand: Stand) -> None:
    stand.wait_for_nothing_to_block()
    stand.deploys('[ "$ROLLBACKD_KIND" = rollback ] || { ' + FAILS + "; }")
    refused = stand.promote()
    assert refused.code == 1
    assert 'deploy.sh" exited with 3' in refused.err
    stand.wait_for_phase("rolled_back")
    assert (stand.get()["stage"], stand.flags_now) == ("baseline", BASELINE)
    assert len(stand.history("attempted", kind="promote")) == 2  # and the third was the last
    assert "could not be completed" in stand.wait_for_alert("RolloutRolledBack")["annotations"]["value"]


def test_a_promotion_during_which_a_trigger_fires_is_taken_back_at_once(stand: Stand, genesis: Genesis) -> None:
    stand.wait_for_nothing_to_block()
    stand.deploys('[ "$ROLLBACKD_KIND" = rollback ] || sleep 600')
    assert stand.rollbackd("promote", ROLLOUT, "--reason", "a test", "--wait", "0").code == 0
    stand.wait(lambda: stand.deployments[-1:] == ["begun promote canary --reload"], "the deploy command to begin")
    assert stand.flags_now == CANARY
    genesis.passes(0.9)
    stand.wait_for_phase("rolled_back")
    assert (stand.get()["stage"], stand.flags_now) == ("baseline", BASELINE)
    assert stand.history("intended", kind="rollback")[0]["triggers"] == ["TestPassRateLow"]
    assert "ended promote canary" not in stand.deployments


def nothing_is_left_over(stand: Stand) -> bool:
    """Whether what the deploy command had started is gone, too."""
    note = stand.folder / "left-over"
    return not (note.exists() and psutil.pid_exists(int(note.read_text())) and psutil.Process(int(note.read_text())).status() != psutil.STATUS_ZOMBIE)


def removed(flags: Path) -> None:
    flags.unlink()


def made_a_folder(flags: Path) -> None:
    flags.unlink()
    flags.mkdir()


@pytest.mark.parametrize("lose", [removed, made_a_folder])
def test_a_flag_file_that_is_not_there_is_paged_and_set_when_it_is_back(lose: Callable[[Path], None], canary: Stand, genesis: Genesis) -> None:
    lose(canary.flags)
    held = canary.wait_for_alert("RolloutHeld")
    assert "its flags cannot be read" in held["annotations"]["description"]
    assert str(canary.flags) in held["annotations"]["description"]
    genesis.passes(0.9)
    told = canary.wait_for_alert("RolloutRollbackFailed")
    assert str(canary.flags) in told["annotations"]["value"]
    assert canary.get()["phase"] == "failed"
    if canary.flags.is_dir():
        canary.flags.rmdir()
    assert not canary.flags.exists()  # the daemon makes no flag file of its own
    canary.flags.write_text(CANARY, encoding="utf-8")
    canary.wait_for_phase("rolled_back")
    assert canary.flags_now == BASELINE
    canary.wait_for_resolved("RolloutRollbackFailed")


@contextmanager
def locked(journal: Path) -> Iterator[None]:
    """Another program does not let go of the database."""
    with closing(sqlite3.connect(journal, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def replaced(journal: Path) -> Iterator[None]:
    """Another file stands in its place, and cannot be written to even by root."""
    away = journal.with_name("away.db")
    journal.rename(away)
    journal.mkdir()
    yield
    journal.rmdir()
    away.rename(journal)


@contextmanager
def folder_gone(journal: Path) -> Iterator[None]:
    """Its disk is not mounted any more, and with it the lock and the place for the spill are gone."""
    away = journal.parent.with_name("away")
    journal.parent.rename(away)
    yield
    shutil.rmtree(journal.parent, ignore_errors=True)
    away.rename(journal.parent)


@pytest.mark.parametrize("spoil", [locked, replaced, folder_gone])
def test_a_journal_that_cannot_be_written_stops_promotions_and_no_rollback(
    spoil: Callable[[Path], AbstractContextManager[None]], start: Callable[..., Stand], genesis: Genesis
) -> None:
    canary = start(flags=CANARY, changes={"resume: {requires: postmortem}\n": ""})
    with spoil(canary.journal):
        told = canary.wait_for_alert("JournalUnwritable")
        assert told["labels"]["severity"] == "critical"
        assert canary.metric("journal_writable") == 0
        genesis.passes(0.9)
        canary.wait_for_phase("rolled_back")
        assert canary.flags_now == BASELINE
        assert canary.deployments[-1] == "ended rollback baseline"
        assert canary.wait_for_alert("RolloutRolledBack")
        refused = canary.resume()  # it loosens something, so it must be on record
        assert refused.code == 1
        assert "the journal cannot be written" in refused.err
    canary.wait(lambda: canary.metric("journal_writable") == 1, "the journal to be written again")
    canary.wait_for_resolved("JournalUnwritable")
    assert canary.get()["phase"] == "rolled_back"


def test_no_promotion_goes_unrecorded(stand: Stand) -> None:
    stand.wait_for_nothing_to_block()
    with replaced(stand.journal):
        refused = stand.promote()
        assert refused.code == 1
        assert "the journal cannot be written" in refused.err
        assert (stand.get()["phase"], stand.flags_now) == ("baseline", BASELINE)
    stand.go_to_canary()
    assert stand.flags_now == CANARY


def test_what_was_done_without_a_journal_is_in_it_afterwards(canary: Stand, genesis: Genesis) -> None:
    with replaced(canary.journal):
        genesis.passes(0.9)
        canary.wait_for_phase("rolled_back")
    canary.daemon.kill()  # whatever it still has in mind
    canary.daemon.start()
    assert canary.get()["phase"] == "rolled_back"
    assert canary.promote().code == 1
    kinds = ["intended", "applied", "ran", "done"]
    assert [len(canary.history(kind, kind="rollback", spilled=True)) for kind in kinds] == [1, 1, 1, 1]
