"""A simulation tells what then really happens, on the same judge, and leaves what it begins with as it is."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollback_daemon.durations import parse_duration
from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge import machine
from rollback_daemon.judge.act import intended
from rollback_daemon.judge.position import Rehearsal
from rollback_daemon.judge.state import State
from rollback_daemon.judge.transitions import Kind
from rollback_daemon.rules.aftercare import Aftercare, Hook
from rollback_daemon.rules.load import load
from rollback_daemon.rules.model import ActionKind, ErrorBudget, NoDataBudget, Rollout
from rollback_daemon.signals.observation import Failed, Failure, NoData, Observation, Value
from rollback_daemon.simulation.acting import Present, simulate
from rollback_daemon.simulation.length import concerned
from rollback_daemon.simulation.settings import BadSettingError, understand
from rollback_daemon.simulation.telling import tell
from tests.judge.kinds import of_every_kind
from tests.judge.world import START, World, announced, condition, counting, flags_of, gate, rollout, through_json, trigger

SLOT = timedelta(seconds=15)
A, B = (("pod", "a"),), (("pod", "b"),)
FINE: Mapping[str, Observation] = {"errors": Value({A: 0.0, B: 0.1}), "latency": Value({(): 0.2})}
EVERYTHING = rollout(
    trigger("Errors", above=1, for_="30s"),
    trigger("Worse", above=8, action="rollback to baseline"),
    trigger("Slow", "latency", above=2, action="hold", keep="1m"),
    trigger("Told", "latency", above=1, action=announced(in_="1m")),
    counting("Often", condition(at_least=4), condition(above=0.5)),
    gate("Low", below=0.5),
    soak="2m",
)


def standing(rules: Rollout, at: str = "half", *, looks: int = 3, seen: Mapping[str, Observation] = FINE) -> tuple[World, Present]:
    """A world that was looked at so often, and all that is known of it a little later."""
    world = World(rules, flags_of(rules, at))
    for number in range(looks):
        world.cycle(seen, START + number * SLOT)
    return world, present(world, seen)


def present(world: World, seen: Mapping[str, Observation]) -> Present:
    """What a daemon would know of this world."""
    assert world.judgement
    now = world.judgement.at + timedelta(seconds=7)
    return Present(world.rollout, world.state, world.judgement, seen, world.flags, now)


def told(rules: Rollout, *texts: str, for_: str | None = None, at: str = "half", stage: str | None = None) -> dict[str, Any]:
    """The answer to a question about a rollout where all is well."""
    _, known = standing(rules, at)
    return tell(simulate(known, understand(texts, rules), parse_duration(for_) if for_ else None, stage))


def steps(found: Mapping[str, Any], *events: str) -> list[str]:
    """The timetable in lines, of these events alone if any are named."""
    return [f"+{one['in']} {one['what']}" for one in found["steps"] if not events or one["event"] in events]


BUDGETED = replace(trigger("Blind", above=1), errors=ErrorBudget(2, ActionKind.HOLD), no_data=NoDataBudget(3 * SLOT, ActionKind.ROLLBACK))
KIND_BY_KIND = rollout(*(replace(trigger(f"T{number}"), test=test) for number, test in enumerate(of_every_kind())), BUDGETED)


@settings(max_examples=25)
@given(
    rules=st.sampled_from([EVERYTHING, KIND_BY_KIND]),
    past=st.lists(st.sampled_from([0.0, 0.7, 3.0, 9.0, None]), max_size=6),
    errors=st.sampled_from(["0", "0.6", "2", "20", "no data", "NaN", "failed"]),
    latency=st.sampled_from(["0", "1.5", "3", "failed"]),
    pod=st.sampled_from([None, "a", "c"]),
)
def test_what_is_told_is_what_then_happens_to_a_world_that_sees_it(
    rules: Rollout, past: list[float | None], errors: str, latency: str, pod: str | None
) -> None:
    world, _ = standing(rules, "full")
    seen: Mapping[str, Observation] = FINE
    for number, value in enumerate(past, 3):
        seen = {**FINE, "errors": NoData("the query returned nothing") if value is None else Value({A: value, B: 0.1})}
        world.cycle(seen, START + number * SLOT)
    known = present(world, seen)
    before, records = copy.deepcopy(through_json(known.state)), len(world.journal)
    texts = [f'errors{{pod="{pod}"}}={errors}' if pod and errors != "failed" else f"errors={errors}", f"latency={latency}"]
    run = simulate(known, understand(texts, rules), timedelta(minutes=4))
    assert (through_json(known.state), len(world.journal)) == (before, records)
    at = known.judgement.at
    for _ in range(run.evaluations):
        at += SLOT
        world.forget()
        world.cycle(run.laid.at(at), at)
    events = [(kind, at) for kind, _, at in world.journal[records:]]
    assert [(record.kind, record.at) for record in run.acted.records] == events
    assert (run.acted.position.phase, run.acted.position.stage, run.acted.flags) == (world.position.phase, world.position.stage, world.flags)
    assert run.acted.state.soaked == world.state.soaked


def test_a_breach_is_told_from_pending_to_the_flags_the_alerts_and_the_hooks() -> None:
    care = Aftercare(hooks=(Hook("pager", frozenset({"rolled_back"}), http="https://pager.example.com/secret"),))
    found = told(rollout(trigger("Errors", above=1, for_="30s"), gate("Low", below=0.5), aftercare=care), "errors=200%", for_="40s")
    assert steps(found) == [
        '+8s Errors is pending: {pod="a"} 2 (limit: > 1)',
        "+8s gate Low does not pass",
        '+8s no longer ready at "half"',
        "+8s alert RolloutReady (info) at half is resolved",
        '+38s Errors is firing: {pod="a"} 2 (limit: > 1)',
        "+38s rollback half -> canary decided, by rollbackd",
        "+38s flags written: PERCENT: 50% -> 10%",
        "+38s rollback to canary done: the flags are read back",
        "+38s alert Errors (warning) at half, 2 series, is sent to Alertmanager",
        "+38s alert RolloutRolledBack (critical) at canary is sent to Alertmanager",
        "+38s hook pager (http) is called on rolled_back",
    ]
    assert 'Errors: errors{pod="a"} 2 > 1 for 30s (held 30s)' in found["steps"][5]["more"]
    assert found["outcome"] == "checkout ends rolled_back at canary, 10 % exposed; it goes no further up until a person resumes it with a reason"
    assert found["stops"] == ["Errors does not fire if errors <= 1 in one evaluation before +38s"]
    assert "secret" not in str(found)


def test_it_goes_on_until_every_trigger_concerned_could_have_acted() -> None:
    found = told(EVERYTHING, "errors=9")
    assert "+8s rollback half -> baseline decided, by rollbackd" in steps(found, "intended")
    assert parse_duration(found["for"]) >= timedelta(minutes=1)
    assert any(one.startswith("+53s Often is firing") for one in steps(found, "trigger"))
    assert found["whole"]


@pytest.mark.parametrize(("setting", "target"), [("no data", "baseline"), ("NaN", "baseline"), ("failed", "canary"), ("0", "")])
def test_no_data_a_failure_and_a_value_are_three_things(setting: str, target: str) -> None:
    errors = trigger("Errors", above=1, action="rollback to baseline")
    blind = replace(errors, no_data=NoDataBudget(timedelta(minutes=1), ActionKind.ROLLBACK))
    failing = replace(trigger("Fails", above=1), errors=ErrorBudget(2, ActionKind.ROLLBACK))
    found = told(rollout(blind, failing), f"errors={setting}")
    decided = steps(found, "intended")
    assert decided[:1] == ([f"+{'38s' if setting == 'failed' else '1m8s'} rollback half -> {target} decided, by rollbackd"] if target else [])
    assert any("can see again before" in one for one in found["stops"]) is bool(target)


def test_what_cannot_be_seen_is_no_reason_to_act_and_is_alerted() -> None:
    found = told(rollout(trigger("Errors", above=1)), "errors=failed")
    assert steps(found, "sight", "intended") == ["+53s the guard lost sight"]
    assert found["stops"] == ["Errors cannot tell (supposed to fail), and what it cannot see it does not act on"]


def test_one_series_may_be_set_and_one_that_is_new() -> None:
    rules = rollout(trigger("Errors", above=1, for_="1m"))
    for pod in ("b", "new"):
        pending = steps(told(rules, f'errors{{pod="{pod}"}}=2', for_="10s"), "trigger")
        assert pending == [f'+8s Errors is pending: {{pod="{pod}"}} 2 (limit: > 1)']
    gone = told(rules, 'errors{pod="x"}=no data', for_="10s")
    assert gone["remarks"] == ['"errors{pod="x"}=no data" changes nothing: no such series was seen']


def test_a_stage_may_be_supposed_as_if_it_had_just_been_come_to() -> None:
    rules = rollout(trigger("Errors", above=1, stages=("full",), delay="1m"), soak="1m")
    found = told(rules, "errors=2", at="baseline", stage="full")
    assert (found["begins"]["stage"], found["begins"]["phase"]) == ("full", "soaking")
    assert steps(found, "intended") == ["+1m8s rollback full -> half decided, by rollbackd"]
    assert told(rules, "errors=2", at="baseline")["stops"] == ['Errors takes no action at "baseline": it is armed at full; --at-stage says where']
    climbs = told(rules, at="baseline", stage="canary", for_="3m")
    assert steps(climbs, "ready") == ['+1m8s ready at "canary": soaked, and every gate passes']


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        (rollout(trigger("Errors", above=1), enforce=False), "Errors asks for rollback to previous, and is only observed: nothing is done"),
        (rollout(trigger("Errors", above=1, dry_run=True)), "Errors asks for rollback to previous, and is only observed: nothing is done"),
    ],
)
def test_what_is_only_observed_is_told_as_that(rules: Rollout, sentence: str) -> None:
    found = told(rules, "errors=2", for_="1m")
    assert [one["what"] for one in found["steps"] if one["event"] == "observed"] == [sentence]
    assert found["ends"]["stage"] == "half"


def test_an_announced_rollback_is_told_with_what_cancels_it() -> None:
    found = told(rollout(trigger("Errors", above=1, action=announced(in_="5m"))), "errors=2")
    assert steps(found, "scheduled", "intended")[1] == "+5m8s rollback half -> canary decided, by rollbackd"
    assert found["stops"][1] == "an announced rollback is stopped by `rollbackd cancel checkout Errors --reason ...`"


def test_a_trigger_that_does_nothing_says_why() -> None:
    rules = rollout(trigger("Errors", above=1, for_="10m"), trigger("Only", above=1, action="alert"))
    assert told(rules, "errors=0.5")["stops"][0] == 'Errors does not fire: errors{pod="a"} 0.5, limit > 1'
    assert told(rules, "errors=2", for_="1m")["stops"] == [
        "Errors is pending, and fires in 9m15s more; --for says how long it goes on",
        "Only fires, and nothing follows: its action is to alert alone",
    ]


def test_nothing_is_told_of_a_rollout_whose_flags_were_never_read() -> None:
    _, known = standing(EVERYTHING)
    with pytest.raises(OperationRefused, match="its flags have never been read"):
        simulate(replace(known, state=State()), understand(["errors=2"], EVERYTHING))


def test_flags_that_cannot_be_read_now_are_remarked_on() -> None:
    _, known = standing(EVERYTHING)
    hidden = replace(known, flags="permission denied")
    assert "its flags cannot be read now (permission denied)" in tell(simulate(hidden, understand(["errors=9"], EVERYTHING)))["remarks"][0]


def test_it_is_bounded_and_says_so() -> None:
    _, known = standing(EVERYTHING)
    left = iter([True, True, False])
    cut = tell(simulate(known, understand(["errors=2"], EVERYTHING), proceed=lambda: next(left)))
    assert (cut["whole"], cut["evaluations"]) == (False, 3)
    assert "was ended after 3 evaluations" in cut["remarks"][0]
    with pytest.raises(BadSettingError, match="at most 5000 are simulated; write at most 20h50m"):
        simulate(known, understand(["errors=2"], EVERYTHING), timedelta(days=2))


def test_no_evaluation_is_told_of_a_time_before_the_last_one() -> None:
    _, known = standing(EVERYTHING)
    run = simulate(replace(known, now=known.judgement.at - 3 * SLOT), understand(["errors=9"], EVERYTHING), 4 * SLOT)
    assert run.moments[0].at == known.judgement.at + SLOT


def test_a_failed_answer_of_before_is_replaced_too() -> None:
    rules = rollout(trigger("Errors", above=1))
    _, known = standing(rules, seen={"errors": Failed(Failure.TIMEOUT, "no answer in time")})
    found = tell(simulate(known, understand(["errors=2"], rules)))
    assert found["set"][0]["before"] == ["no answer in time"]
    assert steps(found, "intended")[0] == "+8s rollback half -> canary decided, by rollbackd"


def test_a_transition_under_way_is_taken_to_its_end_first() -> None:
    rules = rollout(trigger("Errors", above=1))
    world, known = standing(rules, "canary")
    intent = intended(rules, world.position, Kind.PROMOTE, rules.stages[2], ["go on"], "ann", known.now)
    under_way = replace(known, state=machine.apply(known.state, intent, known.now))
    found = tell(simulate(under_way, understand(["errors=3"], rules), parse_duration("10s")))
    assert steps(found)[:2] == ["+0s flags written: PERCENT: 10% -> 50%", "+0s promote to half done: the flags are read back"]
    assert (found["begins"]["stage"], found["ends"]["phase"], found["ends"]["stage"]) == ("half", "rolled_back", "canary")


def test_nothing_is_told_while_a_rollback_is_rehearsed() -> None:
    _, known = standing(EVERYTHING)
    assert known.state.position
    rehearsing = replace(known.state.position, rehearsing=Rehearsal("1", "half", START, timedelta(), "ann", START))
    with pytest.raises(OperationRefused, match="is being rehearsed; ask again when that has ended"):
        simulate(replace(known, state=replace(known.state, position=rehearsing)), understand(["errors=2"], EVERYTHING))


def test_a_figure_of_evidence_is_read_by_the_triggers_and_gates_that_rest_on_it(tmp_path: Path) -> None:
    file = tmp_path / "kinds.yml"
    more = "signals: {rate: {evidence: tests, field: pass_rate}, disk:"
    rated = KINDS.replace("signals: {disk:", f"evidence: {{tests: {{kind: junit, max_age: 1d}}}}\n{more}")
    file.write_text(
        f"{rated}  - {{alert: RateLow, signal: rate, below: 95%}}\n".replace("gates: [", "gates: [{gate: Rate, signal: rate, above: 98%}, ")
    )
    rules = load(file)
    _, known = standing(rules, "canary", seen=dict.fromkeys(rules.questions(), Value({(): 0.0})))
    run = simulate(known, understand(["rate=90%"], rules))
    (one,) = tell(run)["set"]
    assert (one["triggers"], one["gates"]) == (["Often", "RateLow"], ["Rate"])
    assert [trigger.name for trigger in concerned(rules, run.settings)] == ["Often", "RateLow"]


KINDS = """
rollout: kinds
owner: lead
flags: {store: dotenv, path: .env}
baseline: {USE: "false"}
stages: [{stage: canary, exposure: 10%, set: {USE: "true"}}]
signals: {disk: {expr: disk_used_ratio}, errors: {expr: errors}}
gates: [{gate: Low, signal: errors, below: 1}]
triggers:
  - {alert: Burns, burn_rate: {objective: 99%, errors: 'http_total{code="500"}', total: http_total}, severity: critical}
  - {alert: Gone, absent: 'up{job="shop"}', for: 1m}
  - {alert: Full, forecast: {signal: disk, above: 90%, within: 4h, fit: 1h}}
  - {alert: Often, violations: {of: gates, more_than: 3}}
"""


@pytest.mark.parametrize(
    ("text", "decided", "says"),
    [
        ("Burns=90%", ["8s"], "Burns does not fire while"),
        ("Gone=no data", ["1m8s"], "before +1m8s"),
        ("errors=7", ["53s"], "Often does not fire while violations of gates in a row <= 3"),
        ("disk=95%", [], "Full asks more, which stays as it was seen last; set it by the query itself: "),
    ],
)
def test_every_kind_of_trigger_is_served_by_what_it_reads(tmp_path: Path, text: str, decided: list[str], says: str) -> None:
    file = tmp_path / "kinds.yml"
    file.write_text(KINDS, encoding="utf-8")
    rules = load(file)
    _, known = standing(rules, "canary", seen=dict.fromkeys(rules.questions(), Value({(): 0.0})))
    found = tell(simulate(known, understand([text], rules)))
    assert [one["in"] for one in found["steps"] if one["event"] == "intended"] == decided
    assert any(says in one for one in [*found["stops"], *found["remarks"]]), found
