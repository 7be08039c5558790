"""How a rollout's flags look, and whether that may be believed: a file may be half written, and somebody may write without end.

Lives here: reading the store for the judge, and for how long a look is not to be trusted. Must not live here: what follows from flags (judge),
when to look (cycle, guard).
"""

import time
from collections import deque
from datetime import timedelta

from rollback_daemon.errors import FlagError
from rollback_daemon.flags.settling import Settling
from rollback_daemon.flags.store import Flags, FlagStore, FlagValue
from rollback_daemon.judge.drift import Drift, locate
from rollback_daemon.judge.required_config import concerned, settings, wrong
from rollback_daemon.judge.state import State
from rollback_daemon.rules.model import Rollout, Stage

_AT_ONCE = 3  # glances within one interval from which something may follow


class Outlook:
    """What is seen of one rollout's flags. Not thread-safe: used under the lock of its watch."""

    def __init__(self, settle: float) -> None:
        """For `settle` seconds flags must have stood as they are before it is believed that somebody lowered them."""
        self._settling = Settling(settle)
        self._config: dict[str, FlagValue] = {}
        self._followed: deque[float] = deque(maxlen=_AT_ONCE)

    @staticmethod
    def read(store: FlagStore, ladder: Rollout) -> Flags | str:
        """The flags as they are, with what stages require beside them, or the sentence that says why they cannot be read."""
        try:
            return store.read(ladder.keys | ladder.config_keys)
        except FlagError as error:
            return str(error)

    def is_half_written(self, ladder: Rollout, state: State, flags: Flags | str) -> bool:
        """Whether these may be the flags of a file that somebody is writing now: they lack something, and have not stood for long."""
        if isinstance(flags, str) or self._settling.settled(flags.version) or state.position is None:
            return False
        lacking = locate(ladder, on_record(ladder, state), flags.values).drift in {Drift.LOWER, Drift.OTHER}
        return lacking or bool(wrong(settings(*concerned(ladder, state.position), flags.values)))

    def as_before(self, ladder: Rollout, state: State, flags: Flags) -> dict[str, FlagValue]:
        """What is believed of a file that may be half written: the flags on record, and the configuration as it was seen last."""
        return {**flags.values, **self._config, **on_record(ladder, state).flags}

    def believed(self, ladder: Rollout, flags: Flags | str) -> None:
        """These are not half written: their configuration is what is believed of the next that may be."""
        if not isinstance(flags, str):
            self._config = {key: flags.values[key] for key in ladder.config_keys & flags.values.keys()}

    def followed(self) -> None:
        """Something has followed from a glance."""
        self._followed.append(time.monotonic())

    def is_flood(self, interval: timedelta) -> bool:
        """Whether something has followed from so many glances within one interval that the next must wait for its end."""
        return len(self._followed) == _AT_ONCE and time.monotonic() - self._followed[0] < interval.total_seconds()


def on_record(ladder: Rollout, state: State) -> Stage:
    """The stage that the record says; the baseline where it says none."""
    return (ladder.stage(state.position.stage) if state.position else None) or ladder.stages[0]
