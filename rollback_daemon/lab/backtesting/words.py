"""What a backtest's document says in words, on a terminal and on a page the same.

Lives here: sentences and figures for people. Must not live here: columns, markup, facts (`report`).
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from rollback_daemon.durations import format_coarse, format_number
from rollback_daemon.signals.observation import show_labels

Entry = Mapping[str, Any]
_SILLY = 10  # times the limit: beyond that a percentage of it tells nobody anything, as of a p of 1 beside a limit of 0.01


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
    """How close it came: `0.0093 at 2026-11-02 03:12:00, short of the limit by 0.0007 (7% of it)`."""
    found = trigger["closest"]
    if found is None:
        return "-" if trigger["unknown"]["share"] != 1 else "could not be told"
    where = show_labels(tuple(sorted(found["labels"].items())))
    return f"{figure(found['value'])}{where} at {clock(found['at'])}, {_left(found)}"


def _left(found: Entry) -> str:
    headroom, of = found["headroom"], found["of_limit"]
    past = headroom == "-Inf" or (not isinstance(headroom, str) and headroom < 0)
    amount = figure(abs(headroom)) if not isinstance(headroom, str) else "infinitely"
    relative = f" ({share(abs(of))} of it)" if isinstance(of, int | float) and 0 < abs(of) < _SILLY else ""
    return "at the limit" if headroom == 0 else f"{'past' if past else 'short of'} the limit by {amount}{relative}"


def longest(trigger: Entry) -> str:
    """The longest breach; the window that it must last for stands in the limit."""
    if not trigger["longest_breach"] and not trigger["fired"]:
        return "-"
    return span(trigger["longest_breach"])


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
    told = f"{_many(count, 'rollback')}" if count or not would else f"would have asked for {_many(would, 'rollback')}"
    return f"{told}; {fired(rollout)}"


def fired(rollout: Entry) -> str:
    """How many of the triggers fired, how often, and how many could never tell."""
    triggers = rollout["triggers"]
    some, often = sum(bool(one["fired"]) for one in triggers), sum(one["fired"] for one in triggers)
    blind = sum(one["unknown"]["share"] == 1 for one in triggers)
    times = f", {_many(often, 'time')} in all" if often > some else ""
    more = f"; {_many(blind, 'trigger')} could not be told at all" if blind else ""
    return f"{some or 'none'} of {_many(len(triggers), 'trigger')} fired{times}{more}"


def stood(rollout: Entry) -> str:
    """Where it stood for how much of the time."""
    return (
        ", ".join(f"{stage['stage']} {share(stage['share'])}" for stage in rollout["stages"]) + f" of the time; latched {share(rollout['latched'])}"
    )


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
    follows = f", led to {'; '.join(_counted(one['followed']))}" if one["followed"] else "" if one["armed"] else ", not armed there"
    return f"{where}{' ' if where else ''}pending since {clock(one['pending'])}, resolved {clock(one['resolved'])}{peak}{follows}"


def _counted(said: Sequence[str]) -> list[str]:
    """What was said several times once, with how often."""
    return [what if said.count(what) == 1 else f"{what} ({said.count(what)} times)" for what in dict.fromkeys(said)]


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


def changes(compared: Entry) -> list[tuple[str, str, str]]:
    """The decisions that are not the same with the other version, in the order of time: when, gone or added or moved, and what."""
    made = compared["decisions"]
    found = [(each["at"], word, each["what"]) for word in ("added", "gone") for each in made[word]]
    found += [(each["fired"], later(each["seconds_later"]), each["what"]) for each in made["moved"]]
    return [(clock(at), word, what) for at, word, what in sorted(found)]


def only_in(one: Entry, document: Entry) -> str:
    """The file that alone has the trigger."""
    if not one["only_in"]:
        return ""
    return f"only in {(document['rollouts'][0] if one['only_in'] == 'this' else document['compared'])['file']}"


def later(seconds: float) -> str:
    """`2m later`."""
    return f"{span(abs(seconds))} {'later' if seconds > 0 else 'earlier'}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
