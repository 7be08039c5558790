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
from rollback_daemon.judge import machine, recovery
from rollback_daemon.judge.act import intended
from rollback_daemon.judge.aftermath import identity
from rollback_daemon.judge.dossier import Dossier
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Code, Outcome
from rollback_daemon.judge.standing import all_checks
from rollback_daemon.judge.state import Happened, Judgement, Sight, State, Step
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.rules.aftercare import Aftercare
from rollback_daemon.rules.duties import Approvals, OnDrift, OnLower, OnRaise, Rehearsing, Requires, Scoring
from rollback_daemon.rules.measures import Baseline, Condition, OnNoData, Op, Relative, Signal
from rollback_daemon.rules.model import BASELINE, Action, ActionKind, FlagSettings, Gate, Rollout, Stage, Trigger
from rollback_daemon.rules.reading import Observations
from rollback_daemon.rules.triggers import Check, Threshold, Violations
from rollback_daemon.transitions.plan import disturbed, plan

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
class World:
    """One rollout, from its first sight on. `flags` is what can be read: values, or the sentence that says why not.

    `trace` is what the store knows of its last change.
    """

    rollout: Rollout
    flags: Mapping[str, FlagValue] | str
    state: State = field(default_factory=State)
    journal: list[tuple[str, str, datetime]] = field(default_factory=list)
    judgement: Judgement | None = None
    last: Step | None = None
    trace: dict[str, str] = field(default_factory=dict)

    @property
    def position(self) -> Position:
        assert self.state.position is not None, "its flags have never been read"
        return self.state.position

    @property
    def ladder(self) -> Rollout:
        """The ladder with what is degraded."""
        return machine.ladder(self.rollout, self.state)

    def evaluate(self, observations: Observations, now: datetime) -> Step:
        """One cycle of the judge."""
        return self._take(machine.step(self.rollout, self.state, Sight(observations, self.flags, self.trace), now), now)

    def glance(self, now: datetime) -> Step:
        """A look at the flags alone, between two evaluations."""
        assert self.judgement is not None, "nothing has been evaluated"
        return self._take(machine.glance(self.rollout, self.state, self.judgement, Sight({}, self.flags, self.trace), now), now)

    def _take(self, step: Step, now: datetime) -> Step:
        self.last, self.state, self.judgement = step, step.state, step.judgement
        for one in step.happened:
            self._put_on_record(one, now)
        return step

    def happen(self, event: Event, now: datetime, **body: object) -> None:
        """Something from outside the judge: a request, or news of the transition under way. What blocks a promotion is told anew after it."""
        happened = Happened(event, body)
        self.state = machine.apply(self.state, happened, now)
        self._put_on_record(happened, now)
        if self.judgement and self.state.position:
            checks = all_checks(self.ladder, self.state, self.position, self.judgement.seen, max(now, self.judgement.at))
            self.judgement = replace(self.judgement, checks=checks)

    def accept(self, happened: Happened, now: datetime) -> None:
        """A request that was granted."""
        self.happen(happened.event, now, **happened.body)

    def edit(self, rollout: Rollout) -> None:
        """Another version of the rule file holds from now on."""
        self.rollout, self.judgement = rollout, None
        self.state = replace(self.state, prospects={})

    def write(self, now: datetime) -> None:
        """The flag store does what is intended. As the real one, it never raises flags for a rollback, and gives up a promotion that is disturbed."""
        opened = self.position.open
        assert opened is not None, "nothing is intended"
        before = {} if isinstance(self.flags, str) else self.flags
        if opened.kind is Kind.PROMOTE and disturbed(self.ladder, opened, before, written=opened.applied):
            self.take_back(now)
            return self.write(now)
        self.flags = {**before, **plan(self.ladder, opened, before).changes}
        return self.happen(Event.APPLIED, now, id=opened.id, kind=opened.kind)

    def take_back(self, now: datetime) -> None:
        """A promotion that could not be completed."""
        opened = self.position.open
        assert opened is not None
        assert opened.kind is Kind.PROMOTE
        origin = self.ladder.stage(opened.origin)
        assert origin is not None
        why = [f"the promotion to {opened.target} could not be completed"]
        self.accept(intended(self.ladder, self.position, Kind.ROLLBACK, origin, why, "rollbackd", now, {"code": Code.PROMOTION_FAILED}), now)

    def finish(self, now: datetime) -> None:
        """What was intended is written and read back."""
        self.write(now)
        opened = self.position.open
        assert opened is not None
        assert not isinstance(self.flags, str)
        reached = plan(self.ladder, opened, self.flags).stage
        care = self.rollout.aftercare
        owed = (
            {"verify": True, "steps": identity(care.proofs(reached.name))}
            if opened.kind is Kind.ROLLBACK and care.verified and opened.code != Code.REHEARSAL
            else {}
        )
        self.happen(Event.DONE, now, **{"id": opened.id, "kind": opened.kind, "from": opened.origin, "to": reached.name, **owed})

    def check(self, outcome: Outcome, now: datetime) -> list[Happened]:
        """A step of a verification that is not the judge's has ended so; the next way back follows at once, where nobody was given time."""
        ended = list(recovery.checked(self.ladder, self.position, self.state.aftermath, "smoke", outcome, error="", output="", seconds=0))
        for one in ended:
            self.accept(one, now)
        further = list(recovery.further(self.ladder, self.state, now))
        for one in further:
            self.accept(one, now)
        return [*ended, *further]

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

    def _put_on_record(self, happened: Happened, now: datetime) -> None:
        self.journal.append((str(happened.event), json.dumps(happened.body), now))


def intents(world: World) -> list[str]:
    """Every transition that was intended, in order: `rollback half>canary`."""
    bodies = [json.loads(body) for event, body, _ in world.journal if event == Event.INTENDED]
    return [f"{body['kind']} {body['from']}>{body['to']}" for body in bodies]
