"""One daemon, started and killed again and again on the same files, with somebody who keeps sending it up the ladder.

Lives here: processes, aims and what is looked at after each kill. Must not live here: what the journal must tell (`verdict`).
"""

import contextlib
import random
import shutil
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import requests

from rollback_daemon.journal.journal import Journal
from rollback_daemon.judge.transitions import Event, Phase
from rollback_daemon.lab.servers import LabError, Server, wait_until
from tests.crashes.ladder import ROLLOUT, Files, stage_of
from tests.crashes.verdict import Told, tell, unexplained_rises

_UNDER_WAY = {Phase.PROMOTING, Phase.ROLLING_BACK, Phase.FAILED}
_PATIENCE = 6.0  # seconds that an aim is waited for; then it is killed wherever it is
_ENDS = "SELECT kind FROM journal_record WHERE seq > ? AND kind IN (?, ?, ?) ORDER BY seq LIMIT 1"
_LAST_INTENT = "SELECT seq FROM journal_record WHERE rollout = ? AND kind = ? ORDER BY seq DESC LIMIT 1"
AT_REST = "between transitions"


@dataclass(slots=True)
class Outcome:
    """What came of the kills of one lane. `steps` counts where they hit, `faults` must be empty.

    Of the transitions left open, a start that lived long enough has `taken_up` so many and `finished` so many; the others were overtaken.
    """

    kills: int = 0
    left_open: int = 0
    taken_up: int = 0
    finished: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    transitions: Counter[str] = field(default_factory=Counter)
    records: int = 0
    faults: list[str] = field(default_factory=list)


