"""Who is told of what, from a rule file as written to what it means: escalation and hooks.

Lives here: what takes two keys to be told about them. Must not live here: single keys and their types (`schema_aftercare`), the ladder (`build`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta

from rollback_daemon.documents import Step as Key
from rollback_daemon.documents.complaints import did_you_mean
from rollback_daemon.rules.aftercare import HOOK_EVENTS, Escalation, Hook
from rollback_daemon.rules.build_commands import command
from rollback_daemon.rules.conditions import Notes
from rollback_daemon.rules.model import Stage
from rollback_daemon.rules.schema_actions import PREVIOUS
from rollback_daemon.rules.schema_aftercare import HookPart, LevelPart, ScheduledPart

_Where = tuple[Key, ...]
_COMMAND_TIMEOUT, _HTTP_TIMEOUT = timedelta(seconds=60), timedelta(seconds=10)


def target(notes: Notes, name: str, stages: Sequence[Stage | None], trail: _Where) -> str | None:
    """A stage to go back to; None for the previous one. A None at the end of `stages` stands for stages that could not be read."""
    if name == PREVIOUS:
        return None
    notes.unknown("stage", name, [PREVIOUS, *(stage.name for stage in stages if stage)], trail)
    highest = stages[-1]
    if highest and highest.number and name == highest.name:
        notes.say(trail, f'"{name}" is the highest stage, and a rollback goes down; name a lower one')
    return name


def escalation(notes: Notes, parts: Iterable[tuple[int, LevelPart]], stages: Sequence[Stage | None]) -> Escalation:
    """The levels, each with its number in the file, and the rollback at their end."""
    known = list(parts)
    _check_end(notes)
    if not known:
        return Escalation()
    names: list[str] = []
    for index, part in known:
        if isinstance(part, str):
            if part in names:
                notes.say(("escalation", index), f'"{part}" stands here twice; keep one')
            names.append(part)
    number, last = known[-1]
    if not isinstance(last, ScheduledPart):
        return Escalation(tuple(names))
    return Escalation(tuple(names), rollback=True, to=target(notes, last.rollback, stages, ("escalation", number, "rollback")), in_=last.in_)


def _check_end(notes: Notes) -> None:
    """Note each rollback that levels follow, in the file as written: also one that is wrong in itself."""
    written = notes.document.value.get("escalation")
    for index, one in enumerate(written[:-1] if isinstance(written, list) else ()):
        if isinstance(one, dict) and "rollback" in one:
            notes.say(("escalation", index), "a rollback is the last level; put it at the end")


def hooks(notes: Notes, parts: Iterable[tuple[int, HookPart]], placed: Callable[[str], str]) -> Iterator[Hook]:
    """The hooks, each with its number in the file."""
    names: set[str] = set()
    for index, part in parts:
        trail: _Where = ("hooks", index)
        notes.once(part.hook, names, "hook", (*trail, "hook"))
        notes.distinct(part.on, (*trail, "on"))
        for number, name in enumerate(part.on):
            if name not in HOOK_EVENTS:
                notes.say((*trail, "on", number), f'unknown event "{name}"; {did_you_mean(name, HOOK_EVENTS)}')
        _check_call(notes, part, trail)
        timeout = part.timeout or (_COMMAND_TIMEOUT if part.command else _HTTP_TIMEOUT)
        program = command(notes.document, part.command, timeout, part.env) if part.command else None
        secret = placed(part.secret_file) if part.secret_file else ""
        yield Hook(part.hook, frozenset(part.on), program, part.http or "", secret, timeout)


def _check_call(notes: Notes, part: HookPart, trail: _Where) -> None:
    if (part.command is None) == (part.http is None):
        notes.say(trail, "needs either command or http" + (", not both" if part.http else ""))
    elif part.secret_file and part.command:
        notes.say((*trail, "secret_file"), "signs the body of an HTTP call, and this is a command; leave it out")
    elif part.env and part.http:
        notes.say((*trail, "env"), "is the environment of a command, and this is an HTTP call; leave it out")
