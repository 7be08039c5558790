"""What follows a rollback, or completion, in words: how it is understood, and what tends to go wrong with it.

Lives here: sentences about `aftercare`. Must not live here: triggers and the way up (`advice`, `advice_climb`), mistakes (`build_aftercare`).
"""

import json
import shlex
from collections.abc import Iterator
from urllib.parse import urlsplit

from rollback_daemon.documents import Step as Key
from rollback_daemon.durations import format_duration
from rollback_daemon.errors import Problem
from rollback_daemon.evidence import KINDS
from rollback_daemon.rules.aftercare import Aftercare, Hook, LogScan, Proof, Recovery, Way, WayKind
from rollback_daemon.rules.duties import Command, HttpCheck
from rollback_daemon.rules.model import ActionKind, Rollout
from rollback_daemon.rules.places import problem_at
from rollback_daemon.signals.fetch import shown

_Found = Iterator[tuple[tuple[Key, ...], str]]


def following(rollout: Rollout) -> Iterator[str]:
    """One line for each of verification, ways back, limits, escalation, hooks and follow-ups that the file has."""
    care = rollout.aftercare
    if care.verify:
        steps = (_step(one) + _where(rollout, number) for number, one in enumerate(care.verify))
        yield "verification: " + "; ".join(["the flags are read back", *steps])
    if len(care.ways) > 1:
        yield f"ways back: {', then '.join(map(_way, care.ways))}"
    if limits := list(_limits(care)):
        yield f"limits: {'; '.join(limits)}"
    if climbing := [f"{one.name} (each {format_duration(one.escalate_after)})" for one in rollout.triggers if one.escalate_after]:
        yield f"escalation: {', then '.join(_levels(care))}; of {', '.join(climbing)}"
    yield from map(_hook, care.hooks)
    if care.follow_ups:
        ages = ", ".join(map(format_duration, care.follow_ups.after))
        checks = ["every gate passes and no trigger fires", *map(_step, care.follow_ups.checks)]
        yield f"follow-ups: {ages} after completion: {'; '.join(checks)}; then a person decides"


def _step(step: Proof) -> str:
    match step:
        case HttpCheck():
            wanted = ", ".join(f"{pointer or 'all of it'} {json.dumps(value, ensure_ascii=False)}" for pointer, value in step.expect.items())
            return f"GET {shown(step.url)}{f' says {wanted}' if wanted else ' is answered with 2xx'} within {format_duration(step.timeout)}"
        case LogScan():
            return f'log {step.path} has no line with "{step.without}"'
        case Recovery():
            which = f"{', '.join(sorted(step.gates))} pass" if step.gates else "every blocking gate passes"
            return f"{which} for {format_duration(step.for_)} without a break, within {format_duration(step.within)}"
        case Command():
            return f"{shlex.join(step.argv)} succeeds within {format_duration(step.timeout)}"


def _where(rollout: Rollout, number: int) -> str:
    """The stages of a step of the verification, in the order of the ladder; nothing where it is taken at each."""
    only = rollout.aftercare.only_at.get(number)
    return f" (only at {', '.join(stage.name for stage in rollout.stages if stage.name in only)})" if only else ""


def _way(way: Way) -> str:
    match way.kind:
        case WayKind.FLAGS:
            return "the flags are set"
        case WayKind.BACKUP:
            return "the backup of the flag file is put back"
        case WayKind.COMMAND:
            return f"{shlex.join(way.command.argv)} is run" if way.command else "a command is run"
        case WayKind.THEN:
            return f"rollback to {way.to or 'the stage below'}" + (f" after {format_duration(way.after)}" if way.after else "")


def _limits(care: Aftercare) -> Iterator[str]:
    if care.cooldown:
        yield f"no promotion for {format_duration(care.cooldown)} after a rollback"
    if most := care.max_rollbacks:
        times = "1 rollback" if most.count == 1 else f"{most.count} rollbacks"
        yield f"at most {times} by triggers in {format_duration(most.within)}, the last to the baseline, where it is frozen"
    if care.postmortem:
        yield "to resume takes a completed post-mortem"


def _levels(care: Aftercare) -> Iterator[str]:
    yield from care.escalation.levels
    if care.escalation.rollback:
        yield f"rollback to {care.escalation.to or 'previous'} announced for {format_duration(care.escalation.in_)} ahead"


def _hook(hook: Hook) -> str:
    """Of an address only the host: the rest of it is often the key."""
    call = f"{'signed ' if hook.secret_file else ''}call to {urlsplit(hook.http).hostname}"
    return f"hook {hook.name}: {f'runs {hook.command.argv[0]}' if hook.command else call} on {', '.join(sorted(hook.on))}"