class Lane:
    """One folder with one daemon on it. `run` kills it as often as asked."""

    def __init__(self, files: Files, rng: random.Random) -> None:
        self._files, self._rng = files, rng
        self._server = Server("rollbackd", files.folder, self._command)
        self._seen: list[tuple[datetime, str]] = []
        self._stop = threading.Event()
        self.outcome = Outcome()

    def _command(self, port: int) -> list[str | Path]:
        files = self._files
        settings: list[str | Path] = [
            "--config.file",
            files.configuration,
            "--storage.url",
            files.storage_url,
            "--web.listen-address",
            f"127.0.0.1:{port}",
        ]
        return [sys.executable, "-m", "rollback_daemon", "run", *settings]

    def run(self, kills: int) -> Outcome:
        """Kill the daemon `kills` times, start it a last time, let it settle and end it as a person would."""
        watcher = threading.Thread(target=self._watch_flags, name="watcher")
        watcher.start()
        try:
            for _ in range(kills):
                self._live_and_die()
            self._settle()
        except LabError as error:
            self.outcome.faults.append(f"{self._files.folder}: {error}")
        finally:
            self._server.stop()
            self._stop.set()
            watcher.join()
        return self.outcome

    def _live_and_die(self) -> None:
        """One life. Most end at an aim or at a random instant while it works, some while it is still starting."""
        before = self._told()
        if self._rng.random() < 0.1:
            self._kill_while_starting()
        else:
            self._server.start()
            self._require_finished(before)
            with self._driven():
                self._wait_for_an_aim()
                self._server.kill()
        self._look_at_what_is_left()

    def _kill_while_starting(self) -> None:
        timer = threading.Timer(self._rng.uniform(0.2, 1.0), self._server.kill)
        timer.start()
        with contextlib.suppress(LabError):  # that it ended before it was ready is the point
            self._server.start()
        timer.join()

    def _require_finished(self, before: Told) -> None:
        """What the kill left open is ended by the next start, without anybody's help; or something more urgent comes meanwhile."""
        left = before.open
        if left is None:
            return
        with self._reading() as journal:

            def ended() -> list[tuple[str]]:
                return journal.execute(_ENDS, (left.intended.seq, Event.DONE, Event.ABANDONED, Event.INTENDED)).fetchall()

            end = wait_until(ended, f"{left.id} to end", 30)[0][0]
        self.outcome.taken_up += 1
        self.outcome.finished += end != Event.INTENDED

    # where to hit

    def _wait_for_an_aim(self) -> None:
        aims = (
            self._at_any_time,
            self._at_any_time,
            self._at_an_intent,
            self._at_an_intent,
            self._at_a_temporary_file,
            self._at_new_flags,
            self._at_the_command,
        )
        self._rng.choice(aims)()

    def _at_any_time(self) -> None:
        time.sleep(self._rng.uniform(0, 1.5))

    def _at_an_intent(self) -> None:
        """Just after an intent came on record, or up to 30 ms later."""
        with self._reading() as journal:
            self._on_change(lambda: journal.execute(_LAST_INTENT, (ROLLOUT, Event.INTENDED)).fetchone())
        time.sleep(self._rng.choice((0, 0, self._rng.uniform(0, 0.03))))

    def _at_a_temporary_file(self) -> None:
        """While a backup or the flags themselves are being written."""
        self._on_change(self._files.temporary.exists)

    def _at_new_flags(self) -> None:
        """Just after the flags were replaced, perhaps before that is on record."""
        self._on_change(lambda: self._files.flags.stat().st_ino)

    def _at_the_command(self) -> None:
        """While the command after the change runs, or just after."""
        self._on_change(lambda: self._files.ran.exists() and self._files.ran.stat().st_size)
        time.sleep(self._rng.uniform(0, 0.08))

    def _on_change(self, look: Callable[[], object]) -> None:
        first, deadline = look(), time.monotonic() + _PATIENCE
        while look() == first and time.monotonic() < deadline:
            time.sleep(0.0003)

    # what is left

    def _look_at_what_is_left(self) -> None:
        told, content = self._told(), self._files.flags.read_bytes()
        stage, where = stage_of(content), told.position.stage if told.position else "baseline"
        self.outcome.kills += 1
        self.outcome.left_open += told.open is not None
        self.outcome.steps[_step(told, stage)] += 1
        if stage is None:
            self.outcome.faults.append(f"{self._files.flags}: after a kill its content is that of no stage")
        elif told.open is None and stage != where:
            self.outcome.faults.append(f'{self._files.flags}: at rest its flags are those of "{stage}", on record is "{where}"')
        elif told.open and stage not in {where, told.open.intended.body["to"], *told.overtaken}:
            self.outcome.faults.append(f'{self._files.flags}: during {told.open.id} its flags are those of "{stage}"')

    def _settle(self) -> None:
        self._server.start()
        with requests.Session() as session:
            session.trust_env = False
            place = f"{self._server.url}/api/v1/rollouts/{ROLLOUT}"
            wait_until(lambda: session.get(place, timeout=5).json()["phase"] not in _UNDER_WAY, "the last transition to end", 30, every=0.1)
        self._server.stop()
        self._stop.set()
        told = self._told(verify=True)
        stage, on_record = stage_of(self._files.flags.read_bytes()), told.position.stage if told.position else None
        if told.open is None and stage != on_record:
            self.outcome.faults.append(f'{self._files.flags}: in the end its flags are those of "{stage}", on record is "{on_record}"')
        self.outcome.transitions.update(f"{story.kind} {story.ends[0] if story.ends else 'open'}" for story in told.stories)
        self.outcome.faults += [f"{self._files.folder}: {fault}" for fault in [*told.faults, *unexplained_rises(self._seen, told.stories)]]
        if left := list(self._files.folder.glob("*spill*")):
            self.outcome.faults.append(f"{left[0]}: was spilled, though the journal was always there")

    def _told(self, *, verify: bool = False) -> Told:
        """The journal, read from a copy: opening the original would mend what the next start has to mend."""
        if not self._files.journal.exists():
            return Told()
        copy = self._files.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for path in self._files.folder.glob("journal.db*"):
            if not path.name.endswith(("-shm", ".lock")):
                shutil.copy(path, copy / path.name)
        return self._read_copy(copy / "journal.db", verify=verify)

    def _read_copy(self, database: Path, *, verify: bool) -> Told:
        journal = Journal.open(f"sqlite:///{database}")
        try:
            records = journal.records()
            self.outcome.records = len(records)
            told = tell(records)
            told.faults += journal.verify() if verify else []
            return told
        finally:
            journal.close()

    # what goes on meanwhile

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that cannot change anything, not even by closing it last."""
        connection = sqlite3.connect(f"file:{self._files.journal}?mode=ro", uri=True, timeout=5)
        try:
            yield connection
        finally:
            connection.close()

    @contextlib.contextmanager
    def _driven(self) -> Iterator[None]:
        """Somebody resumes and promotes all the time."""
        stop = threading.Event()
        driver = threading.Thread(target=_drive, args=(self._server.url, stop), name="driver")
        driver.start()
        try:
            yield
        finally:
            stop.set()
            driver.join()

    def _watch_flags(self) -> None:
        """Whoever reads the flags at any instant finds those of a stage."""
        while not self._stop.wait(0.002):
            stage = stage_of(self._files.flags.read_bytes())
            if stage is None:
                self.outcome.faults.append(f"{self._files.flags}: at one instant its content was that of no stage")
                return
            if not self._seen or self._seen[-1][1] != stage:
                self._seen.append((datetime.now(UTC), stage))


def _step(told: Told, stage: str | None) -> str:
    """Where a kill hit, by what it left."""
    story = told.open
    if story is None:
        return AT_REST
    if story.ran_well:
        step = "the command ended"
    elif story.applied:
        step = "the write on record"
    else:
        step = "flags written" if stage == story.intended.body["to"] else "intent on record"
    return f"{story.kind}: {step}"


def _drive(url: str, stop: threading.Event) -> None:
    place = f"{url}/api/v1/rollouts/{ROLLOUT}"
    with requests.Session() as session:
        session.trust_env = False
        while not stop.wait(0.04):
            with contextlib.suppress(requests.RequestException):
                phase = session.get(place, timeout=5).json()["phase"]
                if phase not in _UNDER_WAY:
                    verb = "resume" if phase in {Phase.ROLLED_BACK, Phase.HELD} else "promote"
                    session.post(f"{place}/{verb}", json={"reason": "up and up"}, timeout=5)
