"""A rollout in an imaginary world: its flags, its journal, its judge. No clock, no I/O; time is an argument.

Everything that happens is put on record as JSON, and folded from there: what cannot be written, read back or follow from what came before fails
the test at once.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter

from rollback_daemon.durations import parse_duration
from rollback_daemon.flags.store import FlagValue
from rollback_daemon.judge import machine
from rollback_daemon.judge.dossier import Dossier
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Outcome
from rollback_daemon.judge.state import Happened, State, Step
from rollback_daemon.judge.transitions import Event
from rollback_daemon.replay import Replay
from rollback_daemon.rules.aftercare import Aftercare
from rollback_daemon.rules.duties import Approvals, OnDrift, OnLower, OnRaise, Rehearsing, Requires, Scoring
from rollback_daemon.rules.measures import Baseline, Condition, OnNoData, Op, Relative, Signal
from rollback_daemon.rules.model import BASELINE, Action, ActionKind, FlagSettings, Gate, Rollout, Stage, Trigger
from rollback_daemon.rules.reading import Observations
from rollback_daemon.rules.triggers import Check, Threshold, Violations

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LADDER = {BASELINE: 0.0, "canary": 0.1, "half": 0.5, "full": 1.0}
ABOVE_BASELINE = ("canary", "half", "full")
ONLY_TOLD = OnDrift(OnRaise.ALERT, OnLower.ALERT)
"""Flags that somebody else changed are told of, and left alone."""


def signal(name: str, no_data: OnNoData = OnNoData.HOLD) -> Signal:
    """A signal whose query is its own name."""
    return Signal(name, name, no_data=no_data)


def relative(name: str, how: Relative = Relative.SHARE) -> Signal:
    """A signal held against its baseline: the mean of the hour before a stage, worth something with data for half an hour of it."""
    hour, half, step = (parse_duration(text) for text in ("1h", "30m", "1m"))
    return Signal(name, name, baseline=Baseline(hour, half, step), relative=how)


def approvals(*roles: str, needed: int | None = None, expires: str = "1d") -> Approvals:
    """Whose GO is asked for; all of these roles if it is not said how many."""
    return Approvals(roles, needed or len(roles), parse_duration(expires))


def condition(**limits: float | tuple[float, float]) -> Condition:
    """`condition(above=1)`, `condition(outside=(1, 2))`."""
    (name, limit), *rest = limits.items()
    assert not rest
    op = Op[name.upper()]
    return Condition(op, *limit) if isinstance(limit, tuple) else Condition(op, limit)


def trigger(
    name: str,
    on: str | Signal = "errors",
    *,
    for_: str = "0",
    keep: str = "0",
    delay: str = "0",
    action: str | Action = "rollback",
    stages: tuple[str, ...] = ABOVE_BASELINE,
    dry_run: bool = False,
    no_data: OnNoData = OnNoData.HOLD,
    escalate_after: str | None = None,
    **limits: float | tuple[float, float],
) -> Trigger:
    """A limit on a signal; without one, every series is a breach, as in a pasted expression that was not split."""
    if isinstance(action, str):
        kind, _, to = action.partition(" to ")
        action = Action(ActionKind(kind), to or None)
    measured = on if isinstance(on, Signal) else signal(on, no_data)
    return Trigger(
        name,
        Threshold(measured, condition(**limits) if limits else None),
        frozenset(stages),
        action,
        parse_duration(for_),
        parse_duration(keep),
        parse_duration(delay),
        dry_run,
        escalate_after=parse_duration(escalate_after) if escalate_after else None,
    )


def announced(to: str | None = None, in_: str = "30m") -> Action:
    """The action that announces a rollback."""
    return Action(ActionKind.ROLLBACK, to, in_=parse_duration(in_))


def degrade(until: str | None = None, **flags: FlagValue) -> Action:
    """The action that sets these flags, on top of those of the stage; until it has been clear for so long, or a person restores them."""
    return Action(ActionKind.DEGRADE, flags=flags, until=parse_duration(until) if until else None)


def counting(name: str, needed: Condition, violation: Condition, *, out_of: int | None = None, every: str | None = None) -> Trigger:
    """A trigger that counts violations of the signal `errors`."""
    test = Violations("errors", (Check(signal("errors"), violation),), needed, out_of, parse_duration(every) if every else None)
    return Trigger(name, test, frozenset(ABOVE_BASELINE))


def gate(
    name: str,
    on: str | Signal = "errors",
    *,
    for_: str = "0",
    share: float | None = None,
    min_data: str = "0",
    quorum: tuple[int, int] | None = None,
    blocking: bool = True,
    stages: Collection[str] = tuple(LADDER),
    **limits: float | tuple[float, float],
) -> Gate:
    """What must hold before a promotion."""
    measured = on if isinstance(on, Signal) else signal(on)
    at = frozenset(stages)
    return Gate(name, measured, condition(**limits), at, parse_duration(for_), share, parse_duration(min_data), quorum, blocking=blocking)


def quiet(name: str, *triggers: str) -> Gate:
    """A gate that passes while none of these triggers has fired since the stage began."""
    return Gate(name, Signal("", ""), condition(at_most=0), frozenset(LADDER), quiet=frozenset(triggers))


def rollout(
    *parts: Trigger | Gate,
    interval: str = "15s",
    max_gap: str = "45s",
    soak: str = "0",
    enforce: bool = True,
    asks: Mapping[str, Requires] | None = None,
    automatic: Collection[str] = (),
    on_drift: OnDrift | None = None,
    rehearsal: Rehearsing | None = None,
    break_glass: tuple[str, ...] = (),
    scoring: Scoring | None = None,
    percent: str = "{:.0%}",
    more: Mapping[str, FlagValue] | None = None,
    aftercare: Aftercare | None = None,
) -> Rollout:
    """A ladder of baseline, canary, half and full, guarded by these triggers and gates.

    `asks`: what a stage requires before it is climbed to. `percent` is how the exposure is written in the flag PERCENT: as 50% (`{:.0%}`), as 0.5
    (`{}`) or as 50 (`{1}`). `more` are flags that are the same at every stage.
    """
    flags = {
        name: {"NEW": "true" if share else "false", "PERCENT": percent.format(share, round(100 * share)), **(more or {})}
        for name, share in LADDER.items()
    }
    stages = [
        Stage(name, number, share, flags[name], parse_duration(soak) if share else timedelta(), (asks or {}).get(name, Requires()), name in automatic)
        for number, (name, share) in enumerate(LADDER.items())
    ]
    return Rollout(
        name="checkout",
        file="rules/checkout.yml",
        digest="0",
        interval=parse_duration(interval),
        max_gap=parse_duration(max_gap),
        flags=FlagSettings("dotenv", "/srv/checkout/.env", on_drift=on_drift or OnDrift()),
        stages=tuple(stages),
        gates=tuple(part for part in parts if isinstance(part, Gate)),
        triggers=tuple(part for part in parts if isinstance(part, Trigger)),
        enforce=enforce,
        rehearsal=rehearsal,
        break_glass=break_glass,
        scoring=scoring or Scoring(),
        aftercare=aftercare or Aftercare(),
    )


def flags_of(rollout: Rollout, stage: str) -> dict[str, FlagValue]:
    """The flags of a stage."""
    found = rollout.stage(stage)
    assert found is not None, stage
    return dict(found.flags)


_STATE = TypeAdapter(State)


def through_json(state: State) -> State:
    """The state as it is after it has been text."""
    return _STATE.validate_json(json.dumps(_STATE.dump_python(state, mode="json")))


def flags_called(rollout: Rollout, name: str) -> dict[str, FlagValue] | str:
    """Flags as somebody may leave them: those of a stage, `odd` (of no stage), `unreadable`, or one by one: `NEW=false PERCENT=50%`."""
    if "=" in name:
        return {key: value for key, _, value in (one.partition("=") for one in name.split())}
    match name:
        case "unreadable":
            return "permission denied"
        case "odd":
            return {"NEW": "true", "PERCENT": "33%"}
    return flags_of(rollout, name)


@dataclass(slots=True)
class World(Replay):
    """The replay with a journal of JSON: what cannot be written or read back fails at once. Nothing ends unless it is told to."""

    journal: list[tuple[str, str, datetime]] = field(default_factory=list)
    last: Step | None = None

    def evaluate(self, observations: Observations, now: datetime) -> Step:
        """One cycle of the judge."""
        return self.judge(observations, now)

    def recorded(self, happened: Happened, now: datetime) -> None:
        self.journal.append((str(happened.event), json.dumps(happened.body), now))

    def _take(self, step: Step, now: datetime) -> Step:
        assert not [one.state.why for one in step.judgement.triggers if "defect of rollbackd" in one.state.why]
        self.last = step
        return Replay._take(self, step, now)

    def end_step(self, outcome: Outcome, now: datetime) -> list[Happened]:
        """A step of a verification that is not the judge's has ended so."""
        return self.check("smoke", outcome, now)

    def forget(self) -> None:
        """What a restart does to the judge: its memory goes through JSON, what the journal tells is folded from it, the rest is lost."""
        told = self.told()
        on_record = {name: getattr(told, name) for name in ("position", "dossier", "aftermath", "escalations", "followed_up")}
        kept = through_json(replace(self.state, **{name: getattr(State(), name) for name in (*on_record, "prospects")}))
        self.state = replace(kept, **on_record)

    def told(self) -> State:
        """All that the journal tells."""
        found = State()
        for event, body, at in self.journal:
            found = machine.recorded(found, Event(event), json.loads(body), at)
        return found

    def replayed(self) -> Position | None:
        """The position as the journal tells it."""
        return self.told().position

    def dossier(self) -> Dossier:
        """The dossier as the journal tells it."""
        return self.told().dossier


def intents(world: World) -> list[str]:
    """Every transition that was intended, in order: `rollback half>canary`."""
    bodies = [json.loads(body) for event, body, _ in world.journal if event == Event.INTENDED]
    return [f"{body['kind']} {body['from']}>{body['to']}" for body in bodies]
