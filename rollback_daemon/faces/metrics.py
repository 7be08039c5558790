"""The daemon's own metrics: the whole catalogue, and the collector that reads the rollouts when Prometheus scrapes.

States (phases, values, limits) are read at scrape time, so they can never be stale; counts and durations are told as they happen. Every label
set exists from the start, so that `rate()` sees the first failure.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import product
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rollback_daemon import __version__
from rollback_daemon.faces import metrics_evidence
from rollback_daemon.hooks import outbox as hooks
from rollback_daemon.judge import budgets, follow_ups, readiness
from rollback_daemon.judge.drift import Drift
from rollback_daemon.judge.position import Open
from rollback_daemon.judge.reasons import Outcome
from rollback_daemon.judge.required_config import concerned, wrong
from rollback_daemon.judge.state import TriggerJudgement
from rollback_daemon.judge.transitions import Event, Kind, Phase
from rollback_daemon.judge.trigger import TriggerPhase
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.reading import Health, Verdict, look
from rollback_daemon.signals.observation import Failure, Value
from rollback_daemon.watch import Watch

PREFIX = "rollback_daemon_"
_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SLOW = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_OUTCOMES = ("done", "attempted", "abandoned")


class Metrics:
    """Every metric of the daemon, on a registry of its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # theirs; it spares every counter a twin that nobody reads
        self.registry = registry
        self.transitions = Counter(
            PREFIX + "transitions",
            "Transitions by kind and outcome; attempted counts tries that failed.",
            ["rollout", "kind", "outcome"],
            registry=registry,
        )
        self.breach_to_flags = Histogram(
            PREFIX + "breach_to_flags_seconds",
            "From the first breached evaluation after `for` to the flags read back.",
            ["rollout"],
            buckets=_SLOW,
            registry=registry,
        )
        self.transition_seconds = Histogram(
            PREFIX + "transition_seconds", "From the intent on record to the flags read back.", ["rollout", "kind"], buckets=_SLOW, registry=registry
        )
        self.cycle_seconds = Histogram(PREFIX + "cycle_seconds", "Duration of one evaluation of an interval group.", buckets=_FAST, registry=registry)
        self.cycle_lag = Histogram(
            PREFIX + "cycle_lag_seconds", "From the aligned time of an evaluation to its start.", buckets=_FAST, registry=registry
        )
        self.cycles_missed = Counter(PREFIX + "cycles_missed", "Evaluations that did not take place.", registry=registry)
        self.evaluation_failures = Counter(
            PREFIX + "evaluation_failures", "Evaluations of one rollout that ended in a defect of the daemon.", ["rollout"], registry=registry
        )
        self.queries = Counter(PREFIX + "queries", "Queries by outcome.", ["outcome"], registry=registry)
        self.query_seconds = Histogram(PREFIX + "query_seconds", "Duration of one query.", buckets=_FAST, registry=registry)
        self.notifications = Counter(
            PREFIX + "alertmanager_notifications", "Requests to Alertmanagers by outcome.", ["alertmanager", "outcome"], registry=registry
        )
        self.hooks = Counter(
            PREFIX + "hook_deliveries",
            "Deliveries to hooks: delivered, retried after a try that failed, given up.",
            ["rollout", "hook", "outcome"],
            registry=registry,
        )
        self.journal_append = Histogram(
            PREFIX + "journal_append_seconds", "Duration of one append, fsync included.", buckets=_FAST, registry=registry
        )
        self.journal_writable = Gauge(PREFIX + "journal_writable", "1 when the last write to the journal succeeded.", registry=registry)
        self.journal_intact = Gauge(
            PREFIX + "journal_intact", "1 when the journal's chain was whole at the start, 0 when something on record was altered.", registry=registry
        )
        self.reload_ok = Gauge(PREFIX + "config_last_reload_successful", "1 when the last configuration reload attempt succeeded.", registry=registry)
        self.reload_at = Gauge(
            PREFIX + "config_last_reload_success_timestamp_seconds", "When the configuration was last loaded successfully.", registry=registry
        )
        self.verifications = Counter(
            PREFIX + "verifications", "Verifications of rollbacks by what they came to.", ["rollout", "outcome"], registry=registry
        )
        self.follow_ups = Counter(
            PREFIX + "follow_ups", "Looks after completion by what they came to; each try counts.", ["rollout", "outcome"], registry=registry
        )
        self.leader = Gauge(
            PREFIX + "leader", "1 when this daemon is in charge of the rollout, 0 when another one is.", ["rollout"], registry=registry
        )
        Gauge(PREFIX + "build_info", "1, with the version.", ["version"], registry=registry).labels(__version__).set(1)
        for outcome in ("ok", "no_data", *Failure):
            self.queries.labels(outcome)

    def cover(self, rollouts: Iterable[Rollout]) -> None:
        """Let every label set of these rollouts exist, at 0."""
        for rollout in rollouts:
            self.evaluation_failures.labels(rollout.name)
            self.breach_to_flags.labels(rollout.name)
            self.leader.labels(rollout.name)
            for hook, result in product(rollout.aftercare.hooks, hooks.OUTCOMES):
                self.hooks.labels(rollout.name, hook.name, result)
            for came_to in (Event.VERIFIED, Event.UNVERIFIED) if rollout.aftercare.verified else ():
                self.verifications.labels(rollout.name, came_to)
            for looked in follow_ups.Outcome if rollout.aftercare.follow_ups else ():
                self.follow_ups.labels(rollout.name, looked)
            for kind in Kind:
                self.transition_seconds.labels(rollout.name, kind)
                for outcome in _OUTCOMES:
                    self.transitions.labels(rollout.name, kind, outcome)

    def cover_alertmanagers(self, names: Iterable[str], outcomes: Iterable[str]) -> None:
        """Let every outcome of a request to each of these Alertmanagers exist, at 0."""
        for name, outcome in product(names, list(outcomes)):
            self.notifications.labels(name, outcome)

    # told by the parts, as it happens

    def query(self, outcome: str, seconds: float) -> None:
        """One query came back."""
        self.queries.labels(outcome).inc()
        self.query_seconds.observe(seconds)

    def cycle(self, interval: timedelta, lag: float, seconds: float, missed: int) -> None:  # noqa: ARG002 (one series for all groups)
        """One cycle is over."""
        self.cycle_lag.observe(lag)
        self.cycle_seconds.observe(seconds)
        self.cycles_missed.inc(missed)

    def failed(self, rollout: Rollout) -> None:
        """A rollout could not be judged because of a defect."""
        self.evaluation_failures.labels(rollout.name).inc()

    def happened(self, rollout: Rollout, event: Event, body: Mapping[str, Any], at: datetime, opened: Open | None) -> None:
        """One event went on record."""
        if event.value in _OUTCOMES:
            self.transitions.labels(rollout.name, body["kind"], event.value).inc()
        if event in {Event.VERIFIED, Event.UNVERIFIED}:
            self.verifications.labels(rollout.name, event).inc()
        if event is Event.FOLLOWED_UP:
            self.follow_ups.labels(rollout.name, body["outcome"]).inc()
            self.follow_ups.labels(rollout.name, follow_ups.Outcome.MISSED).inc(len(body.get("missed", ())))
        if event is Event.DONE and opened is not None:
            self.transition_seconds.labels(rollout.name, opened.kind).observe((at - opened.at).total_seconds())
            if opened.breached_at is not None:
                self.breach_to_flags.labels(rollout.name).observe(max(0.0, (at - opened.breached_at).total_seconds()))

    def hooked(self, rollout: str, hook: str, outcome: str) -> None:
        """One delivery to a hook ended, or is tried again."""
        self.hooks.labels(rollout, hook, outcome).inc()

    def notified(self, alertmanager: str, outcome: str) -> None:
        """One request to an Alertmanager ended."""
        self.notifications.labels(alertmanager, outcome).inc()


