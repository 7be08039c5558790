"""What a rule file means: frozen, valid, complete. Everything below the loader works on this and never on YAML.

Lives here: the domain's nouns and what follows from them alone. Must not live here: YAML, pydantic, time, I/O, a decision.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from rollback_daemon.durations import format_duration
from rollback_daemon.flags.store import FlagValue
from rollback_daemon.rules.aftercare import Aftercare
from rollback_daemon.rules.duties import Command, Declared, OnDrift, Preflight, Rehearsing, Requires, Scoring
from rollback_daemon.rules.measures import Condition, Signal
from rollback_daemon.rules.reading import TriggerKind

BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class Stage:
    """A rung of the ladder: all of its flags, and the share of traffic exposed (0-1). Number 0 is the baseline.

    `requires` and `automatic` are about the way to this stage, `soak` about the way on from it.
    """

    name: str
    number: int
    exposure: float
    flags: Mapping[str, FlagValue]
    soak: timedelta = timedelta()
    requires: Requires = field(default_factory=Requires)
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition that must hold before a promotion away from any of `stages`.

    `for_`: for so long without a break. `share`: in at least this share of the evaluations, over the stage or, with `for_`, over that time.
    `min_data`: how long the signal must have been seen at the stage. `quorum`: the condition must hold for so many of so many series.
    `quiet`: instead of a signal, triggers none of which may have fired since the stage began.
    """

    name: str
    signal: Signal
    condition: Condition
    stages: frozenset[str]
    for_: timedelta = timedelta()
    share: float | None = None
    min_data: timedelta = timedelta()
    quorum: tuple[int, int] | None = None
    quiet: frozenset[str] = frozenset()
    blocking: bool = True


class ActionKind(StrEnum):
    """What a firing trigger asks for."""

    ROLLBACK = "rollback"
    HOLD = "hold"
    ALERT = "alert"
    DEGRADE = "degrade"


@dataclass(frozen=True, slots=True)
class Action:
    """`to` is the stage to go back to: a stage's name, `baseline`, or None for the previous one. Only a rollback has it.

    `in_`: announced for so long ahead, and not done at once. `flags` are what a degradation sets, on top of those of the stage; `until`: it ends
    when what asked for it has been clear for so long (None: when a person says so).
    """

    kind: ActionKind
    to: str | None = None
    flags: Mapping[str, FlagValue] = field(default_factory=dict)
    in_: timedelta | None = None
    until: timedelta | None = None

    def __str__(self) -> str:
        if self.kind is ActionKind.DEGRADE:
            return f"degrade ({', '.join(self.flags)})"
        if self.kind is not ActionKind.ROLLBACK:
            return str(self.kind)
        return f"{self.kind} to {self.to or 'previous'}" + (f" in {format_duration(self.in_)}" if self.in_ is not None else "")


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """At most so many evaluations in a row with a failed query; one more, and `then` follows: a rollback, a hold or an alert alone."""

    at_most: int
    then: ActionKind

    def __str__(self) -> str:
        return f"{self.then} after more than {self.at_most} failed evaluations in a row"


@dataclass(frozen=True, slots=True)
class NoDataBudget:
    """When there has been no data for so long, `then` follows: a rollback, a hold or an alert alone."""

    for_: timedelta
    then: ActionKind

    def __str__(self) -> str:
        return f"{self.then} after {format_duration(self.for_)} without data"


@dataclass(frozen=True, slots=True)
class Trigger:
    """Condition, `for`, action. Named by `alert`, as in Prometheus. `stages` are the names of those it is armed at.

    `errors` and `no_data`: for how long it may go without sight (see `judge.budgets`); None: for ever.
    """

    name: str
    test: TriggerKind
    stages: frozenset[str]
    action: Action = Action(ActionKind.ROLLBACK)
    for_: timedelta = timedelta()
    keep_firing_for: timedelta = timedelta()
    initial_delay: timedelta = timedelta()
    dry_run: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    escalate_after: timedelta | None = None
    errors: ErrorBudget | None = None
    no_data: NoDataBudget | None = None

    @property
    def severity(self) -> str:
        return self.labels.get("severity", "warning")


@dataclass(frozen=True, slots=True)
class FlagSettings:
    """Where the flags are, and what is run after they have been changed. `backups` copies are kept; 0 keeps none."""

    store: str
    path: str
    backups: int = 10
    after_change: Command | None = None
    on_drift: OnDrift = field(default_factory=OnDrift)


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
    break_glass: tuple[str, ...] = ()
    max_growth: float | None = None
    rehearsal: Rehearsing | None = None
    preflight: Preflight = field(default_factory=Preflight)
    aftercare: Aftercare = field(default_factory=Aftercare)
    scoring: Scoring = field(default_factory=Scoring)
    evidence: tuple[Declared, ...] = ()
    places: Mapping[tuple[str | int, ...], tuple[int, int]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def keys(self) -> frozenset[str]:
        """Every flag of the rollout."""
        return frozenset(self.stages[0].flags)

    @property
    def config_keys(self) -> frozenset[str]:
        """Every key beside the flags that some stage requires to have a value; the guard never sets one."""
        return frozenset(key for stage in self.stages for key in stage.requires.config)

    def stage(self, name: str) -> Stage | None:
        """The stage of that name."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def above(self, stage: Stage) -> Stage | None:
        """The next higher stage; None at the top."""
        return self.stages[stage.number + 1] if stage.number + 1 < len(self.stages) else None

    def declared(self, name: str) -> Declared | None:
        """The evidence of that name, if it is one that is read into figures."""
        return next((one for one in self.evidence if one.name == name), None)

    def relative_signals(self) -> Iterator[Signal]:
        """The signals whose baseline something is held against, each once."""
        tested = [*(gate.signal for gate in self.gates), *(signal for trigger in self.triggers for signal in trigger.test.signals())]
        yield from {signal.name: signal for signal in tested if signal.over_baseline}.values()

    def roles(self) -> frozenset[str]:
        """Every role that the rollout speaks of."""
        asked = (role for stage in self.stages if stage.requires.approvals for role in stage.requires.approvals.roles)
        return frozenset([*asked, *self.break_glass])

    def questions(self) -> Iterator[str]:
        """Every query or endpoint whose answer the judge needs in each cycle, repeats included."""
        for signal in self.signals:
            yield from signal.questions()
        for gate in self.gates:
            yield from gate.signal.questions()
        for trigger in self.triggers:
            yield from trigger.test.questions()
