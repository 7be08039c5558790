"""The people of the judge's tests, their roles, and what they may ask for, in the words of a timetable.

    promote | rollback to half | hold | resume | restore | rehearse | come back | break glass bob
    propose | propose pam | vote GO ann | vote NO-GO bob as security | withdraw ann | resolve bob of ann
    checkpoint day-0 GO | evidence soak | acknowledge Errors | cancel | cancel Errors

Without a name it is ann who asks, and pam who proposes. A request gives what happened, or raises OperationRefused.
"""

from collections.abc import Callable
from datetime import datetime

from rollback_daemon.judge import consent, escalation_requests, promotion, requests
from rollback_daemon.judge.refusal import Person
from rollback_daemon.judge.state import Happened
from tests.judge.world import World

ROLES = {
    "ann": {"lead"},
    "lea": {"lead"},
    "bob": {"security"},
    "cat": {"lead", "security"},
    "oli": {"ops"},
    "pam": {"lead"},
    "ned": set[str](),
}


def person(name: str) -> Person:
    """One of the people, as the daemon knows them."""
    return Person(name, frozenset(ROLES[name]))


def ask(world: World, request: str, now: datetime) -> Happened:
    """What follows from the request; raises OperationRefused."""
    word, _, rest = request.partition(" ")
    return REQUESTS[word](world, rest, now)


def _promote(world: World, _: str, now: datetime) -> Happened:
    return promotion.promote(world.ladder, world.state, world.judgement, "ann", "asked", now)


def _rollback(world: World, to: str, now: datetime) -> Happened:
    return requests.rollback(world.ladder, world.state, world.judgement, to.removeprefix("to ") or None, "ann", "asked", now)


def _break(world: World, rest: str, now: datetime) -> Happened:
    who = person(rest.removeprefix("glass").strip() or "ann")
    return promotion.break_glass(world.ladder, world.state, world.judgement, who, "the fix cannot wait", now)


def _rehearse(world: World, _: str, now: datetime) -> Happened:
    return promotion.rehearse(world.ladder, world.state, world.judgement, "ann", "asked", now)


def _come_back(world: World, _: str, now: datetime) -> Happened:
    return promotion.come_back(world.ladder, world.state, world.judgement, now)


def _propose(world: World, who: str, now: datetime) -> Happened:
    return consent.propose(world.ladder, world.state, world.judgement, person(who or "pam"), "it looks good", now)


def _vote(world: World, rest: str, now: datetime) -> Happened:
    said, _, role = rest.partition(" as ")
    word, _, who = said.partition(" ")
    ballot = consent.Ballot(word == "GO", f"{who} says {word}", role or None)
    return consent.vote(world.ladder, world.state, world.judgement, person(who), ballot, now)


def _resolve(world: World, rest: str, now: datetime) -> Happened:
    who, _, of = rest.partition(" of ")
    return consent.resolve(world.ladder, world.state, person(who), of, "looked into", now)


def _checkpoint(world: World, rest: str, _: datetime) -> Happened:
    name, word = rest.split()
    return consent.checkpoint(world.ladder, world.state, person("ann"), name, "as reported", "", go=word == "GO")


def _evidence(world: World, name: str, now: datetime) -> Happened:
    return consent.evidence(world.ladder, world.state, person("ann"), name, "as measured", consent.File(f"{name}.txt", f"{now:%H%M%S}" * 8, 4096))


REQUESTS: dict[str, Callable[[World, str, datetime], Happened]] = {
    "promote": _promote,
    "rollback": _rollback,
    "hold": lambda world, _, now: requests.hold(world.ladder, world.state, "ann", "asked"),  # noqa: ARG005 (the shape of a request)
    "resume": lambda world, _, now: requests.resume(world.ladder, world.state, "ann", "asked"),  # noqa: ARG005 (the shape of a request)
    "restore": lambda world, _, now: requests.restore(world.rollout, world.state, "ann", "asked", now),
    "break": _break,
    "rehearse": _rehearse,
    "come": _come_back,
    "propose": _propose,
    "vote": _vote,
    "withdraw": lambda world, who, now: consent.withdraw(world.ladder, world.state, person(who), "thought again", now),
    "resolve": _resolve,
    "checkpoint": _checkpoint,
    "evidence": _evidence,
    "acknowledge": lambda world, alert, _: escalation_requests.acknowledge(world.ladder, world.state, alert, "ann", "asked"),
    "cancel": lambda world, alert, _: escalation_requests.cancel(world.ladder, world.state, alert or None, "ann", "asked"),
}
