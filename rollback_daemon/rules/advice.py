"""What `rollbackd check` says of a valid rollout: how triggers and the way up are understood, and what tends to go wrong.

A warning is a Problem with its place that does not keep the file from being used. Lives here: advice. Must not live here: mistakes (`build`).
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from rollback_daemon.documents import Step
from rollback_daemon.durations import format_duration, parse_duration
from rollback_daemon.errors import Problem
from rollback_daemon.rules import advice_aftercare, advice_evidence, promql, templates
from rollback_daemon.rules.advice_climb import climbing
from rollback_daemon.rules.duties import HttpCheck
from rollback_daemon.rules.measures import Condition, Op, Relative, Signal
from rollback_daemon.rules.model import BASELINE, ActionKind, Rollout, Stage, Trigger
from rollback_daemon.rules.places import PLACEHOLDER, problem_at
from rollback_daemon.rules.triggers import KINDS, Threshold, name_of

_SCRAPES = 4  # in the range of a rate: two must be there, one may be lost, and one falls outside
_Where = tuple[Step, ...]


def understood(rollout: Rollout) -> list[str]:
    """One line for each trigger: how its condition is read, for how long it must hold, what follows, and where it is armed.

    Then one for each gate, one for each stage that asks for approvals or anything else on record, one for each evidence that comes by itself, and
    what follows a rollback or completion.
    """
    triggers = (f"{one.name}: {_condition(rollout, one)}{_window(one)}; {_what_follows(rollout, one)}{_budgets(one)}" for one in rollout.triggers)
    return [*triggers, *climbing(rollout), *advice_evidence.coming(rollout), *advice_aftercare.following(rollout)]


def _condition(rollout: Rollout, trigger: Trigger) -> str:
    test = trigger.test
    if not isinstance(test, Threshold) or test.signal.relative or not _is_pasted(rollout, trigger):
        return KINDS[name_of(test)].describe(test)
    if test.condition is None:
        return f"as Prometheus does, every result of `{test.expr}` is a breach"
    return f"`{test.expr}` {test.condition}, told apart from no data"


def _is_pasted(rollout: Rollout, trigger: Trigger) -> bool:
    """Whether the trigger has an expression of its own."""
    return isinstance(trigger.test, Threshold) and all(
        one.name != trigger.test.signal.name or one.expr != trigger.test.expr for one in rollout.signals
    )


def _window(trigger: Trigger) -> str:
    window = f" for {format_duration(trigger.for_)}" if trigger.for_ else ", at once"
    if trigger.keep_firing_for:
        window += f", kept firing for {format_duration(trigger.keep_firing_for)}"
    return window + (f", not before {format_duration(trigger.initial_delay)} at a stage" if trigger.initial_delay else "")


def _what_follows(rollout: Rollout, trigger: Trigger) -> str:
    armed = [stage.name for stage in rollout.stages if stage.name in trigger.stages]
    everywhere = len(armed) == len(rollout.stages) - 1 and BASELINE not in armed
    where = "at every stage" if everywhere else f"at {', '.join(armed)}"
    watched = ", which is only said and not done (dry_run)" if trigger.dry_run else ""
    watched = ", which is only said and not done (mode: observe)" if not rollout.enforce else watched
    return f"{trigger.action}{_until(trigger)} {where}{watched}"


def _budgets(trigger: Trigger) -> str:
    return "".join(f"; {budget}" for budget in (trigger.errors, trigger.no_data) if budget)


def _until(trigger: Trigger) -> str:
    return f" until clear for {format_duration(trigger.action.until)}" if trigger.action.until else ""


def warnings(rollout: Rollout, scrape_interval: timedelta | None = None) -> list[Problem]:
    """What tends to go wrong, in the order of the file. Ranges are looked at only where the scrape interval is known."""
    found = [*_of_signals(rollout), *_of_ranges(rollout, scrape_interval), *_of_rollout(rollout), *advice_aftercare.warnings(rollout)]
    found += advice_evidence.warnings(rollout)
    for index, trigger in enumerate(rollout.triggers):
        found += _of_trigger(rollout, trigger, ("triggers", index))
    return sorted(set(found))


def _expressions(rollout: Rollout) -> Iterator[tuple[_Where, Signal]]:
    """Every query where it is written down: under signals, or as the expression of a gate or a trigger."""
    written = {(signal.name, signal.expr) for signal in rollout.signals}
    for signal in rollout.signals:
        if signal.expr:
            yield ("signals", signal.name, "expr"), signal
    for index, gate in enumerate(rollout.gates):
        if gate.signal.expr and (gate.signal.name, gate.signal.expr) not in written:
            yield ("gates", index, "expr"), gate.signal
    for index, trigger in enumerate(rollout.triggers):
        if isinstance(trigger.test, Threshold) and _is_pasted(rollout, trigger):
            yield ("triggers", index, "expr"), trigger.test.signal


def _of_kinds(rollout: Rollout) -> Iterator[tuple[_Where, Signal]]:
    """The queries that a kind of trigger with a key of its own makes or has in it."""
    known = {(signal.name, signal.expr) for signal in [*rollout.signals, *(gate.signal for gate in rollout.gates)]}
    for index, trigger in enumerate(rollout.triggers):
        for signal in trigger.test.signals() if not isinstance(trigger.test, Threshold) else ():
            if (signal.name, signal.expr) not in known:
                yield ("triggers", index, name_of(trigger.test)), signal


def _of_signals(rollout: Rollout) -> Iterator[Problem]:
    evaluated = {
        ("triggers", index, "expr") for index, one in enumerate(rollout.triggers) if isinstance(one.test, Threshold) and not one.test.condition
    }
    for trail, signal in _expressions(rollout):
        compares = promql.compares(signal.expr)
        if trail in evaluated and not compares:
            yield problem_at(rollout, trail, "compares nothing, so every result is a breach, even 0; add a comparison, or a limit such as above: 0")
        if trail not in evaluated and compares:
            yield problem_at(
                rollout, trail, "leaves out series because of their values, and what it leaves out is no data here; compare by a limit alone"
            )
        yield from _of_share(rollout, signal)
        if signal.needs is None and promql.is_ratio(signal.expr):
            where = "add needs: {expr: …, at_least: …}" if trail[0] == "signals" else "make it a signal with needs: {expr: …, at_least: …}"
            yield problem_at(rollout, trail, f"is a ratio, and with little traffic a ratio can be anything; {where}")


def _of_share(rollout: Rollout, signal: Signal) -> Iterator[Problem]:
    """Limits on a ratio that were most likely meant in percent: a share is never above 1."""
    if signal.unit or not promql.is_share(signal.expr):
        return
    for index, trigger in enumerate(rollout.triggers):
        test, condition = trigger.test, trigger.test.condition
        measured = isinstance(test, Threshold) and test.signal == signal
        if measured and condition and condition.op in {Op.ABOVE, Op.AT_LEAST} and condition.limit >= 1:
            text = f"a share of a whole is hardly ever {condition}; for percent write {condition.limit:g}%"
            yield problem_at(rollout, ("triggers", index), text)


def _of_ranges(rollout: Rollout, scrape_interval: timedelta | None) -> Iterator[Problem]:
    if scrape_interval is None:
        return
    for trail, signal in [*_expressions(rollout), *_of_kinds(rollout)]:
        exprs = {trail: signal.expr} | ({(*trail[:-1], "needs", "expr"): signal.needs.expr} if signal.needs else {})
        for place, expr in exprs.items():
            for window in promql.rate_windows(expr):
                if parse_duration(window) < _SCRAPES * scrape_interval:
                    least = format_duration(_SCRAPES * scrape_interval)
                    text = (
                        f"the range [{window}] is under four scrapes of {format_duration(scrape_interval)}; a lost scrape empties it, use [{least}]"
                    )
                    yield problem_at(rollout, place, text)


def _of_rollout(rollout: Rollout) -> Iterator[Problem]:
    if all(trigger.severity != "critical" for trigger in rollout.triggers):
        yield problem_at(rollout, ("triggers",), "none is critical, so that nobody may be paged; give one severity: critical")
    acts = [trigger for trigger in rollout.triggers if trigger.action.kind is ActionKind.ROLLBACK and not trigger.dry_run]
    if rollout.enforce and not acts:
        yield problem_at(rollout, ("triggers",), "none rolls back; if only watching is meant, say mode: observe")
    yield from _of_rehearsal(rollout)
    for trail, written in ((("owner",), rollout.owner), *((("baseline", key), key) for key in rollout.keys)):
        if written == PLACEHOLDER:
            yield problem_at(rollout, trail, f"{PLACEHOLDER} has still to be written; it is what the import could not know")


def _of_rehearsal(rollout: Rollout) -> Iterator[Problem]:
    """Steps that expect certain values are true of one stage; without `to` they are run at another one each time."""
    rehearsal = rollout.rehearsal
    if rehearsal is None or rehearsal.to is not None or len(rollout.stages) < 3:
        return
    for index, step in enumerate(rehearsal.steps):
        if isinstance(step, HttpCheck) and step.expect:
            text = (
                "expects the same values whichever stage is rehearsed, and without `to` that is another one each time; say to: baseline, for instance"
            )
            yield problem_at(rollout, ("rehearsal", "steps", index), text)


def _of_trigger(rollout: Rollout, trigger: Trigger, trail: _Where) -> Iterator[Problem]:
    armed = [stage for stage in rollout.stages[1:] if stage.name in trigger.stages]
    if not armed and (trigger.action.kind is not ActionKind.ALERT or not trigger.stages):
        yield problem_at(rollout, (*trail, "stages"), "is armed at no stage above the baseline, where alone its action means anything; name a stage")
    kind = name_of(trigger.test)
    for place, text in KINDS[kind].advise(trigger.test):
        yield problem_at(rollout, (*trail, kind, *place), text)
    if isinstance(trigger.test, Threshold) and trigger.test.condition:
        yield from _of_relative(rollout, trigger.test.signal, trigger.test.condition, trail)
    yield from _of_target(rollout, trigger, armed, trail)
    yield from _of_times(rollout, trigger, armed, trail)
    for kind, texts in (("labels", trigger.labels), ("annotations", trigger.annotations)):
        for name, text in texts.items():
            for template in templates.unknown(text):
                yield problem_at(
                    rollout,
                    (*trail, kind, name),
                    f"has a template that stays as it is: {template}; known are the value and labels, humanized or printf",
                )


def _of_relative(rollout: Rollout, signal: Signal, condition: Condition, trail: _Where) -> Iterator[Problem]:
    """A multiple of what it is held against, most likely meant as an increase: `above: 10%` is breached by whatever is above a tenth of it."""
    if signal.relative is Relative.SHARE and condition.op in {Op.ABOVE, Op.AT_LEAST} and condition.limit < 1:
        percent, key = 100 * condition.limit, "above" if condition.op is Op.ABOVE else "at_least"
        less = f"{percent:g}% of the {signal.against} is less than it, so that being as before is a breach"
        text = f"{less}; for {percent:g}% over it write {percent + 100:g}%"
        yield problem_at(rollout, (*trail, key), text)


def _of_target(rollout: Rollout, trigger: Trigger, armed: Sequence[Stage], trail: _Where) -> Iterator[Problem]:
    target = rollout.stage(trigger.action.to) if trigger.action.to else None
    above = [stage.name for stage in armed if target and stage.number <= target.number]
    if target and above:
        text = f'"{target.name}" is not below {", ".join(above)}, and a rollback never raises: there the rollout is only held'
        yield problem_at(rollout, (*trail, "action", "rollback"), text)


def _of_times(rollout: Rollout, trigger: Trigger, armed: Sequence[Stage], trail: _Where) -> Iterator[Problem]:
    if timedelta() < trigger.for_ < rollout.interval:
        text = f"is shorter than the interval, so that it fires at the second breach in a row, {format_duration(rollout.interval)} after the first"
        yield problem_at(rollout, (*trail, "for"), text)
    wait = trigger.for_ + trigger.initial_delay
    early = [f"{stage.name} ({format_duration(stage.soak)})" for stage in armed if wait > stage.soak]
    if wait and early:
        what = "for and initial_delay are" if trigger.for_ and trigger.initial_delay else "is"
        place = (*trail, "for" if trigger.for_ else "initial_delay")
        yield problem_at(rollout, place, f"{what} longer than the soak of {', '.join(early)}, which may be over before it fires")
