"""The routes about what follows a rollback or completion. Must not live here: every other change (`changes`), whether it may be done (the judge)."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from rollback_daemon.faces.http.answers import NOT_DONE
from rollback_daemon.faces.http.changes import Case, Reasoned, Word, do
from rollback_daemon.guard import Guard
from rollback_daemon.judge import escalation_requests, following_up, recovery
from rollback_daemon.judge.follow_ups import Decision
from rollback_daemon.judge.state import Happened
from rollback_daemon.transitions.ways import marks_of


class DecisionRequest(Reasoned):
    """What follows after the last follow-up."""

    decision: Decision


class AcknowledgeRequest(Reasoned):
    """Which trigger somebody has in hand."""

    alert: Word


class CancelRequest(Reasoned):
    """For which alert the announced rollback shall not be; it may be left out where one is announced."""

    alert: Word | None = None


def add(api: FastAPI, guard: Guard) -> None:
    """Put these routes into the application."""
    _of_escalation(api, guard)
    _of_rollbacks(api, guard)
    _of_completion(api, guard)


def _of_rollbacks(api: FastAPI, guard: Guard) -> None:
    @api.post("/api/v1/rollouts/{rollout}/verify", responses=NOT_DONE)
    def verify(rollout: str, body: Reasoned, request: Request) -> JSONResponse:
        """Verify the last rollback once more, by the steps of the rule file."""

        def decide(it: Case) -> Happened:
            return recovery.again(it.rollout, it.state, it.person.name, body.reason, marks_of(it.rollout.aftercare.verify))

        return do(guard, request, rollout, body, decide)


def _of_completion(api: FastAPI, guard: Guard) -> None:
    @api.post("/api/v1/rollouts/{rollout}/decide", responses=NOT_DONE)
    def decide(rollout: str, body: DecisionRequest, request: Request) -> JSONResponse:
        """Say what follows after the last follow-up: keep it, clean it up, or tune it. Once."""
        return do(guard, request, rollout, body, lambda it: following_up.decide(it.rollout, it.state, body.decision, it.person.name, body.reason))


def _of_escalation(api: FastAPI, guard: Guard) -> None:
    @api.post("/api/v1/rollouts/{rollout}/acknowledge", responses=NOT_DONE)
    def acknowledge(rollout: str, body: AcknowledgeRequest, request: Request) -> JSONResponse:
        """Stop the clock of a trigger that goes on firing: somebody has it in hand."""

        def decide(it: Case) -> Happened:
            return escalation_requests.acknowledge(it.rollout, it.state, body.alert, it.person.name, body.reason)

        return do(guard, request, rollout, body, decide)

    @api.post("/api/v1/rollouts/{rollout}/cancel", responses=NOT_DONE)
    def cancel(rollout: str, body: CancelRequest, request: Request) -> JSONResponse:
        """Let an announced rollback not be."""

        def decide(it: Case) -> Happened:
            return escalation_requests.cancel(it.rollout, it.state, body.alert, it.person.name, body.reason)

        return do(guard, request, rollout, body, decide)