class RolloutCollector(Collector):
    """What the rollouts are like at the moment of the scrape."""

    def __init__(self, watches: Callable[[], Sequence[Watch]]) -> None:
        self._watches = watches

    def describe(self) -> Iterable[Metric]:
        """Names only, so that registering does not collect."""
        return [family for family, _ in _families()]

    def collect(self) -> Iterator[Metric]:
        """One family after the other, each with every rollout."""
        watches = self._watches()
        for family, samples in _families():
            for watch in watches:
                for labels, value in samples(watch):
                    family.add_metric([watch.rollout.name, *labels], value)
            yield family


Samples = Callable[[Watch], Iterator[tuple[list[str], float]]]


def _families() -> list[tuple[GaugeMetricFamily | CounterMetricFamily, Samples]]:
    def gauge(name: str, help_: str, labels: Sequence[str], samples: Samples) -> tuple[GaugeMetricFamily, Samples]:
        return GaugeMetricFamily(PREFIX + name, help_, labels=["rollout", *labels]), samples

    def counter(name: str, help_: str, labels: Sequence[str], samples: Samples) -> tuple[CounterMetricFamily, Samples]:
        return CounterMetricFamily(PREFIX + name, help_, labels=["rollout", *labels]), samples

    return [
        gauge("rollout_exposure_ratio", "Share of traffic exposed at the stage on record.", [], _exposure),
        gauge("rollout_phase", "1 for the phase that the rollout is in.", ["phase"], _phase),
        gauge("rollout_stage", "1 for the stage on record.", ["stage"], _stage),
        gauge("rollout_info", "1, with who owns the rollout and where its runbook is.", ["owner", "runbook_url"], _info),
        gauge("rollout_enforced", "1 in mode enforce, 0 in mode observe.", [], lambda watch: iter([([], float(watch.rollout.enforce))])),
        gauge("signal_value", "Value of a signal that has one series; absent while it is unknown.", ["signal"], _signals),
        gauge("trigger_value", "Value that is furthest on the breached side, for each trigger; absent while unknown.", ["alert"], _values),
        gauge("trigger_limit", "Limit of a trigger; of a range, its lower end.", ["alert"], _limits),
        gauge("trigger_phase", "1 for the phase that the trigger is in.", ["alert", "phase"], _trigger_phases),
        gauge("trigger_health", "1 for the health of the trigger's query.", ["alert", "health"], _trigger_health),
        gauge(
            "trigger_budget_used_ratio",
            "Share used of a trigger's budget for failed queries or lack of data; 1 when it is spent.",
            ["alert", "budget"],
            _budgets,
        ),
        gauge("trigger_armed", "1 when the trigger may act at the present stage.", ["alert"], _armed),
        gauge("gate_passing", "1 when the gate passes, 0 when it is violated; absent while unknown.", ["gate"], _gates),
        gauge("drift", "1 when the flags are not those of the stage on record.", [], _drift),
        gauge("flags_readable", "1 when the flags could be read at the last look, 0 when not; absent before the first.", [], _readable),
        gauge("config_as_required", "1 when a key has the value that the present stage requires, 0 if not; absent while unknown.", ["key"], _config),
        gauge("degraded", "1 when flags are set to a lesser service than their stage's.", [], _degraded),
        gauge("break_glass", "1 when the present stage was promoted to past everything that it asks for.", [], _broken_glass),
        gauge("soaked_seconds", "Time earned at the present stage.", [], lambda watch: iter([([], watch.state.soaked.total_seconds())])),
        gauge("readiness_score", "Points of the scorecard for the next promotion, of 100.", [], _score),
        gauge("check_passing", "1 when what the next promotion asks for is there, 0 when it is not; absent while unknown.", ["check"], _checks),
        gauge("baseline_value", "Captured baseline of a signal that has one series.", ["signal"], _baselines),
        gauge("escalation_level", "Level that a firing trigger has reached: 0 none, 1 the first.", ["alert"], _escalation_levels),
        gauge("scheduled_rollback_timestamp_seconds", "When the next announced rollback is to be; 0 where none is announced.", [], _announced),
        gauge("blind", "1 when an armed trigger has been unable to see for max_gap.", [], lambda watch: iter([([], float(watch.state.blind))])),
        *(gauge(*family) for family in metrics_evidence.FAMILIES),
        *(counter(*family) for family in metrics_evidence.COUNTERS),
    ]


