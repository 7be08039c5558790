"""The laws that hold for every rule set, whatever is seen, edited by hand, asked for, or killed in between."""

import json
import math
import os
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from rollback_daemon.durations import format_duration
from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge import machine, promotion, requests
from rollback_daemon.judge.drift import matching
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.state import Happened, Judgement, Sight, Step
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.rules.duties import OnDrift, OnOther
from rollback_daemon.rules.measures import Condition, OnNoData, Op
from rollback_daemon.rules.model import ActionKind, ErrorBudget, Gate, NoDataBudget, Rollout, Trigger
from rollback_daemon.rules.reading import Health, Observations, Verdict
from rollback_daemon.rules.triggers import Threshold
from rollback_daemon.signals.observation import Failed, Failure, Labels, NoData, Observation, Value
from tests.judge.kinds import of_every_kind
from tests.judge.world import LADDER, ONLY_TOLD, START, World, condition, counting, flags_called, flags_of, gate, rollout, through_json, trigger

INTERVAL = timedelta(seconds=15)
SIGNALS = ("errors", "latency")
WINDOWS = st.sampled_from(["0", "10s", "15s", "30s", "1m", "10m"])
LIMITS = st.sampled_from([{"above": 1.0}, {"below": 1.0}, {"at_least": 1.0}, {"at_most": 1.0}, {"outside": (0.0, 1.0)}, {}])
STAGES = st.sets(st.sampled_from(list(LADDER)), min_size=1).map(lambda names: tuple(sorted(names)))
ACTIONS = st.sampled_from(["rollback", "rollback", "rollback to baseline", "rollback to canary", "rollback to half", "hold", "alert"])

THEN = st.sampled_from([ActionKind.HOLD, ActionKind.ROLLBACK, ActionKind.ALERT])
BUDGETS = st.fixed_dictionaries(
    {
        "errors": st.none() | st.builds(ErrorBudget, st.integers(0, 2), THEN),
        "no_data": st.none() | st.builds(NoDataBudget, st.sampled_from([timedelta(seconds=1), INTERVAL, 2 * INTERVAL]), THEN),
    }
)

KINDS: st.SearchStrategy[dict[str, Any]] = st.just({}) | st.sampled_from([{"test": test} for policy in OnNoData for test in of_every_kind(policy)])
triggers = st.builds(
    lambda number, on, windows, action, stages, dry_run, no_data, limits, budgets, kind: replace(
        trigger(
            f"T{number}",
            on,
            for_=windows[0],
            keep=windows[1],
            delay=windows[2],
            action=action,
            stages=stages,
            dry_run=dry_run,
            no_data=no_data,
            **limits,
        ),
        **budgets,
        **kind,
    ),
    st.integers(0, 99),
    st.sampled_from(SIGNALS),
    st.tuples(WINDOWS, st.sampled_from(["0", "0", "30s"]), st.sampled_from(["0", "0", "30s"])),
    ACTIONS,
    STAGES,
    st.sampled_from([False, False, False, True]),
    st.sampled_from(list(OnNoData)),
    LIMITS,
    BUDGETS,
    KINDS,
)
counters = st.builds(
    lambda needed, out_of, every: counting("Counted", Condition(Op.AT_LEAST, needed), condition(above=1), out_of=out_of, every=every),
    st.integers(1, 3),
    st.sampled_from([None, 3, 5]),
    st.sampled_from([None, "30s"]),
)
gates = st.builds(lambda on, limits: gate(on, on, **limits), st.sampled_from(SIGNALS), LIMITS.filter(bool))
rollouts = st.builds(
    lambda triggers, counters, gates, soak, enforce, on_drift: rollout(*triggers, *counters, *gates, soak=soak, enforce=enforce, on_drift=on_drift),
    st.lists(triggers, max_size=3, unique_by=lambda one: one.name),
    st.lists(counters, max_size=1),
    st.lists(gates, max_size=2, unique_by=lambda one: one.name),
    st.sampled_from(["0", "15s", "1m"]),
    st.sampled_from([True, True, True, False]),
    st.sampled_from([OnDrift(), ONLY_TOLD, OnDrift(other=OnOther.ROLLBACK)]),
)

LABELS: list[Labels] = [(), (("pod", "a"),), (("pod", "b"),)]
NUMBERS = st.sampled_from([0.0, 1.0, 2.0, 2.0, math.inf, math.nan])


