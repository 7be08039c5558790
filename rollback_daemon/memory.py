"""What the judge remembers of a rollout, as text and back: pending and firing series, counts, time soaked, what a stage has come to.

Also which evidence does not come, and which files were refused. What the journal tells is not in it: that is rebuilt from the journal's records. Nor
is the time of the last step, which the journal keeps once for all; and the time soaked is kept to the minute, rounded down: the text of a quiet
rollout stays the same, and need not be written. Text that an older or newer version wrote and that cannot be read is forgotten, which costs pending
time and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from rollback_daemon.judge.attempts import Attempt
from rollback_daemon.judge.drift import Drift
from rollback_daemon.judge.state import State, Waited
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
    waited: Waited = field(default_factory=Waited)
    eased: timedelta | None = None
    failing: frozenset[str] = frozenset()
    misconfigured: tuple[str, ...] = ()
    misconfigured_since: datetime | None = None
    attempts: Mapping[str, Attempt] = field(default_factory=dict)


_ADAPTER = TypeAdapter(_Remembered)


def dump(state: State) -> str:
    """The state without what is in the journal, as JSON."""
    soaked = state.soaked - state.soaked % timedelta(minutes=1)
    remembered = _Remembered(
        state.triggers,
        soaked,
        state.blind_since,
        state.blind,
        state.drift,
        state.drift_since,
        state.tenure,
        state.waited,
        state.eased,
        state.failing,
        state.misconfigured,
        state.misconfigured_since,
        {name: lasting for name, one in state.attempts.items() if (lasting := one.lasting)},
    )
    return _ADAPTER.dump_json(remembered).decode()


def load(text: str | None, recorded: State, stopped: datetime | None) -> State:
    """What is `recorded` in the journal with the memory of `text`, last stepped at `stopped`; an empty memory when there is no readable text."""
    try:
        kept = _ADAPTER.validate_json(text) if text else None
    except ValidationError:
        kept = None
    if kept is None:
        return replace(recorded, stepped=stopped)
    return replace(
        recorded,
        triggers=kept.triggers,
        soaked=kept.soaked,
        stepped=stopped,
        blind_since=kept.blind_since,
        blind=kept.blind,
        drift=kept.drift,
        drift_since=kept.drift_since,
        tenure=kept.tenure,
        waited=kept.waited,
        eased=kept.eased,
        failing=kept.failing,
        misconfigured=kept.misconfigured,
        misconfigured_since=kept.misconfigured_since,
        attempts=kept.attempts,
    )
