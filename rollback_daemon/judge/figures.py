"""Figures of evidence: what a file that was handed in comes to, and for how long that tells anything. Pure.

Lives here: reading by the declared kind, what of it goes on record, and the figures as what signals find. Must not live here: formats
(`evidence`), who may hand something in (`consent`), what a stage requires (`requirements`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rollback_daemon.durations import format_coarse, format_duration
from rollback_daemon.evidence import KINDS
from rollback_daemon.evidence.kind import CLOCK_SKEW, Source
from rollback_daemon.judge import citing
from rollback_daemon.judge.dossier import Dossier, Evidence
from rollback_daemon.judge.position import Position
from rollback_daemon.rules.duties import Declared, Inbox, Scheduled
from rollback_daemon.rules.model import Rollout
from rollback_daemon.signals.observation import NoData, Observation, Value

_ENTRIES, _LETTERS, _DEEP, _WHOLE = 20, 200, 3, 16_384  # of what is kept for people: of a list, of a text, levels, characters in all


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file says, as it goes on record. `read_as` is that of the declaration; `told` is for people: facts, exclusions, notes.

    `failed`: the checks that the file says have failed, by name, with what each came to.
    """

    read_as: str
    figures: Mapping[str, float]
    made_at: datetime | None = None
    told: Mapping[str, Any] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


def read(declared: Declared, data: bytes, file: str, now: datetime) -> Reading:
    """The file by its declared kind. Raises ConfigurationError with every mistake in it."""
    result = KINDS[declared.kind].read(Source(data, file, now), declared.settings)
    excluded = [{"name": one.name, "reason": one.reason, "outcome": one.outcome} for one in result.excluded[:_ENTRIES]]
    more = len(result.excluded) - len(excluded)
    notes = [*([f"{more} more are left out by name"] if more else []), *result.notes]
    told = {"facts": _short(dict(result.facts)), "excluded": _short(excluded), "notes": _short(notes)}
    if len(json.dumps(told)) > _WHOLE:
        told = {"facts": {}, "excluded": [], "notes": ["more was found than the record keeps; the file has it"]}
    return Reading(declared.read_as, result.figures, result.made_at, told, {one.check: _short(one.sentence) for one in result.failed})


def in_order(kind: str, told: Mapping[str, float]) -> dict[str, float]:
    """Figures in the order in which their kind has them, whatever way they came."""
    known = KINDS[kind].figures if kind in KINDS else {}
    return {name: told[name] for name in (*(name for name in known if name in told), *(name for name in told if name not in known))}


def counted_from(declared: Declared, position: Position | None) -> datetime | None:
    """From when on what is handed in tells anything; None: from whenever it was. For evidence that tells of its stage that is when the stage began
    (a promotion from its intent on, as its flags may change from then on; a rehearsal does not interrupt it), or when a person said go on.

    Not when it was made is asked, but when it was handed in, for the first time, or when the run began that made it: what is known to be bad must not
    be let pass because a part of it was made earlier.
    """
    if position is None or not declared.per_stage:
        return None
    return min(position.armed, max(position.tenure, position.counted_from or position.tenure))


def as_observations(rollout: Rollout, dossier: Dossier, position: Position | None, now: datetime) -> dict[str, Observation]:
    """Every figure on record that some signal is, as what the signal finds it under; those of followed files are asked for.

    `position`: where they are to tell something.
    """
    found: dict[str, Observation] = {}
    for signal in rollout.signals:
        if (declared := rollout.declared(signal.evidence)) is not None and not signal.followed:
            made, since = dossier.evidence.get(declared.name), counted_from(declared, position)
            found[signal.figure_key] = _observation(rollout, declared, made, since, signal.figure, now)
    return found


def why_untold(declared: Declared, made: Evidence, now: datetime, max_gap: timedelta, since: datetime | None = None) -> str:
    """Why what is on record tells nothing any more, or not yet; empty where it does. `since`: `counted_from`."""
    if made.read_as != declared.read_as:
        return f'evidence "{made.name}" was read by other rules than those that hold now; hand it in again'
    if made.made > now + max(max_gap, CLOCK_SKEW):
        return f'evidence "{made.name}" is of {made.made:%Y-%m-%d %H:%M} UTC, which has not come yet: a clock is wrong; hand it in again'
    if now - made.made > declared.max_age:
        age, limit = format_coarse(now - made.made), format_duration(declared.max_age)
        return f'evidence "{made.name}" is {age} old, must be no older than {limit}'
    if since is not None and made.of < since:
        how = "was handed in" if made.came is None else f"is of {made.of:%Y-%m-%d %H:%M:%S} UTC,"
        return f'evidence "{made.name}" {how} before this stage began or was resumed, and tells of its own stage only'
    return ""


def missing(rollout: Rollout, name: str) -> str:
    """What to do about evidence of which nothing is on record."""
    declared, by_hand = rollout.declared(name), f"hand it in with `rollbackd evidence {rollout.name} {name} FILE`"
    match declared.comes if declared else None:
        case Inbox(folder=folder, files=files):
            return f"lay it as {files} into {folder}, or {by_hand}"
        case Scheduled(command=command, every=every):
            return f"{command.argv[0]} makes it every {format_duration(every)}, or {by_hand}"
        case _:
            return by_hand


def _observation(rollout: Rollout, declared: Declared, made: Evidence | None, since: datetime | None, figure: str, now: datetime) -> Observation:
    if made is None:
        return NoData(f'evidence "{declared.name}" is not on record; {missing(rollout, declared.name)}')
    if why := why_untold(declared, made, now, rollout.max_gap, since):
        return NoData(why)
    if figure not in made.figures:
        return NoData(f'evidence "{declared.name}" does not tell its {figure}')
    return Value({(): float(made.figures[figure])}, notes={(): citing.in_words(made)})


def _short(value: Any, deep: int = 0) -> Any:
    """Facts as they are kept: what is long is cut, and says so."""
    if isinstance(value, str):
        return value if len(value) <= _LETTERS else f"{value[: _LETTERS - 1]}…"
    if isinstance(value, Mapping):
        kept = list(value.items())[:_ENTRIES] if deep < _DEEP else []
        return {_short(str(key)): _short(one, deep + 1) for key, one in kept}
    if isinstance(value, (list, tuple)):
        more = [f"and {len(value) - _ENTRIES} more"] if len(value) > _ENTRIES else []
        return [_short(one, deep + 1) for one in value[:_ENTRIES]] + more if deep < _DEEP else []
    return value if value is None or isinstance(value, (bool, int, float)) else _short(str(value))
