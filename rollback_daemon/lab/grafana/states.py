"""States as numbers with a word and a colour: Grafana shows a state over time only as one number for each series.

Lives here: the numbers, the words, the colours. A larger number is worse, so that a table sorted by it begins with what needs a person.
Purple means that nothing is known, everywhere, and green is never the colour of that. Must not live here: panels and queries.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from grafana_foundation_sdk.models.dashboard import (
    DashboardSpecialValueMapOptions,
    SpecialValueMap,
    SpecialValueMatch,
    Threshold,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

from rollback_daemon.judge.transitions import Phase
from rollback_daemon.judge.trigger import TriggerPhase
from rollback_daemon.rules.reading import Health

UNKNOWN, GOOD, CALM, MOVING, WARN, BAD, WORST = "purple", "green", "#6E7687", "blue", "orange", "red", "dark-red"


@dataclass(frozen=True, slots=True)
class State:
    """One state as people read it; `member` is the value of the metric's label, "" where the number itself is exported."""

    number: int
    word: str
    colour: str
    member: str = ""


States = tuple[State, ...]


def _of(kind: type[StrEnum], words: Mapping[StrEnum, tuple[str, str]], unseen: str = "") -> States:
    """Numbered in their order, from 1 where 0 means that it was not `unseen` yet."""
    if set(words) != set(kind):
        raise ValueError(f"{kind.__name__} has members without a word: {set(kind) ^ set(words)}")
    first = (State(0, unseen, UNKNOWN),) if unseen else ()
    return first + tuple(State(number, word, colour, member) for number, (member, (word, colour)) in enumerate(words.items(), len(first)))


PHASES = _of(
    Phase,
    {
        Phase.BASELINE: ("at the baseline", CALM),
        Phase.COMPLETE: ("complete", GOOD),
        Phase.SOAKING: ("soaking", GOOD),
        Phase.READY: ("ready to promote", "light-green"),
        Phase.PROMOTING: ("promoting", MOVING),
        Phase.HELD: ("held", WARN),
        Phase.ROLLING_BACK: ("rolling back", BAD),
        Phase.ROLLED_BACK: ("rolled back", BAD),
        Phase.FROZEN: ("frozen after rollbacks", WORST),
        Phase.FAILED: ("ROLLBACK FAILED", WORST),
    },
    "not seen yet",
)
TRIGGERS = _of(
    TriggerPhase,
    {TriggerPhase.INACTIVE: ("inactive", GOOD), TriggerPhase.PENDING: ("pending", WARN), TriggerPhase.FIRING: ("FIRING", BAD)},
)
HEALTHS = _of(
    Health,
    {Health.OK: ("sees", GOOD), Health.COLLECTING: ("collecting", MOVING), Health.NO_DATA: ("no data", UNKNOWN), Health.ERROR: ("query fails", BAD)},
    "not judged yet",
)


def both(no: str, yes: str, colours: tuple[str, str]) -> States:
    """The states of a gauge that is 0 or 1."""
    return State(0, no, colours[0]), State(1, yes, colours[1])


def mappings(states: States, unknown: str = "not known") -> list[ValueMapping]:
    """What is shown in place of the numbers, and in place of nothing."""
    words = {str(one.number): ValueMappingResult(text=one.word, color=one.colour, index=index) for index, one in enumerate(states)}
    nothing = ValueMappingResult(text=unknown, color=UNKNOWN, index=len(states))
    special = SpecialValueMap(DashboardSpecialValueMapOptions(SpecialValueMatch.NULL_AND_NAN, nothing))
    return [*([ValueMap(words)] if words else []), special]


def steps(*levels: tuple[float, str]) -> list[Threshold]:
    """Colours from these values on. What has no value takes that of the lowest step, which is therefore that of the unknown."""
    return [Threshold(None, UNKNOWN), *(Threshold(value, colour) for value, colour in levels)]


ANY = steps((-1e18, CALM))
"""Any value is as good as any other."""
NONE_IS_GOOD = steps((-1e18, GOOD), (0.5, BAD))
"""A count of what should not be."""
