"""Taking a result: what the rules declare is read by its kind, and what cannot be read is refused on record. By whomever it is handed in.

Must not live here: where it comes from, formats (`evidence`), what counts (`judge.consent`).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from rollback_daemon.errors import ConfigurationError, OperationRefused
from rollback_daemon.judge import consent, figures
from rollback_daemon.judge.attempts import Came
from rollback_daemon.judge.dossier import Evidence
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

    `made_at`: when it was made, as far as can be told from outside; what the file says itself goes before. `notes` go on record with it, `aside`
    stands beside the mistakes of one that is refused.
    """

    name: str
    by: Person
    why: str
    file: consent.File
    data: bytes | None
    made_at: datetime | None = None
    notes: tuple[str, ...] = ()
    aside: str = ""


def file_of(name: str, data: bytes) -> consent.File:
    """What identifies a file with this content."""
    return consent.File(name, hashlib.sha256(data).hexdigest(), len(data))


def take(host: Host, handed: Handed, now: datetime) -> None:
    """Put it on record. What is refused is on record, too, and nothing else has changed.

    Raises ConfigurationError with every mistake in the file, and OperationRefused where it does not count.
    """
    _put(host, handed, _read(host, handed, now))


def tried(host: Host, handed: Handed, now: datetime) -> tuple[Came, str]:
    """The same for what came by itself: what it came to, and why where it was not taken. What is on record already is passed over in silence.

    FAILED says nothing about the file: it may be tried again.
    """
    try:
        reading = _read(host, handed, now)
        if reading is not None and _is_on_record(host.state.dossier.evidence.get(handed.name), handed, reading):
            return Came.UNCHANGED, ""
        _put(host, handed, reading)
    except ConfigurationError as error:
        more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
        return Came.REFUSED, f"{error.problems[0]}{more}"
    except consent.Superseded:
        return Came.SUPERSEDED, ""
    except Refusal as error:  # not for the file: the journal cannot be written, the flags have not been read
        return Came.FAILED, str(error)
    except OperationRefused as error:
        return Came.REFUSED, str(error)
    return Came.TAKEN, ""


def refuse(host: Host, handed: Handed, why: str) -> None:
    """Put on record that it was not taken."""
    aside = f"; {handed.aside}"[:_ASIDE] if handed.aside else ""
    host.refused("evidence", handed.by.name, handed.why, f'evidence "{handed.name}" is not taken: {why}'[: MOST_SAID - len(aside)] + aside)


def _put(host: Host, handed: Handed, reading: figures.Reading | None) -> None:
    def decide(rollout: Rollout, state: State, _judgement: Judgement | None, at: datetime) -> Happened:
        return consent.evidence(rollout, state, handed.by, handed.name, handed.why, handed.file, reading, at)

    host.request("evidence", handed.by.name, handed.why, decide)


def _read(host: Host, handed: Handed, now: datetime) -> figures.Reading | None:
    declared = host.rollout.declared(handed.name)
    if declared is None or handed.data is None or isinstance(declared.comes, Followed):  # the last is refused, whatever is in it
        return None
    try:
        reading = figures.read(declared, handed.data, handed.file.name, now)
    except ConfigurationError as error:
        refuse(host, handed, "; ".join(map(str, error.problems)))
        raise
    notes = [*handed.notes, *reading.told.get("notes", ())]
    return replace(reading, made_at=reading.made_at or handed.made_at, told={**reading.told, "notes": notes})


def _is_on_record(made: Evidence | None, handed: Handed, reading: figures.Reading) -> bool:
    """Whether it is this one, made then: the same figures made anew are news."""
    same = made is not None and (made.digest, made.read_as) == (handed.file.sha256, reading.read_as)
    return same and made is not None and reading.made_at is not None and reading.made_at <= made.made
