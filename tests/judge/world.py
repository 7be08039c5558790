"""A rollout in an imaginary world: its flags, its journal, its judge. No clock, no I/O; time is an argument.

Everything that happens is put on record as JSON, and folded from there: what cannot be written, read back or follow from what came before fails
the test at once.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter

from rollback_daemon.durations import parse_duration
from rollback_daemon.flags.store import Scalar
from rollback_daemon.judge import machine
from rollback_daemon.judge.drift import matching
from rollback_daemon.judge.position import Position, fold
from rollback_daemon.judge.state import Happened, Judgement, Sight, State, Step
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.rules.model import (
    BASELINE,
    Action,
    ActionKind,
    Condition,
    FlagSettings,
    Gate,
    OnNoData,
    Op,
    Rollout,
    Signal,
    Stage,
    Trigger,
)
from rollback_daemon.rules.reading import Observations
from rollback_daemon.rules.triggers import Threshold, Violations

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LADDER = {BASELINE: 0.0, "canary": 0.1, "half": 0.5, "full": 1.0}
ABOVE_BASELINE = ("canary", "half", "full")


def signal(name: str, no_data: OnNoData = OnNoData.HOLD) -> Signal:
    """A signal whose query is its own name."""
    return Signal(name, name, no_data=no_data)


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
    action: str = "rollback",
    stages: tuple[str, ...] = ABOVE_BASELINE,
    dry_run: bool = False,
    no_data: OnNoData = OnNoData.HOLD,
    **limits: float | tuple[float, float],
) -> Trigger:
    """A limit on a signal; without one, every series is a breach, as in a pasted expression that was not split."""
    kind, _, to = action.partition(" to ")
    measured = on if isinstance(on, Signal) else signal(on, no_data)
    return Trigger(
        name,
        Threshold(measured, condition(**limits) if limits else None),
        frozenset(stages),
        Action(ActionKind(kind), to or None),
        parse_duration(for_),
        parse_duration(keep),
        parse_duration(delay),
        dry_run,
    )


def counting(name: str, needed: Condition, violation: Condition, *, out_of: int | None = None, every: str | None = None) -> Trigger:
    """A trigger that counts violations of the signal `errors`."""
    test = Violations("errors", ((signal("errors"), violation),), needed, out_of, parse_duration(every) if every else None)
    return Trigger(name, test, frozenset(ABOVE_BASELINE))


def gate(name: str, on: str = "errors", **limits: float | tuple[float, float]) -> Gate:
    """What must hold before a promotion."""
    return Gate(name, signal(on), condition(**limits))


def rollout(*parts: Trigger | Gate, interval: str = "15s", max_gap: str = "45s", soak: str = "0", enforce: bool = True) -> Rollout:
    """A ladder of baseline, canary, half and full, guarded by these triggers and gates."""
    flags = {name: {"NEW": "true" if share else "false", "PERCENT": f"{share:.0%}"} for name, share in LADDER.items()}
    stages = [
        Stage(name, number, share, flags[name], parse_duration(soak) if share else timedelta()) for number, (name, share) in enumerate(LADDER.items())
    ]
    return Rollout(
        name="checkout",
        file="rules/checkout.yml",
        digest="0",
        interval=parse_duration(interval),
        max_gap=parse_duration(max_gap),
        flags=FlagSettings("dotenv", "/srv/checkout/.env"),
        stages=tuple(stages),
        gates=tuple(part for part in parts if isinstance(part, Gate)),
        triggers=tuple(part for part in parts if isinstance(part, Trigger)),
        enforce=enforce,
    )


def flags_of(rollout: Rollout, stage: str) -> dict[str, Scalar]:
    """The flags of a stage."""
    found = rollout.stage(stage)
    assert found is not None, stage
    return dict(found.flags)


_STATE = TypeAdapter(State)


def through_json(state: State) -> State:
    """The state as it is after it has been text."""
    return _STATE.validate_json(json.dumps(_STATE.dump_python(state, mode="json")))


def flags_called(rollout: Rollout, name: str) -> dict[str, Scalar] | str:
    """Flags as somebody may leave them: those of a stage, `odd` (of no stage), or `unreadable`."""
    match name:
        case "unreadable":
            return "permission denied"
        case "odd":
            return {"NEW": "true", "PERCENT": "33%"}
    return flags_of(rollout, name)


@dataclass(slots=True)
class World:
    """One rollout, from its first sight on. `flags` is what can be read: values, or the sentence that says why not."""

    rollout: Rollout
    flags: Mapping[str, Scalar] | str
    state: State = field(default_factory=State)
    journal: list[tuple[str, str, datetime]] = field(default_factory=list)
    last: Step | None = None

    @property
    def position(self) -> Position:
        assert self.state.position is not None, "its flags have never been read"
        return self.state.position

    @property
    def judgement(self) -> Judgement | None:
        """What the last evaluation came to."""
        return self.last.judgement if self.last else None

    def evaluate(self, observations: Observations, now: datetime) -> Step:
        """One cycle of the judge."""
        self.last = machine.step(self.rollout, self.state, Sight(observations, self.flags), now)
        self.state = self.last.state
        for one in self.last.happened:
            self._put_on_record(one, now)
        return self.last

    def happen(self, event: Event, now: datetime, **body: object) -> None:
        """Something from outside the judge: a request, or news of the transition under way."""
        happened = Happened(event, body)
        self.state = machine.apply(self.state, happened, now)
        self._put_on_record(happened, now)

    def accept(self, happened: Happened, now: datetime) -> None:
        """A request that was granted."""
        self.happen(happened.event, now, **happened.body)

    def write(self, now: datetime) -> None:
        """The flag store does what is intended. As the real one, it never raises flags for a rollback."""
        opened = self.position.open
        assert opened is not None, "nothing is intended"
        target = self.rollout.stage(opened.target)
        found = None if isinstance(self.flags, str) else matching(self.rollout, self.flags)
        if opened.kind is Kind.ROLLBACK and found and target and found.number < target.number:
            target = found
        assert target is not None
        self.flags = dict(target.flags)
        self.happen(Event.APPLIED, now, id=opened.id, kind=opened.kind)

    def finish(self, now: datetime) -> None:
        """What was intended is written and read back."""
        self.write(now)
        opened = self.position.open
        assert opened is not None
        assert not isinstance(self.flags, str)
        reached = matching(self.rollout, self.flags)
        self.happen(
            Event.DONE, now, **{"id": opened.id, "kind": opened.kind, "from": opened.origin, "to": reached.name if reached else opened.target}
        )

    def forget(self) -> None:
        """What a restart does to the judge: its memory goes through JSON, and its position is folded from the journal."""
        self.state = replace(through_json(replace(self.state, position=None)), position=self.replayed())

    def replayed(self) -> Position | None:
        """The position as the journal tells it."""
        position: Position | None = None
        for event, body, at in self.journal:
            position = fold(position, Event(event), json.loads(body), at)
        return position

    def _put_on_record(self, happened: Happened, now: datetime) -> None:
        self.journal.append((str(happened.event), json.dumps(happened.body), now))


def intents(world: World) -> list[str]:
    """Every transition that was intended, in order: `rollback half>canary`."""
    bodies = [json.loads(body) for event, body, _ in world.journal if event == Event.INTENDED]
    return [f"{body['kind']} {body['from']}>{body['to']}" for body in bodies]
