"""Which alerts are active: a pure function of a rollout, what the judge knows of it, and the last evaluation.

Every trigger alerts under its own name, and the rollout itself under the names in `ROLLOUT_ALERTS`. Lives here: labels, annotations, and since
when. Must not live here: sending them (`alertmanager`), the wording of a breach (`judge.act.sentence`).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from rollback_daemon.durations import format_duration, format_number
from rollback_daemon.faces.aftercare_alerts import AFTERCARE_ALERTS
from rollback_daemon.faces.evidence_alerts import EVIDENCE_ALERTS
from rollback_daemon.faces.rollout_alert import Finding, RolloutAlert
from rollback_daemon.flags.store import FlagValue
from rollback_daemon.judge import budgets, citing, relief
from rollback_daemon.judge.act import sentence
from rollback_daemon.judge.budgets import Budget
from rollback_daemon.judge.drift import Drift
from rollback_daemon.judge.escalating import climbs, level_names
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.state import Judgement, State, TriggerJudgement
from rollback_daemon.judge.transitions import Kind, Phase
from rollback_daemon.judge.trigger import Active
from rollback_daemon.rules.aftercare import WayKind
from rollback_daemon.rules.model import ActionKind, Rollout, Trigger
from rollback_daemon.rules.reading import Health
from rollback_daemon.rules.templates import render

JOURNAL_UNWRITABLE = "JournalUnwritable"
JOURNAL_ALTERED = "JournalAltered"
_LONGEST_VALUE = 80
_RESERVED = ("alertname", "rollout", "stage", "owner", "severity")


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as Alertmanager knows it. Its labels, none of them empty, are its identity; everything else may change while it is active."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    generator_url: str


def active(rollout: Rollout, state: State, judgement: Judgement, *, external_url: str, external_labels: Mapping[str, str]) -> list[Alert]:
    """Every alert that is active now, triggers first.

    A trigger's `stage` is where it fired and stays that; a rollout alert's is the one on record, which changes when a transition is done.

    `external_url` is where people reach the daemon; it is left out where it is no absolute URL. `external_labels` never overwrite a label.
    Labels are weakest first: external, of the series, of the rule file, of the trigger; `alertname`, `rollout` and `stage` are ours, and so
    are `owner` and `severity` where the trigger has none, and the first `level` of a trigger that escalates: it stays that, or it would be another
    alert at each level. What a series had under one of these names is kept as `exported_NAME`.
    """
    url = _page(external_url, rollout.name)
    found: dict[frozenset[tuple[str, str]], Alert] = {}
    for name, labels, annotations, since in (*_of_triggers(rollout, state, judgement), *_of_rollout(rollout, state, judgement)):
        complete = {**_without_empty(external_labels), **_without_empty(labels), "alertname": name, "rollout": rollout.name}
        alert = Alert(complete, _without_empty({"runbook_url": rollout.runbook_url, **annotations}), since, url)
        # series that a rule's own labels make equal are one alert to Alertmanager: the one that began first speaks for them
        found[frozenset(complete.items())] = min(found.get(frozenset(complete.items()), alert), alert, key=lambda one: one.starts_at)
    return list(found.values())


_Raw = tuple[str, dict[str, str], dict[str, str], datetime]
"""Name, labels and annotations of an alert before what all of them share, and since when it is active."""


# of triggers


def _of_triggers(rollout: Rollout, state: State, judgement: Judgement) -> Iterator[_Raw]:
    for judged in judgement.triggers:
        known = state.triggers.get(judged.trigger.name, judged.state)
        for series in known.active:
            if series.alerting and series.firing_since:
                yield _of_series(rollout, state, judged, series, series.firing_since, judgement.at)


def _of_series(rollout: Rollout, state: State, judged: TriggerJudgement, series: Active, since: datetime, now: datetime) -> _Raw:
    trigger, labels = judged.trigger, dict(series.labels)
    level = {"level": level_names(rollout)[0]} if climbs(trigger) else {}
    own = {name: render(text, series.value, labels) for name, text in trigger.labels.items()}
    ours = {"owner": rollout.owner, "severity": trigger.severity, **level, **own, "stage": series.stage}
    exported = {f"exported_{name}": labels.pop(name) for name in (*_RESERVED, *level) if name in labels}
    annotations = {
        "summary": sentence(judged, series, now),
        "description": _description(rollout, state, judged, series, now),
        "value": "no data" if series.value is None else format_number(series.value),
        "action": _what_is_done(rollout, trigger),
        **{name: render(text, series.value, dict(series.labels)) for name, text in trigger.annotations.items()},
    }
    return trigger.name, {**exported, **labels, **rollout.labels, **ours}, annotations, since


def _description(rollout: Rollout, state: State, judged: TriggerJudgement, series: Active, now: datetime) -> str:
    query = f" Query: {judged.trigger.test.expr}" if judged.trigger.test.expr else ""
    failed = " ".join(f"Failed: {said.rstrip('.')}." for said in citing.failed(rollout, state.dossier, judged.trigger))
    return f"Rollout {rollout.name}: {sentence(judged, series, now)}.{f' {failed}' if failed else ''}{query}"


def _what_is_done(rollout: Rollout, trigger: Trigger) -> str:
    if trigger.dry_run:
        return f"nothing was done, the trigger is a dry run; it would have been: {trigger.action}"
    if not rollout.enforce:
        return f"nothing was done, the rollout is only observed (mode: observe); it would have been: {trigger.action}"
    return str(trigger.action)


# of the rollout


def _of_rollout(rollout: Rollout, state: State, judgement: Judgement) -> Iterator[_Raw]:
    stage = state.position.stage if state.position else ""
    for name, kind in ROLLOUT_ALERTS.items():
        for found in kind.findings(rollout, state, judgement):
            labels = {**rollout.labels, "owner": rollout.owner, "severity": found.severity or kind.severity, "stage": stage, **found.labels}
            yield name, labels, {"summary": found.summary, "description": found.description, "value": found.value}, found.since


def _rolled_back(rollout: Rollout, state: State, _judgement: Judgement) -> Finding | None:
    position, known = state.position, state.aftermath
    if position is None or position.rehearsing or (known.cause or position.code) in _OWN_ALERTS:
        return None
    if position.phase not in {Phase.ROLLED_BACK, Phase.FROZEN} and not (position.open and position.open.code == Code.UNVERIFIED):
        return None  # while another way back is taken, it still is one that was rolled back
    way = f'from "{position.origin}" to "{position.stage}"' if position.origin else f'to "{position.stage}"'
    text = f"{position.why}{_asked(position)}. It is not promoted again until somebody resumes it with a reason."
    since = (known.last if known.tried else position.since) or position.entered
    return Finding(since, position.why, f"{rollout.name} was rolled back {way}", text)


def _rollback_failed(rollout: Rollout, state: State, _judgement: Judgement) -> Finding | None:
    position = state.position
    opened = position.open if position else None
    if position is None or opened is None or opened.kind is not Kind.ROLLBACK or not (opened.failure or position.phase is Phase.FAILED):
        return None
    if opened.way_kind != WayKind.FLAGS:  # its flags are set; that another way back fails is told by RolloutUnverified
        return None
    when = f"at {opened.next_try.astimezone(UTC):%H:%M:%S} UTC" if opened.next_try else "in a moment"
    summary = f'{rollout.name} could not be rolled back from "{opened.origin}" to "{opened.target}"'
    done = "Its flags could not be set"
    if opened.applied:
        summary = f'{rollout.name} has the flags of "{opened.target}" again, but the rollback is not complete'
        done = "Its flags are set, but the application may not have taken them up"
    text = f"{done}: {opened.failure}. The next try is {when}. The rollback is due because of: {'; '.join(opened.why)}{_asked(position)}."
    return Finding((position.since if position.phase is Phase.FAILED else None) or opened.at, opened.failure, summary, text)


def _drift(rollout: Rollout, state: State, judgement: Judgement) -> Finding | None:
    where = judgement.whereabouts
    if state.drift not in _DRIFTS or where.drift is Drift.NONE:  # none any more, or just being dealt with
        return _drifted(rollout, state.position)
    keys = "; ".join(f"{key} is {_show(actual)}, expected {_show(expected)}" for key, (expected, actual) in sorted((where.keys or {}).items()))
    summary = f"the flags of {rollout.name} are {_DRIFTS[state.drift]} than the record says"
    there = f'They are those of stage "{where.stage.name}".' if where.stage else "They are those of no stage."
    severity = "critical" if state.drift is Drift.HIGHER or where.mixed else ""
    return Finding(state.drift_since or judgement.at, keys, summary, f"{keys}. {there} rollbackd did not set them so.", severity)


def _drifted(rollout: Rollout, position: Position | None) -> Finding | None:
    """Drift that was dealt with stays an alert until a person has looked at it: somebody went around the guard."""
    if position is None or position.code != Code.DRIFT or position.phase not in {Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.HELD, Phase.FAILED}:
        return None
    raised = position.phase is not Phase.HELD
    done = "taken back to" if raised else "left at"
    summary = f'somebody else changed the flags of {rollout.name}; they were {done} "{position.goal}"'
    text = f"{position.why}. It goes no further up until somebody resumes it with a reason."
    return Finding(position.since or position.entered, position.why, summary, text, "critical" if raised else "")


def _misconfigured(rollout: Rollout, state: State, judgement: Judgement) -> Finding | None:
    if not state.misconfigured:
        return None
    found = "; ".join(state.misconfigured)
    summary = f"the configuration of {rollout.name} is not what its stage requires"
    text = f"{found}. It is not promoted, and no time counts, until that is so again. rollbackd does not set it: somebody has to."
    return Finding(state.misconfigured_since or judgement.at, found, summary, text)


def _degraded(rollout: Rollout, state: State, judgement: Judgement) -> Finding | None:
    position = state.position
    if position is None or not position.degraded:
        return None
    flags = ", ".join(f"{key} is {_show(value)}" for key, value in sorted(position.degraded.items()))
    left = relief.left(rollout, state)
    until = "somebody restores it with a reason"
    if left is not None:
        until = f"{', '.join(position.degraded_by)} was clear for long enough ({format_duration(left)} more), or {until}"
    text = f"{flags}, whatever its stage says. It stays so, and is not promoted, until {until}."
    return Finding(position.open.at if position.open else judgement.at, flags, f"{rollout.name} is degraded: {flags}", text)


def _broken_glass(rollout: Rollout, state: State, _judgement: Judgement) -> Finding | None:
    position = state.position
    if position is None or not (position.broken_glass or (position.open and position.open.code == Code.BREAK_GLASS)):
        return None
    who = position.broken_glass or position.why
    summary = f'{rollout.name} was promoted to "{position.goal}" past everything that it asks for'
    return Finding(position.entered, who, summary, f"{who}. It stays marked so on record for ever; this alert ends with the stage.")


def _rehearsal_failed(rollout: Rollout, state: State, _judgement: Judgement) -> Finding | None:
    position = state.position
    if position is None or position.code != Code.REHEARSAL or position.rehearsing or position.phase not in {Phase.ROLLED_BACK, Phase.HELD}:
        return None
    text = f'{position.why}. It stays at "{position.stage}" until somebody resumes it with a reason.'
    return Finding(position.since or position.entered, position.why, f"the rehearsal of a rollback of {rollout.name} failed", text)


def _blind(rollout: Rollout, state: State, judgement: Judgement) -> Finding | None:
    if not state.blind:
        return None
    since = state.blind_since or judgement.at
    lost = [one for one in judgement.triggers if one.armed and one.state.unknown_since and not one.trigger.dry_run]
    each = "; ".join(f"{one.trigger.name}: {one.state.why or 'no data'}" for one in lost)
    value = f"{len(lost)} of {len(judgement.triggers)} triggers cannot see"
    summary = f"{rollout.name} is not guarded: {value}, for {format_duration(judgement.at - since)}"
    budgeted = [f"{one.trigger.name}: {budget}" for one in lost for budget in (one.trigger.errors, one.trigger.no_data) if budget]
    follows = "Nothing is rolled back and nothing is promoted for what cannot be seen."
    if budgeted:
        follows = f"Nothing is promoted for what cannot be seen. If it lasts: {'; '.join(budgeted)}."
    return Finding(since, value, summary, f"{each}. {follows}")


def _budget_spent(rollout: Rollout, state: State, judgement: Judgement) -> Iterator[Finding]:
    """One for each trigger and budget; of a dry run only the record tells."""
    for one in judgement.triggers:
        trigger, spending = one.trigger, state.triggers.get(one.trigger.name, one.state).spending
        for budget, since in spending.spent.items() if not trigger.dry_run else ():
            value, action = budgets.used(trigger, spending, budget), budgets.action(trigger, budget)
            follows = "Its rule asks for no more than this alert" if action.kind is ActionKind.ALERT else f"Its rule asks for: {action}"
            if not rollout.enforce:
                follows = f"Nothing was done, the rollout is only observed (mode: observe); it would have been: {action}"
            why = one.state.why if (budget is Budget.ERRORS) is (one.state.health is Health.ERROR) else ""
            text = f"{budgets.sentence(trigger, spending, budget, why)}. {follows}."
            summary = f"{trigger.name} of {rollout.name} cannot tell: {value}"
            yield Finding(since, value, summary, text, labels={"trigger": trigger.name, "budget": budget})


def _held(rollout: Rollout, state: State, judgement: Judgement) -> Finding | None:
    position, where = state.position, judgement.whereabouts
    reasons, since = [], []
    if position is not None and position.phase is Phase.HELD:
        reasons.append(position.why)
        since.append(position.since or position.entered)
    if where.drift is Drift.UNREADABLE:
        reasons.append(f"its flags cannot be read: {where.why}")
        since.append(state.drift_since or judgement.at)
    if not reasons:
        return None
    why = "; ".join(reasons)
    until = "somebody resumes it" if position is not None and position.phase is Phase.HELD else "they can be read again"
    return Finding(min(since), why, f"{rollout.name} is held: {why}", f"{why}. It goes no further up until {until}.")


def _ready(rollout: Rollout, state: State, judgement: Judgement) -> Finding | None:
    position = state.position
    if position is None or position.phase is not Phase.READY:
        return None
    following = next((stage for stage in rollout.stages if stage.number == _number(rollout, position) + 1), None)
    to = f' to "{following.name}"' if following else ""
    value = f'soaked {format_duration(state.soaked)} at "{position.stage}"'
    missing = "; ".join(reason.sentence for reason in judgement.blockers)
    waits = f"What is missing: {missing}." if missing else "It is promoted when somebody promotes it."
    text = f"{value}, and each of its {len(judgement.gates)} gates passes. {waits}"
    summary = f"{rollout.name} has earned its promotion{to}" if missing else f"{rollout.name} may be promoted{to}"
    return Finding(position.since or position.entered, value, summary, text)


ROLLOUT_ALERTS: dict[str, RolloutAlert] = {
    "RolloutRolledBack": RolloutAlert("critical", "the rollout was taken back, and nobody has resumed it yet", _rolled_back),
    "RolloutRollbackFailed": RolloutAlert("critical", "a rollback is due and the flags could not be set; it is tried again", _rollback_failed),
    "RolloutBlind": RolloutAlert("critical", "triggers that are armed could not see for longer than `max_gap`", _blind),
    "RolloutBudgetSpent": RolloutAlert("critical", "a trigger could not see for longer than its `errors` or `no_data` budget allows", _budget_spent),
    "RolloutDrift": RolloutAlert("warning", "somebody else changed the flags (critical: raised them), and nobody has looked at it yet", _drift),
    "RolloutMisconfigured": RolloutAlert("warning", "a key has not the value that the present stage requires", _misconfigured),
    "RolloutBreakGlass": RolloutAlert("critical", "the present stage was promoted to past everything that it asks for", _broken_glass),
    "RolloutRehearsalFailed": RolloutAlert("critical", "a rehearsed rollback did not pass, and the way up is closed", _rehearsal_failed),
    "RolloutDegraded": RolloutAlert("warning", "a trigger set flags to a lesser service, and nobody has restored them", _degraded),
    "RolloutHeld": RolloutAlert("warning", "somebody or something stopped the way up, or the flags cannot be read", _held),
    **EVIDENCE_ALERTS,
    **AFTERCARE_ALERTS,
    "RolloutReady": RolloutAlert("info", "soaked, and every gate passes: people may promote it, or owe it something", _ready),
}
"""Every alert about a rollout itself, by name."""

_OWN_ALERTS = {Code.DRIFT, Code.REHEARSAL}
"""Why flags were taken back for a reason that has an alert of its own."""
_DRIFTS = {Drift.LOWER: "lower", Drift.HIGHER: "higher", Drift.OTHER: "other"}


# words


def _asked(position: Position) -> str:
    return f" (by {position.by})" if position.by else ""


def _number(rollout: Rollout, position: Position) -> int:
    stage = rollout.stage(position.stage)
    return stage.number if stage else 0


def _show(value: FlagValue) -> str:
    """A flag's value with its type visible. Only keys that the rule file names come here."""
    text = "missing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def journal_unwritable(since: datetime, *, external_url: str, external_labels: Mapping[str, str]) -> Alert:
    """About the guard itself: a journal that cannot be written blocks every promotion, and pages."""
    labels = {**_without_empty(external_labels), "alertname": JOURNAL_UNWRITABLE, "severity": "critical"}
    said = {
        "summary": "the journal of rollbackd cannot be written",
        "description": "Rollbacks go on and are kept in the spill file beside it; promotions are refused. Look at disk space and permissions.",
    }
    return Alert(labels, said, since, _page(external_url, ""))


def journal_altered(since: datetime, faults: Sequence[str], *, external_url: str, external_labels: Mapping[str, str]) -> Alert:
    """About the guard itself: what is on record is no longer what was put there."""
    labels = {**_without_empty(external_labels), "alertname": JOURNAL_ALTERED, "severity": "critical"}
    said = {
        "summary": "the journal of rollbackd was altered from outside",
        "description": f"{'; '.join(faults[:3])}. Rollbacks go on. Keep a copy of the file for whoever examines it.",
    }
    return Alert(labels, said, since, _page(external_url, ""))


def _page(external_url: str, rollout: str) -> str:
    parts = urlsplit(external_url)
    page = f"/rollouts/{quote(rollout, safe='')}" if rollout else "/"
    return external_url.rstrip("/") + page if parts.scheme and parts.netloc else ""


def _without_empty(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text}
