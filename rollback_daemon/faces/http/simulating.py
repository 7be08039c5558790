"""The route that tells what would happen if signals had other values. It changes nothing: no record, no flag, no alert, no metric.

A reader must not slow the guard: one simulation runs at a time, for a few seconds at most, and idles for as long as it works; the lock of the rollout
is held only while its state is taken, which nothing changes afterwards. Must not live here: what would happen (`simulation`), turns (`leisure`).
"""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import FastAPI, Query
from fastapi.responses import JSONResponse, Response

from rollback_daemon.clock import SystemClock
from rollback_daemon.durations import parse_duration
from rollback_daemon.errors import FlagError, JournalUnavailable, OperationRefused
from rollback_daemon.faces.http.answers import NOT_DONE, AsciiJSON, NotDone, informed
from rollback_daemon.faces.http.leisure import Leisure, Turns
from rollback_daemon.flags.store import FlagValue
from rollback_daemon.guard import Guard
from rollback_daemon.hooks.events import CONTEXT
from rollback_daemon.rules.model import Rollout
from rollback_daemon.simulation.acting import Present, Run, simulate
from rollback_daemon.simulation.settings import BadSettingError, Setting, understand
from rollback_daemon.simulation.telling import tell
from rollback_daemon.watch import Watch

_SECONDS = 5.0  # of one simulation; the command line waits ten for an answer
_TRIES = 3  # to read flags that are being changed
_TEXT = Annotated[str, Query(max_length=1000)]
_CLOCK = SystemClock()
_SIMULATING: dict[int | str, dict[str, Any]] = {
    **{status: said for status, said in NOT_DONE.items() if status in {404, 409, 422}},
    503: {"model": NotDone, "description": "Others are being simulated, or the daemon is passive; ask again."},
}


def add(api: FastAPI, guard: Guard, turns: Turns) -> None:
    """Put this route into the application."""

    @api.get("/api/v1/rollouts/{rollout}/simulation", responses=_SIMULATING)
    def simulation(
        rollout: str,
        settings: Annotated[list[_TEXT] | None, Query(alias="set", max_length=50, description="error_rate=2%, error_rate=no data.")] = None,
        for_: Annotated[str | None, Query(alias="for", max_length=40, description="For how long, as Prometheus writes it: 10m.")] = None,
        at_stage: Annotated[str | None, Query(max_length=200, description="As if it stood at this stage since now.")] = None,
    ) -> Response:
        """What would happen, step by step, if signals had these values from now on and all else stayed as it was seen last. Changes nothing."""
        watch = informed(guard).watch(rollout)
        try:
            with turns.take():
                return AsciiJSON(tell(_simulated(guard, watch, settings or [], for_, at_stage)))
        except BadSettingError as error:
            return _no(422, str(error))


def _no(status: int, error: str) -> JSONResponse:
    return JSONResponse(NotDone(error=error).model_dump(), status)


def _simulated(guard: Guard, watch: Watch, texts: list[str], for_: str | None, stage: str | None) -> Run:
    leisure = Leisure(_SECONDS)
    present = _present(guard, watch)
    settings, length = _asked(present.rollout, texts, for_)
    if not settings and stage is None:
        raise BadSettingError(["nothing is supposed; add --set NAME=VALUE (error_rate=2%) or --at-stage STAGE"])
    labels = guard.configuration.global_.external_labels
    return simulate(present, settings, length, stage, proceed=leisure.proceed, external_labels=labels)


def _asked(rollout: Rollout, texts: list[str], for_: str | None) -> tuple[tuple[Setting, ...], timedelta | None]:
    """What is supposed, and for how long. Raises BadSettingError with the mistakes in both."""
    problems: list[str] = []
    settings, length = tuple[Setting, ...](), None
    try:
        settings = understand(texts, rollout)
    except BadSettingError as error:
        problems += error.problems
    try:
        length = _length(for_)
    except BadSettingError as error:
        problems += error.problems
    if problems:
        raise BadSettingError(problems)
    return settings, length


def _length(text: str | None) -> timedelta | None:
    try:
        found = None if text is None else parse_duration(text)
    except ValueError as error:
        raise BadSettingError([f"--for: {error}"]) from None
    if found == timedelta():
        raise BadSettingError(["--for: nothing happens in no time; write for instance 10m"])
    return found


def _present(guard: Guard, watch: Watch) -> Present:
    """The rollout as it is known now, of one piece: flags that are read while a transition changes them are read again."""
    for _ in range(_TRIES):
        before, rollout = watch.state.position, watch.rollout
        flags = _flags(watch, rollout)
        with watch.lock:
            state, judgement, seen = watch.state, watch.judgement, watch.observations
            same = state.position is before and watch.rollout is rollout
        if same:
            break
    if judgement is None or seen is None:
        raise OperationRefused(
            f"nothing can be told of {rollout.name} yet: it has not been evaluated since the start or the last reload; ask again soon"
        )
    try:
        records = guard.journal.records(rollout.name, kinds=CONTEXT, limit=20, newest_first=True)
    except JournalUnavailable:  # what hooks would be told is then worded without what was before
        records = []
    return Present(rollout, state, judgement, seen[1], flags, _CLOCK.now(), tuple(reversed(records)))


def _flags(watch: Watch, rollout: Rollout) -> dict[str, FlagValue] | str:
    try:
        found = watch.store.read(rollout.keys | rollout.config_keys).values
        return {**dict.fromkeys(rollout.config_keys), **found}  # what is missing is not what is not known
    except FlagError as error:
        return str(error)
