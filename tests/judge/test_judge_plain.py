"""What is saved of the work in an evaluation changes nothing: each shortened path says what the plain one does, which stands here in full."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from rollback_daemon.judge import budgets, escalating, gates, machine, trigger
from rollback_daemon.judge.budgets import Budget, Spending
from rollback_daemon.judge.reasons import Check
from rollback_daemon.judge.trigger import TriggerState
from rollback_daemon.rules.aftercare import Aftercare, Escalation
from rollback_daemon.rules.measures import OnNoData
from rollback_daemon.rules.model import ActionKind, ErrorBudget, NoDataBudget, Trigger
from rollback_daemon.rules.reading import Assessment, Health, Reading, Verdict
from rollback_daemon.signals.observation import NOTHING, Failed, Failure, Labels, NoData, Observation, Value
from tests.judge.world import START, World, announced, flags_of, rollout
from tests.judge.world import trigger as written

GAP, SLOT = timedelta(seconds=45), timedelta(seconds=15)
LABELS: list[Labels] = [(), (("pod", "a"),), (("pod", "b"),)]
READINGS = st.builds(
    lambda verdict, why, stays: Reading(verdict, None if verdict is Verdict.UNKNOWN else 1.0, why, stays=stays and verdict is Verdict.UNKNOWN),
    st.sampled_from(list(Verdict)),
    st.sampled_from(["", "one", "two"]),
    st.booleans(),
)
ASSESSMENTS = st.builds(
    Assessment,
    st.dictionaries(st.sampled_from(LABELS), READINGS, max_size=3),
    st.sampled_from(list(Health)),
    st.sampled_from(["", "whole"]),
    st.sampled_from(list(OnNoData)),
)


def plainly(rule: Trigger, state: TriggerState, assessment: Assessment, now: datetime) -> TriggerState:
    """The state after an evaluation, every series looked at."""
    unknown = trigger.is_unknown(assessment)
    health = assessment.health if assessment.health is not Health.OK else Health.NO_DATA if unknown else Health.OK
    first = sorted(assessment.series.values(), key=lambda one: one.verdict is not Verdict.UNKNOWN)
    return replace(
        state,
        active=tuple(trigger._each(rule, state, assessment, now, GAP)),
        health=health,
        why=assessment.why or next((one.why for one in first if one.why), ""),
        unknown_since=(state.unknown_since or now) if unknown else None,
        breaches=state.breaches + any(one.verdict is Verdict.BREACHED for one in assessment.series.values()),
        no_data=state.no_data + (health is Health.NO_DATA),
        errors=state.errors + (health is Health.ERROR),
        memory={},
    )


@settings(max_examples=200)
@given(st.lists(ASSESSMENTS, max_size=6), st.sampled_from([0, 15, 60]), st.sampled_from([0, 30]))
def test_a_calm_evaluation_is_like_any_other(seen: list[Assessment], for_: int, keep: int) -> None:
    rule = written("T", above=0, for_=f"{for_}s", keep=f"{keep}s")
    state = expected = TriggerState()
    for number, assessment in enumerate(seen):
        now = START + number * SLOT
        expected = plainly(rule, expected, assessment, now)
        state = trigger.advance(rule, state, assessment, {}, now, GAP)
        assert state == expected


SEEN: st.SearchStrategy[Observation] = st.sampled_from(
    [Value({(): 0.0}), Value({(): 2.0}), Value({LABELS[1]: 2.0, LABELS[2]: 0.0}), NoData(NOTHING), Failed(Failure.TIMEOUT, "no answer")]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(SEEN, SEEN), min_size=1, max_size=12))
def test_what_a_trigger_without_news_is_spared_would_come_to_nothing(seen: list[tuple[Observation, Observation]]) -> None:
    parts = (
        written("Now", above=1, for_="30s", action="alert", escalate_after="30s"),
        written("Later", "latency", above=1, action=announced(in_="30s"), keep="30s"),
        written("Plain", "latency", above=1, action="alert"),
    )
    world = World(rollout(*parts, aftercare=Aftercare(escalation=Escalation(("lead", "head")))), flags_of(rollout(), "half"))
    for number, (errors, latency) in enumerate(seen):
        step = world.evaluate({"errors": errors, "latency": latency}, START + number * SLOT)
        for one in step.judgement.triggers:
            fired = [active.firing_since for active in one.state.active if active.firing_since]
            assert machine._firing_since(one) == max(fired, default=None)
            known = step.state.escalations.triggers.get(one.trigger.name)
            if not one.state.active and known is None:
                case = escalating._Case(world.rollout, step.state, world.position, one, known, step.judgement.whereabouts, step.judgement.at)
                assert [*case.happens()] == []
                assert not case.is_due()
            calm = [check for check in step.judgement.seen if check == gates._inactive(one.trigger.name)]
            if not one.state.active and one.state.health is Health.OK:
                assert calm == [Check(f"trigger {one.trigger.name}", f"trigger {one.trigger.name} is inactive")]
            else:
                assert calm == []


@settings(max_examples=200)
@given(st.lists(st.sampled_from([Health.OK, Health.COLLECTING, Health.NO_DATA, Health.NO_DATA, Health.ERROR, Health.ERROR]), max_size=14))
def test_budgets_are_those_that_counting_back_from_now_gives(healths: list[Health]) -> None:
    rule = replace(written("T", above=1), errors=ErrorBudget(2, ActionKind.HOLD), no_data=NoDataBudget(2 * SLOT, ActionKind.HOLD))
    world = World(rollout(rule), flags_of(rollout(), "half"))
    world.evaluate({"errors": Value({(): 0.0})}, START)
    state, spent = Spending(), set[Budget]()
    for number, health in enumerate(healths):
        state = budgets.advance(rule, state, health, world.position, START + number * SLOT, GAP, armed=True)
        since = healths[: number + 1][::-1]
        blind = since[: next((back for back, one in enumerate(since) if one in {Health.OK, Health.COLLECTING}), len(since))]
        failed = next((back for back, one in enumerate(blind) if one is not Health.ERROR), len(blind))
        spent = spent & {Budget.NO_DATA} if blind else set()
        if failed > 2:
            spent.add(Budget.ERRORS)
        lacking = [back for back, one in enumerate(blind) if one is Health.NO_DATA]
        row = lacking[: next((at for at, (later, one) in enumerate(pairwise(lacking), 1) if one - later > 3), len(lacking))]
        if row and row[-1] - row[0] >= 2:
            spent.add(Budget.NO_DATA)
        assert {*state.spent} == spent
