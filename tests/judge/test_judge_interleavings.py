"""Anything in any order: evaluations, votes, edits of rules and flags, transitions that finish or fail, crashes. The daemon raises nothing unasked.

What was asked for is told by a second, naive reading of the journal, which knows nothing of how the judge counts votes.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rollback_daemon.errors import OperationRefused
from rollback_daemon.flags.store import FlagValue
from rollback_daemon.judge import machine, promotion
from rollback_daemon.judge.drift import Drift, equals
from rollback_daemon.judge.position import Open
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.state import Happened
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.rules.model import OnDrift, OnOther, OnRaise, Rehearsing, Requires, Rollout
from rollback_daemon.signals.observation import Failed, Failure, NoData, Observation, Value
from tests.judge import people
from tests.judge.world import LADDER, ONLY_TOLD, START, World, approvals, degrade, flags_of, gate, rollout, trigger

INTERVAL, EXPIRES = timedelta(seconds=15), timedelta(minutes=10)
SEEN: dict[str, Observation] = {
    "clear": Value({(): 0.0}),
    "breached": Value({(): 2.0}),
    "nothing": NoData("the query returned nothing"),
    "failed": Failed(Failure.TIMEOUT, "no answer in time"),
}


def rules(*roles: str, needed: int | None = None, on_drift: OnDrift | None = None, automatic: bool = True) -> Rollout:
    """A ladder whose every stage asks for these approvals, and a checkpoint at half."""
    votes = approvals(*roles, needed=needed, expires="10m")
    return rollout(
        trigger("Errors", above=1),
        trigger("Latency", "latency", above=1, action=degrade(PERCENT="0.05")),
        gate("Low", below=1),
        asks={name: Requires(votes, ("day-0",) if name == "half" else ()) for name in LADDER if name != "baseline"},
        automatic=list(LADDER) if automatic else [],
        on_drift=on_drift,
        rehearsal=Rehearsing(None, ()),
        break_glass=("ops",),
        percent="{}",
    )


VERSIONS = [
    rules("lead", "security"),
    rules("lead"),
    rules("lead", "security", "ops", needed=2, automatic=False),
    rules("lead", on_drift=ONLY_TOLD),
    rules("security", on_drift=OnDrift(other=OnOther.ROLLBACK)),
]
BY_HAND: list[dict[str, FlagValue] | str] = [
    *(flags_of(VERSIONS[0], name) for name in LADDER),
    {"NEW": "false", "PERCENT": "0.5"},
    {"NEW": "true", "PERCENT": "0.01"},
    {"NEW": "true", "PERCENT": "0.33"},
    {"NEW": "true", "PERCENT": "2.0"},
    {"NEW": "true"},
]


def exposure(flags: Mapping[str, FlagValue]) -> float:
    """What the flags expose, as the application reads them."""
    return float(str(flags["PERCENT"])) if flags.get("NEW") == "true" and "PERCENT" in flags else 0.0


@dataclass
class Told:
    """One record of the journal."""

    event: str
    body: dict[str, Any]
    at: datetime


def complete(journal: list[Told], rules: Rollout, to: str, now: datetime) -> bool:
    """Whether an approval for going to `to` is complete and current, told by reading the journal from its beginning."""
    stage = rules.stage(to)
    assert stage
    assert stage.requires.approvals
    asked, proposal, at = stage.requires.approvals, None, ""
    votes: dict[str, Any] = {}
    for one in journal:
        if one.event == "proposed":
            proposal, votes = one, {}
        elif one.event in {"voided", "adopted", "checkpoint"} or (one.event == "done" and one.body["to"] != at):
            proposal = None if one.event != "checkpoint" or to == "half" else proposal
        elif one.event == "intended" and one.body["kind"] == "promote" and one.body["code"] != "rehearsal":
            proposal = None
        elif one.event == "voted" and proposal and one.body["id"] == proposal.body["id"]:
            assert one.body["by"] not in votes
            votes[one.body["by"]] = {"role": one.body["role"], "go": one.body["go"], "resolved": False}
        elif one.event == "withdrawn":
            votes.pop(one.body["by"], None)
        elif one.event == "resolved" and one.body["of"] in votes:
            votes[one.body["of"]]["resolved"] = True
        at = one.body["to"] if one.event == "done" else one.body["stage"] if one.event == "adopted" else at
    if proposal is None or proposal.body["to"] != to or proposal.body["stage"] != at or proposal.body["rules"] != rules.digest:
        return False
    roles = {vote["role"] for who, vote in votes.items() if vote["go"] and vote["role"] in people.ROLES[who] and who != proposal.body["by"]}
    dissent = any(not vote["go"] and not vote["resolved"] for vote in votes.values())
    return not dissent and now < proposal.at + EXPIRES and len(roles & set(asked.roles)) >= asked.needed


class Interleavings(RuleBasedStateMachine):
    """A slow world: what is intended stays open until a rule ends it."""

    @initialize(version=st.sampled_from(VERSIONS), at=st.sampled_from(["baseline", "canary", "half"]))
    def begin(self, version: Rollout, at: str) -> None:
        self.world = World(version, flags_of(version, at))
        self.now = START
        self.permitted: set[str] = set()
        self.lowered: tuple[int, float] | None = None  # since which record, and from which exposure
        self.evaluate("clear", "clear", 0)

    # what the judge and the daemon do

    @rule(
        errors=st.sampled_from(["clear", "clear", *SEEN]),
        latency=st.sampled_from(["clear", "clear", "clear", *SEEN]),
        missed=st.sampled_from([0, 0, 0, 1, 9]),
    )
    def evaluate(self, errors: str, latency: str, missed: int) -> None:
        self.now += INTERVAL * (1 + missed) - (self.now - START) % INTERVAL
        step = self.world.evaluate({"errors": SEEN[errors], "latency": SEEN[latency]}, self.now)
        self.decided(step.happened)
        assert self.world.judgement
        climbed = promotion.automatic(self.world.ladder, self.world.state, self.world.judgement, self.now)
        if climbed is not None:
            event(f"automatic {climbed.event}")
            self.accept(climbed)

    @rule()
    def glance(self) -> None:
        if self.world.judgement:
            self.decided(self.world.glance(self.tick()).happened)

    def decided(self, happened: tuple[Happened, ...]) -> None:
        """On its own the judge never climbs."""
        for one in happened:
            assert one.event is not Event.INTENDED or one.body["kind"] in {Kind.ROLLBACK, Kind.DEGRADE}
            event(f"{one.body['kind']} {one.body['code']}" if one.event is Event.INTENDED else str(one.event))
            if one.event is Event.INTENDED and one.body["kind"] == Kind.DEGRADE:
                self.finish()

    @precondition(lambda self: self.under_way)
    @rule()
    def finish(self) -> None:
        self.write()
        self.world.finish(self.now)

    @precondition(lambda self: self.under_way)
    @rule()
    def write(self) -> None:
        """Every change of flags by the daemon goes through here."""
        before = self.exposed
        self.world.write(self.tick())
        if self.exposed > before:
            assert self.under_way
            self.assert_may_raise(self.under_way)

    @precondition(lambda self: self.under_way)
    @rule()
    def fail(self) -> None:
        opened = self.under_way
        assert opened
        if opened.kind is Kind.PROMOTE:
            self.world.take_back(self.tick())
        else:
            self.world.happen(Event.ATTEMPTED, self.tick(), id=opened.id, kind=opened.kind, error="disk full")

    @rule()
    def crash(self) -> None:
        """Killed, and started again: what was open goes on, save for a promotion that has changed nothing, and a rehearsal."""
        self.world.forget()
        self.world.judgement = None
        self.world.state = machine.wake(self.world.rollout, self.world.state, self.tick())
        opened = self.under_way
        if opened and opened.kind is Kind.PROMOTE and not opened.applied and not self.is_written(opened):
            self.world.happen(Event.ABANDONED, self.now, id=opened.id, kind=opened.kind, to=opened.origin, why="stopped")
        if not self.under_way:
            self.end_rehearsal(passed=False)

    def is_written(self, opened: Open) -> bool:
        target = self.world.ladder.stage(opened.target)
        return target is not None and not isinstance(self.world.flags, str) and equals(target, self.world.flags)

    # what people do

    @rule(flags=st.sampled_from(BY_HAND))
    def set_flags(self, flags: dict[str, FlagValue]) -> None:
        before, after = self.exposed, exposure(flags)
        stages = [self.world.ladder.stage(name) for name in (self.world.position.stage, self.world.position.goal)]
        level = min(exposure(stage.flags) for stage in stages if stage)
        if after < min(before, level):
            event("lowered by hand")
            self.lowered = (len(self.world.journal), max(level, self.lowered[1] if self.lowered else 0))
        elif self.lowered and after > before and after >= self.lowered[1]:
            self.lowered = None  # and put back by hand
        self.world.flags = {**({} if isinstance(self.world.flags, str) else self.world.flags), **flags} if "PERCENT" in flags else dict(flags)

    @rule(version=st.sampled_from(VERSIONS), same=st.booleans())
    def edit(self, version: Rollout, same: bool) -> None:
        self.world.edit(replace(self.world.rollout if same else version, digest=f"{len(self.world.journal)}"))

    @rule(word=st.sampled_from(["promote", "resume", "resume", "hold", "rollback", "restore", "checkpoint day-0 GO", "checkpoint day-0 NO-GO"]))
    def ask(self, word: str) -> None:
        try:
            happened = people.ask(self.world, word, self.tick())
        except OperationRefused:
            return
        event(f"granted: {word.partition(' ')[0]}")
        self.accept(happened)

    @rule(who=st.sampled_from(["pam", "ann"]))
    def propose(self, who: str) -> None:
        self.ask(f"propose {who}")

    @rule(who=st.sampled_from(sorted(people.ROLES)), word=st.sampled_from(["GO", "GO", "NO-GO"]), role=st.sampled_from(["", "", "lead", "security"]))
    def vote(self, who: str, word: str, role: str) -> None:
        self.ask(f"vote {word} {who}" + (f" as {role}" if role else ""))

    @rule()
    def all_agree(self) -> None:
        """The short way to a complete approval."""
        for word in ("propose pam", "vote GO ann", "vote GO bob", "vote GO oli"):
            self.ask(word)

    @precondition(lambda self: not self.under_way)
    @rule(word=st.sampled_from(["rehearse", "restore", "promote", "climb"]), ends=st.booleans())
    def ask_when_all_is_well(self, word: str, ends: bool) -> None:
        """The short way to what is seldom granted; `climb`: resumed, checked, approved, and climbed by itself or by a person."""
        if word == "climb":
            self.ask("resume")
            self.ask("checkpoint day-0 GO")
            self.evaluate("clear", "clear", 0)
            self.all_agree()
        self.evaluate("clear", "clear", 0)
        self.ask("promote" if word == "climb" else word)
        if ends and self.under_way:
            self.finish()

    @rule(who=st.sampled_from(["ann", "bob", "cat"]), word=st.sampled_from(["withdraw {}", "resolve lea of {}"]))
    def think_again(self, who: str, word: str) -> None:
        self.ask(word.format(who))

    @rule(who=st.sampled_from(["oli", "ann"]))
    def break_glass(self, who: str) -> None:
        self.ask(f"break glass {who}")

    @precondition(lambda self: self.world.position.rehearsing and not self.under_way)
    @rule(passed=st.booleans())
    def end_steps(self, passed: bool) -> None:
        if passed and self.world.position.code == Code.REHEARSAL and self.world.position.phase == "rolled_back":
            self.ask("come back")
            if self.under_way:
                return
        self.end_rehearsal(passed=passed and self.world.position.stage == self.rehearsed_at)

    @property
    def rehearsed_at(self) -> str:
        return self.world.position.rehearsing.stage if self.world.position.rehearsing else ""

    def end_rehearsal(self, *, passed: bool) -> None:
        rehearsal = self.world.position.rehearsing
        if rehearsal:
            facts = {"passed": passed, "seconds": 1.0, "why": "", "by": rehearsal.by}
            self.world.happen(Event.REHEARSED, self.now, id=rehearsal.id, stage=rehearsal.stage, **facts)

    @rule(minutes=st.sampled_from([1, 5, 11]))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    # what must be so

    def accept(self, happened: Happened) -> None:
        """A promotion begins only with what it needs."""
        body, rules = happened.body, self.world.rollout
        if happened.event is Event.INTENDED and body["kind"] == Kind.PROMOTE:
            if body["code"] == Code.BREAK_GLASS:
                assert people.ROLES[body["by"]] & set(rules.break_glass)
            elif body["code"] == Code.REHEARSAL:
                assert self.world.position.rehearsing
                assert body["to"] == self.rehearsed_at
            else:
                assert body["by"] == "rollbackd" or body["code"] == Code.PERSON
                assert complete(list(self.journal()), rules, body["to"], self.now)
            self.permitted.add(body["id"])
        self.world.accept(happened, self.now)

    def assert_may_raise(self, opened: Open) -> None:
        event(f"raised: {opened.kind} {opened.code}")
        if opened.kind is Kind.RESTORE:  # a person's word, and no further than to the stage on record
            stage = self.world.rollout.stage(self.world.position.stage)
            assert stage
            assert self.exposed <= exposure(stage.flags)
            return
        if opened.kind is Kind.DEGRADE:  # of flags that somebody raised by hand, where the rules say that this is only told
            assert self.world.rollout.flags.on_drift.raised is OnRaise.ALERT
            assert self.world.state.drift is Drift.HIGHER
            return
        assert opened.kind is Kind.PROMOTE
        assert opened.id in self.permitted
        if self.lowered is None:
            return
        since = list(self.journal())[self.lowered[0] :]
        begun = {one.body["id"] for one in since if one.event == "intended"}
        if opened.code == Code.REHEARSAL:
            assert self.world.position.rehearsing
            assert self.world.position.rehearsing.id in begun
        elif opened.code == Code.BREAK_GLASS:
            assert opened.id in begun
        else:
            assert {"resumed", "proposed"} <= {one.event for one in since}
            self.lowered = None

    @invariant()
    def what_is_known_is_what_is_on_record(self) -> None:
        assert self.world.replayed() == self.world.state.position
        assert self.world.dossier() == self.world.state.dossier

    @property
    def exposed(self) -> float:
        return 0.0 if isinstance(self.world.flags, str) else exposure(self.world.flags)

    @property
    def under_way(self) -> Open | None:
        return self.world.position.open

    def journal(self) -> Iterator[Told]:
        return (Told(name, json.loads(body), at) for name, body, at in self.world.journal)

    def tick(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(
    max_examples=int(os.environ.get("LAW_EXAMPLES", "150")), stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
