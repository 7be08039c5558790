"""One rollout acted out: the daemon's judge over time, with transitions that end at once and flags that live in memory. No clock, no I/O.

What runs on it: the unit tests of rules, the backtest, the simulation. Lives here: what happens beside the judge in the daemon, at the moment it is
due. Must not live here: any decision (judge), where answers come from, what people do and when.

What only the world could tell is taken to go well: flags are written and read back, the configuration is what stages require, programs and probes of
a verification pass. Steps about gates are judged as ever.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from rollback_daemon.errors import IllegalTransition
from rollback_daemon.flags.store import FlagValue
from rollback_daemon.judge import machine, promotion, recovery
from rollback_daemon.judge.act import intended
from rollback_daemon.judge.aftermath import READ_BACK, identity, is_current, proof, proofs
from rollback_daemon.judge.drift import matching
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Code, Outcome
from rollback_daemon.judge.refusal import Refusal
from rollback_daemon.judge.required_config import as_required, concerned
from rollback_daemon.judge.standing import all_checks
from rollback_daemon.judge.state import Happened, Judgement, Sight, State, Step
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.rules.aftercare import Recovery
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.reading import Observations
from rollback_daemon.transitions.plan import disturbed, plan
from rollback_daemon.transitions.steps import describe


@dataclass(slots=True)
class Replay:
    """One rollout, from its first sight on. `flags` is what can be read: values, or the sentence that says why not.

    `trace` is what the store knows of its last change.
    """

    rollout: Rollout
    flags: Mapping[str, FlagValue] | str
    state: State = field(default_factory=State)
    judgement: Judgement | None = None
    trace: dict[str, str] = field(default_factory=dict)

    @property
    def position(self) -> Position:
        """Where it is. Raises ValueError before its flags have been read once."""
        if self.state.position is None:
            raise ValueError("its flags have never been read")
        return self.state.position

    @property
    def ladder(self) -> Rollout:
        """The ladder with what is degraded."""
        return machine.ladder(self.rollout, self.state)

    def cycle(self, observations: Observations, now: datetime) -> tuple[Happened, ...]:
        """One evaluation, and all that follows from it at once, in the order in which the daemon would put it on record."""
        happened = list(self.judge(observations, now).happened)
        happened += self._climb_by_itself(now)
        happened += self.settle(now)
        return tuple(happened)

    def judge(self, observations: Observations, now: datetime) -> Step:
        """One evaluation, and nothing else."""
        return self._take(machine.step(self.rollout, self.state, self._sight(observations), now), now)

    def glance(self, now: datetime) -> Step:
        """A look at the flags alone, between two evaluations, of which there must have been one."""
        if self.judgement is None:
            raise ValueError("nothing has been evaluated")
        return self._take(machine.glance(self.rollout, self.state, self.judgement, self._sight({}), now), now)

    def settle(self, now: datetime) -> list[Happened]:
        """Everything that is under way comes to its end: transitions, and the steps of a verification that are not about gates."""
        happened: list[Happened] = []
        while self.state.position and (self.position.open or self._owes_step()):
            if self.position.open is None:
                happened += self._pass_step(now)
                continue
            happened += self.finish(now)
            happened += [self.accept(one, now) for one in recovery.freezing(self.rollout, self.state, now)]
        return happened

    def happen(self, event: Event, now: datetime, **body: object) -> Happened:
        """Something from outside the judge: a request, or news of the transition under way. What blocks a promotion is told anew after it."""
        happened = Happened(event, body)
        self.state = machine.apply(self.state, happened, now)
        self.recorded(happened, now)
        if self.judgement and self.state.position:
            checks = all_checks(self.ladder, self.state, self.position, self.judgement.seen, max(now, self.judgement.at))
            self.judgement = replace(self.judgement, checks=checks)
        return happened

    def accept(self, happened: Happened, now: datetime) -> Happened:
        """A request that was granted."""
        return self.happen(happened.event, now, **happened.body)

    def edit(self, rollout: Rollout) -> None:
        """Another version of the rule file holds from now on."""
        self.rollout, self.judgement = rollout, None
        self.state = replace(self.state, prospects={})

    def write(self, now: datetime) -> list[Happened]:
        """The flag store does what is intended. As the real one, it never raises flags for a rollback, and gives up a promotion that is disturbed."""
        opened = self.position.open
        if opened is None:
            raise ValueError("nothing is intended")
        before = {} if isinstance(self.flags, str) else self.flags
        if opened.kind is Kind.PROMOTE and disturbed(self.ladder, opened, before, written=opened.applied):
            return [self.take_back(now), *self.write(now)]
        changes = plan(self.ladder, opened, before).changes
        self.flags = {**before, **changes}
        return [self.happen(Event.APPLIED, now, id=opened.id, kind=opened.kind)] if changes else []

    def take_back(self, now: datetime) -> Happened:
        """A promotion that could not be completed."""
        opened = self.position.open
        origin = self.ladder.stage(opened.origin) if opened and opened.kind is Kind.PROMOTE else None
        if opened is None or origin is None:
            raise ValueError("no promotion is under way")
        why = [f"the promotion to {opened.target} could not be completed"]
        return self.accept(intended(self.ladder, self.position, Kind.ROLLBACK, origin, why, "rollbackd", now, {"code": Code.PROMOTION_FAILED}), now)

    def finish(self, now: datetime) -> list[Happened]:
        """What was intended is written and read back."""
        happened = self.write(now)
        opened = self.position.open
        if opened is None or isinstance(self.flags, str):
            raise ValueError("nothing is intended, or its flags cannot be read")
        reached = plan(self.ladder, opened, self.flags).stage
        care = self.rollout.aftercare
        owed = (
            {"verify": True, "steps": identity(care.proofs(reached.name))}
            if opened.kind is Kind.ROLLBACK and care.verified and opened.code != Code.REHEARSAL
            else {}
        )
        return [*happened, self.happen(Event.DONE, now, **{"id": opened.id, "kind": opened.kind, "from": opened.origin, "to": reached.name, **owed})]

    def check(self, step: str, outcome: Outcome, now: datetime) -> list[Happened]:
        """A step of a verification that is not the judge's has ended so; the next way back follows at once, where nobody was given time."""
        ended = list(recovery.checked(self.ladder, self.position, self.state.aftermath, step, outcome, error="", output="", seconds=0))
        done = [self.accept(one, now) for one in ended]
        return done + [self.accept(one, now) for one in recovery.further(self.ladder, self.state, now)]

    def recorded(self, happened: Happened, now: datetime) -> None:
        """Told of everything that happens, in order; for whoever keeps it."""

    def _sight(self, observations: Observations) -> Sight:
        """What is seen; configuration that nobody has said anything about is taken to be as required."""
        if isinstance(self.flags, str):
            return Sight(observations, self.flags, self.trace)
        stage, goal = concerned(self.rollout, self.state.position)
        if self.state.position is None and (found := matching(self.rollout, self.flags)):
            stage, goal = found, self.rollout.above(found)
        return Sight(observations, {**as_required(stage, goal), **self.flags}, self.trace)

    def _take(self, step: Step, now: datetime) -> Step:
        self.state, self.judgement = step.state, step.judgement
        for one in step.happened:
            self.recorded(one, now)
        return step

    def _climb_by_itself(self, now: datetime) -> Iterator[Happened]:
        """As the daemon does right after each evaluation."""
        if self.judgement is None:
            return
        with contextlib.suppress(Refusal, IllegalTransition):  # the next evaluation tries again
            happened = promotion.automatic(self.ladder, self.state, self.judgement, now)
            if happened is not None:
                yield self.accept(happened, now)

    def _owes_step(self) -> bool:
        known, ladder = self.state.aftermath, self.ladder
        if not known.verifying or not is_current(ladder, self.position, known) or known.passed > len(proofs(ladder, self.position)):
            return False
        return not isinstance(proof(ladder, self.position, known), Recovery)

    def _pass_step(self, now: datetime) -> list[Happened]:
        step = proof(self.ladder, self.position, self.state.aftermath)
        return self.check(READ_BACK if step is None or isinstance(step, Recovery) else describe(step), Outcome.PASS, now)
