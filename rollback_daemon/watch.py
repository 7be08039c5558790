"""One rollout under guard: its flag store, what the judge knows of it, and the transition that is under way.

Everything that happens to a rollout goes through here, one thing at a time: on record first, then into the state, then into the world.
Lives here: that order. Must not live here: what is decided (judge), how things go on record (`chronicle`), how flags are changed (`underway`,
transitions), when to look (cycle).
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime

from rollback_daemon import memory
from rollback_daemon.chronicle import Chronicle, Witness
from rollback_daemon.clock import Clock
from rollback_daemon.errands import Errands
from rollback_daemon.errors import IllegalTransition, OperationRefused
from rollback_daemon.flags.store import Flags, FlagStore
from rollback_daemon.intake.arrivals import Arrivals
from rollback_daemon.journal.journal import Journal
from rollback_daemon.judge import baselines, consent, figures, machine, promotion, recovery, requests
from rollback_daemon.judge.attempts import Attempt
from rollback_daemon.judge.drift import Drift
from rollback_daemon.judge.position import Open
from rollback_daemon.judge.refusal import Refusal
from rollback_daemon.judge.standing import all_checks
from rollback_daemon.judge.state import Happened, Judgement, Sight, State, Step
from rollback_daemon.judge.transitions import Event
from rollback_daemon.outlook import Outlook
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.reading import Observations
from rollback_daemon.transitions.execute import PATIENCE, Patience
from rollback_daemon.underway import UnderWay
from rollback_daemon.verifying import Verifying

_SHORT = 5.0  # seconds that a step of a verification gets to end
Decide = Callable[[Rollout, State, Judgement | None, datetime], Happened]
"""What a request of a person comes to; raises OperationRefused where it may not be."""


class Watch:
    """A rollout being watched. Thread-safe; the judge's step, requests of people and the transition's own records never interleave."""

    def __init__(
        self,
        rollout: Rollout,
        store: FlagStore,
        journal: Journal,
        clock: Clock,
        witness: Witness,
        patience: Patience = PATIENCE,
        *,
        settle: float = 0.0,
    ) -> None:
        """For `settle` seconds flags must have stood as they are before it is believed that somebody lowered them."""
        self.rollout, self.store = rollout, store
        self._outlook = Outlook(settle)
        self.unsettled = False  # whether the last glance saw flags that may be half written
        self.lock = threading.RLock()
        self._clock = clock
        self._chronicle = Chronicle(rollout.name, journal, clock, witness)
        self._state = State()
        self._judgement: Judgement | None = None
        self._observations: tuple[datetime, Observations] | None = None
        self._unreadable = ""
        self._under_way = UnderWay(self, clock, patience)
        self._errands = Errands(self)
        self._verifying = Verifying(self, clock)
        self._arrivals = Arrivals(self, clock)

    @property
    def state(self) -> State:
        return self._state

    @property
    def judgement(self) -> Judgement | None:
        """The last evaluation; None before the first."""
        return self._judgement

    @property
    def observations(self) -> tuple[datetime, Observations] | None:
        """The answers that the last evaluation rests on, and the time that they were asked for."""
        return self._observations

    @property
    def ladder(self) -> Rollout:
        """The rollout as it is now: with the flags that are degraded in the place of every stage's own."""
        return machine.ladder(self.rollout, self._state)

    @property
    def place(self) -> str:
        """Where the flags are, for people."""
        return self.store.describe()

    @property
    def can_record(self) -> bool:
        """Whether the journal could be written last."""
        return self._chronicle.writable

    def questions(self, now: datetime) -> Iterator[str]:
        """Everything that the evaluation at `now` needs to be asked, repeats included."""
        yield from self.rollout.questions()
        yield from baselines.questions(self.rollout, self._state.prospects, now)

    def recall(self, remembered: str | None, stopped: datetime | None) -> None:
        """Take up where the journal and the remembered state say that this rollout is, and finish what is still open."""
        with self.lock:
            recorded = self._chronicle.replay()
            self._state = machine.wake(self.rollout, memory.load(remembered, recorded, stopped), self._clock.now())
            self._under_way.take_up()
            self._verifying.look()

    def reconfigure(self, rollout: Rollout, store: FlagStore) -> None:
        """Go on with a new version of the rule file. Phases and the place on the ladder stay."""
        with self.lock:
            self.rollout, self.store = rollout, store
            known = {trigger.name for trigger in rollout.triggers}
            triggers = {name: one for name, one in self._state.triggers.items() if name in known}
            self._state = replace(self._state, triggers=triggers, prospects={})
            self._judgement = None
            self._arrivals.heed()

    def evaluate(self, observations: Observations, now: datetime) -> str:
        """Judge once, with the answers of the cycle at `now`; returns the outcome in a line."""
        with self._looking() as flags:
            self._tell_reading(flags)
            sight = _sight(observations, flags)
            half = self._outlook.is_half_written(self.ladder, self._state, flags)
            if half and not isinstance(flags, str) and self._state.drift not in {Drift.LOWER, Drift.OTHER}:
                sight = replace(sight, flags=self._outlook.as_before(self.ladder, self._state, flags))
            elif not half:
                self._outlook.believed(self.ladder, flags)
            self._take(machine.step(self.rollout, self._state, sight, now), now)
            self._observations = (now, {**figures.as_observations(self.rollout, self._state.dossier, self._state.position, now), **observations})
            if not half:
                self._climb_by_itself(now)
            self._errands.look(now)
            self._arrivals.look(now)
        return f"{self._state.position.phase} at {self._state.position.stage}" if self._state.position else f"waiting: {flags}"

    def glance(self) -> bool:
        """Look at the flags alone, between two evaluations; returns whether anything followed. Before the first evaluation nothing does.

        Nor does it where so much has followed from glances already that somebody seems to write without end: the next evaluation sees to that.
        """
        with self._looking() as flags:
            self.unsettled = self._outlook.is_half_written(self.ladder, self._state, flags)
            if self._judgement is None or self.unsettled or self._outlook.is_flood(self.rollout.interval):
                return False
            now = self._clock.now()
            result = machine.glance(self.rollout, self._state, self._judgement, _sight({}, flags), now)
            self._take(result, now)
            if any(one.event in {Event.INTENDED, Event.ADOPTED, Event.MISCONFIGURED} for one in result.happened):
                self._outlook.followed()
            return bool(result.happened)

    def remembered(self) -> str:
        """The judge's memory as text, to be kept with the journal."""
        return memory.dump(self._state)

    def request(self, name: str, by: str, reason: str, decide: Decide, *, must: bool = True, via: str = "") -> str:
        """Do what a person asks for, if `decide` agrees; returns the id of what was begun, if it has one. What is refused is on record, too.

        With `must` it is refused when it cannot go on record. `via`: where it was asked for, for the record. Raises OperationRefused.
        """
        with self.lock, self._refusals(name, by, reason, via):
            now = self._clock.now()
            happened = decide(self.ladder, self._state, self._judgement, now)
            self.begin(Happened(happened.event, {**happened.body, "via": via}) if via else happened, must=must, now=now)
            return str(happened.body.get("id", ""))

    def refused(self, name: str, by: str, reason: str, why: str, via: str = "") -> None:
        """Put on record that somebody asked for something and was turned away before it came to the rollout."""
        with self.lock:
            self.happen(Happened(Event.REFUSED, {"request": name, "by": by, "reason": reason, "why": [why], **({"via": via} if via else {})}))

    def tried(self, name: str, attempt: Attempt | None) -> None:
        """How evidence that comes by itself did; None where it comes so no more."""
        with self.lock:
            others = {one: known for one, known in self._state.attempts.items() if one != name}
            self._state = replace(self._state, attempts={**others, name: attempt} if attempt else others)

    def promote(self, by: str, reason: str, fresh: Observations | None = None, via: str = "") -> str:
        """Start a promotion to the next stage, judged on a `fresh` look as well where there is one. Raises OperationRefused."""
        flags = self._outlook.read(self.store, self.ladder) if fresh is not None else None

        def decide(rollout: Rollout, state: State, judgement: Judgement | None, now: datetime) -> Happened:
            decided = promotion.promote(rollout, state, judgement, by, reason, now)
            if fresh is not None and flags is not None:
                tried = machine.step(self.rollout, state, _sight(fresh, flags), now)
                promotion.promote(rollout, tried.state, tried.judgement, by, reason, now)
            return decided

        return self.request("promote", by, reason, decide, via=via)

    def rollback(self, to: str | None, by: str, reason: str) -> str:
        """Start a rollback; returns the transition's id. Raises OperationRefused."""

        def decide(rollout: Rollout, state: State, judgement: Judgement | None, now: datetime) -> Happened:
            return requests.rollback(rollout, state, judgement, to, by, reason, now)

        return self.request("rollback", by, reason, decide, must=False)

    def hold(self, by: str, reason: str) -> None:
        """Stop the way up."""
        self.request("hold", by, reason, lambda rollout, state, _, now: requests.halt(rollout, state, by, reason, now), must=False)

    def resume(self, by: str, reason: str) -> None:
        """Open the way up again. It loosens something, so it must be on record."""
        self.request("resume", by, reason, lambda rollout, state, *_: requests.resume(rollout, state, by, reason))

    def recount(self, roles: Callable[[str], AbstractSet[str]]) -> None:
        """Take the votes off the proposal of people who have not the `roles` any more that they voted in."""
        with self.lock:
            for one in tuple(consent.lapsed(self._state.dossier, roles)):
                self.happen(one)

    def drain(self) -> None:
        """Let the transition under way end after the step it is in."""
        self._under_way.drain()
        self._errands.drain()
        self._verifying.drain()
        self._arrivals.drain()

    def close(self, patience: float) -> None:
        """Wait until the transition under way has finished the step it is in, for at most `patience` seconds; the next start goes on with it."""
        self._errands.drain()
        self._arrivals.drain()
        self._verifying.close(min(patience, _SHORT))
        self._under_way.close(patience)
        self._errands.close(patience)
        self._arrivals.close(min(patience, _SHORT))

    def tell_rules(self) -> None:
        """Put on record which rules hold from now on, unless they are those that held before."""
        with self.lock:
            self._chronicle.tell_rules(self.rollout, self._opened)

    def happen(self, happened: Happened, *, must: bool = False, now: datetime | None = None) -> None:
        """One event: on record, then into the state. Raises IllegalTransition, and Refusal for what `must` be on record and cannot."""
        with self.lock:
            at = now or self._clock.now()
            state = machine.apply(self._state, happened, at) if happened.event is not Event.REFUSED else self._state
            self._chronicle.put(self.rollout, happened, at, self._opened, must=must)
            for one in recovery.freezing(self.rollout, state, at) if happened.event is Event.DONE else ():
                self._chronicle.put(self.rollout, one, at, self._opened)
                state = machine.apply(state, one, at)
            self._state = state
            self._check_again(at)
            self._errands.heed()
            self._verifying.look()
            if happened.event is Event.EVIDENCE:
                self._arrivals.taken(happened.body["evidence"])

    def begin(self, happened: Happened, *, must: bool = False, now: datetime | None = None) -> None:
        """One event, and the transition that it intends, if it does. Raises as `happen` does."""
        with self.lock:
            self.happen(happened, must=must, now=now)
            if happened.event is Event.INTENDED:
                self._under_way.start()

    def remember_now(self) -> None:
        """Keep the judge's memory as it is, before flags are touched."""
        self._chronicle.remember(self.remembered())

    @property
    def _opened(self) -> Open | None:
        return self._state.position.open if self._state.position else None

    def _take(self, result: Step, now: datetime) -> None:
        """What the judge says goes on record, then into the state, then into the world."""
        self._chronicle.put_all(self.rollout, result.happened, now, self._opened)  # the state is the one before: what was open is what ended
        self._state, self._judgement = result.state, result.judgement
        self._errands.heed()
        self._verifying.look()
        if any(one.event is Event.INTENDED for one in result.happened):
            self._under_way.start()

    def _climb_by_itself(self, now: datetime) -> None:
        """An approved promotion whose stage is climbed automatically, or the vote on it. Only with a journal: who cannot say why must not climb."""
        if self._judgement is None:
            return
        with contextlib.suppress(Refusal, IllegalTransition):  # a journal that cannot be written pages by itself; the next evaluation tries again
            happened = promotion.automatic(self.ladder, self._state, self._judgement, now)
            if happened is not None:
                self.begin(happened, must=True, now=now)

    @contextlib.contextmanager
    def _refusals(self, request: str, by: str, reason: str, via: str) -> Iterator[None]:
        """What was asked for and refused is on record, too."""
        try:
            yield
        except OperationRefused as refusal:
            self.refused(request, by, reason, str(refusal), via)
            raise

    def _tell_reading(self, flags: Flags | str) -> None:
        """A word in the log when the flags cannot be read any more, and when they can again."""
        error = flags if isinstance(flags, str) else ""
        if error and error != self._unreadable:
            self._chronicle.say.error("the flags cannot be read", error=error)
        elif self._unreadable and not error:
            self._chronicle.say.info("the flags can be read again")
        self._unreadable = error

    @contextlib.contextmanager
    def _looking(self) -> Iterator[Flags | str]:
        """The flags as they are, under the lock. Reading may take long, so it comes before; what happened meanwhile makes it worthless."""
        before, flags = self._state.position, self._outlook.read(self.store, self.ladder)
        with self.lock:
            yield flags if self._state.position is before else self._outlook.read(self.store, self.ladder)

    def _check_again(self, now: datetime) -> None:
        """What blocks a promotion depends on the record, which has just changed."""
        known, position = self._judgement, self._state.position
        if known is not None and position is not None:
            checks = all_checks(self.ladder, self._state, position, known.seen, max(now, known.at))
            self._judgement = replace(known, checks=checks)


def _sight(observations: Observations, flags: Flags | str) -> Sight:
    if isinstance(flags, str):
        return Sight(observations, flags)
    return Sight(observations, flags.values, flags.trace)