def observation(series: dict[Labels, float]) -> Observation:
    """Numbers are values, NaN is unknown, and nothing but unknown is no data."""
    numbers = {labels: value for labels, value in series.items() if not math.isnan(value)}
    unknown = dict.fromkeys(series.keys() - numbers.keys(), "the value is NaN")
    return Value(numbers, unknown) if numbers else NoData("the query returned nothing" if not series else "the value is NaN")


seen = st.one_of(
    st.dictionaries(st.sampled_from(LABELS), NUMBERS, max_size=2).map(observation),
    NUMBERS.map(lambda value: observation({(): value})),
    st.just(Failed(Failure.TIMEOUT, "no answer in time")),
)


@dataclass(frozen=True)
class Move:
    """One cycle, after `cycles` of them were missed: what the world and people do before it, and what is seen."""

    observations: Observations
    deeds: tuple[str, ...]
    missed: int


DEEDS = ["promote", "promote", "resume", "hold", "rollback", "rollback to baseline", "finish", "finish", "write", "fail", "restart"]
DEEDS += [f"flags {stage}" for stage in LADDER] + ["flags odd", "flags unreadable"]
moves = st.lists(
    st.builds(
        Move,
        st.fixed_dictionaries(dict.fromkeys(SIGNALS, seen)),
        st.lists(st.sampled_from(DEEDS), max_size=3).map(tuple),
        st.sampled_from([0, 0, 0, 0, 1, 2, 5, 300]),
    ),
    min_size=1,
    max_size=30,
)
LAW = settings(max_examples=int(os.environ.get("LAW_EXAMPLES", "60")), deadline=None)


class Chronicle:
    """A world that plays moves, and everything the judge said while it did."""

    def __init__(self, rollout: Rollout, at: str, *, forgetful: bool = False) -> None:
        self.world = World(rollout, flags_of(rollout, at))
        self.forgetful = forgetful
        self.now = START
        self.told: list[tuple[Position | None, Step]] = []
        self.promoted: list[tuple[Happened, Judgement]] = []

    def play(self, moves: list[Move]) -> None:
        for move in moves:
            for deed in move.deeds:
                self.now += timedelta(seconds=1)
                self.do(deed)
            self.now = self.aligned() + INTERVAL * (1 + move.missed)
            if self.forgetful:
                self.world.forget()
            self.evaluate(move.observations)

    def aligned(self) -> datetime:
        return self.now - (self.now - START) % INTERVAL

    def evaluate(self, observations: Observations) -> None:
        before = self.world.state.position
        self.told.append((before, self.world.evaluate(observations, self.now)))

    def do(self, deed: str) -> None:
        word, _, rest = deed.partition(" ")
        if word == "flags":
            self.world.flags = flags_called(self.world.rollout, rest)
        elif word == "restart":
            self.world.forget()
            self.world.state = machine.wake(self.world.rollout, self.world.state, self.now)
        elif word in {"finish", "write", "fail"}:
            self.carry_out(word)
        else:
            self.ask(word, rest.removeprefix("to ") or None)

    def carry_out(self, word: str) -> None:
        opened = self.world.state.position.open if self.world.state.position else None
        if opened is None:
            return
        if word == "fail":
            self.world.happen(Event.ATTEMPTED, self.now, id=opened.id, kind=opened.kind, error="disk full")
        else:
            {"finish": self.world.finish, "write": self.world.write}[word](self.now)

    def ask(self, word: str, to: str | None) -> None:
        world, judgement = self.world, self.world.judgement
        try:
            match word:
                case "promote":
                    happened = promotion.promote(world.rollout, world.state, judgement, "ann", "go", self.now)
                    assert judgement
                    self.promoted.append((happened, judgement))
                case "rollback":
                    happened = requests.rollback(world.rollout, world.state, judgement, to, "ann", "go", self.now)
                case "hold":
                    happened = requests.hold(world.rollout, world.state, "ann", "go")
                case _:
                    happened = requests.resume(world.rollout, world.state, "ann", "go")
        except OperationRefused:
            return
        world.accept(happened, self.now)


def chronicle(rollout: Rollout, at: str, moves: list[Move], *, forgetful: bool = False) -> Chronicle:
    played = Chronicle(rollout, at, forgetful=forgetful)
    played.play(moves)
    return played


def intended(step: Step) -> list[dict[str, Any]]:
    return [dict(one.body) for one in step.happened if one.event is Event.INTENDED]


