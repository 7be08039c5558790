"""The checks of the preflight on what is far away: services, Prometheus and its rules, queries, Alertmanagers.

Lives here: what an answer means for day one. Must not live here: asking. Pure.
"""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rollback_daemon.durations import format_number
from rollback_daemon.governance.finding import Finding
from rollback_daemon.judge.reasons import Outcome
from rollback_daemon.rules.measures import OnNoData, Signal
from rollback_daemon.rules.model import Rollout
from rollback_daemon.signals.fetch import shown
from rollback_daemon.signals.observation import Failed, Failure, NoData, Observation, Value
from rollback_daemon.signals.prometheus import AlertingRule
from rollback_daemon.signals.questions import is_query

ANSWERS = "vector(1)"
"""The query that every Prometheus that answers at all has an answer to."""


@dataclass(frozen=True, slots=True)
class _Query:
    """Who needs an answer, and whether an empty one is what all of them take for well."""

    askers: tuple[str, ...]
    may_be_empty: bool


def needed(rollout: Rollout) -> dict[str, _Query]:
    """Every distinct query of the rollout, those for baselines included, in the order in which they first come. Nothing else is one."""
    found: dict[str, _Query] = {}
    for asker, questions, may_be_empty in _askers(rollout):
        for question in questions:
            if not is_query(question):
                continue
            known = found.get(question, _Query((), may_be_empty=True))
            askers = tuple(dict.fromkeys([*known.askers, asker]))
            found[question] = replace(known, askers=askers, may_be_empty=known.may_be_empty and may_be_empty)
    return found


def _askers(rollout: Rollout) -> Iterator[tuple[str, Iterable[str], bool]]:
    for signal in rollout.signals:
        yield signal.name, signal.questions(), _ignores(signal)
    for gate in rollout.gates:
        yield gate.name, gate.signal.questions(), _ignores(gate.signal)
    for trigger in rollout.triggers:
        # without a condition every series is a breach, as in a Prometheus alert: while all is well there are none
        quiet = trigger.test.condition is None or all(map(_ignores, trigger.test.signals()))
        yield trigger.name, trigger.test.questions(), quiet
    for signal in rollout.relative_signals():
        yield f"baseline of {signal.name}", signal.baseline_questions() or (), False


def _ignores(signal: Signal) -> bool:
    return signal.no_data is OnNoData.IGNORE


def services(urls: Sequence[str], answers: Mapping[str, Observation]) -> Iterator[Finding]:
    """Whether each service answers well."""
    for url in urls:
        outcome, said = _service(answers.get(url, NoData("was not asked")))
        yield Finding(f"service {shown(url)}", outcome, said.removeprefix(f"{shown(url)}: "))


def _service(seen: Observation) -> tuple[Outcome, str]:
    if not isinstance(seen, Value):
        return Outcome.UNKNOWN, seen.why
    if all(value >= 1 for value in seen.series.values()):
        return Outcome.PASS, "answers"
    return Outcome.FAIL, "; ".join(seen.warnings) or "does not answer"


def prometheus(address: str, answers: Mapping[str, Observation]) -> Finding:
    """Whether Prometheus answers at all."""
    answer = answers.get(ANSWERS, NoData("was not asked"))
    if isinstance(answer, Value):
        return Finding("prometheus", Outcome.PASS, f"{shown(address)} answers")
    return Finding("prometheus", Outcome.FAIL, answer.why if shown(address) in answer.why else f"{shown(address)}: {answer.why}")


def queries(rollout: Rollout, answers: Mapping[str, Observation]) -> Iterator[Finding]:
    """Whether each query returns data."""
    answering = isinstance(answers.get(ANSWERS), Value)
    for query, about in needed(rollout).items():
        outcome, said = _data(answers.get(query, Failed(Failure.UNREACHABLE, "was not asked")), about, answering=answering)
        yield Finding(f"query {' '.join(query.split())}", outcome, f"{said}; for {', '.join(about.askers)}")


def _data(answer: Observation, about: _Query, *, answering: bool) -> tuple[Outcome, str]:
    match answer:
        case Value():
            return Outcome.PASS, _seen(answer)
        case NoData() if answer.empty and about.may_be_empty:
            return Outcome.PASS, "nothing, which is as it should be while all is well"
        case NoData():
            return Outcome.FAIL, answer.why + ("; is the name right, and is it scraped?" if answer.empty else "")
        case Failed():
            # one that Prometheus will not answer, though it answers, will not be answered later either
            refused = answering and answer.reason is Failure.REFUSED
            return Outcome.FAIL if refused else Outcome.UNKNOWN, answer.why


def _seen(answer: Value) -> str:
    first, count = format_number(next(iter(answer.series.values()))), len(answer.series)
    parts = [f"1 series: {first}" if count == 1 else f"{count} series, the first {first}"]
    parts += [f"{len(answer.unknown)} without a number ({next(iter(answer.unknown.values()))})"] if answer.unknown else []
    return "; ".join([*parts, *answer.warnings])


def alert_rules(names: Sequence[str], loaded: Sequence[AlertingRule] | Failed) -> Iterator[Finding]:
    """Whether Prometheus has each alerting rule, and can evaluate it."""
    for name in names:
        if isinstance(loaded, Failed):
            yield Finding(f"alert rule {name}", Outcome.UNKNOWN, f"the rules cannot be listed: {loaded.why}")
        else:
            outcome, said = _rule(name, loaded)
            yield Finding(f"alert rule {name}", outcome, said)


def _rule(name: str, loaded: Sequence[AlertingRule]) -> tuple[Outcome, str]:
    found = [rule for rule in loaded if rule.name == name]
    if not found:
        return Outcome.FAIL, f"is not loaded; {_loaded(name, {rule.name for rule in loaded})}"
    bad = next((rule for rule in found if rule.health == "err"), None)
    if bad is not None:
        return Outcome.FAIL, f'is loaded, but its evaluation fails: {bad.error or "no reason given"} (group "{bad.group}")'
    if any(rule.health != "ok" for rule in found):
        return Outcome.UNKNOWN, f'is loaded, and was not evaluated yet (group "{found[0].group}")'
    return Outcome.PASS, f'is loaded and healthy (group "{found[0].group}")'


def _loaded(name: str, names: Collection[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f'there is "{near[0]}"' if near else f"{len(names)} other{'s are' if len(names) > 1 else ' is'}" if names else "no alerting rule is"


def alertmanagers(why_not: Mapping[str, str]) -> Iterator[Finding]:
    """Whether at least one Alertmanager answers. `why_not` has every one that is configured; the text is empty where it answers."""
    if not why_not:
        return
    away = [f"{shown(url)}: {why}" for url, why in why_not.items() if why]
    here = [f"{shown(url)} answers" for url, why in why_not.items() if not why]
    yield Finding("alertmanager", Outcome.PASS if here else Outcome.FAIL, "; ".join([*here, *away]))
