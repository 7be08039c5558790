"""What a backtest's document says in words, on a terminal and on a page the same.

Lives here: sentences and figures for people. Must not live here: columns, markup, facts (`report`).
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from rollback_daemon.durations import format_coarse, format_number
from rollback_daemon.signals.observation import show_labels

Entry = Mapping[str, Any]


def share(value: float | None) -> str:
    """A share as a percentage; one that is not nothing is not shown as nothing, and one that is not all not as all."""
    if value is None:
        return "-"
    percent = 100 * value
    if 0 < percent < 0.01:
        return "<0.01%"
    if 99.99 < percent < 100:
        return ">99.99%"
    return f"{percent:.2f}".rstrip("0").rstrip(".") + "%"


def span(seconds: float) -> str:
    """A duration."""
    return format_coarse(timedelta(seconds=seconds))


def figure(value: float | str | None) -> str:
    """A value; infinite ones are words already."""
    return value if isinstance(value, str) else "-" if value is None else format_number(value)


def clock(at: str | None) -> str:
    """A moment, to the second, in UTC."""
    return at[:19].replace("T", " ") if at else "-"


def limit(trigger: Entry) -> str:
    """`error_rate > 0.01 for 5m`."""
    text = f"{trigger['subject']} {trigger['limit']}".strip()
    return f"{text} for {span(trigger['for'])}" if trigger["for"] else text


def closest(trigger: Entry) -> str:
    """How close it came: `0.0093 at 2026-11-02 03:12:00, 7% of the limit left`."""
    found = trigger["closest"]
    if found is None:
        return "-" if trigger["unknown"]["share"] != 1 else "could not be told"
    where = show_labels(tuple(sorted(found["labels"].items())))
    return f"{figure(found['value'])}{where} at {clock(found['at'])}, {_left(found)}"


def _left(found: Entry) -> str:
    headroom, of = found["headroom"], found["of_limit"]
    past = headroom == "-Inf" or (not isinstance(headroom, str) and headroom < 0)
    amount = figure(abs(headroom)) if not isinstance(headroom, str) else "infinitely"
    relative = f" ({share(abs(of))} of the limit)" if isinstance(of, int | float) else ""
    return f"{amount} past the limit{relative}" if past else f"{amount} left{relative}"


def longest(trigger: Entry) -> str:
    """The longest breach beside the window that it must last for."""
    if not trigger["longest_breach"] and not trigger["fired"]:
        return "-"
    told = span(trigger["longest_breach"])
    return f"{told} of {span(trigger['for'])}" if trigger["for"] else told


def unknown(trigger: Entry) -> str:
    """For how much of the time it could not be told, the two reasons apart."""
    parts = [
        f"{name} {share(one['share'])} (longest {span(one['longest'])} from {clock(one['longest_from'])}: {one['why']})"
        for name, one in (("no data", trigger["unknown"]["no_data"]), ("failed", trigger["unknown"]["failed"]))
        if one["share"]
    ]
    return "; ".join([*parts, *([f"not enough samples yet {share(trigger['collecting'])}"] if trigger["collecting"] else [])])


def blind(triggers: Sequence[Entry]) -> dict[str, list[str]]:
    """What could not be told, and of which triggers: those with the same words together."""
    found: dict[str, list[str]] = {}
    for one in triggers:
        if told := unknown(one):
            found.setdefault(told, []).append(one["alert"])
    return found


def headline(rollout: Entry) -> str:
    """What would have happened, in a line."""
    count, would = rollout["rollbacks"], rollout["would_roll_back"]
    fired = sum(one["fired"] for one in rollout["triggers"])
    told = f"{_many(count, 'rollback')}" if count or not would else f"would have asked for {_many(would, 'rollback')}"
    blind = sum(one["unknown"]["share"] == 1 for one in rollout["triggers"])
    more = f", {_many(blind, 'trigger')} could not be told at all" if blind else ""
    return f"{told}, {_many(fired, 'fire')} of {_many(len(rollout['triggers']), 'trigger')}{more}"


def begins(rollout: Entry) -> str:
    """Where it stood, and what people do."""
    climbed = "it began at its baseline and was promoted as soon as that was allowed"
    how = climbed if rollout["climb"] else f'it stood at "{rollout["began_at"]}"'
    after = rollout["resume_after"]
    return f"{how}; {'nobody resumes it after a rollback' if after is None else f'a person resumes it {span(after)} after a rollback'}"


def ends(rollout: Entry) -> str:
    """Where it stood at the end, if that is not where it began, and what kept it there."""
    if rollout["ended_at"] == rollout["began_at"]:
        return ""
    why = f"; kept from the next stage by: {'; '.join(rollout['blocked_by'])}" if rollout["blocked_by"] else ""
    return f'at the end it stood at "{rollout["ended_at"]}"{why}'


def fire(one: Entry, limit: str) -> str:
    """One fire, behind its trigger's name."""
    where = show_labels(tuple(sorted(one["labels"].items())))
    peak = f", peak {figure(one['peak'])}{f' (limit: {limit})' if limit else ''} at {clock(one['peak_at'])}" if one["peak"] is not None else ""
    follows = f", led to {'; '.join(one['followed'])}" if one["followed"] else "" if one["armed"] else ", not armed there"
    return f"{where}{' ' if where else ''}pending since {clock(one['pending'])}, resolved {clock(one['resolved'])}{peak}{follows}"


def decision(one: Entry) -> str:
    """What was decided: `rollback full > canary`."""
    return f"{one['kind']} {one['from']} > {one['to']}" if one["to"] else one["kind"]


def reasons(one: Entry) -> str:
    """Why, and for how long the way up was shut."""
    why = "; ".join(one["why"]) or f"by {one['by']}"
    if not one["latches"]:
        return why
    return f"{why} [latched until {clock(one['until'])}]" if one["until"] else f"{why} [latched to the end]"


def score(one: Entry) -> str:
    """Caught, missed, false, and what follows from that."""
    found = one["detection"]
    delay = f"; detected after {span(found['median'])} (median), {span(found['worst'])} (worst)" if found else ""
    rates = f"precision {share(one['precision'])}, recall {share(one['recall'])}"
    return f"caught {len(one['caught'])}, missed {len(one['missed'])}, false {len(one['false'])}; {rates}{delay}"


def later(seconds: float) -> str:
    """`2m later`."""
    return f"{span(abs(seconds))} {'later' if seconds > 0 else 'earlier'}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
