"""A defect in one kind of trigger blinds that trigger, and no other."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from rollback_daemon.judge.transitions import Phase
from rollback_daemon.replay import Replay
from rollback_daemon.rules.measures import Condition, Signal
from rollback_daemon.rules.reading import Assessment, Health, Memory, Observations
from rollback_daemon.signals.observation import Value
from tests.judge.world import START, flags_of, rollout, trigger


@dataclass(frozen=True, slots=True)
class Broken:
    """A kind that cannot count."""

    subject = "broken"
    condition: Condition | None = None
    limit = ""
    expr = ""
    alert_expr = ""

    def signals(self) -> Iterator[Signal]:
        yield from ()

    def plotted(self) -> Iterator[tuple[Signal, Condition | None]]:
        yield from ()

    def questions(self) -> Iterator[str]:
        yield from ()

    def assess(self, _observations: Observations, _memory: Memory, _now: object, _max_gap: timedelta) -> tuple[Assessment, Memory]:
        raise ZeroDivisionError


def test_the_other_triggers_act_and_the_broken_one_is_an_error_that_names_its_place() -> None:
    broken = replace(trigger("Broken"), test=Broken())
    guarded = rollout(broken, trigger("Errors", above=1))
    replay = Replay(guarded, flags_of(guarded, "canary"))
    for number in range(2):
        replay.cycle({"errors": Value({(): 2.0})}, START + number * guarded.interval)
    assert (replay.position.phase, replay.position.stage) == (Phase.ROLLED_BACK, "baseline")
    state = replay.state.triggers["Broken"]
    assert state.health is Health.ERROR
    assert state.why.startswith("ZeroDivisionError in test_judge_defects.py:")
    assert not state.active