def _escalation_levels(watch: Watch) -> Iterator[tuple[list[str], float]]:
    known = watch.state.escalations.triggers
    for trigger in watch.rollout.triggers:
        yield [trigger.name], float(len(known[trigger.name].levels)) if trigger.name in known else 0.0


def _announced(watch: Watch) -> Iterator[tuple[list[str], float]]:
    due = [one.announced.due.timestamp() for one in watch.state.escalations.triggers.values() if one.announced]
    yield [], min(due, default=0.0)


def _exposure(watch: Watch) -> Iterator[tuple[list[str], float]]:
    position = watch.state.position
    stage = watch.rollout.stage(position.stage) if position else None
    if stage is not None:
        yield [], stage.exposure


def _phase(watch: Watch) -> Iterator[tuple[list[str], float]]:
    position = watch.state.position
    for phase in Phase:
        yield [phase], float(position is not None and position.phase is phase)


def _stage(watch: Watch) -> Iterator[tuple[list[str], float]]:
    position = watch.state.position
    for stage in watch.rollout.stages:
        yield [stage.name], float(position is not None and position.stage == stage.name)


def _info(watch: Watch) -> Iterator[tuple[list[str], float]]:
    yield [watch.rollout.owner, watch.rollout.runbook_url], 1.0


def _signals(watch: Watch) -> Iterator[tuple[list[str], float]]:
    observations = watch.observations
    if observations is None:
        return
    for signal in watch.rollout.signals:
        seen = look(signal, observations[1], observations[0])
        if isinstance(seen, Value) and len(seen.series) == 1:
            yield [signal.name], next(iter(seen.series.values()))


