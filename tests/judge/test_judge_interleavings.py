"""Anything in any order: evaluations, votes, edits of rules and flags, transitions that finish or fail, crashes. The daemon raises nothing unasked.

What was asked for is told by a second, naive reading of the journal, which knows nothing of how the judge counts votes.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from rollback_daemon.errors import OperationRefused
from rollback_daemon.flags.store import FlagValue
from rollback_daemon.judge import machine, promotion
from rollback_daemon.judge.drift import Drift, equals
from rollback_daemon.judge.position import Open
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.state import Happened
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.rules.duties import OnDrift, OnOther, OnRaise, Rehearsing, Requires
from rollback_daemon.rules.model import Rollout
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
BY_HAND: list[dict[str, FlagValue]] = [
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


LOOKS = [
    *["look clear clear"] * 6,
    *["look breached clear"] * 2,
    *("look clear breached", "look nothing clear", "look failed failed", "look clear nothing", "glance", "glance"),
]
BY_HAND_DEEDS = [f"flags {number}" for number in range(len(BY_HAND))]
VOTES = [f"vote {word} {who}" for who in people.ROLES for word in ("GO", "GO", "NO-GO")] + [f"vote GO {who} as lead" for who in ("bob", "cat", "oli")]
ASKED = [
    *["promote", "resume", "checkpoint day-0 GO", "propose pam"] * 3,
    *["rehearse", "break glass oli"] * 2,
    *["steps pass"] * 5,
    *("hold", "rollback", "restore", "checkpoint day-0 NO-GO", "steps fail", "propose ann", "break glass ann"),
    *("withdraw ann", "withdraw bob", "resolve lea of ann", "resolve cat of bob", "resolve ann of cat"),
]
PLOTS = ["agree GO pam, GO bob, GO oli", "agree GO bob as lead, GO bob", "agree GO ned as lead, GO ned", "agree GO ann, NO-GO cat as lead, GO bob"]
REST = [
    *["agree", "climb"] * 4,
    *PLOTS,
    *["practise", "practise 0", "practise 4"],
    *["wait 1", "wait 11", "gap"],
    *["crash"] * 2,
    *[f"edit {number}" for number in range(len(VERSIONS))],
    *["edit"] * 2,
]
AT_REST = [*LOOKS, *LOOKS, *BY_HAND_DEEDS, *VOTES[::2], *ASKED, *REST]
WHILE_FLAGS_ARE_CHANGED = [
    *["finish"] * 12,
    *["write"] * 3,
    *["fail", "crash"] * 2,
    *LOOKS,
    *BY_HAND_DEEDS[:5],
    "rollback",
    "hold",
    "propose pam",
    "wait 1",
]


class Interleavings(RuleBasedStateMachine):
    """A slow world: what is intended stays open until a deed ends it. One rule for all deeds, so that none is left out of a run."""

    @initialize(version=st.sampled_from(VERSIONS), at=st.sampled_from(["baseline", "canary", "half"]))
    def begin(self, version: Rollout, at: str) -> None:
        self.world = World(version, flags_of(version, at))
        self.now = START
        self.permitted: set[str] = set()
        self.lowered: list[tuple[int, float]] = []  # by hand: since which record, and from which exposure
        self.look("clear clear")

    @rule(data=st.data())
    def anything(self, data: st.DataObject) -> None:
        deed = data.draw(st.sampled_from(WHILE_FLAGS_ARE_CHANGED if self.under_way else AT_REST))
        word, _, rest = deed.partition(" ")
        deeds: dict[str, Callable[[str], None]] = {
            "look": self.look,
            "glance": self.glance,
            "flags": self.set_flags,
            "finish": self.finish,
            "write": self.write,
            "fail": self.fail,
            "crash": self.crash,
            "edit": self.edit,
            "agree": self.agree,
            "climb": self.climb,
            "practise": self.practise,
            "steps": self.end_steps,
            "wait": self.wait,
            "gap": lambda _: self.wait("0.7"),
        }
        deeds[word](rest) if word in deeds else self.ask(deed)

    # what the judge and the daemon do

    def look(self, seen: str) -> None:
        """One evaluation at the next multiple of the interval."""
        self.now += INTERVAL - (self.now - START) % INTERVAL
        errors, latency = seen.split()
        self.decided(self.world.evaluate({"errors": SEEN[errors], "latency": SEEN[latency]}, self.now).happened)
        assert self.world.judgement
        climbed = promotion.automatic(self.world.ladder, self.world.state, self.world.judgement, self.now)
        if climbed is not None:
            event(f"automatic {climbed.event}")
            self.accept(climbed)

    def glance(self, _: str) -> None:
        if self.world.judgement:
            self.decided(self.world.glance(self.tick()).happened)

    def decided(self, happened: tuple[Happened, ...]) -> None:
        """On its own the judge never climbs."""
        for one in happened:
            assert one.event is not Event.INTENDED or one.body["kind"] in {Kind.ROLLBACK, Kind.DEGRADE}
            event(f"{one.body['kind']} {one.body['code']}" if one.event is Event.INTENDED else str(one.event))
            if one.event is Event.INTENDED and one.body["kind"] == Kind.DEGRADE:
                self.finish("")

    def finish(self, _: str) -> None:
        self.write("")
        self.world.finish(self.now)

    def write(self, _: str) -> None:
        """Every change of flags by the daemon goes through here."""
        before = self.exposed
        self.world.write(self.tick())
        if self.exposed > before:
            assert self.under_way
            self.assert_may_raise(self.under_way)

    def fail(self, _: str) -> None:
        opened = self.under_way
        assert opened
        if opened.kind is Kind.PROMOTE:
            self.world.take_back(self.tick())
        else:
            self.world.happen(Event.ATTEMPTED, self.tick(), id=opened.id, kind=opened.kind, error="disk full")

    def crash(self, _: str) -> None:
        """Killed, and started again: what was open goes on, save for a promotion that has changed nothing, and a rehearsal."""
        self.assert_known_is_on_record()
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

    def set_flags(self, number: str) -> None:
        flags = BY_HAND[int(number)]
        before, after = self.exposed, exposure(flags)
        stages = [self.world.ladder.stage(name) for name in (self.world.position.stage, self.world.position.goal)]
        level = min(exposure(stage.flags) for stage in stages if stage)
        if after < min(before, level):
            event("lowered by hand")
            self.lowered.append((len(self.world.journal), level))
        elif after > before:  # and what was put back by hand
            self.lowered = [one for one in self.lowered if after < one[1]]
        self.world.flags = dict(flags)

    def edit(self, number: str) -> None:
        """The rule file is another one, or has the same rules in other words."""
        version = VERSIONS[int(number)] if number else self.world.rollout
        self.world.edit(replace(version, digest=f"{len(self.world.journal)}"))

    def ask(self, request: str) -> None:
        try:
            happened = people.ask(self.world, request, self.tick())
        except OperationRefused:
            return
        event(f"granted: {request.partition(' ')[0]}")
        self.accept(happened)

    def agree(self, votes: str) -> None:
        """The short way to a complete approval, or to one that only looks like it."""
        words = (votes or "GO ann, GO bob, GO oli").split(", ")
        for request in ("checkpoint day-0 GO", "propose pam", *(f"vote {word}" for word in words)):
            self.ask(request)

    def climb(self, _: str) -> None:
        """The short way up: resumed, checked, approved, and climbed by itself or by a person."""
        self.ask("resume")
        self.look("clear clear")
        self.agree("")
        self.look("clear clear")
        self.ask("promote")
        if self.under_way:
            self.finish("")

    def practise(self, flags: str) -> None:
        """The short way through a rehearsal, during which somebody may set the flags, up to its way back."""
        self.look("clear clear")
        self.ask("rehearse")
        if flags:
            self.set_flags(flags)
        if self.under_way:
            self.finish("")
        self.end_steps("pass")

    def end_steps(self, how: str) -> None:
        """As the daemon does it: with the steps passed and the way back granted, the rehearsal ends when that is done."""
        rehearsal = self.world.position.rehearsing
        if rehearsal is None or self.under_way:
            return
        if how == "pass" and self.world.position.stage != rehearsal.stage:
            self.ask("come back")
        if not self.under_way:
            self.end_rehearsal(passed=how == "pass" and self.world.position.stage == rehearsal.stage)

    def end_rehearsal(self, *, passed: bool) -> None:
        rehearsal = self.world.position.rehearsing
        if rehearsal:
            facts = {"passed": passed, "seconds": 1.0, "why": "", "by": rehearsal.by}
            self.world.happen(Event.REHEARSED, self.now, id=rehearsal.id, stage=rehearsal.stage, **facts)

    def wait(self, minutes: str) -> None:
        self.now += timedelta(minutes=float(minutes))

    # what must be so

    def accept(self, happened: Happened) -> None:
        """A promotion begins only with what it needs."""
        body, rules = happened.body, self.world.rollout
        if happened.event is Event.INTENDED and body["kind"] == Kind.PROMOTE:
            if body["code"] == Code.BREAK_GLASS:
                assert people.ROLES[body["by"]] & set(rules.break_glass)
                self.lowered = []  # somebody who may has said go on
            elif body["code"] == Code.REHEARSAL:
                assert self.world.position.rehearsing
                assert body["to"] == self.world.position.rehearsing.stage
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
        if not self.lowered:
            return
        since = list(self.journal())[self.lowered[-1][0] :]
        begun = {one.body["id"] for one in since if one.event == "intended"}
        if opened.code == Code.REHEARSAL:
            assert self.world.position.rehearsing
            assert self.world.position.rehearsing.id in begun
        else:
            assert opened.code != Code.BREAK_GLASS
            assert {"resumed", "proposed"} <= {one.event for one in since}
            self.lowered = []

    def assert_known_is_on_record(self) -> None:
        assert self.world.replayed() == self.world.state.position
        assert self.world.dossier() == self.world.state.dossier

    def teardown(self) -> None:
        self.assert_known_is_on_record()

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
    max_examples=int(os.environ.get("LAW_EXAMPLES", "100")), stateful_step_count=80, deadline=None, suppress_health_check=list(HealthCheck)
)
