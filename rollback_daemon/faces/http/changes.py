"""The routes that change something. Who asks is found out by the daemon; a request says only what is wanted, and why.

Lives here: routes and what they take. Must not live here: whether it may be done (the judge), who is calling (`caller`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from rollback_daemon.faces import views
from rollback_daemon.faces.http.answers import NOT_DONE, AsciiJSON, active
from rollback_daemon.faces.http.caller import identify
from rollback_daemon.guard import Guard
from rollback_daemon.judge import consent, promotion, requests
from rollback_daemon.judge.refusal import Person
from rollback_daemon.judge.state import Happened, Judgement, State
from rollback_daemon.rules.model import Rollout

Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]
_IDENTITY = {"approver", "author", "by", "name", "user", "username", "voter"}
Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class Case:
    """What a request is decided on: the rollout as it is now, and who asks."""

    rollout: Rollout
    state: State
    judgement: Judgement | None
    person: Person
    now: datetime


class Reasoned(BaseModel):
    """Why something is asked for. Who asks is found out by the daemon, and what a body says of that is ignored; other unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid")
    reason: Sentence

    @model_validator(mode="before")
    @classmethod
    def _nobody_says_who_he_is(cls, body: Any) -> Any:
        return {key: value for key, value in body.items() if key not in _IDENTITY} if isinstance(body, dict) else body


class PromotionRequest(Reasoned):
    """`break_glass`: past everything, for a role that may."""

    break_glass: bool = False


class RollbackRequest(Reasoned):
    """Where to: a stage's name, `baseline`, or nothing for the previous stage."""

    to: str | None = None


class BallotRequest(Reasoned):
    """A vote. `role` may be left out by whoever has one of the roles that are asked for; `conditions` go on record with it."""

    role: Word | None = None
    conditions: list[Sentence] = Field(default=[], max_length=20)


class ResolutionRequest(Reasoned):
    """Whose NO-GO is resolved; `reason` says how."""

    of: Word


class CheckpointRequest(Reasoned):
    """A decision at a checkpoint. `sha256` identifies the report that it rests on."""

    decision: Literal["GO", "NO-GO"]
    sha256: Digest | None = None


class HandoffRequest(Reasoned):
    """Who watches from now on."""

    to: Word


def add(api: FastAPI, guard: Guard) -> None:
    """Put these routes into the application."""
    _of_flags(api, guard)
    _of_the_way_up(api, guard)
    _of_votes(api, guard)


def done(guard: Guard, rollout: str, identity: str = "", *, transition: bool = False, unchanged: str = "") -> JSONResponse:
    """Where the rollout is now; 202 with the id of a transition that has begun. `unchanged`: why nothing had to be done."""
    more = ({"transition" if transition else "id": identity} if identity else {}) | ({"unchanged": unchanged} if unchanged else {})
    return AsciiJSON({**views.summary(guard.watch(rollout)), **more}, 202 if transition else 200)


def do(guard: Guard, request: Request, rollout: str, body: Reasoned, decide: Callable[[Case], Happened], *, transition: bool = False) -> JSONResponse:
    """Find out who asks, let the judge decide, and say where that leaves the rollout. The route's name is what is on record."""
    name = request.url.path.split("/")[5]
    person = guard.person(identify(request))
    watch = active(guard).watch(rollout)
    identity = watch.request(name, person.name, body.reason, lambda known, state, judged, now: decide(Case(known, state, judged, person, now)))
    return done(guard, rollout, identity, transition=transition)


def _of_flags(api: FastAPI, guard: Guard) -> None:
    @api.post("/api/v1/rollouts/{rollout}/rollback", status_code=202, responses=NOT_DONE)
    def rollback(rollout: str, body: RollbackRequest, request: Request) -> JSONResponse:
        """To a lower stage, at once."""
        by = identify(request)
        return done(guard, rollout, active(guard).watch(rollout).rollback(body.to, by, body.reason), transition=True)

    @api.post("/api/v1/rollouts/{rollout}/hold", responses=NOT_DONE)
    def hold(rollout: str, body: Reasoned, request: Request) -> JSONResponse:
        """Stop the way up."""
        by = identify(request)
        active(guard).watch(rollout).hold(by, body.reason)
        return done(guard, rollout)

    @api.post("/api/v1/rollouts/{rollout}/resume", responses=NOT_DONE)
    def resume(rollout: str, body: Reasoned, request: Request) -> JSONResponse:
        """Open the way up again after a hold or a rollback."""
        by = identify(request)
        active(guard).watch(rollout).resume(by, body.reason)
        return done(guard, rollout)

    @api.post("/api/v1/rollouts/{rollout}/restore", status_code=202, responses=NOT_DONE)
    def restore(rollout: str, body: Reasoned, request: Request) -> JSONResponse:
        """End a degradation: the flags that it set go back to those of the stage."""
        own = active(guard).watch(rollout).rollout  # as the rule file has it, without what is degraded
        return do(guard, request, rollout, body, lambda it: requests.restore(own, it.state, it.person.name, body.reason, it.now), transition=True)


