"""What the rule files in `good/` mean."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from rollback_daemon import documents
from rollback_daemon.durations import format_duration
from rollback_daemon.flags.stores import STORES
from rollback_daemon.rules.duties import (
    Approvals,
    Backups,
    Command,
    Fresh,
    HttpCheck,
    OnDrift,
    OnLower,
    OnOther,
    OnRaise,
    Part,
    Preflight,
    Rehearsing,
    Requires,
    Scoring,
)
from rollback_daemon.rules.load import DEFAULT_INTERVAL, load, load_all, undefined_roles
from rollback_daemon.rules.measures import Baseline, Condition, Needs, OnNoData, Op, Relative, Signal, Statistic
from rollback_daemon.rules.model import Action, ActionKind, ErrorBudget, Gate, NoDataBudget, Rollout, Trigger
from rollback_daemon.rules.schema import RuleFile
from rollback_daemon.rules.triggers import Check, Threshold, Violations

GOOD = Path(__file__).parent / "good"
FILES = sorted(GOOD.glob("*.yml"))
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def everything() -> Rollout:
    return load(GOOD / "everything.yml")


@pytest.fixture
def anchors() -> Rollout:
    return load(GOOD / "anchors.yml")


def trigger(rollout: Rollout, name: str) -> Trigger:
    return next(one for one in rollout.triggers if one.name == name)


def gate(rollout: Rollout, name: str) -> Gate:
    return next(one for one in rollout.gates if one.name == name)


def threshold(rollout: Rollout, name: str) -> Threshold:
    test = trigger(rollout, name).test
    assert isinstance(test, Threshold)
    return test


def test_all_good_files_can_stand_beside_one_another() -> None:
    assert len({rollout.name for rollout in load_all(FILES)}) == len(FILES)
    assert {rollout.flags.store for rollout in load_all(FILES)} == set(STORES)


def test_every_key_of_the_format_is_in_a_good_file() -> None:
    written = {key for file in FILES for key in _keys(documents.read(file).value)}
    assert _known_keys(RuleFile.model_json_schema()) <= written


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_good_files_fit_the_json_schema(file: Path) -> None:
    jsonschema.validate(documents.read(file).value, RuleFile.model_json_schema())


def _keys(value: Any) -> set[str]:
    here = {str(key) for key in value} if isinstance(value, dict) else set()
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return here | {key for part in inside for key in _keys(part)}


def _known_keys(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return {key for part in schema for key in _known_keys(part)}
    if not isinstance(schema, dict):
        return set()
    here = set(schema["properties"]) if isinstance(schema.get("properties"), dict) else set()
    return here | {key for part in schema.values() for key in _known_keys(part)}


# the ladder


def test_the_file_itself(everything: Rollout) -> None:
    assert (everything.name, everything.owner, everything.labels) == ("everything", "team-shop", {"tier": "gold"})
    assert everything.runbook_url == "https://runbooks.example.com/everything"
    assert (everything.enforce, everything.interval, everything.max_gap) == (False, timedelta(seconds=30), 2 * MINUTE)
    assert everything.flags.path == str(GOOD / "flags" / "live.json")
    assert everything.flags.after_change == Command(("systemctl", "reload", "shop"), timedelta(seconds=20))
    assert everything.flags.backups == 3


def test_a_stage_has_the_flags_of_the_baseline_and_of_every_stage_up_to_it(everything: Rollout) -> None:
    assert [(stage.name, stage.number, stage.exposure, stage.soak) for stage in everything.stages] == [
        ("baseline", 0, 0.0, timedelta()),
        ("canary", 1, 0.1, timedelta(hours=36)),
        ("half", 2, 0.5, timedelta()),
        ("full", 3, 1.0, timedelta()),
    ]
    assert [dict(stage.flags) for stage in everything.stages] == [
        {"/checkout/enabled": False, "/checkout/share": 0, "/a~1b/m~0n": "off", "plain": 0.5, "agents": ("reader", "off", 3)},
        {"/checkout/enabled": True, "/checkout/share": 10, "/a~1b/m~0n": "off", "plain": 0.5, "agents": ("reader", "off", 3)},
        {"/checkout/enabled": True, "/checkout/share": 50, "/a~1b/m~0n": "on", "plain": 0.5, "agents": ("reader", "writer")},
        {"/checkout/enabled": True, "/checkout/share": 100, "/a~1b/m~0n": "on", "plain": 1.5, "agents": ()},
    ]


def test_a_shadow_exposes_nobody_the_top_no_more_than_below_and_what_a_stage_requires_of_the_configuration_stays_required() -> None:
    loaded = load(GOOD / "shadow-and-config.yml")
    assert [(stage.name, stage.exposure, dict(stage.requires.config)) for stage in loaded.stages] == [
        ("baseline", 0.0, {}),
        ("shadow", 0.0, {"mode": "shadow", "/limits/tokens": 4000}),
        ("canary", 0.1, {"mode": "live", "/limits/tokens": 4000}),
        ("half", 0.3, {"mode": "live", "/limits/tokens": 4000}),
        ("most", 0.8, {"mode": "live", "/limits/tokens": 4000}),
        ("all", 1.0, {"mode": "live", "/limits/tokens": 4000}),
        ("active", 1.0, {"mode": "live", "/limits/tokens": 4000, "strict": True}),
    ]
    assert loaded.config_keys == {"mode", "/limits/tokens", "strict"}
    assert loaded.keys == {"engine", "percent"}


def test_flag_values_keep_their_types(everything: Rollout) -> None:
    assert [type(value) for value in everything.stages[0].flags.values()] == [bool, int, str, float, tuple]


def test_what_is_left_out_has_its_default() -> None:
    rollout = load(GOOD / "dotenv.yml")
    assert rollout.interval == DEFAULT_INTERVAL
    assert rollout.max_gap == 3 * DEFAULT_INTERVAL
    assert (rollout.enforce, rollout.flags.backups, rollout.flags.after_change, rollout.runbook_url) == (True, 10, None, "")
    assert load(GOOD / "dotenv.yml", MINUTE).max_gap == 3 * MINUTE
    assert rollout.flags.on_drift == OnDrift(OnRaise.REVERT, OnLower.ADOPT, OnOther.ALERT)
    assert (rollout.break_glass, rollout.max_growth, rollout.rehearsal, rollout.scoring) == ((), None, None, Scoring((), 90, 70))
    assert rollout.preflight == Preflight((), (), (), 0.2)
    assert all((stage.requires, stage.automatic) == (Requires(), False) for stage in rollout.stages)
    (down,) = rollout.triggers
    assert down.action == Action(ActionKind.ROLLBACK)
    assert (down.severity, down.stages, down.for_, down.dry_run) == ("warning", frozenset({"canary"}), timedelta(), False)


def test_words_that_yaml_readers_do_not_agree_on_are_text() -> None:
    rollout = load(GOOD / "dotenv.yml")
    assert rollout.owner == "on"
    assert dict(rollout.stages[0].flags) == {"USE_X": "off", "START": "22:30", "CODE": "012", "EMPTY": ""}
    assert rollout.triggers[0].labels == {"severity": "warning", "since": "2024-01-31", "code": "0x1F"}


# what is measured


def test_signals(everything: Rollout) -> None:
    errors, latency, share, memory, cost, health = everything.signals
    assert errors.needs == Needs("sum(increase(requests_total[5m]))", 100)
    assert latency == Signal("latency", "latency_milliseconds", "ms", OnNoData.BREACH, None, timedelta(seconds=90))
    assert (share.no_data, memory.no_data) == (OnNoData.IGNORE, OnNoData.HOLD)
    assert memory.baseline == Baseline(12 * HOUR, 6 * HOUR, timedelta(seconds=90), Statistic.MEAN)
    assert cost.baseline == Baseline(5 * DAY, 6 * HOUR, timedelta(seconds=870), Statistic.MEDIAN)
    assert (health.expr, len(health.endpoints), list(health.questions())) == ("", 3, list(health.endpoints))


@pytest.mark.parametrize(("window", "interval", "step"), [("15s", "15s", "15s"), ("2h", "15s", "15s"), ("12h", "15s", "1m30s"), ("1d", "10m", "10m")])
def test_a_baseline_has_at_most_500_samples_an_interval_or_several_apart(tmp_path: Path, window: str, interval: str, step: str) -> None:
    text = (GOOD / "dotenv.yml").read_text(encoding="utf-8")
    (tmp_path / "a.yml").write_text(f"{text}interval: {interval}\nsignals:\n  a: {{expr: x, baseline: {{window: {window}}}}}\n", encoding="utf-8")
    baseline = load(tmp_path / "a.yml").signals[0].baseline
    assert baseline
    assert format_duration(baseline.step) == step
    assert baseline.at_least == baseline.window / 2


def test_a_limit_is_held_against_the_baseline_as_a_multiple_or_as_an_amount(everything: Rollout) -> None:
    spike, grows, cost = threshold(everything, "CostSpike"), threshold(everything, "MemoryGrows"), gate(everything, "Cost")
    assert (spike.signal.relative, spike.condition) == (Relative.SHARE, Condition(Op.ABOVE, 2.0))
    assert (grows.signal.relative, grows.condition) == (Relative.AMOUNT, Condition(Op.ABOVE, 1e8))
    assert (cost.signal.relative, cost.condition) == (Relative.SHARE, Condition(Op.WITHIN, 0.5, 1.2))
    assert [signal.name for signal in everything.relative_signals()] == ["cost", "memory"]


def test_limits_are_in_the_unit_of_their_signal(everything: Rollout) -> None:
    assert [one.condition for one in everything.gates][:6] == [
        Condition(Op.BELOW, 0.001),
        Condition(Op.AT_MOST, 200),
        Condition(Op.AT_LEAST, 98),
        Condition(Op.ABOVE, 0),
        Condition(Op.WITHIN, 0, 500),
        Condition(Op.OUTSIDE, -5, 5),
    ]
    assert threshold(everything, "LatencyHigh").condition == Condition(Op.ABOVE, 500)
    assert threshold(everything, "ShareLow").condition == Condition(Op.BELOW, 95)
    assert threshold(everything, "MemoryHigh").condition == Condition(Op.AT_LEAST, 1.5 * 1024**3)
    assert threshold(everything, "MemoryLow").condition == Condition(Op.AT_MOST, 1e6)


def test_every_key_of_a_trigger(everything: Rollout) -> None:
    errors = trigger(everything, "ErrorsHigh")
    assert errors.action == Action(ActionKind.ROLLBACK, "baseline")
    assert (errors.for_, errors.keep_firing_for, errors.initial_delay) == (5 * MINUTE, 2 * MINUTE, MINUTE)
    assert (errors.severity, errors.stages, errors.dry_run) == ("critical", frozenset({"canary", "half"}), False)
    assert errors.labels == {"severity": "critical", "team": "shop"}
    assert errors.annotations == {"summary": "{{ $value | humanizePercentage }}"}
    assert threshold(everything, "ErrorsHigh").signal.no_data is OnNoData.BREACH
    assert everything.signals[0].no_data is OnNoData.HOLD
    assert trigger(everything, "MemoryHigh").dry_run
    assert trigger(everything, "MemoryLow").stages == {"full", "baseline"}


def test_a_pasted_alert_is_split_at_its_top_comparison(everything: Rollout) -> None:
    test = threshold(everything, "Pasted")
    assert test.expr == everything.signals[0].expr
    assert test.condition == Condition(Op.ABOVE, 0.05)
    assert test.signal.no_data is OnNoData.DROP
    assert trigger(everything, "Pasted").severity == "critical"


def test_what_cannot_be_split_is_evaluated_as_prometheus_does(everything: Rollout) -> None:
    test = threshold(everything, "AsPrometheusDoes")
    assert (test.expr, test.condition, test.signal.no_data) == ("errors_total > on (job) limits", None, OnNoData.DROP)


def test_an_expression_with_a_limit_of_its_own_is_a_signal(everything: Rollout) -> None:
    queue, drift = threshold(everything, "QueueOdd"), threshold(everything, "DriftSmall")
    assert (queue.expr, queue.condition, queue.signal.no_data) == ("max(queue_length)", Condition(Op.OUTSIDE, 0, 1000), OnNoData.HOLD)
    assert (drift.condition, drift.signal.no_data) == (Condition(Op.WITHIN, -0.001, 0.001), OnNoData.IGNORE)


def test_violations_count_gates_that_do_not_hold_or_a_signal_that_meets_a_limit(everything: Rollout) -> None:
    repeated, flapping = trigger(everything, "Repeated").test, trigger(everything, "Flapping").test
    assert isinstance(repeated, Violations)
    counted = [one for one in everything.gates if one.name not in {"NoRollback", "NoTrigger", "NoneOfThese", "Overlay"}]
    assert repeated.checks == tuple(Check(one.signal, one.condition.negated, one.quorum) for one in counted)
    assert (repeated.needed, repeated.out_of, repeated.every) == (Condition(Op.ABOVE, 3), None, MINUTE)
    assert isinstance(flapping, Violations)
    assert flapping.checks == (Check(everything.signals[0], Condition(Op.OUTSIDE, 0, 0.01)),)
    assert (flapping.needed, flapping.out_of, flapping.every) == (Condition(Op.AT_LEAST, 3), 5, None)


# the way up


def test_what_a_stage_asks_for(everything: Rollout) -> None:
    _, canary, half, full = everything.stages
    assert canary.requires == Requires(None, ("day-0",), (Fresh("soak-report"), Fresh("parity", 7 * DAY)))
    assert half.requires == Requires(Approvals(("a", "b", "c", "d", "e"), 3, 12 * HOUR), rehearsal=7 * DAY)
    assert full.requires.approvals == Approvals(("deployment-lead",), 1, DAY)
    assert [stage.automatic for stage in everything.stages] == [False, False, True, True]
    assert (everything.max_growth, everything.break_glass) == (5, ("deployment-lead", "on"))
    assert everything.roles() == {"a", "b", "c", "d", "e", "deployment-lead", "on"}


def test_gates_over_a_stage(everything: Rollout) -> None:
    mostly, unbroken, of_late = gate(everything, "Mostly"), gate(everything, "Unbroken"), gate(everything, "MostlyOfLate")
    assert (mostly.share, mostly.for_, mostly.min_data) == (0.99, timedelta(), timedelta())
    assert (unbroken.share, unbroken.for_) == (None, HOUR)
    assert (of_late.share, of_late.for_, of_late.min_data) == (0.95, 6 * HOUR, 12 * HOUR)
    assert mostly.stages == {"baseline", "canary", "half", "full"}
    assert gate(everything, "Cost").stages == {"canary", "half", "full"}  # before the baseline nothing was captured
    overlay = gate(everything, "Overlay")
    assert (overlay.stages, overlay.blocking, mostly.blocking) == (frozenset({"baseline", "half"}), False, True)


def test_a_gate_counts_series_or_asks_that_triggers_kept_quiet(everything: Rollout) -> None:
    health = gate(everything, "HealthChecks")
    assert (health.quorum, health.condition, health.signal.name) == ((2, 3), Condition(Op.AT_LEAST, 1), "health")
    every, rollbacks = gate(everything, "NoTrigger"), gate(everything, "NoRollback")
    assert (every.signal, every.condition) == (Signal("NoTrigger", ""), Condition(Op.AT_MOST, 0))
    assert every.quiet == {one.name for one in everything.triggers} - {"MemoryHigh"}  # a dry run has no say
    assert rollbacks.quiet == every.quiet - {"ShareLow", "RedisDown", "CacheDown"}
    assert gate(everything, "NoneOfThese").quiet == {"ErrorsHigh", "Flapping"}


def test_a_trigger_can_degrade(everything: Rollout) -> None:
    assert trigger(everything, "RedisDown").action == Action(ActionKind.DEGRADE, flags={"/checkout/share": 0, "agents": ("reader",)})


def test_rehearsal_drift_scorecard_and_preflight(everything: Rollout) -> None:
    health = HttpCheck("http://127.0.0.1:8000/health", {"/checkout": False, "/mode": "off", "": None}, timedelta(seconds=5))
    smoke, done = Command((f"{GOOD}/smoke.sh", "--fast"), 2 * MINUTE), Command((f"{GOOD}/done.sh",), MINUTE)
    assert everything.rehearsal == Rehearsing("baseline", (health, smoke, done))
    assert everything.flags.on_drift == OnDrift(OnRaise.ALERT, OnLower.ALERT, OnOther.ROLLBACK)
    technical, process, validation = everything.scoring.parts
    assert technical == Part("technical", 40, ("HealthChecks", "Errors", "Overlay"))
    assert (everything.scoring.go, everything.scoring.monitor, process.points, validation.points) == (85, 60, 30, 30)
    backups = (Backups("/var/backups/*.dump", DAY), Backups(str(GOOD / "dumps" / "*"), HOUR))
    assert everything.preflight == Preflight(("http://127.0.0.1:8000/health",), ("CostSpike",), backups, 0.1)


def test_a_ladder_may_grow_by_exactly_as_much_as_it_says(tmp_path: Path) -> None:
    stages = "".join(f'  - {{stage: s{number}, exposure: {share}, set: {{X: "{number}"}}}}\n' for number, share in enumerate([0.1, 0.3, 0.9]))
    triggers = "triggers:\n  - {alert: Down, expr: up == 0}\n"
    text = f'rollout: a\nowner: b\nmax_growth: 3\nflags: {{store: dotenv, path: .env}}\nbaseline: {{X: ""}}\nstages:\n{stages}{triggers}'
    (tmp_path / "a.yml").write_text(text, encoding="utf-8")
    assert [stage.exposure for stage in load(tmp_path / "a.yml").stages] == [0, 0.1, 0.3, 0.9]


NO_LEAD = 'no role "deployment-lead" in the daemon\'s configuration'


def said_of_roles(rollout: Rollout, roles: list[str]) -> list[str]:
    return [str(one).removeprefix(f"{GOOD}/") for one in undefined_roles([rollout], roles)]


def test_roles_that_nobody_has_are_named_where_they_are_asked_for(everything: Rollout) -> None:
    assert said_of_roles(everything, ["a", "b", "c", "d", "e", "deployment-lead", "on"]) == []
    assert said_of_roles(everything, ["a", "b", "c", "d", "e", "deploy-lead"]) == [
        f'everything.yml:43:119: stages[2].requires.approvals.roles[0]: {NO_LEAD}; did you mean "deploy-lead"?',
        f'everything.yml:11:15: break_glass[0]: {NO_LEAD}; did you mean "deploy-lead"?',
        'everything.yml:11:32: break_glass[1]: no role "on" in the daemon\'s configuration; add it under roles',
    ]


# anchors


def test_what_stands_in_a_mapping_wins_over_what_is_merged(anchors: Rollout) -> None:
    assert [dict(stage.flags) for stage in anchors.stages] == [
        {"on": False, "/limits/rate": 5, "mode": "no"},
        {"on": True, "/limits/rate": 5, "mode": "no"},
        {"on": True, "/limits/rate": 5, "mode": "no"},
        {"on": True, "/limits/rate": 5, "mode": "yes"},
    ]
    assert [(stage.name, stage.exposure, stage.soak) for stage in anchors.stages[1:3]] == [
        ("canary", 0.1, timedelta(hours=1)),
        ("half", 0.5, timedelta(hours=1)),
    ]


def test_merged_triggers_and_signals(anchors: Rollout) -> None:
    assert [signal.expr for signal in anchors.signals] == ["error_ratio", "latency_seconds"]
    assert [signal.max_age for signal in anchors.signals] == [MINUTE, MINUTE]
    assert trigger(anchors, "LatencyHigh").for_ == 5 * MINUTE
    assert threshold(anchors, "LatencyHigh").condition == Condition(Op.ABOVE, 0.5)
    assert threshold(anchors, "ErrorsHigh").condition == Condition(Op.ABOVE, 1)
    assert trigger(anchors, "LatencyHigh").labels["team"] == "team-shop"


def test_the_digest_changes_with_the_text(tmp_path: Path) -> None:
    text = (GOOD / "dotenv.yml").read_text(encoding="utf-8")
    (tmp_path / "a.yml").write_text(text, encoding="utf-8")
    (tmp_path / "b.yml").write_text(f"{text}# more\n", encoding="utf-8")
    assert load(tmp_path / "a.yml").digest == load(GOOD / "dotenv.yml").digest != load(tmp_path / "b.yml").digest


def test_a_trigger_may_be_without_sight_for_so_long_and_says_what_follows() -> None:
    budgets = load(GOOD / "budgets.yml")
    held, ignored, always, counted, overruled = budgets.triggers
    assert (held.errors, held.no_data) == (ErrorBudget(5, ActionKind.HOLD), NoDataBudget(10 * MINUTE, ActionKind.ROLLBACK))
    assert (ignored.errors, ignored.no_data) == (None, NoDataBudget(HOUR, ActionKind.ALERT))
    assert (always.errors, always.no_data) == (ErrorBudget(0, ActionKind.ROLLBACK), None)
    assert counted.no_data == NoDataBudget(10 * MINUTE, ActionKind.HOLD)
    counts_as = [threshold(budgets, one.name).signal.no_data for one in (held, ignored, overruled)]
    assert counts_as == [OnNoData.HOLD, OnNoData.IGNORE, OnNoData.HOLD], "what no data counts as, and for how long there may be none, are told apart"
