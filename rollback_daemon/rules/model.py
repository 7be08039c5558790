"""What a rule file means: frozen, valid, complete. Everything below the loader works on this and never on YAML.

Lives here: the domain's nouns and what follows from them alone. Must not live here: YAML, pydantic, time, I/O, a decision.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from rollback_daemon.durations import format_number
from rollback_daemon.flags.store import Scalar

if TYPE_CHECKING:
    from rollback_daemon.rules.reading import TriggerKind  # needs Signal and Condition from here

BASELINE = "baseline"


class Op(StrEnum):
    """How a value is compared with a limit; the member's value is how it is shown."""

    ABOVE = ">"
    BELOW = "<"
    AT_LEAST = ">="
    AT_MOST = "<="
    EQUAL = "=="
    NOT_EQUAL = "!="
    OUTSIDE = "outside"
    WITHIN = "within"


_NEGATED = {
    Op.ABOVE: Op.AT_MOST,
    Op.AT_MOST: Op.ABOVE,
    Op.BELOW: Op.AT_LEAST,
    Op.AT_LEAST: Op.BELOW,
    Op.EQUAL: Op.NOT_EQUAL,
    Op.NOT_EQUAL: Op.EQUAL,
    Op.OUTSIDE: Op.WITHIN,
    Op.WITHIN: Op.OUTSIDE,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A limit laid on a value. For a trigger it says what is a breach, for a gate what passes."""

    op: Op
    limit: float
    upper: float = 0.0  # the other end, for OUTSIDE and WITHIN only; both ends belong to the range

    def holds(self, value: float) -> bool:
        """Whether `value` (never NaN) meets the condition."""
        match self.op:
            case Op.ABOVE:
                return value > self.limit
            case Op.BELOW:
                return value < self.limit
            case Op.AT_LEAST:
                return value >= self.limit
            case Op.AT_MOST:
                return value <= self.limit
            case Op.EQUAL:
                return value == self.limit
            case Op.NOT_EQUAL:
                return value != self.limit
            case Op.OUTSIDE:
                return not self.limit <= value <= self.upper
            case Op.WITHIN:
                return self.limit <= value <= self.upper

    def margin(self, value: float) -> float:
        """How far inside the condition the value is: positive where it holds (0 at the limit), negative by what is missing."""
        match self.op:
            case Op.ABOVE | Op.AT_LEAST:
                return value - self.limit
            case Op.BELOW | Op.AT_MOST:
                return self.limit - value
            case Op.EQUAL:
                return -abs(value - self.limit)
            case Op.NOT_EQUAL:
                return abs(value - self.limit)
            case Op.OUTSIDE:
                return max(self.limit - value, value - self.upper)
            case Op.WITHIN:
                return min(value - self.limit, self.upper - value)

    @property
    def negated(self) -> "Condition":
        """The condition that holds exactly where this one does not."""
        return Condition(_NEGATED[self.op], self.limit, self.upper)

    def __str__(self) -> str:
        if self.op in {Op.OUTSIDE, Op.WITHIN}:
            return f"{self.op} [{format_number(self.limit)}, {format_number(self.upper)}]"
        return f"{self.op} {format_number(self.limit)}"


class OnNoData(StrEnum):
    """What a lack of data means to a trigger. Whatever is chosen, it never counts as clear for a promotion, save with `ignore`."""

    HOLD = "hold"  # the phase stays as it is (until sight returns, at most `max_gap` for a pending one)
    BREACH = "breach"  # counts as a breach
    IGNORE = "ignore"  # counts as clear
    DROP = "drop"  # as Prometheus does: what is pending or firing ends; still unknown for a promotion


@dataclass(frozen=True, slots=True)
class Needs:
    """A minimum of traffic: with less, the signal is unknown."""

    expr: str
    at_least: float


@dataclass(frozen=True, slots=True)
class Signal:
    """A named query giving one value for each label set."""

    name: str
    expr: str
    unit: str = ""
    no_data: OnNoData = OnNoData.HOLD
    needs: Needs | None = None
    max_age: timedelta | None = None

    @property
    def age_query(self) -> str:
        """The query that tells when each sample was taken, in Unix seconds."""
        return f"timestamp({self.expr})"

    def questions(self) -> Iterator[str]:
        """Every query whose answer this signal rests on."""
        yield self.expr
        if self.needs is not None:
            yield self.needs.expr
        if self.max_age is not None:
            yield self.age_query


@dataclass(frozen=True, slots=True)
class Stage:
    """A rung of the ladder: all of its flags, and the share of traffic exposed (0-1). Number 0 is the baseline."""

    name: str
    number: int
    exposure: float
    flags: Mapping[str, Scalar]
    soak: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition that must hold before a promotion."""

    name: str
    signal: Signal
    condition: Condition


class ActionKind(StrEnum):
    """What a firing trigger asks for."""

    ROLLBACK = "rollback"
    HOLD = "hold"
    ALERT = "alert"


@dataclass(frozen=True, slots=True)
class Action:
    """`to` is the stage to go back to: a stage's name, `baseline`, or None for the previous one. Only a rollback has it."""

    kind: ActionKind
    to: str | None = None

    def __str__(self) -> str:
        return f"{self.kind} to {self.to or 'previous'}" if self.kind is ActionKind.ROLLBACK else str(self.kind)


@dataclass(frozen=True, slots=True)
class Trigger:
    """Condition, `for`, action. Named by `alert`, as in Prometheus. `stages` are the names of those it is armed at."""

    name: str
    test: "TriggerKind"
    stages: frozenset[str]
    action: Action = Action(ActionKind.ROLLBACK)
    for_: timedelta = timedelta()
    keep_firing_for: timedelta = timedelta()
    initial_delay: timedelta = timedelta()
    dry_run: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def severity(self) -> str:
        return self.labels.get("severity", "warning")


@dataclass(frozen=True, slots=True)
class Command:
    """A program with its arguments; there is no shell."""

    argv: tuple[str, ...]
    timeout: timedelta = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class FlagSettings:
    """Where the flags are, and what is run after they have been changed. `backups` copies are kept; 0 keeps none."""

    store: str
    path: str
    backups: int = 10
    after_change: Command | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """One feature's ladder. `stages[0]` is the baseline.

    `digest` identifies the text of the file it came from; `places` tells the line and column at which a part of it stands.
    """

    name: str
    file: str
    digest: str
    interval: timedelta
    max_gap: timedelta
    flags: FlagSettings
    stages: tuple[Stage, ...]
    gates: tuple[Gate, ...]
    triggers: tuple[Trigger, ...]
    signals: tuple[Signal, ...] = ()
    owner: str = ""
    runbook_url: str = ""
    enforce: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[tuple[str | int, ...], tuple[int, int]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def keys(self) -> frozenset[str]:
        """Every flag of the rollout."""
        return frozenset(self.stages[0].flags)

    def stage(self, name: str) -> Stage | None:
        """The stage of that name."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def questions(self) -> Iterator[str]:
        """Every query whose answer the judge needs, repeats included."""
        for signal in self.signals:
            yield from signal.questions()
        for gate in self.gates:
            yield from gate.signal.questions()
        for trigger in self.triggers:
            yield from trigger.test.questions()
