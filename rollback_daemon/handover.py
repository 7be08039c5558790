"""What running rollouts forbid a new configuration: it must not leave exposed what nobody would guard, nor take away where somebody stands.

Lives here: those mistakes. Must not live here: taking the new configuration up (`guard`), what is wrong with its files by themselves (`rules`).
"""

from collections.abc import Iterator, Mapping

from rollback_daemon.config import Loaded
from rollback_daemon.errors import Problem
from rollback_daemon.flags.store import same
from rollback_daemon.judge.position import Position
from rollback_daemon.rules.model import BASELINE, Rollout
from rollback_daemon.watch import Watch


def problems(watches: Mapping[str, Watch], loaded: Loaded) -> Iterator[Problem]:
    """Every reason why this configuration cannot take the place of the one that the `watches` run on."""
    for rollout in loaded.rollouts:
        watch = watches.get(rollout.name)
        if watch is not None and watch.state.position is not None:
            yield from _of_rollout(watch.rollout, watch.state.position, rollout)
    for name in sorted(watches.keys() - {rollout.name for rollout in loaded.rollouts}):
        position = watches[name].state.position
        if position is not None and (position.stage != BASELINE or position.open):
            text = f'"{name}" is gone, but stands at "{position.stage}"; roll it back to baseline first'
            yield Problem(loaded.file, 0, 0, "rule_files", text)


def _of_rollout(before: Rollout, position: Position, after: Rollout) -> Iterator[Problem]:
    rehearsed = [position.rehearsing.stage] if position.rehearsing else []
    for name in sorted({position.stage, *rehearsed, *([position.open.origin, position.open.target] if position.open else [])}):
        if after.stage(name) is None:
            yield Problem(after.file, 0, 0, "stages", f'"{name}" is gone, but {after.name} stands there; roll it back first')
    if position.open and after.flags != before.flags:
        yield Problem(after.file, 0, 0, "flags", f"cannot change while {after.name} is {position.phase}; reload when it is done")
    owed = [(name, after.keys, "a rollback of it is being rehearsed") for name in rehearsed]
    owed += [(position.stage, frozenset(position.degraded), "it is degraded")] if position.degraded else []
    for name, keys, why in owed:  # who comes back to a stage must find there what was approved
        was, is_now = before.stage(name), after.stage(name)
        if was and is_now and not all(same(was.flags.get(key), is_now.flags.get(key)) for key in keys):
            yield Problem(after.file, 0, 0, "stages", f'the flags of "{name}" cannot change while {why}; reload when that is over')