# what tends to go wrong


def warnings(rollout: Rollout) -> Iterator[Problem]:
    """What was most likely meant otherwise."""
    for found in (_of_verify(rollout), _of_ways(rollout), _of_escalation(rollout), _of_hooks(rollout), _of_limits(rollout)):
        for trail, text in found:
            yield problem_at(rollout, trail, text)


def _of_verify(rollout: Rollout) -> _Found:
    """Steps that say of one stage what may not be so at another, and logs that are scanned before anything could be written to them."""
    care = rollout.aftercare
    below = [stage.name for stage in rollout.stages[:-1]]
    for number, step in enumerate(care.verify):
        if isinstance(step, HttpCheck) and step.expect and number not in care.only_at and len(below) > 1:
            text = f"expects the same values wherever a rollback ends ({', '.join(below)}); say where they are so, for instance stages: [baseline]"
            yield ("verify", number), text
        waits = [later for later, other in enumerate(care.verify) if later > number and isinstance(other, Recovery) and _meet(care, number, later)]
        if isinstance(step, LogScan) and waits:
            text = f"is scanned at once, before anything is written to it; put it after the signals of verify[{waits[-1]}]"
            yield ("verify", number), text


def _meet(care: Aftercare, one: int, other: int) -> bool:
    """Whether two steps of the verification may be taken after the same rollback."""
    here, there = care.only_at.get(one), care.only_at.get(other)
    return here is None or there is None or bool(here & there)


def _of_ways(rollout: Rollout) -> _Found:
    if len(rollout.aftercare.ways) > 1 and not rollout.aftercare.verify:
        yield ("ways_back",), "without verify only the flags are read back, and another way back is hardly ever taken; add verify"


def _of_escalation(rollout: Rollout) -> _Found:
    climbing = [(index, one) for index, one in enumerate(rollout.triggers) if one.escalate_after]
    if ("escalation",) in rollout.places and not climbing:
        yield ("escalation",), "no trigger has escalate_after, so that none climbs these levels; add it to one"
    for index, trigger in climbing:
        place = ("triggers", index, "escalate_after")
        if trigger.dry_run:
            yield place, "has no effect on a dry run, of which nobody is told"
        elif trigger.action.kind is ActionKind.ROLLBACK and trigger.action.in_ is None:
            yield place, "is about what goes on for long, and this trigger rolls back at once; give it to one that does not"


def _of_limits(rollout: Rollout) -> _Found:
    most = rollout.aftercare.max_rollbacks
    acts = [one for one in rollout.triggers if one.action.kind is ActionKind.ROLLBACK and not one.dry_run]
    climbs = rollout.aftercare.escalation.rollback and any(one.escalate_after for one in rollout.triggers)
    if most and not acts and not climbs:
        yield ("max_rollbacks",), "no trigger rolls back, so that there is nothing to count"


def _of_hooks(rollout: Rollout) -> _Found:
    """Events that this file cannot bring about."""
    for index, hook in enumerate(rollout.aftercare.hooks):
        for event, needed in _missing(rollout).items():
            if event in hook.on:
                yield ("hooks", index, "on"), f"there is never {event} here: the file has no {needed}"


def _missing(rollout: Rollout) -> dict[str, str]:
    care, missing = rollout.aftercare, dict[str, str]()
    scheduled = care.escalation.rollback and any(one.escalate_after for one in rollout.triggers)
    if not care.verify and len(care.ways) == 1:
        missing |= dict.fromkeys(("verified", "unverified"), "verify")
    if care.max_rollbacks is None:
        missing |= {"frozen": "max_rollbacks"}
    if not any(gate.blocking and not gate.quiet for gate in rollout.gates):
        missing |= dict.fromkeys(("gate_failed", "gate_passed"), "blocking gate about a signal")
    if not any(KINDS[one.kind].checks for one in rollout.evidence):
        missing |= {"check_failed": f"evidence of a kind with checks ({', '.join(name for name, kind in KINDS.items() if kind.checks)})"}
    if all(one.action.kind is not ActionKind.DEGRADE for one in rollout.triggers):
        missing |= dict.fromkeys(("degraded", "restored"), "trigger that degrades")
    if not any(one.escalate_after for one in rollout.triggers):
        missing |= {"escalated": "trigger with escalate_after"}
    if not scheduled and all(one.action.in_ is None for one in rollout.triggers):
        missing |= dict.fromkeys(("rollback_scheduled", "rollback_cancelled"), "rollback that is announced")
    if rollout.rehearsal is None:
        missing |= {"rehearsal_failed": "rehearsal"}
    if care.follow_ups is None:
        missing |= dict.fromkeys(("follow_up_failed", "decision_due"), "follow_up")
    return missing
