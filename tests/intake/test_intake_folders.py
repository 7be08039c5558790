"""Files in a watched folder, good ones and bad ones: what is taken, by whom, and how each of the others is refused on record. On a real journal."""

import contextlib
import json
import os
import pwd
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rollback_daemon.evidence.kind import MAX_BYTES
from rollback_daemon.faces.evidence_alerts import EVIDENCE_ALERTS
from rollback_daemon.intake import files, folders
from rollback_daemon.intake.arrivals import Arrivals
from rollback_daemon.intake.inbox import Away, Seen
from rollback_daemon.judge.attempts import Attempt, Came
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.duties import Declared, Inbox
from tests.evidence.raw import at, case, text
from tests.intake.coming import declared, figures, refusals
from tests.intake.conftest import Expecting

ME = pwd.getpwuid(os.geteuid()).pw_name
BOMB = '<!DOCTYPE t [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><testsuite name="&b;"/>'
OTHERWISE = text(case(critical=True), case(run=2, critical=False))
AHEAD = json.dumps({"engine": "v3", "started_at": at(24 * 60), "cases": []}).encode()


class Inbound:
    """A desk with one watched folder, and looks into it."""

    def __init__(self, expecting: Expecting, path: Path, kind: str = "number") -> None:
        self.path = path
        path.mkdir(exist_ok=True)
        self.inbox = Inbox(str(path), "*")
        self.declared: Declared = declared(self.inbox, kind)
        self.desk = expecting(self.declared)
        self.seen = Seen(self.inbox, settled=0)

    def lay(self, name: str, data: bytes, minutes: float = 0) -> Path:
        """A file of that age."""
        file = self.path / name
        file.write_bytes(data)
        when = self.desk.hands.time.timestamp() - minutes * 60
        os.utime(file, (when, when))
        return file

    def look(self, times: int = 2) -> None:
        for _ in range(times):
            folders.look(self.desk.watch, self.declared, self.seen, threading.Event(), self.desk.hands)

    @property
    def attempt(self) -> Attempt:
        return self.desk.watch.state.attempts["tests"]


@pytest.fixture
def inbound(expecting: Expecting, tmp_path: Path) -> Inbound:
    return Inbound(expecting, tmp_path / "inbox")


def test_a_file_is_taken_as_its_owners_who_laid_it_there(inbound: Inbound) -> None:
    inbound.lay("run.txt", b"0.97", minutes=5)
    inbound.look()
    body = inbound.desk.bodies(Event.EVIDENCE)[0]
    assert (body["by"], body["why"], body["file"], body["figures"]) == (ME, f"run.txt was found in {inbound.path}", "run.txt", {"value": 0.97})
    assert body["made_at"] == "2026-11-20T11:55:01+00:00", "it does not say when it was made: then it is as old as the file"
    attempt = inbound.attempt
    assert (attempt.failed, attempt.succeeded, dict(attempt.counts)) == ("", inbound.desk.hands.time, {"taken": 1})


def test_what_lay_there_for_longer_than_it_counts_is_not_taken_as_new(inbound: Inbound) -> None:
    inbound.lay("run.txt", b"0.97", minutes=24 * 60 + 10)
    inbound.look()
    assert refusals(inbound.desk) == ['evidence "tests": run.txt was made 1d10m ago, and must be no older than 1d; make a new one']


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("results", b'{"engine": "v3", ', "run.txt:1:18: is no JSON"),
        ("results", b"\xff\xfe", "is not UTF-8 at byte 0"),
        ("results", b"", "is empty; was it written to its end?"),
        ("results", text(case(latency_ms="fast", passed="yes")), 'cases[0] (FIN-01).passed: must be true or false, not "yes"'),
        ("results", AHEAD, "has not come yet; look at the clock of the runner and at this one"),
        ("results", OTHERWISE, "critical"),
        ("junit", BOMB.encode(), "document type declaration"),
        ("soak", b'{"timestamp": "yesterday"}', "timestamp"),
    ],
    ids=["no JSON", "no text", "empty", "wrong types", "from the future", "critical here and not there", "XML bomb", "no time"],
)
def test_a_file_with_mistakes_is_refused_on_record_once_and_nothing_changes(
    expecting: Expecting, tmp_path: Path, kind: str, data: bytes, said: str
) -> None:
    inbound = Inbound(expecting, tmp_path / "inbox", kind)
    before = inbound.desk.watch.state.dossier
    inbound.lay("run.txt", data)
    inbound.look(4)
    refused = refusals(inbound.desk)
    assert len(refused) == 1
    assert refused[0].startswith('evidence "tests" is not taken: run.txt')
    assert said in refused[0]
    assert inbound.desk.watch.state.dossier == before
    attempt = inbound.attempt
    assert (attempt.since, "run.txt" in attempt.failed) == (inbound.desk.hands.time, True)