def _triggers(watch: Watch) -> tuple[TriggerJudgement, ...]:
    return watch.judgement.triggers if watch.judgement else ()


def _values(watch: Watch) -> Iterator[tuple[list[str], float]]:
    for one in _triggers(watch):
        values = [reading.value for reading in one.assessment.series.values() if reading.value is not None]
        if values:
            condition = one.trigger.test.condition
            yield [one.trigger.name], max(values, key=condition.margin if condition else None)


def _limits(watch: Watch) -> Iterator[tuple[list[str], float]]:
    for trigger in watch.rollout.triggers:
        if trigger.test.condition is not None:
            yield [trigger.name], trigger.test.condition.limit


def _trigger_phases(watch: Watch) -> Iterator[tuple[list[str], float]]:
    phases = {one.trigger.name: one.state.phase for one in _triggers(watch)}
    for trigger in watch.rollout.triggers:
        for phase in TriggerPhase:
            yield [trigger.name, phase], float(phases.get(trigger.name, TriggerPhase.INACTIVE) is phase)


def _trigger_health(watch: Watch) -> Iterator[tuple[list[str], float]]:
    known = {one.trigger.name: one.state.health for one in _triggers(watch)}
    for trigger in watch.rollout.triggers:
        for health in Health:
            yield [trigger.name, health], float(known.get(trigger.name) is health)


def _budgets(watch: Watch) -> Iterator[tuple[list[str], float]]:
    known = {one.trigger.name: one.state.spending for one in _triggers(watch)}
    for trigger in watch.rollout.triggers:
        for budget in budgets.of(trigger):
            yield [trigger.name, budget], budgets.share(trigger, known[trigger.name], budget) if trigger.name in known else 0.0


def _armed(watch: Watch) -> Iterator[tuple[list[str], float]]:
    for one in _triggers(watch):
        yield [one.trigger.name], float(one.armed)


def _gates(watch: Watch) -> Iterator[tuple[list[str], float]]:
    for judged in watch.judgement.gates if watch.judgement else ():
        if judged.verdict is not Verdict.UNKNOWN:
            yield [judged.gate.name], float(judged.verdict is Verdict.CLEAR)


def _drift(watch: Watch) -> Iterator[tuple[list[str], float]]:
    yield [], float(watch.state.drift in {Drift.LOWER, Drift.HIGHER, Drift.OTHER})


def _readable(watch: Watch) -> Iterator[tuple[list[str], float]]:
    if watch.judgement is not None:
        yield [], float(watch.judgement.whereabouts.drift is not Drift.UNREADABLE)


def _config(watch: Watch) -> Iterator[tuple[list[str], float]]:
    found = watch.judgement.whereabouts.settings if watch.judgement else ()
    here, off = concerned(watch.rollout, watch.state.position)[0].requires.config, wrong(found)
    for one in found:
        if one.key in here and one.actual is not None:
            yield [one.key], float(one not in off)


def _degraded(watch: Watch) -> Iterator[tuple[list[str], float]]:
    position = watch.state.position
    yield [], float(bool(position and position.degraded))


def _broken_glass(watch: Watch) -> Iterator[tuple[list[str], float]]:
    position = watch.state.position
    yield [], float(bool(position and position.broken_glass))


def _score(watch: Watch) -> Iterator[tuple[list[str], float]]:
    if watch.judgement is not None:
        yield [], readiness.score(watch.rollout, watch.judgement.checks).points


def _checks(watch: Watch) -> Iterator[tuple[list[str], float]]:
    worst: dict[str, Outcome] = {}
    for check in watch.judgement.checks if watch.judgement else ():
        if worst.get(check.name) is not Outcome.FAIL:
            worst[check.name] = check.outcome if check.outcome is not Outcome.PASS else worst.get(check.name, Outcome.PASS)
    for name, outcome in worst.items():
        if outcome is not Outcome.UNKNOWN:
            yield [name], float(outcome is Outcome.PASS)


def _baselines(watch: Watch) -> Iterator[tuple[list[str], float]]:
    for name, series in watch.state.dossier.bases.items():
        if len(series) == 1:
            yield [name], next(iter(series.values()))
