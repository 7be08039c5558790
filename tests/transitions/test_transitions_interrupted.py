"""Interrupt everything: every scenario is killed at each of its steps and taken up again. It must end at the same place, with one write."""

from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest

from rollback_daemon.errors import Refused, Transient, UnknownOutcome
from rollback_daemon.judge.transitions import Event, Kind
from tests.transitions.rehearsal import (
    Killed,
    Scene,
    Store,
    appending,
    at,
    does_it_and_fails,
    fails,
    lines,
    somebody_is_quicker,
)

Scenario = Callable[[], Scene]


def troubled(kind: Kind, origin: str, target: str, **troubles: list[object]) -> Scenario:
    def make() -> Scene:
        return Scene.of(kind, origin, target, Store(at(origin), {name: deque(queue) for name, queue in troubles.items()}))  # type: ignore[arg-type]  # troubles by keyword

    return make


SCENARIOS: dict[str, Scenario] = {
    "a promotion": troubled(Kind.PROMOTE, "canary", "half"),
    "a first promotion": troubled(Kind.PROMOTE, "baseline", "canary"),
    "a rollback": troubled(Kind.ROLLBACK, "half", "canary"),
    "a rollback to the bottom": troubled(Kind.ROLLBACK, "full", "baseline"),
    "a rollback that fails twice": troubled(Kind.ROLLBACK, "half", "canary", write=[fails(Transient), fails(Refused)]),
    "a rollback that cannot read": troubled(Kind.ROLLBACK, "half", "canary", read=[fails(Transient), None, fails(Refused)]),
    "a rollback without backup": troubled(Kind.ROLLBACK, "half", "canary", backup=[fails(Refused), fails(Refused)]),
    "a rollback of unknown outcome, done": troubled(Kind.ROLLBACK, "half", "canary", write=[does_it_and_fails(UnknownOutcome)]),
    "a rollback of unknown outcome, not done": troubled(Kind.ROLLBACK, "half", "canary", write=[fails(UnknownOutcome)]),
    "a rollback beside another writer": troubled(Kind.ROLLBACK, "half", "canary", write=[somebody_is_quicker, somebody_is_quicker]),
    "a promotion that fails once": troubled(Kind.PROMOTE, "canary", "half", write=[fails(Transient)]),
    "a promotion of unknown outcome, done": troubled(Kind.PROMOTE, "canary", "half", write=[does_it_and_fails(UnknownOutcome)]),
    "a promotion whose backup fails once": troubled(Kind.PROMOTE, "canary", "half", backup=[fails(Transient)]),
    "a promotion beside another writer": troubled(Kind.PROMOTE, "canary", "half", write=[somebody_is_quicker]),
}


@pytest.mark.parametrize("make", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_killed_at_every_step_it_ends_at_the_same_place_with_one_write(make: Scenario) -> None:
    undisturbed = make().run()
    step = 0
    while (scene := make()).run_killed_at(step):
        assert scene.error is None, f"step {step}"
        assert scene.store.flags == undisturbed.store.flags, f"step {step}"
        assert scene.store.writes == undisturbed.store.writes, f"step {step}: nothing is written twice"
        assert scene.position == undisturbed.position, f"step {step}"
        assert scene.events.count(Event.DONE) == 1, f"step {step}"
        assert scene.events.count(Event.APPLIED) <= 1, f"step {step}"
        step += 1
    assert step > 5


@pytest.mark.parametrize(("kind", "origin", "target"), [(Kind.PROMOTE, "canary", "half"), (Kind.ROLLBACK, "half", "canary")])
def test_killed_at_every_step_its_command_has_run_after_the_write(kind: Kind, origin: str, target: str, tmp_path: Path) -> None:
    step = 0
    while True:
        ran = tmp_path / str(step)
        scene = Scene.of(kind, origin, target, command=appending(ran))
        if not scene.run_killed_at(step):
            break
        assert scene.position.stage == target
        assert 1 <= len(lines(ran)) <= 2, f"step {step}: once, or once more after the restart"
        assert not scene.records(Event.RAN)[-1]["error"]
        step += 1
    assert step > 5


def test_killed_at_every_step_while_somebody_lowers_the_flags_they_stay_low() -> None:
    step = 0
    while True:
        scene = Scene.of(Kind.PROMOTE, "canary", "half")
        scene.steps.last = step
        try:
            scene.run()
            break
        except Killed:
            scene.steps.last = None
        scene.store.by_hand("baseline")
        if scene.position.open:
            scene.run(again=True)
            assert scene.error is not None, f"step {step}"
        assert scene.store.flags == at("baseline"), f"step {step}: a person is not overruled"
        step += 1
    assert step > 5
