"""The answers that the judge finds in a simulation: those seen last, with what is supposed in their place. Pure.

Lives here: where a value lands, and what makes it count there (enough traffic, a sample that is new). Must not live here: how it is written
(`settings`), what follows from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rollback_daemon.rules.measures import Signal
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.reading import Observations
from rollback_daemon.signals.observation import NOTHING, Failed, Failure, Labels, NoData, Observation, Value
from rollback_daemon.signals.questions import distinct
from rollback_daemon.simulation.settings import Setting, Unseen, every_signal

_NAN = "the value is NaN"


@dataclass(frozen=True, slots=True)
class Laid:
    """Answers as they are supposed to be. `ages`: the queries that tell when samples were taken; their answers move on with the time."""

    seen_at: datetime
    answers: Observations
    ages: frozenset[str] = frozenset()
    remarks: tuple[str, ...] = ()

    def at(self, now: datetime) -> Observations:
        """The answers of the evaluation at `now`: everything is as old as it was when it was seen."""
        passed = (now - self.seen_at).total_seconds()
        moved = {query: _later(self.answers[query], passed) for query in self.ages}
        return {**self.answers, **moved}


def lay(settings: Sequence[Setting], rollout: Rollout, seen: Observations, seen_at: datetime) -> Laid:
    """The answers seen last, with the settings in their place, and with what makes a set value count: enough traffic, a sample that is new."""
    queries = distinct([rollout.questions()])
    answers = {query: seen[query] for query in queries if query in seen}
    chosen = frozenset(query for one in settings for query in one.queries)
    signals, remarks = every_signal(rollout), list[str]()
    for one in sorted(settings, key=lambda one: one.labels is not None):  # the whole before its series
        for query in one.queries:
            answers[query], touched = _with(answers.get(query), one)
            remarks += _remarks(one, query, touched, signals)
            for signal in signals if touched and not isinstance(one.value, Unseen) else ():
                if signal.expr == query:
                    answers |= _counting(signal, touched, answers, chosen, seen_at, whole=one.labels is None)
        remarks += _left(one, rollout, chosen)
    ages = frozenset(signal.age_query for signal in signals if signal.max_age is not None and signal.age_query in answers)
    return Laid(seen_at, answers, ages, tuple(dict.fromkeys(remarks)))


def _with(before: Observation | None, setting: Setting) -> tuple[Observation, tuple[Labels, ...]]:
    """The answer as it is supposed to be, and the series that it is about."""
    known = before if isinstance(before, Value) else Value({})
    every = (*known.series, *known.unknown)
    if setting.labels is None:
        return _whole(setting.value, every or ((),), known), every or ((),)
    touched = tuple(labels for labels in every if set(setting.labels) <= set(labels))
    left = Value(
        {labels: value for labels, value in known.series.items() if labels not in touched},
        {labels: why for labels, why in known.unknown.items() if labels not in touched},
        known.warnings,
    )
    match setting.value:
        case Unseen.NO_DATA | Unseen.FAILED:
            return _or_nothing(left) if touched or before is None else before, touched
        case Unseen.NAN:
            touched = touched or (setting.labels,)
            return _or_nothing(Value(left.series, {**left.unknown, **dict.fromkeys(touched, _NAN)}, left.warnings)), touched
        case value:
            touched = touched or (setting.labels,)
            return Value({**left.series, **dict.fromkeys(touched, value)}, left.unknown, left.warnings), touched


def _whole(value: float | Unseen, every: Sequence[Labels], known: Value) -> Observation:
    match value:
        case Unseen.NO_DATA:
            return NoData(NOTHING)
        case Unseen.NAN:
            return NoData(_NAN)
        case Unseen.FAILED:
            return Failed(Failure.UNREACHABLE, "supposed to fail")
        case number:
            return Value(dict.fromkeys(every, number), {}, known.warnings)


def _or_nothing(value: Value) -> Observation:
    if value.series:
        return value
    return NoData(next(iter(value.unknown.values()), NOTHING), value.warnings)


def _counting(
    signal: Signal, touched: Sequence[Labels], answers: Observations, chosen: frozenset[str], at: datetime, *, whole: bool
) -> Mapping[str, Observation]:
    """The answers beside the value itself that make it count, save for those that are set themselves."""
    found: dict[str, Observation] = {}
    if signal.needs is not None and signal.needs.expr not in chosen:
        found[signal.needs.expr] = _enough(answers.get(signal.needs.expr), signal.needs.at_least, touched, whole=whole)
    if signal.max_age is not None and signal.age_query not in chosen:
        taken = answers.get(signal.age_query)
        times = taken.series if isinstance(taken, Value) else {}
        found[signal.age_query] = Value({**times, **dict.fromkeys(touched, at.timestamp())})
    return found


def _enough(traffic: Observation | None, least: float, touched: Sequence[Labels], *, whole: bool) -> Value:
    if not isinstance(traffic, Value):
        return Value({(): least} if whole else dict.fromkeys(touched, least))
    if len(traffic.series) == 1 and () in traffic.series:
        return Value({(): max(least, traffic.series[()])})
    return Value({**traffic.series, **{labels: max(least, traffic.series.get(labels, least)) for labels in touched}}, traffic.unknown)


def _later(answer: Observation, seconds: float) -> Observation:
    return Value({labels: at + seconds for labels, at in answer.series.items()}, answer.unknown) if isinstance(answer, Value) else answer


def _left(setting: Setting, rollout: Rollout, chosen: frozenset[str]) -> Iterator[str]:
    """What else the trigger reads that a setting is named after: the control of a canary, for one."""
    for trigger in rollout.triggers:
        others = [one.name for one in trigger.test.signals() if one.expr and one.expr not in chosen] if trigger.name == setting.name else []
        if others:
            yield f"{trigger.name} reads {', '.join(others)} as well, and that stays as it was seen last"


def _remarks(setting: Setting, query: str, touched: Sequence[Labels], signals: Sequence[Signal]) -> Iterator[str]:
    """What whoever wrote it may not expect."""
    if not touched:
        yield f'"{setting.text}" changes nothing: no such series was seen'
    others = [
        one.name for one in signals if query in {one.expr, one.figure_key, *one.endpoints} and one not in setting.signals and one.name != setting.name
    ]
    if others:
        yield f"{', '.join(dict.fromkeys(others))} asks the same question as {setting.name}, and is set with it"
    if any(one.relative is not None and one.expr == query for one in setting.signals):
        yield f"{setting.name} is set to its own value, which is held against its baseline or control as seen last"
