"""Putting a copy of the flags back: whole, once, never a raise, killed at any step."""

from collections import deque
from pathlib import Path

import pytest

from rollback_daemon.errors import Refused
from rollback_daemon.flags.store import FlagValue
from rollback_daemon.judge.transitions import Event, Kind, Phase
from rollback_daemon.rules.aftercare import WayKind
from rollback_daemon.rules.duties import Command
from tests.transitions.rehearsal import Scene, Store, appending, at, fails, lines

COPY: dict[str, FlagValue] = {**at("canary"), "COMMENT": "as it was"}


def put_back(store: Store, named: str = "old", command: Command | None = None) -> Scene:
    """A person asks for that copy at half, or nobody names one."""
    store.kept.setdefault("old", COPY)
    scene = Scene.of(Kind.ROLLBACK, "half", "canary", store, command)
    scene.journal[0][1].update(way_kind=WayKind.BACKUP, backup=named)
    return scene


def edited() -> Store:
    """The flags of half, in a place in which somebody has changed something else."""
    return Store({**at("half"), "COMMENT": "gone"})


@pytest.mark.parametrize("named", ["old", ""])
def test_all_that_is_in_the_copy_comes_back_and_the_command_is_run(named: str, tmp_path: Path) -> None:
    scene = put_back(edited(), named, appending(tmp_path / "ran")).run()
    assert (scene.store.flags, scene.store.writes) == (COPY, [COPY])
    assert scene.events == [Event.APPLIED, Event.RAN, Event.DONE]
    applied = scene.records(Event.APPLIED)[0]
    assert (applied["before"], applied["after"], applied["restored"]) == ({"PERCENT": "50%"}, {"PERCENT": "10%"}, "old")
    assert applied["backup"] == scene.journal[0][1]["id"] in scene.store.kept
    assert lines(tmp_path / "ran") == ["rollback half canary"]
    assert (scene.position.phase, scene.position.stage) == (Phase.ROLLED_BACK, "canary")


def test_killed_at_any_step_it_ends_at_the_same_place() -> None:
    for step in range(100):
        scene = put_back(edited())
        if not scene.run_killed_at(step):
            break
        assert scene.store.flags == COPY, step
        assert (scene.position.phase, scene.position.stage) == (Phase.ROLLED_BACK, "canary"), step
        assert scene.events.count(Event.DONE) == 1, step
    else:
        pytest.fail("it never ends")
    assert step > 10


def test_a_copy_whose_flags_are_others_by_now_is_not_put_back() -> None:
    """Somebody has changed the copy, or the rule file."""
    store = edited()
    store.kept["old"] = at("full")
    scene = put_back(store).run()
    assert store.flags["PERCENT"] == "50%"
    assert "there is no backup with the flags that are to be restored" in str(scene.error)


def test_flags_that_a_person_lowered_meanwhile_are_not_raised() -> None:
    store = edited()
    store.by_hand("baseline")
    scene = put_back(store).run()
    assert (scene.store.flags["PERCENT"], scene.store.writes) == ("0%", [])
    assert 'its flags were set to those of "baseline" since' in str(scene.error)


def test_flags_that_a_person_lowers_at_the_last_moment_are_not_raised_either() -> None:
    """After they were looked at, and before the copy is put back."""
    store = edited()
    scene = put_back(store)
    store.troubles["backup"] = deque([lambda one, _: one.by_hand("baseline")])
    scene.run()
    assert (scene.store.flags["PERCENT"], scene.store.writes) == ("0%", [])
    assert 'its flags were set to those of "baseline" since' in str(scene.error)


def test_flags_that_cannot_be_read_are_mended() -> None:
    store = edited()
    store.troubles["read"] = deque([fails(Refused, "broken")])
    scene = put_back(store).run()
    assert (store.flags, scene.error) == (COPY, None)
    assert scene.events == [Event.APPLIED, Event.DONE]
