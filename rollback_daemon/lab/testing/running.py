"""One case, acted out: a throwaway Prometheus with its series, the daemon's own judge at every evaluation, people in between.

The order at a time is: the evaluation, what people do then, what is expected. Lives here: that order. Must not live here: any decision (judge), the
comparison (`expectations`, `alert_tests`, `expressions`), several cases (`suite`).
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import requests

from rollback_daemon.faces import alerts
from rollback_daemon.http_client import HTTPClient
from rollback_daemon.judge import figures, machine
from rollback_daemon.judge.state import Happened, State
from rollback_daemon.judge.transitions import Event, Phase
from rollback_daemon.lab.history import Fetcher, Grid, HistoryGone, Patience, Walk
from rollback_daemon.lab.servers import LabError
from rollback_daemon.lab.testing import acts, alert_tests, expectations, expressions, followed
from rollback_daemon.lab.testing.act_forms import Act
from rollback_daemon.lab.testing.decisions import word
from rollback_daemon.lab.testing.expectations import Scene, line_of
from rollback_daemon.lab.testing.load import Case
from rollback_daemon.lab.testing.results import EPOCH, Failure, Outcome, Result
from rollback_daemon.lab.testing.schema import AlertTest, RolloutTest
from rollback_daemon.lab.testing.server import fill, throwaway
from rollback_daemon.replay import Replay
from rollback_daemon.rules.model import BASELINE, Rollout, Stage
from rollback_daemon.rules.reading import Observations
from rollback_daemon.signals.observation import Failed, Observation, Value
from rollback_daemon.signals.observation import Failure as Why
from rollback_daemon.signals.prometheus import Prometheus

_PATIENCE = Patience(attempts=3, first=0.1, longest=0.5)
_WITHIN = timedelta(seconds=60)
_NOT_ASKED = Failed(Why.UNREACHABLE, "the test does not say how this endpoint is")
_NOT_FOLLOWED = Failed(Why.UNREACHABLE, "the test does not say what this signal finds in its followed file")


@dataclass(slots=True)
class Story(Replay):
    """The replay of a test: it keeps all that happened."""

    log: list[tuple[datetime, Happened]] = field(default_factory=list)

    def recorded(self, happened: Happened, now: datetime) -> None:
        self.log.append((now, happened))


def run(case: Case, prometheus: Path, folder: Path, is_over: Callable[[], bool] = lambda: False) -> Result:
    """Act the case out on a server of its own, whose files go to `folder`. When `is_over`, nobody waits for it any more."""
    began = time.monotonic()
    story = _begin(case) if case.rollout else None
    failures: list[Failure] = []
    why = ""
    server = throwaway(prometheus, folder, case.interval)
    try:
        server.start()
        fill(server.url, case.series, case.step)
        if story:
            failures += _act(case, story, server.url, is_over)
        failures += expressions.differences(case, server.url)
    except (LabError, HistoryGone, RuntimeError, requests.RequestException) as error:
        why = str(error)
    finally:
        if server.running:
            server.kill()  # nobody will look at its data again
    outcome = Outcome.UNTOLD if why else Outcome.FAILED if failures else Outcome.PASSED
    ordered = sorted(failures, key=lambda one: (one.time, one.line))
    return Result(case, outcome, time.monotonic() - began, tuple(ordered), tuple(story.log) if story else (), why)


def first_stage(rollout: Rollout, named: str | None) -> Stage:
    """Where a case begins: at the stage that it names, or at the lowest one above the baseline, where triggers are armed."""
    found = rollout.stage(named) if named else None
    return found or rollout.stages[1]


def _begin(case: Case) -> Story:
    assert case.rollout is not None  # noqa: S101 (the caller has looked)
    stage = first_stage(case.rollout, case.written.stage)
    bases = {name: [{"labels": {}, "value": value}] for name, value in case.written.baselines.items()}
    phase = Phase.BASELINE if stage.name == BASELINE else Phase.SOAKING
    body = {"stage": stage.name, "phase": phase, "why": "the test begins here", "bases": bases}
    begun = machine.apply(State(), Happened(Event.ADOPTED, body), EPOCH - case.written.soaked)
    return Story(case.rollout, dict(stage.flags), replace(begun, soaked=case.written.soaked))


def _act(case: Case, story: Story, url: str, is_over: Callable[[], bool]) -> Iterator[Failure]:
    """Every evaluation, with what is due after it."""
    due = _due(case)
    grid = Grid(EPOCH, case.interval, case.evaluations)
    with HTTPClient(url=url).session() as session, closing(Prometheus(url, session, _WITHIN)) as client:
        walk = Walk([story.rollout], Fetcher(client, _PATIENCE), workers=4)
        for now, seen in walk.through(grid):
            if is_over():
                raise HistoryGone("it was stopped")
            # what people hand in now is for the next evaluation
            of_evidence = figures.as_observations(story.rollout, story.state.dossier, story.state.position, now)
            observations = {**of_evidence, **seen, **_endpoints(case, story.rollout, now - EPOCH), **_followed(case, story.rollout, now - EPOCH)}
            first = len(story.log)
            story.cycle(observations, now)
            while due and EPOCH + due[-1].time < now + case.interval:
                yield from _happen(case, story, due.pop(), observations, first)


@dataclass(frozen=True, slots=True)
class _Due:
    """Something of a case that is due at a time: an act, or something expected."""

    time: timedelta
    number: int
    what: Act | RolloutTest | AlertTest


def _due(case: Case) -> list[_Due]:
    """All of it, the last first; people act before anything is looked at."""
    one = case.written
    people = [_Due(act.at, number, act) for number, act in enumerate(one.people)]
    looks = [_Due(test.eval_time, number, test) for number, test in enumerate(one.rollout_test)]
    looks += [_Due(test.eval_time, number, test) for number, test in enumerate(one.alert_rule_test)]
    ordered = sorted([*people, *looks], key=lambda due: (due.time, not isinstance(due.what, Act)))
    return ordered[::-1]


def _happen(case: Case, story: Story, due: _Due, observations: Observations, first: int) -> Iterator[Failure]:
    if isinstance(due.what, Act):
        yield from _person(case, story, due.number, due.what)
        return
    assert story.judgement is not None  # noqa: S101 (it has just been evaluated)
    external = case.written.external_labels
    active = alerts.active(story.rollout, story.state, story.judgement, external_url=case.written.external_url, external_labels=external)
    decided = [name for _, happened in story.log[first:] if (name := word(happened))]
    scene = Scene(case, story, story.judgement, observations, active, decided)
    if isinstance(due.what, AlertTest):
        yield from alert_tests.differences(scene, due.number, due.what)
    else:
        yield from expectations.differences(scene, due.number, due.what)


def _person(case: Case, story: Story, number: int, act: Act) -> Iterator[Failure]:
    """What somebody does; a refusal that was not expected is a failure, and so is none where one was."""
    refused = acts.do(acts.Asking(story, act, EPOCH + act.at, case.roles))
    if refused == (None if act.refused is None else sorted(act.refused)):
        return
    what = f"{act.deed} by {act.by}"
    said = story.log[-1][1].body["reason"] if refused is not None else ""
    expected = "to be done" if act.refused is None else f"refused: [{', '.join(sorted(act.refused))}]"
    actual = "done" if refused is None else f"refused: [{', '.join(refused)}] ({said})"
    yield Failure(line_of(case, ("people", number)), act.at, what, expected, actual)


def _endpoints(case: Case, rollout: Rollout, at: timedelta) -> Mapping[str, Observation]:
    """How each endpoint is: as its last value says."""
    found: dict[str, Observation] = {}
    for url in {url for signal in rollout.signals for url in signal.endpoints}:
        points = case.endpoints.get(url, ())
        point = points[min(at // case.step, len(points) - 1)] if points else None
        found[url] = Value({(): float(point)}) if isinstance(point, float) else _NOT_ASKED
    return found


def _followed(case: Case, rollout: Rollout, at: timedelta) -> Mapping[str, Observation]:
    """What each signal finds in the file that it follows: as its last value says."""
    found: dict[str, Observation] = {}
    torn = {one.signal for one in case.written.followed if one.lines_missing}
    for signal in rollout.signals:
        points = case.followed.get(signal.name)
        if signal.followed and points:
            point = points[min(at // case.step, len(points) - 1)]
            found[signal.followed] = followed.found(point, missing=signal.name in torn)
        elif signal.followed:
            found.setdefault(signal.followed, _NOT_FOLLOWED)
    return found