@LAW
@given(rollouts, st.sampled_from(list(LADDER)), moves)
def test_on_its_own_it_never_raises_exposure(guarded: Rollout, at: str, moves: list[Move]) -> None:
    played = Chronicle(guarded, at)
    for move in moves:
        played.play([move])
        flags = played.world.flags
        for body in intended(played.told[-1][1]):
            event(f"{body['kind']} {body['from']}>{body['to']}")
            assert body["kind"] is Kind.ROLLBACK
            target = guarded.stage(body["to"])
            assert target
            assert guarded.enforce
            if not isinstance(flags, str):
                found = matching(guarded, flags)
                under_way = played.told[-1][0] and played.told[-1][0].open
                assert found or under_way or target.number == 0
                assert found is None or target.exposure <= found.exposure


@LAW
@given(rollouts, st.sampled_from(list(LADDER)), moves)
def test_a_person_s_rollback_never_raises_exposure_either(guarded: Rollout, at: str, moves: list[Move]) -> None:
    played = Chronicle(guarded, at)
    for move in moves:
        played.play([move])
        world, position = played.world, played.world.state.position
        for to in (None, *LADDER):
            try:
                asked = requests.rollback(guarded, world.state, world.judgement, to, "ann", "go", played.now)
            except OperationRefused:
                continue
            target, record = guarded.stage(asked.body["to"]), guarded.stage(position.stage if position else "")
            found = matching(guarded, world.flags) if not isinstance(world.flags, str) else None
            assert target
            assert record
            assert target.number <= record.number
            assert found is None or target.number <= found.number


def is_seen(trigger: Trigger | Gate, observations: Observations) -> bool:
    """Told from the raw answer alone: whether the signal was there, all of it, or is said to be ignorable."""
    measured = trigger.signal if isinstance(trigger, Gate) else trigger.test.signal if isinstance(trigger.test, Threshold) else None
    if measured is None:
        return True
    answer = observations[measured.expr]
    if isinstance(answer, Failed):
        return False
    if measured.no_data is OnNoData.IGNORE:
        return True
    unsplit = isinstance(trigger, Trigger) and isinstance(trigger.test, Threshold) and trigger.test.condition is None
    if isinstance(answer, NoData):
        return unsplit and answer.why == "the query returned nothing"
    return not answer.unknown


@LAW
@given(rollouts, st.sampled_from(list(LADDER)), moves)
def test_unknown_is_never_clear(guarded: Rollout, at: str, moves: list[Move]) -> None:
    played = Chronicle(guarded, at)
    observed: dict[datetime, Observations] = {}
    for move in moves:
        played.play([move])
        observed[played.now] = move.observations
        climbed = [one for one in played.told[-1][1].happened if one.event in {Event.READY, Event.COMPLETED}]
        assert not (climbed and isinstance(played.world.flags, str))
        for one in climbed:
            event(str(one.event))
            assert_all_seen(guarded, one.body["stage"], move.observations, played.told[-1][1].judgement)
    for asked, judgement in played.promoted:
        event("promoted")
        assert_all_seen(guarded, asked.body["from"], observed[judgement.at], judgement)


def assert_all_seen(guarded: Rollout, stage: str, observations: Observations, judgement: Judgement) -> None:
    assert all(is_seen(one, observations) for one in guarded.gates)
    assert all(one.verdict is Verdict.CLEAR for one in judgement.gates)
    for one in judgement.triggers:
        if stage in one.trigger.stages and not one.trigger.dry_run:
            assert one.armed
            assert is_seen(one.trigger, observations)
            assert not one.state.active
            assert one.state.unknown_since is None
            assert one.state.health is not Health.COLLECTING


@LAW
@given(rollouts, st.sampled_from(list(LADDER)), moves)
def test_only_a_breach_that_is_seen_now_or_a_budget_that_is_spent_takes_anything_back(guarded: Rollout, at: str, moves: list[Move]) -> None:
    played = chronicle(guarded, at, moves)
    for _, step in played.told:
        known = {one.trigger.name: one for one in step.judgement.triggers}
        for body in intended(step):
            for name in body.get("triggers", []):
                assessment = known[name].assessment
                breached = any(reading.verdict is Verdict.BREACHED for reading in assessment.series.values())
                spent = [one for one in known[name].state.spending.spent.values() if one == step.judgement.at]
                assert breached or spent or (assessment.no_data is OnNoData.BREACH and assessment.health != "error")


