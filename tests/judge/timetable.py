"""Timetables: what is seen and done at which time, and what must follow. The whole vocabulary of the judge's tests is here.

    play(rollout(trigger("Errors", above=1, for_="30s")), '''
        0s        | errors 0 | soaking at canary
        15s..30s  | errors 2 | Errors pending
        45s       |          | Errors firing, rollback to baseline, rolled_back at baseline
    ''')

Time | what is seen and done | what must be so afterwards. The rollout is evaluated at every multiple of its interval from the first line to the
last; what was seen stays until something else is. What a person or the world does comes before the evaluation, or without one at a time that is
no multiple. After each evaluation the daemon climbs by itself where the rollout says so.

Seen: `errors 2`, `errors{a} 2` (one of several series), `errors{a} gone`, `errors NaN`, `errors nothing` (an empty answer), `errors failed`; and of
the hour before, `past errors 2`, `past errors 2 for 29` (minutes with data), `past errors nothing`, `past errors failed`.
The world: `flags half` (somebody sets them), `flags odd` (of no stage), `flags NEW=false PERCENT=50%`, `flags unreadable`, `glance` (they are looked
at between two evaluations), `edit` (the rule file is another one), `stop`, `start`; and when the world is `slow`, so that transitions do not end by
themselves: `write`, `finish`, `fail`, `give up`. In a rehearsal: `steps pass`, `steps fail`; in a verification: `step pass`,
`step fail`, `step unknown` (one that is not about gates). People: see `people`.

Must be so: `soaking at canary` (phase and stage), `Errors pending`, `Errors{a} firing`, `Errors no_data` (health), `blind`, `seeing`, `drift lower`,
`soaked 30s`, `blocked by gate_unknown+soak`, `free` (nothing speaks against a promotion), `refused soak+at_top`. And of the judge in this very
evaluation: `rollback to half`, `promote to half`, `degrade`, `held`, `observed`, `proposed`, `voided`, `escalated to lead`, `scheduled half` (a
rollback is announced), `eased`, `cancelled` (by the judge), `verified`, `unverified`, `frozen`, `restore`, `misconfigured` (or no longer),
each of which must be expected where it happens, and happens nowhere else.

Every timetable is played twice: as it is, and with the judge restarted from its journal and its memory before every single evaluation.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rollback_daemon.durations import parse_duration
from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge import machine, promotion
from rollback_daemon.judge.reasons import Outcome
from rollback_daemon.judge.refusal import Refusal
from rollback_daemon.judge.state import Happened
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.judge.trigger import TriggerPhase
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.reading import Health
from rollback_daemon.signals.observation import Failed, Failure, Labels, NoData, Observation, Value
from tests.judge import people
from tests.judge.world import START, World, flags_called, flags_of

MUST_BE_EXPECTED = {"rollback", "promote", "degrade", "held", "observed", "proposed", "voided", "escalated", "scheduled", "eased", "cancelled"}
MUST_BE_EXPECTED |= {"verified", "unverified", "frozen", "restore", "misconfigured"}
"""What the judge never does without being expected to, as `word_of` calls it."""


def play(rollout: Rollout, text: str, *, at: str = "canary", slow: bool = False) -> World:
    """Play the timetable on a rollout whose flags are those of the stage `at`; returns the world as it is at the end."""
    for restarting in (True, False):
        performance = Performance(World(rollout, flags_of(rollout, at)), slow=slow, restarting=restarting)
        performance.play(text)
    return performance.world


def times(text: str, interval: timedelta) -> Iterator[timedelta]:
    """`15s` or `15s..45s`, the latter at each interval."""
    first, _, last = text.partition("..")
    at = parse_duration(first)
    while at <= parse_duration(last or first):
        yield at
        at += interval


@dataclass(slots=True)
class Performance:
    world: World
    slow: bool
    restarting: bool
    seen: dict[str, dict[Labels, float] | NoData | Failed] = field(default_factory=dict)
    running: bool = True
    refusal: OperationRefused | None = None
    glanced: list[Happened] = field(default_factory=list)
    done_until: timedelta | None = None

    def play(self, text: str) -> None:
        for line in filter(None, map(str.strip, text.splitlines())):
            when, does, expects = (part.strip() for part in line.split("|"))
            for at in times(when, self.world.rollout.interval):
                try:
                    self.line(at, _items(does), _items(expects))
                except AssertionError as error:
                    raise AssertionError(f"at {at.total_seconds():g}s of '{line}': {error}") from error

    def line(self, at: timedelta, does: list[str], expects: list[str]) -> None:
        self.pass_time(at)
        self.refusal, self.glanced = None, []
        for one in does:
            self.do(one, START + at)
        happened = [*self.glanced, *(self.evaluate(at) if self.on_grid(at) else [])]
        missing = [one for one in expects if not self.holds(one, happened)]
        assert not missing, f"not so: {', '.join(missing)}; {self.told(happened)}"
        self.nothing_else(happened, expects)
        assert self.refusal is None or any(one.startswith("refused") for one in expects), f"refused: {self.refusal}"

    def pass_time(self, until: timedelta) -> None:
        """The evaluations between two lines."""
        interval = self.world.rollout.interval
        at = until - until % interval if self.done_until is None else self.done_until + interval
        while at < until:
            self.nothing_else(self.evaluate(at), [])
            at += interval

    def on_grid(self, at: timedelta) -> bool:
        return not at % self.world.rollout.interval

    def evaluate(self, at: timedelta) -> list[Happened]:
        self.done_until = at
        if not self.running:
            return []
        if self.restarting:
            self.world.forget()
        happened = [*self.world.evaluate(self.observations(), START + at).happened, *self.climb_by_itself(START + at)]
        if not self.slow and self.world.state.position and self.world.position.open:
            self.world.finish(START + at)
        return happened

    def climb_by_itself(self, now: datetime) -> Iterator[Happened]:
        """As the daemon does after each evaluation."""
        world = self.world
        assert world.judgement
        happened = promotion.automatic(world.ladder, world.state, world.judgement, now)
        if happened is not None:
            world.accept(happened, now)
            yield happened

    def observations(self) -> dict[str, Observation]:
        return {name: _observation(seen) for name, seen in self.seen.items()}

    # what is seen and done

    def do(self, what: str, now: datetime) -> None:
        word, _, rest = what.partition(" ")
        deeds: dict[str, Callable[[str, datetime], object]] = {
            "flags": self.set_flags,
            "stop": self.stop,
            "start": self.start,
            "write": lambda _, now: self.world.write(now),
            "finish": lambda _, now: self.world.finish(now),
            "fail": self.fail,
            "give": self.give_up,
            "glance": self.glance,
            "edit": lambda *_: self.world.edit(replace(self.world.rollout, digest=f"{self.world.rollout.digest}+")),
            "past": self.see_past,
            "steps": self.end_rehearsal,
            "step": self.end_step,
        }
        if word in deeds:
            deeds[word](rest, now)
        elif word in people.REQUESTS:
            self.ask(what, now)
        else:
            self.see(word, rest)

    def see(self, what: str, value: str) -> None:
        self.note(*_labelled(what), value)

    def note(self, name: str, labels: Labels, value: str) -> None:
        before = self.seen.get(name)
        series = dict(before) if isinstance(before, dict) and labels else {}
        if value == "gone":
            series.pop(labels, None)
            self.seen[name] = series
        elif value == "nothing":
            self.seen[name] = NoData("the query returned nothing")
        elif value == "failed":
            self.seen[name] = Failed(Failure.UNREACHABLE, "connection refused")
        else:
            self.seen[name] = {**series, labels: float(value)}

    def see_past(self, what: str, _now: datetime) -> None:
        series, _, value = what.partition(" ")
        figure, _, minutes = value.partition(" for ")
        name, labels = _labelled(series)
        (signal,) = [one for one in self.world.rollout.relative_signals() if one.name == name]
        statistic, count = signal.baseline_questions() or ("", "")
        self.note(statistic, labels, figure)
        self.note(count, labels, figure if figure in {"nothing", "failed"} else minutes or "60")

    def glance(self, _: str, now: datetime) -> None:
        self.glanced += self.world.glance(now).happened
        if not self.slow and self.world.position.open:
            self.world.finish(now)

    def end_step(self, how: str, now: datetime) -> None:
        """A step of a verification has ended: `step pass`, `step fail`, `step unknown`."""
        self.glanced += self.world.end_step(Outcome(how), now)
        if not self.slow and self.world.position.open:
            self.world.finish(now)

    def end_rehearsal(self, how: str, now: datetime) -> None:
        """The steps of a rehearsal have ended; the way back up follows if they passed."""
        rehearsal = self.world.position.rehearsing
        assert rehearsal, "nothing is rehearsed"
        if how == "pass":
            self.ask("come back", now)
        passed = how == "pass" and self.refusal is None
        facts = {"passed": passed, "seconds": (now - rehearsal.at).total_seconds(), "why": "" if passed else "a step failed", "by": rehearsal.by}
        self.world.happen(Event.REHEARSED, now, id=rehearsal.id, stage=rehearsal.stage, **facts)

    def set_flags(self, to: str, now: datetime) -> None:
        self.world.flags = flags_called(self.world.rollout, to)

    def stop(self, _: str, now: datetime) -> None:
        self.running = False

    def start(self, _: str, now: datetime) -> None:
        self.running = True
        self.world.forget()
        self.world.state = machine.wake(self.world.rollout, self.world.state, now)

    def fail(self, _: str, now: datetime) -> None:
        opened = self.world.position.open
        assert opened
        self.world.happen(Event.ATTEMPTED, now, id=opened.id, kind=opened.kind, error="disk full", next=(now + timedelta(seconds=5)).isoformat())

    def give_up(self, _: str, now: datetime) -> None:
        opened = self.world.position.open
        assert opened
        self.world.happen(Event.ABANDONED, now, id=opened.id, kind=opened.kind, to=opened.origin, why="it cannot be done")

    def ask(self, request: str, now: datetime) -> None:
        try:
            happened = people.ask(self.world, request, now)
        except OperationRefused as refusal:
            self.refusal = refusal
            return
        self.world.accept(happened, now)
        if happened.event is Event.INTENDED and not self.slow:
            self.world.finish(now)

    # what must be so

    def holds(self, what: str, happened: list[Happened]) -> bool:
        state, word, rest = self.world.state, *what.partition(" ")[::2]
        match word:
            case "rollback" | "promote" | "escalated" | "scheduled":
                return any(word_of(one) == word and (one.body.get("level") or one.body.get("to", "")) == rest.removeprefix("to ") for one in happened)
            case (
                "degrade"
                | "held"
                | "observed"
                | "proposed"
                | "voided"
                | "eased"
                | "cancelled"
                | "verified"
                | "unverified"
                | "frozen"
                | "restore"
                | "misconfigured"
            ) if not rest:
                return any(word_of(one) == word for one in happened)
            case "blind" | "seeing":
                return state.blind is (word == "blind")
            case "drift":
                return state.drift == rest
            case "soaked":
                return state.soaked == parse_duration(rest)
            case "blocked":
                return self.blockers() == set(rest.removeprefix("by ").split("+"))
            case "free":
                return not self.blockers()
            case "refused":
                return self.refusal is not None and (not rest or self.refused() == set(rest.split("+")))
        if rest.startswith("at "):
            return (self.world.position.phase, self.world.position.stage) == (word, rest.removeprefix("at "))
        return self.trigger_is(word, rest)

    def trigger_is(self, what: str, wanted: str) -> bool:
        name, labels = _labelled(what)
        known = self.world.state.triggers[name]
        if wanted in set(Health):
            return known.health == wanted
        assert wanted in set(TriggerPhase), f"no such word: {wanted}"
        if "{" not in what:
            return known.phase == wanted
        return next((one.phase for one in known.active if one.labels == labels), TriggerPhase.INACTIVE) == wanted

    def blockers(self) -> set[str]:
        assert self.world.judgement
        return {str(reason.code) for reason in self.world.judgement.blockers}

    def refused(self) -> set[str]:
        assert isinstance(self.refusal, Refusal), self.refusal
        return {str(reason.code) for reason in self.refusal.reasons}

    def nothing_else(self, happened: list[Happened], expects: list[str]) -> None:
        expected = {one.partition(" ")[0] for one in expects if not one.startswith("held at")}
        surprises = [one for one in happened if word_of(one) in MUST_BE_EXPECTED - expected]
        assert not surprises, f"unexpected: {self.told(surprises)}"

    def told(self, happened: list[Happened]) -> str:
        position = self.world.state.position
        where = f"it is {position.phase} at {position.stage}" if position else "it is nowhere"
        phases = ", ".join(f"{name} {one.phase} ({one.health})" for name, one in self.world.state.triggers.items())
        events = "; ".join(f"{one.event} {one.body.get('kind', '')} {one.body.get('to', '')} {one.body.get('why', '')}" for one in happened)
        return f"{where}; {phases}; blockers {sorted(self.blockers()) if self.world.judgement else []}; refusal {self.refusal}; events [{events}]"


def word_of(happened: Happened) -> str:
    """What a timetable calls it: a transition by its kind."""
    return str(Kind(happened.body["kind"])) if happened.event is Event.INTENDED else str(happened.event)


def _observation(seen: dict[Labels, float] | NoData | Failed) -> Observation:
    """As the Prometheus client would say it: NaN is no number."""
    if not isinstance(seen, dict):
        return seen
    numbers = {labels: value for labels, value in seen.items() if not math.isnan(value)}
    unknown = dict.fromkeys(seen.keys() - numbers.keys(), "the value is NaN")
    return Value(numbers, unknown) if numbers else NoData("the value is NaN" if seen else "the query returned nothing")


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _labelled(text: str) -> tuple[str, Labels]:
    """`errors{a}` is the series of errors with the label pod="a"."""
    name, _, pod = text.rstrip("}").partition("{")
    return name, ((("pod", pod),) if pod else ())
