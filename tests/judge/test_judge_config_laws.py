"""The laws of required configuration, whatever stages require, whoever edits the file, and wherever the daemon is stopped in between."""

import json
from datetime import timedelta

from hypothesis import event, given, settings
from hypothesis import strategies as st

from rollback_daemon.errors import OperationRefused
from rollback_daemon.flags.store import FlagValue
from rollback_daemon.judge.required_config import concerned, wrong
from rollback_daemon.judge.required_config import settings as found_settings
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.rules.duties import Requires
from rollback_daemon.rules.model import Rollout
from rollback_daemon.signals.observation import Value
from tests.judge import people
from tests.judge.world import LADDER, START, World, flags_of, rollout, trigger

INTERVAL = timedelta(seconds=15)
MODES = st.sampled_from(["slow", "fast", None])
required = st.dictionaries(st.sampled_from(["canary", "half", "full"]), st.sampled_from(["slow", "fast"]), max_size=3)
deeds = st.sampled_from(["promote", "promote", "resume", "hold", "rollback", *(f"flags {name}" for name in LADDER)])
cycles = st.lists(st.tuples(MODES, st.sampled_from([0.0, 0.0, 0.0, 2.0]), st.none() | deeds, st.booleans()), min_size=1, max_size=12)


def ladder(asked: dict[str, str]) -> Rollout:
    """Stages that require these modes, each also what those below it do."""
    config: dict[str, FlagValue] = {}
    asks = {}
    for name in LADDER:
        config = {**config, **({"MODE": asked[name]} if name in asked else {})}
        asks[name] = Requires(config=config)
    return rollout(trigger("Errors", above=1), asks=asks)


def cycle(world: World, number: int, mode: str | None, errors: float, deed: str | None) -> None:
    """One edit of the file, one evaluation, one request, and whatever is begun comes to its end."""
    now = START + number * INTERVAL
    assert not isinstance(world.flags, str)
    edited = flags_of(world.rollout, deed.removeprefix("flags ")) if deed and deed.startswith("flags ") else {}
    world.flags = {**world.flags, **edited, "MODE": mode}
    world.evaluate({"errors": Value({(): errors})}, now)
    if world.position.open:
        world.finish(now)
    if deed and not edited:
        try:
            world.accept(people.ask(world, deed, now), now)
        except OperationRefused:
            return
        if world.position.open:
            world.finish(now)


@settings(max_examples=150)
@given(required, cycles)
def test_no_promotion_without_the_configuration_of_its_stage_and_the_key_is_never_touched(
    asked: dict[str, str], told: list[tuple[str | None, float, str | None, bool]]
) -> None:
    world = World(ladder(asked), {**flags_of(ladder(asked), "baseline"), "MODE": None})
    for number, (mode, errors, deed, restart) in enumerate(told):
        before = len(world.journal)
        if restart:
            world.forget()
        cycle(world, number, mode, errors, deed)
        assert not isinstance(world.flags, str)
        assert world.flags["MODE"] == mode
        for happened, body, _ in world.journal[before:]:
            begun = json.loads(body)
            if happened == Event.INTENDED and begun["kind"] == Kind.PROMOTE:
                target = world.rollout.stage(begun["to"])
                assert target
                assert target.requires.config.get("MODE", mode) == mode
                event("promoted")
    calm = START + len(told) * INTERVAL
    world.evaluate({"errors": Value({(): 0.0})}, calm)  # what is known is what is so, however it came about
    where = concerned(world.rollout, world.position)
    if not world.position.open:
        assert not isinstance(world.flags, str)
        assert world.state.misconfigured == tuple(map(str, wrong(found_settings(*where, world.flags))))


@settings(max_examples=100)
@given(required, cycles)
def test_going_down_is_the_same_whatever_the_configuration(asked: dict[str, str], told: list[tuple[str | None, float, str | None, bool]]) -> None:
    """With nobody climbing, a wrong key changes nothing about where the rollout is, when it is taken back, and why."""
    story = [(mode, errors, None if deed == "promote" else deed, restart) for mode, errors, deed, restart in told]
    worlds = [World(one, {**flags_of(one, "half"), "MODE": None}) for one in (ladder(asked), ladder({}))]
    for number, (mode, errors, deed, restart) in enumerate(story):
        for world in worlds:
            if restart:
                world.forget()
            cycle(world, number, mode, errors, deed)
        left, right = worlds
        assert (left.flags, left.position.stage, left.state.drift) == (right.flags, right.position.stage, right.state.drift)
    begun = [[body for happened, body, _ in world.journal if happened in {Event.INTENDED, Event.ADOPTED, Event.HELD}] for world in worlds]
    assert [json.loads(one)["why"] for one in begun[0]] == [json.loads(one)["why"] for one in begun[1]]
