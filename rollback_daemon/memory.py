"""What the judge remembers of a rollout, as text and back: pending and firing series, counts, time soaked, what a stage has come to.

Position and dossier are not in it: they are rebuilt from the journal's records. Nor is the time of the last step, which the journal keeps once
for all; and the time soaked is kept to the minute, rounded down: the text of a quiet rollout stays the same, and need not be written. Text that an
older or newer version wrote and that cannot be read is forgotten, which costs pending time and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from rollback_daemon.judge.dossier import Dossier
from rollback_daemon.judge.drift import Drift
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.state import State
from rollback_daemon.judge.tenure import Tenure
from rollback_daemon.judge.trigger import TriggerState


@dataclass(frozen=True, slots=True)
class _Remembered:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(ser_json_inf_nan="strings")  # else an infinite value comes back as none at all
    triggers: Mapping[str, TriggerState]
    soaked: timedelta
    blind_since: datetime | None
    blind: bool
    drift: Drift
    drift_since: datetime | None = None
    tenure: Tenure = field(default_factory=Tenure)


_ADAPTER = TypeAdapter(_Remembered)


def dump(state: State) -> str:
    """The state without what is in the journal, as JSON."""
    soaked = state.soaked - state.soaked % timedelta(minutes=1)
    remembered = _Remembered(state.triggers, soaked, state.blind_since, state.blind, state.drift, state.drift_since, state.tenure)
    return _ADAPTER.dump_json(remembered).decode()


def load(text: str | None, position: Position | None, dossier: Dossier, stopped: datetime | None) -> State:
    """The state of `text` at `position`, last stepped at `stopped`; an empty memory when there is no readable text."""
    try:
        kept = _ADAPTER.validate_json(text) if text else None
    except ValidationError:
        kept = None
    if kept is None:
        return State(position, dossier, stepped=stopped)
    return State(
        position=position,
        dossier=dossier,
        triggers=kept.triggers,
        soaked=kept.soaked,
        stepped=stopped,
        blind_since=kept.blind_since,
        blind=kept.blind,
        drift=kept.drift,
        drift_since=kept.drift_since,
        tenure=kept.tenure,
    )
