"""Taking a result: what the rules declare is read by its kind, and what cannot be read is refused on record. By whomever it is handed in.

Must not live here: where it comes from, formats (`evidence`), what counts (`judge.consent`).
"""

import hashlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import structlog

from rollback_daemon.errors import ConfigurationError, OperationRefused
from rollback_daemon.evidence.kind import DefectOfReader
from rollback_daemon.intake import told
from rollback_daemon.judge import consent, figures
from rollback_daemon.judge.attempts import Came
from rollback_daemon.judge.precedence import OnRecord, Outside, Superseded
from rollback_daemon.judge.refusal import Person, Refusal
from rollback_daemon.judge.state import Happened, Judgement, State
from rollback_daemon.rules.duties import Followed
from rollback_daemon.rules.model import Rollout

MOST_SAID = 2000  # characters of what was wrong, on record
_ASIDE = 800  # of these for what stands beside the mistakes


class Host(Protocol):
    """Whose evidence it is: the watch of the rollout."""

    @property
    def rollout(self) -> Rollout: ...
    @property
    def state(self) -> State: ...
    def request(self, name: str, by: str, reason: str, decide: Callable[[Rollout, State, Judgement | None, datetime], Happened]) -> str: ...
    def refused(self, name: str, by: str, reason: str, why: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Handed:
    """What is handed in: which evidence, by whom and why, and the file; without `data` only its digest is known.

    `outside`: of when it is, and of which stage, as far as can be told from outside. `notes` go on record with it, `aside`
    stands beside the mistakes of one that is refused. `hide` takes out of what the file says what may not be told.
    """

    name: str
    by: Person
    why: str
    file: consent.File
    data: bytes | None
    outside: Outside = field(default_factory=Outside)
    notes: tuple[str, ...] = ()
    aside: str = ""
    hide: told.Hide = str

    @property
    def known(self) -> consent.File:
        """The file with all that is known of it."""
        return replace(self.file, outside=self.outside)


def file_of(name: str, data: bytes) -> consent.File:
    """What identifies a file with this content."""
    return consent.File(name, hashlib.sha256(data).hexdigest(), len(data))


def take(host: Host, handed: Handed, now: datetime) -> str:
    """Put it on record. What is refused is on record, too, and nothing else has changed. Returns why nothing was done: it is on record, and counts.

    Raises ConfigurationError with every mistake in the file, and OperationRefused where it does not count.
    """
    reading = _read(host, handed, now)
    standing = _on_record(host, handed, reading, now)
    if standing is not None and standing.tells:
        return str(standing)
    _put(host, handed, reading)
    return ""


def tried(host: Host, handed: Handed, now: datetime) -> tuple[Came, str]:
    """The same for what came by itself: what it came to, and why where it was not taken. What is on record already is passed over in silence.

    FAILED says nothing about the file: it may be tried again.
    """
    try:
        reading = _read(host, handed, now)
        if _on_record(host, handed, reading, now) is not None:
            return Came.UNCHANGED, ""
        _put(host, handed, reading)
    except ConfigurationError as error:
        more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
        mistake = f"{told.mistakes(error, handed.hide)[0]}{more}"
        return Came.REFUSED, "; ".join(filter(None, _with_aside(handed, mistake)))
    except Superseded:
        return Came.SUPERSEDED, ""
    except Refusal as error:  # not for the file: the journal cannot be written, the flags have not been read
        return Came.FAILED, str(error)
    except OperationRefused as error:
        return Came.REFUSED, str(error)
    return Came.TAKEN, ""


def _with_aside(handed: Handed, mistake: str) -> tuple[str, str]:
    """What is wrong with it, beside how its command ended: that it failed stands first, for it is why."""
    return (handed.aside, mistake) if handed.notes else (mistake, handed.aside)


def refuse(host: Host, handed: Handed, why: str) -> None:
    """Put on record that it was not taken."""
    aside = f"; {handed.aside}"[:_ASIDE] if handed.aside else ""
    host.refused("evidence", handed.by.name, handed.why, f'evidence "{handed.name}" is not taken: {why}'[: MOST_SAID - len(aside)] + aside)


def _put(host: Host, handed: Handed, reading: figures.Reading | None) -> None:
    def decide(rollout: Rollout, state: State, _judgement: Judgement | None, at: datetime) -> Happened:
        return consent.evidence(rollout, state, handed.by, handed.name, handed.why, handed.known, reading, at)

    host.request("evidence", handed.by.name, handed.why, decide)


def _read(host: Host, handed: Handed, now: datetime) -> figures.Reading | None:
    declared = host.rollout.declared(handed.name)
    if declared is None or handed.data is None or isinstance(declared.comes, Followed):  # the last is refused, whatever is in it
        return None
    try:
        reading = told.reading(figures.read(declared, handed.data, handed.file.name, now), handed.hide)
    except ConfigurationError as error:
        if isinstance(error, DefectOfReader):
            why = handed.hide("".join(traceback.format_exception(error)))
            told_of = {"rollout": host.rollout.name, "evidence": handed.name, "file": handed.file.name}
            structlog.get_logger().error("a file could not be read", **told_of, exception=why)
        refuse(host, handed, "; ".join(told.mistakes(error, handed.hide)))
        raise
    notes = [*handed.notes, *reading.told.get("notes", ())]
    return replace(reading, told={**reading.told, "notes": notes})


def _on_record(host: Host, handed: Handed, reading: figures.Reading | None, now: datetime) -> OnRecord | None:
    """Whether it is what is on record, which is no request that could be refused; everything else is left to the judge."""
    try:
        consent.evidence(host.rollout, host.state, handed.by, handed.name, handed.why, handed.known, reading, now)
    except OnRecord as standing:
        return standing
    except OperationRefused:
        return None
    return None