def test_what_is_no_file_of_the_folder_is_refused_on_record_by_the_one_who_laid_it_there(inbound: Inbound, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("0.99", encoding="utf-8")
    (inbound.path / "link.txt").symlink_to(outside)
    (inbound.path / "folder.txt").mkdir()
    os.mkfifo(inbound.path / "fifo.txt")
    with (inbound.path / "large.txt").open("wb") as large:
        large.truncate(MAX_BYTES + 1)
    when = inbound.desk.hands.time.timestamp()
    os.utime(inbound.path / "large.txt", (when, when))
    inbound.look(4)
    assert refusals(inbound.desk) == [
        'evidence "tests" is not taken: "fifo.txt" is a FIFO; only regular files are read',
        'evidence "tests" is not taken: "folder.txt" is a folder; what lies in it is never looked at',
        'evidence "tests" is not taken: "link.txt" is a symbolic link, which may lead out of the folder; lay the file itself there',
        'evidence "tests" is not taken: "large.txt" has 16777217 bytes, and may have 16777216 at most; leave captured output out of it, or split it',
    ]
    assert {body["by"] for body in inbound.desk.bodies(Event.REFUSED)} == {ME}
    assert figures(inbound.desk) == {}


def test_a_file_that_was_written_in_the_future_is_refused_for_the_clock(inbound: Inbound) -> None:
    inbound.lay("run.txt", b"0.97", minutes=-10)
    inbound.look()
    assert "which has not come yet; look at the clock" in refusals(inbound.desk)[0]


@pytest.mark.parametrize("kind", ["number", "results"])
def test_a_file_that_was_refused_for_the_clock_is_taken_once_that_is_right(expecting: Expecting, tmp_path: Path, kind: str) -> None:
    inbound = Inbound(expecting, tmp_path / "inbox", kind)
    hour = timedelta(hours=1)
    now = json.dumps({"engine": "v3", "started_at": at(9 * 60), "cases": []}).encode()
    inbound.lay("run.txt", *((b"0.97", 0) if kind == "number" else (now, 60)))
    inbound.desk.hands.time -= hour
    inbound.look(4)
    assert ["has not come yet" in one for one in refusals(inbound.desk)] == [True], "once"
    inbound.desk.hands.time += hour
    inbound.look()
    assert (inbound.attempt.failed, len(figures(inbound.desk)) > 0) == ("", True)


def test_a_name_that_cannot_be_printed_is_told_so_that_it_can(inbound: Inbound) -> None:
    inbound.lay("a\nb\x1b[31m.txt", b"none")
    inbound.look()
    assert r'evidence "tests" is not taken: a\nb\x1b[31m.txt: ' in refusals(inbound.desk)[0]


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """As a user who may read what everybody may."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_may_not_be_read_is_unfit_and_one_that_is_another_by_now_is_looked_at_again(tmp_path: Path) -> None:
    file = tmp_path / "run.txt"
    file.write_text("1", encoding="utf-8")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    tmp_path.chmod(0o755)
    file.chmod(0)
    stamp, folder = files.Stamp.of(file.stat()), os.open(tmp_path, os.O_RDONLY)
    try:
        with nobody(), pytest.raises(files.Unfit, match="cannot be read: permission denied"):
            files.read("run.txt", stamp, folder)
        with nobody(), pytest.raises(Away, match="cannot be read: permission denied"):
            Seen(Inbox(str(locked), "*")).open()
        file.unlink()
        with pytest.raises(files.Moving):
            files.read("run.txt", stamp, folder)
        os.mkfifo(file)
        with pytest.raises(files.Moving):
            files.read("run.txt", stamp, folder)
        file.unlink()
        file.write_text("12", encoding="utf-8")
        with pytest.raises(files.Moving):
            files.read("run.txt", stamp, folder)
    finally:
        os.close(folder)


def test_what_is_on_record_is_passed_over_in_silence_also_after_a_restart(inbound: Inbound, expecting: Expecting) -> None:
    inbound.lay("run.txt", b"0.97", minutes=5)
    inbound.look()
    records = len(inbound.desk.kinds)
    again = Inbound(lambda *given: inbound.desk.restart(evidence=given), inbound.path)
    again.look(3)
    again.lay("copy.txt", b"0.97", minutes=5)
    again.look(3)
    assert len(again.desk.kinds) == records
    assert dict(again.attempt.counts) == {"unchanged": 2}
    again.lay("copy.txt", b"0.97")
    again.look(3)
    assert len(again.desk.bodies(Event.EVIDENCE)) == 2, "the same figure, made anew"


def test_one_that_is_older_than_what_is_on_record_is_refused_and_is_no_failure(inbound: Inbound) -> None:
    inbound.lay("new.txt", b"0.97", minutes=5)
    inbound.look()
    inbound.lay("old.txt", b"0.50", minutes=10)
    inbound.look()
    assert "and the newest counts" in refusals(inbound.desk)[0]
    attempt = inbound.attempt
    assert (figures(inbound.desk), attempt.failed, attempt.counts[Came.SUPERSEDED]) == ({"value": 0.97}, "", 1)


def test_a_folder_that_is_away_is_no_record_but_a_state_that_ends_when_it_is_back(inbound: Inbound) -> None:
    inbound.path.rmdir()
    inbound.look(3)
    attempt = inbound.attempt
    assert (attempt.away_since, "is not there" in attempt.away, refusals(inbound.desk)) == (inbound.desk.hands.time, True, [])
    inbound.path.mkdir()
    inbound.lay("run.txt", b"0.97")
    inbound.look()
    attempt = inbound.attempt
    assert (attempt.away, attempt.away_since, figures(inbound.desk)) == ("", None, {"value": 0.97})


def test_a_file_is_kept_for_later_while_the_journal_cannot_be_written(inbound: Inbound) -> None:
    inbound.lay("run.txt", b"0.97")
    inbound.look(1)
    with inbound.desk.journal_locked():
        inbound.look(1)
        assert not inbound.desk.watch.can_record
    assert figures(inbound.desk) == {}
    inbound.look(1)
    assert figures(inbound.desk) == {"value": 0.97}


def test_after_a_start_what_fails_is_no_younger_and_nothing_is_refused_again_that_lies_there_as_it_was(inbound: Inbound) -> None:
    os.mkfifo(inbound.path / "pipe")
    broken = inbound.lay("run.txt", b"many")
    inbound.look()
    desk, before = inbound.desk, inbound.attempt
    desk.watch.remember_now()
    desk.hands.time += timedelta(hours=1)
    assert [inbound.attempt.since, len(refusals(desk))] == [before.since, 2]
    desk.restart()
    Arrivals(desk.watch, desk.hands).heed()
    assert (inbound.attempt.failed, inbound.attempt.since) == (before.failed, before.since)
    inbound.seen = Seen(inbound.inbox, settled=0, before=inbound.attempt.refused)
    inbound.look()
    assert (len(refusals(desk)), inbound.attempt.failed) == (2, before.failed)
    broken.unlink()
    inbound.look(1)
    assert inbound.attempt.failed == f"{before.failed}; that file was taken away or changed since"
    desk.watch.remember_now()
    desk.evaluate()
    assert desk.watch.judgement is not None
    (alert,) = EVIDENCE_ALERTS["RolloutEvidenceFailed"].findings(desk.rollout, desk.watch.state, desk.watch.judgement)
    assert (alert.since, "changed since. Lay a file into" in alert.description) == (before.since, True)
    other = replace(inbound.declared, comes=Inbox(str(inbound.path), "*.txt"))
    desk.restart(evidence=(other,))
    assert inbound.attempt.since == before.since
    Arrivals(desk.watch, desk.hands).heed()
    assert "tests" not in desk.watch.state.attempts, "what the rules say otherwise has not failed yet"


def test_a_file_that_cannot_be_read_stands_before_no_other(expecting: Expecting, tmp_path: Path) -> None:
    inbound = Inbound(expecting, tmp_path / "reports", "junit")
    inbound.lay("first.xml", b'<?xml version="1.0" encoding="GBK"?><testsuite/>', minutes=9)
    inbound.look()
    inbound.lay("second.xml", b'<testsuite name="s"><testcase name="t"><failure/></testcase></testsuite>')
    inbound.look()
    assert figures(inbound.desk)["failures"] == 1
    assert "is written in an encoding that cannot be read; write it as UTF-8" in refusals(inbound.desk)[0]


def test_a_file_that_the_daemon_trips_over_is_dealt_with_and_told(expecting: Expecting, tmp_path: Path) -> None:
    inbound = Inbound(expecting, tmp_path / "reports")
    inbound.declared = replace(inbound.declared, kind="of another version")
    inbound.desk = expecting(inbound.declared)
    for name in ("a.txt", "b.txt"):
        inbound.lay(name, b"1")
        inbound.look()
    assert inbound.attempt.failed == '"b.txt": KeyError, which is a defect of rollbackd; report it'
    assert not inbound.seen.due(inbound.seen.open(), 1e9)


def test_a_file_of_a_time_that_no_calendar_has_is_unfit() -> None:
    with pytest.raises(files.Unfit, match="at a time that no calendar has; touch it"):
        _ = files.Stamp(0o100644, (1, 1), 0, 1, changed=-(10**20)).written


@pytest.mark.parametrize("age", [30, 1], ids=["older", "younger"])
def test_a_result_is_taken_at_once_whatever_lies_beside_it_that_cannot_be_read(inbound: Inbound, age: float) -> None:
    inbound.look(1)
    for number in range(25):
        inbound.lay(f"{number}.txt", b"none", minutes=age)
        os.utime(inbound.path / f"{number}.txt", (inbound.desk.hands.time.timestamp() - age * 60 - number,) * 2)
    inbound.lay("run.txt", b"0.50", minutes=15)
    inbound.look()
    assert figures(inbound.desk) == {"value": 0.5}
    inbound.look(3)
    assert len(refusals(inbound.desk)) == 25, "each of them on record once"
