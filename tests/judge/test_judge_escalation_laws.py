"""What holds of announced rollbacks whatever is seen, said, edited by hand, or killed in between."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.rules.aftercare import Aftercare, AtMost, Escalation
from rollback_daemon.rules.model import Rollout
from rollback_daemon.signals.observation import Failed, Failure, NoData, Observation, Value
from tests.judge import people
from tests.judge.world import LADDER, START, World, announced, flags_called, flags_of, rollout, trigger

ALERTS = ("Climbing", "Announced", "Both")
SEEN: Mapping[str, Observation] = {
    "clear": Value({(): 0.0}),
    "breached": Value({(): 2.0}),
    "one of two": Value({(("pod", "a"),): 2.0, (("pod", "b"),): 0.0}),
    "no data": NoData("the query returned nothing"),
    "failed": Failed(Failure.TIMEOUT, "no answer in time"),
}
REQUESTS = ("cancel", *(f"{verb} {alert}" for verb in ("cancel", "acknowledge") for alert in ALERTS), "rollback", "resume", "promote", "hold")
rules = st.builds(
    lambda after, in_, for_, keep, to, last, most, enforce: rollout(
        trigger("Climbing", above=1, action="alert", escalate_after=after, for_=for_, keep=keep),
        trigger("Announced", above=1, action=announced(to, in_), for_=for_),
        trigger("Both", "latency", above=1, action=announced(None, in_), escalate_after=after),
        enforce=enforce,
        aftercare=Aftercare(escalation=last, max_rollbacks=most),
    ),
    st.sampled_from(["15s", "30s", "1m"]),
    st.sampled_from(["0", "15s", "1m"]),
    st.sampled_from(["0", "15s"]),
    st.sampled_from(["0", "30s"]),
    st.sampled_from([None, "baseline", "canary"]),
    st.builds(
        Escalation,
        st.sampled_from([(), ("ticket",), ("ticket", "lead")]),
        st.booleans(),
        st.sampled_from([None, "baseline"]),
        st.sampled_from([timedelta(), timedelta(seconds=30)]),
    ),
    st.sampled_from([None, AtMost(2, timedelta(hours=1))]),
    st.sampled_from([True, True, True, False]),
)
deeds = st.one_of(
    st.sampled_from([f"see {how}" for how in SEEN] + ["see breached"] * 4),
    st.sampled_from([f"ask {request}" for request in REQUESTS]),
    st.sampled_from([f"flags {name}" for name in [*LADDER, "odd", "unreadable"]]),
    st.sampled_from(["finish", "finish", "restart", "away 1m", "away 1h"]),
)


@dataclass(slots=True)
class Played:
    """A rollout, evaluated each 15 s, to which the deeds happen in between."""

    rules: Rollout
    world: World = field(init=False)
    now: datetime = START
    seen: Observation = SEEN["clear"]

    def __post_init__(self) -> None:
        self.world = World(self.rules, flags_of(self.rules, "full"))
        self.evaluate()

    def evaluate(self) -> None:
        self.world.evaluate({"errors": self.seen, "latency": self.seen}, self.now)
        self.now += timedelta(seconds=15)

    def do(self, deed: str) -> None:
        word, _, rest = deed.partition(" ")
        doing: dict[str, Callable[[str], None]] = {"see": self.see, "ask": self.ask, "flags": self.set_flags, "away": self.be_away}
        if word in doing:
            doing[word](rest)
        elif word == "finish" and self.world.position.open and not isinstance(self.world.flags, str):
            self.world.finish(self.now)
        elif word == "restart":
            before = self.world.state.escalations
            self.world.forget()
            assert self.world.state.escalations == before
        self.evaluate()

    def see(self, how: str) -> None:
        self.seen = SEEN[how]

    def ask(self, request: str) -> None:
        try:
            happened = people.ask(self.world, request, self.now)
        except OperationRefused:
            return
        self.world.accept(happened, self.now)

    def set_flags(self, name: str) -> None:
        self.world.flags = flags_called(self.world.rollout, name)

    def be_away(self, how: str) -> None:
        self.now += timedelta(hours=1) if how == "1h" else timedelta(minutes=1)

    def records(self) -> list[tuple[str, dict[str, Any], datetime]]:
        return [(event, json.loads(body), at) for event, body, at in self.world.journal]


@given(rules, st.lists(deeds, max_size=40))
def test_a_rollback_is_announced_first_comes_never_before_its_time_and_never_once_it_is_cancelled_or_eased(rules: Rollout, deeds: list[str]) -> None:
    played = Played(rules)
    for deed in deeds:
        played.do(deed)
    due: dict[str, datetime] = {}
    cancelled: set[str] = set()
    acknowledged: set[str] = set()
    for event, body, at in played.records():
        name = body.get("alert", "")
        match event:
            case Event.SCHEDULED:
                assert rules.enforce
                assert name not in due
                assert name not in cancelled
                assert name not in acknowledged or name != "Climbing"
                due[name] = datetime.fromisoformat(body["due"])
            case Event.ESCALATED:
                assert name not in acknowledged
            case Event.INTENDED if body.get("code") == "escalated":
                assert body["kind"] == Kind.ROLLBACK
                assert LADDER[body["to"]] <= LADDER[body["from"]]
                assert all(due.pop(one) <= at for one in body["triggers"])
            case Event.CANCELLED:
                due.pop(name)
                cancelled |= set() if body.get("moot") else {name}
            case Event.ACKNOWLEDGED:
                acknowledged.add(name)
            case Event.EASED:
                due.pop(name, None)
                cancelled.discard(name)
                acknowledged.discard(name)


@given(rules, st.lists(deeds, max_size=30))
def test_what_is_on_record_is_all_that_is_known_of_it(rules: Rollout, deeds: list[str]) -> None:
    played = Played(rules)
    for deed in deeds:
        played.do(deed)
    assert played.world.told().escalations == played.world.state.escalations


@given(rules, st.lists(st.sampled_from(["see no data", "see failed", "away 1m", "restart", "finish"]), max_size=25))
def test_nothing_that_cannot_be_seen_climbs_is_announced_done_or_eased(rules: Rollout, deeds: list[str]) -> None:
    played = Played(rules)
    for deed in ("see breached", "see breached", "see failed"):
        played.do(deed)
    before = len(played.records())
    for deed in deeds:
        played.do(deed)
    later = {body.get("code") or event for event, body, _ in played.records()[before:]}
    assert not later & {Event.ESCALATED, Event.SCHEDULED, Event.EASED}