@LAW
@given(rollouts, st.sampled_from(list(LADDER)), moves)
def test_one_activation_never_leads_to_two_transitions_at_the_same_stage(guarded: Rollout, at: str, moves: list[Move]) -> None:
    played = chronicle(guarded, at, moves)
    done: set[tuple[str, str]] = set()
    identities: set[str] = set()
    for before, step in played.told:
        assert len(intended(step)) <= 1
        for body in intended(step):
            assert body["id"] not in identities
            identities.add(body["id"])
            for activation in body.get("activations", []):
                epoch = before.epoch if before else ""
                assert (activation, epoch) not in done
                done.add((activation, epoch))


@LAW
@given(rollouts, st.sampled_from(list(LADDER)), moves)
def test_the_same_inputs_give_the_same_decisions_also_through_json(guarded: Rollout, at: str, moves: list[Move]) -> None:
    played = Chronicle(guarded, at)
    for move in moves:
        before, flags = played.world.state, played.world.flags
        sight, now = Sight(move.observations, flags), played.now + INTERVAL
        once = machine.step(guarded, before, sight, now)
        assert machine.step(guarded, before, sight, now) == once
        assert machine.step(guarded, through_json(before), sight, now) == once
        assert before is played.world.state
        played.play([move])


@LAW
@given(rollouts, st.sampled_from(list(LADDER)), moves)
def test_a_restart_at_any_point_changes_nothing(guarded: Rollout, at: str, moves: list[Move]) -> None:
    steadfast, forgetful = (chronicle(guarded, at, moves, forgetful=forgetful) for forgetful in (False, True))
    assert steadfast.world.journal == forgetful.world.journal
    assert steadfast.world.state == forgetful.world.state
    assert steadfast.world.replayed() == steadfast.world.state.position


@LAW
@given(rollouts, st.sampled_from(list(LADDER)), moves)
def test_memory_from_before_a_crash_never_makes_it_ready_or_acts_twice(guarded: Rollout, at: str, moves: list[Move]) -> None:
    """Killed after news is on record and before memory is kept: the memory is that of the last evaluation."""
    played = Chronicle(guarded, at)
    for move in moves:
        remembered = played.world.state
        for deed in move.deeds:
            played.now += timedelta(seconds=1)
            played.do(deed)
        fresh = played.world.state
        stale = replace(remembered, position=fresh.position, blind=fresh.blind)
        now = played.aligned() + INTERVAL * (1 + move.missed)
        sight = Sight(move.observations, played.world.flags)
        with_stale, with_fresh = (machine.step(guarded, state, sight, now) for state in (stale, fresh))
        assert [one for one in with_stale.happened if one.event is Event.INTENDED] == [
            one for one in with_fresh.happened if one.event is Event.INTENDED
        ]
        if with_stale.state.position and with_fresh.state.position:
            assert with_stale.state.soaked <= max(timedelta(), now - with_stale.state.position.entered)
        played.play([replace(move, deeds=())])


@LAW
@given(rollouts, st.sampled_from(list(LADDER)), moves)
def test_all_that_happens_is_json_and_can_be_folded(guarded: Rollout, at: str, moves: list[Move]) -> None:
    played = chronicle(guarded, at, moves)
    assert played.world.replayed() == played.world.state.position
    for name, body, _ in played.world.journal:
        assert Event(name)
        assert json.dumps(json.loads(body)) == body


@given(st.integers(0, 40), st.integers(0, 20), st.sampled_from([5, 15, 60]))
def test_a_steady_breach_fires_exactly_as_prometheus_would(window: int, clear: int, interval: int) -> None:
    """Active since the first breached evaluation; firing when it is as old as its window."""
    guarded = rollout(
        trigger("T", above=1, for_=format_duration(timedelta(seconds=window)), action="alert"), interval=f"{interval}s", max_gap=f"{3 * interval}s"
    )
    world = World(guarded, flags_of(guarded, "canary"))
    for cycle in range(clear + 12):
        now = START + timedelta(seconds=cycle * interval)
        world.evaluate({"errors": Value({(): 2.0 if cycle >= clear else 0.0})}, now)
        age = (cycle - clear) * interval
        expected = "inactive" if age < 0 else "firing" if age >= window else "pending"
        assert world.state.triggers["T"].phase == expected
