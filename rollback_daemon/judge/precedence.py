"""Which of the results under one name counts: the one that was made last, each taken once, whatever way it comes and however often. Pure.

Lives here: of when a result is, of which stage, and whether it is news. Must not live here: reading it (`figures`), who may hand it in (`consent`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from rollback_daemon.durations import format_coarse, format_duration
from rollback_daemon.errors import OperationRefused
from rollback_daemon.evidence import KINDS
from rollback_daemon.evidence.kind import CLOCK_SKEW
from rollback_daemon.judge.dossier import Evidence, Known
from rollback_daemon.judge.figures import Reading, counted_from, why_untold
from rollback_daemon.judge.state import State
from rollback_daemon.rules.duties import Declared
from rollback_daemon.rules.model import Rollout


@dataclass(frozen=True, slots=True)
class Outside:
    """What is known of a result beside what it says: what its `file` is called, and the digest of that; when it was `written` last, or when the run
    `began` that made it, and at which `stage`.
    """

    file: str = ""
    sha256: str = ""
    written: datetime | None = None
    began: datetime | None = None
    stage: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """When it was made, None: as it is handed in. `came`: from when on it tells of a stage, None: likewise. `again`: it was read before."""

    made_at: datetime | None
    came: datetime | None = None
    again: bool = False


class Superseded(OperationRefused):
    """What was handed in was made before what is on record: nothing is wrong with it, and it changes nothing."""


class OnRecord(OperationRefused):
    """What was handed in is what is on record. `tells`: it counts as it is, so nothing is missing."""

    def __init__(self, sentence: str, *, tells: bool) -> None:
        self.tells = tells
        super().__init__(sentence)


def place(rollout: Rollout, state: State, declared: Declared, reading: Reading, outside: Outside, now: datetime) -> Place:
    """Where it stands among what was taken before.

    What says itself when it was made is as old as that; a run's result as old as the beginning of the run; anything else as old as these very bytes,
    as far as the record tells, or as their file where two results of the kind may be the same bytes. Whatever was once made known of one stage
    never becomes news of another: what is older than the newest one never counts, and the same one is taken again only to be read by other rules.

    Raises OperationRefused: Superseded, OnRecord, or too old.
    """
    ahead = now + max(rollout.max_gap, CLOCK_SKEW)  # of what is later the clock was wrong
    known = _before(state.dossier.known.get(declared.name, {}), outside.sha256, ahead)
    standing = state.dossier.evidence.get(declared.name)
    made_at = reading.made_at or outside.began or outside.written
    if known is not None and reading.made_at is None and outside.began is None and not KINDS[declared.kind].alike:
        made_at = known.made
    made = made_at or now
    if now - made > declared.max_age:
        age, limit = format_coarse(now - made), format_duration(declared.max_age)
        raise OperationRefused(f'evidence "{declared.name}": {outside.file} was made {age} ago, and must be no older than {limit}; make a new one')
    same = known if known is not None and (made <= known.made or not known.read_as) else None
    anew = same is not None and same.read_as != reading.read_as
    if standing is not None and standing.read_as and standing.made <= ahead:
        here = standing.digest == outside.sha256
        if (made < standing.made and not (here and anew)) or (same is not None and not anew and not here):
            newer = f"the one on record was made at {standing.made:%Y-%m-%d %H:%M:%S} UTC, this one at {made:%Y-%m-%d %H:%M:%S} UTC"
            raise Superseded(f'evidence "{declared.name}" of {rollout.name} is not taken from {outside.file}: {newer}, and the newest counts')
        if here and same is not None and not anew:
            raise _on_record(rollout, state, declared, standing, outside.file, now)
    return Place(made_at, same.came, again=bool(same.read_as)) if same is not None else Place(made_at, outside.began)


def _before(known: Mapping[str, Known], digest: str, ahead: datetime) -> Known | None:
    """The same bytes, taken under that name before."""
    found = known.get(digest)
    return found if found is not None and found.made <= ahead else None


def _on_record(rollout: Rollout, state: State, declared: Declared, standing: Evidence, file: str, now: datetime) -> OnRecord:
    why = why_untold(declared, standing, now, rollout.max_gap, counted_from(declared, state.position))
    said = f'evidence "{declared.name}" of {rollout.name} is on record already: {file} is what {standing.by} handed in'
    said = f"{said} at {standing.at:%Y-%m-%d %H:%M:%S} UTC"
    return OnRecord(f"{said}; {why}; make a new one" if why else f"{said}; nothing has changed", tells=not why)