def _of_the_way_up(api: FastAPI, guard: Guard) -> None:
    @api.post("/api/v1/rollouts/{rollout}/promote", status_code=202, responses=NOT_DONE)
    def promote(rollout: str, body: PromotionRequest, request: Request) -> JSONResponse:
        """To the next stage, if nothing blocks it, now either; or past everything, by break-glass."""
        if body.break_glass:

            def decide(it: Case) -> Happened:
                return promotion.break_glass(it.rollout, it.state, it.judgement, it.person, body.reason, it.now)

            return do(guard, request, rollout, body, decide, transition=True)
        by = identify(request)
        return done(guard, rollout, active(guard).promote(rollout, by, body.reason), transition=True)

    @api.post("/api/v1/rollouts/{rollout}/rehearse", status_code=202, responses=NOT_DONE)
    def rehearse(rollout: str, body: Reasoned, request: Request) -> JSONResponse:
        """Roll back for practice, run the steps of the rule file, and come back up if they pass."""

        def decide(it: Case) -> Happened:
            return promotion.rehearse(it.rollout, it.state, it.judgement, it.person.name, body.reason, it.now)

        return do(guard, request, rollout, body, decide, transition=True)

    @api.post("/api/v1/rollouts/{rollout}/checkpoint/{name}", responses=NOT_DONE)
    def checkpoint(rollout: str, name: str, body: CheckpointRequest, request: Request) -> JSONResponse:
        """Put a decision at a checkpoint on record."""
        go, sha256 = body.decision == "GO", body.sha256 or ""
        return do(guard, request, rollout, body, lambda it: consent.checkpoint(it.rollout, it.state, it.person, name, body.reason, sha256, go=go))

    @api.post("/api/v1/rollouts/{rollout}/handoff", responses=NOT_DONE)
    def handoff(rollout: str, body: HandoffRequest, request: Request) -> JSONResponse:
        """Put on record that somebody else watches from now on."""
        return do(guard, request, rollout, body, lambda it: consent.handoff(it.rollout, it.state, it.person, body.to, body.reason))


def _of_votes(api: FastAPI, guard: Guard) -> None:
    @api.post("/api/v1/rollouts/{rollout}/propose", responses=NOT_DONE)
    def propose(rollout: str, body: Reasoned, request: Request) -> JSONResponse:
        """Put the promotion to the next stage to the vote."""
        return do(guard, request, rollout, body, lambda it: consent.propose(it.rollout, it.state, it.judgement, it.person, body.reason, it.now))

    def ballot(rollout: str, body: BallotRequest, request: Request, *, go: bool) -> JSONResponse:
        said = consent.Ballot(go, body.reason, body.role, tuple(body.conditions))
        return do(guard, request, rollout, body, lambda it: consent.vote(it.rollout, it.state, it.judgement, it.person, said, it.now))

    @api.post("/api/v1/rollouts/{rollout}/approve", responses=NOT_DONE)
    def approve(rollout: str, body: BallotRequest, request: Request) -> JSONResponse:
        """Vote GO on the promotion that is proposed."""
        return ballot(rollout, body, request, go=True)

    @api.post("/api/v1/rollouts/{rollout}/reject", responses=NOT_DONE)
    def reject(rollout: str, body: BallotRequest, request: Request) -> JSONResponse:
        """Vote NO-GO; it stops the promotion until it is withdrawn or resolved."""
        return ballot(rollout, body, request, go=False)

    @api.post("/api/v1/rollouts/{rollout}/withdraw", responses=NOT_DONE)
    def withdraw(rollout: str, body: Reasoned, request: Request) -> JSONResponse:
        """Take one's own vote back."""
        return do(guard, request, rollout, body, lambda it: consent.withdraw(it.rollout, it.state, it.person, body.reason, it.now))

    @api.post("/api/v1/rollouts/{rollout}/resolve", responses=NOT_DONE)
    def resolve(rollout: str, body: ResolutionRequest, request: Request) -> JSONResponse:
        """Resolve somebody's NO-GO on record; the dissent stays there."""
        return do(guard, request, rollout, body, lambda it: consent.resolve(it.rollout, it.state, it.person, body.of, body.reason, it.now))
