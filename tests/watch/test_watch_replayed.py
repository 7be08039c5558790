"""What a backtest, a unit test and a simulation run on does what the daemon's own watch does, record by record, on a real flag file and journal."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from itertools import count, zip_longest
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from rollback_daemon.errors import OperationRefused
from rollback_daemon.flags.store import FlagValue
from rollback_daemon.flags.stores import open_store
from rollback_daemon.journal.canonical import canonical
from rollback_daemon.journal.journal import Journal
from rollback_daemon.judge import consent, escalation_requests, promotion, requests
from rollback_daemon.judge.consent import Ballot
from rollback_daemon.judge.refusal import Person
from rollback_daemon.judge.state import Happened
from rollback_daemon.judge.transitions import Event
from rollback_daemon.lab.servers import wait_until
from rollback_daemon.replay import Replay
from rollback_daemon.rules.aftercare import Aftercare, AtMost, Escalation, Recovery, Way, WayKind
from rollback_daemon.rules.duties import OnDrift, Requires
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.reading import Observations
from rollback_daemon.signals.observation import Failed, Failure, NoData, Observation, Value
from rollback_daemon.watch import Decide, Watch
from tests.judge.world import LADDER, ONLY_TOLD, START, announced, approvals, degrade, flags_of, gate, rollout, trigger
from tests.watch.guarded import QUICK, Hands, Witness

INTERVAL = timedelta(seconds=15)
ACTIONS = st.sampled_from(
    [
        "rollback",
        "rollback to baseline",
        "hold",
        announced(in_="30s"),
        announced("baseline", "1m"),
        degrade("30s", PERCENT="5%"),
        degrade(PERCENT="1%"),
    ]
)
TRIGGERS = st.builds(
    lambda on, for_, keep, delay, action, dry_run, escalate: trigger(
        f"{on} {action}", on, for_=for_, keep=keep, delay=delay, action=action, dry_run=dry_run, escalate_after=escalate, above=1
    ),
    st.sampled_from(["errors", "latency"]),
    st.sampled_from(["0", "0", "30s"]),
    st.sampled_from(["0", "0", "1m"]),
    st.sampled_from(["0", "30s"]),
    ACTIONS,
    st.sampled_from([False, False, False, True]),
    st.sampled_from([None, None, "30s"]),
)
RECOVERY = st.builds(Recovery, st.sampled_from([timedelta(), 2 * INTERVAL]), st.just(3 * INTERVAL))
CARES = st.builds(
    Aftercare,
    verify=st.lists(RECOVERY, max_size=2).map(tuple),
    ways=st.lists(
        st.builds(Way, st.just(WayKind.THEN), to=st.sampled_from([None, "baseline"]), after=st.sampled_from([timedelta(), INTERVAL])), max_size=2
    ).map(lambda more: (Way(), *more)),
    cooldown=st.sampled_from([timedelta(), 3 * INTERVAL]),
    max_rollbacks=st.sampled_from([None, AtMost(1, timedelta(minutes=5)), AtMost(2, timedelta(minutes=5))]),
    escalation=st.sampled_from([Escalation(), Escalation(("ticket",), rollback=True, in_=INTERVAL)]),
)
PLAIN = trigger("Plain", above=1)
ROLLOUTS = st.builds(
    lambda triggers, care, soak, enforce, automatic, on_drift: rollout(
        PLAIN, *triggers, gate("Calm", "latency", below=1), soak=soak, enforce=enforce, automatic=automatic, on_drift=on_drift, aftercare=care
    ),
    st.lists(TRIGGERS, max_size=2, unique_by=lambda one: one.name),
    CARES,
    st.sampled_from(["0", "30s"]),
    st.sampled_from([True, True, True, False]),
    st.sampled_from([(), ("canary", "half", "full")]),
    st.sampled_from([OnDrift(), ONLY_TOLD]),
)
SEEN: st.SearchStrategy[Observation] = st.sampled_from(
    [
        *[Value({(): 0.0})] * 5,
        *[Value({(): 2.0})] * 3,
        Value({(("pod", "a"),): 2.0, (("pod", "b"),): 0.0}),
        NoData("nothing"),
        Failed(Failure.TIMEOUT, "late"),
    ]
)
BY_HAND = ["NEW=false PERCENT=0%", "NEW=true PERCENT=100%"]
DEEDS = st.sampled_from([*[""] * 6, *["promote"] * 4, *["resume"] * 4, "rollback", "rollback to baseline", "hold", "restore", "cancel", *BY_HAND])


@dataclass(frozen=True, slots=True)
class Move:
    """An evaluation so many intervals after the one before, and what somebody does after it."""

    observations: Observations
    deed: str
    after: int


MOVES = st.lists(
    st.builds(Move, st.fixed_dictionaries({"errors": SEEN, "latency": SEEN}), DEEDS, st.sampled_from([1, 1, 1, 1, 2, 9])), min_size=8, max_size=20
)


def asked(word: str, own: Rollout) -> Decide:
    """What a person asks for, as the API does."""
    what, _, to = word.partition(" to ")
    lead = Person("ann", frozenset({"lead"}))
    decisions: dict[str, Decide] = {
        "promote": lambda ladder, state, judgement, now: promotion.promote(ladder, state, judgement, "ann", "go", now),
        "resume": lambda ladder, state, _judgement, _now: requests.resume(ladder, state, "ann", "go"),
        "rollback": lambda ladder, state, judgement, now: requests.rollback(ladder, state, judgement, to or None, "ann", "go", now),
        "hold": lambda ladder, state, _judgement, now: requests.halt(ladder, state, "ann", "go", now),
        "restore": lambda _ladder, state, _judgement, now: requests.restore(own, state, "ann", "go", now),
        "vote": lambda ladder, state, judgement, now: consent.vote(ladder, state, judgement, lead, Ballot(True, "go"), now),
        "cancel": lambda ladder, state, _judgement, _now: escalation_requests.cancel(ladder, state, None, "ann", "go"),
    }
    return decisions[what]


@dataclass(slots=True)
class Told(Replay):
    """A replay that keeps all that happens."""

    log: list[tuple[str, datetime, Mapping[str, Any]]] = field(default_factory=list)

    def recorded(self, happened: Happened, now: datetime) -> None:
        self.log.append((str(happened.event), now, json.loads(canonical(happened.body))))


class Guarded:
    """The watch of a rollout on a real file."""

    def __init__(self, rollout: Rollout, journal: Journal) -> None:
        self.env, self.journal, self.hands = Path(rollout.flags.path), journal, Hands()
        self.watch = Watch(rollout, open_store("dotenv", self.env, 0), journal, self.hands, Witness(), QUICK)
        self.watch.recall(None, None)

    def close(self) -> None:
        self.watch.close(5)

    def settle(self) -> None:
        """Wait until nothing is under way that ends by itself."""

        def is_over() -> bool:
            with self.watch.lock:
                state = self.watch.state
                return state.position is None or not (state.position.open or (state.aftermath.verifying and not state.aftermath.passed))

        wait_until(is_over, "what is under way to end", 30, every=0.001)

    def trace(self) -> dict[str, str]:
        """What the store knows of its last change."""
        return dict(self.watch.store.read(self.watch.rollout.keys).trace)

    def log(self) -> list[tuple[str, datetime, Mapping[str, Any]]]:
        return [(one.kind, one.at, one.body) for one in self.journal.records(self.watch.rollout.name) if one.kind != Event.REFUSED]


def write(file: Path, flags: Mapping[str, FlagValue]) -> None:
    file.write_text("".join(f"{key}={value}\n" for key, value in flags.items()), encoding="utf-8")


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journal]:
    with closing(Journal.open(f"sqlite:///{tmp_path_factory.mktemp('replayed') / 'journal.db'}")) as opened:
        yield opened


NUMBERS = count()


@settings(
    max_examples=int(os.environ.get("LAW_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(ROLLOUTS, st.sampled_from(list(LADDER)), MOVES)
def test_what_a_replay_does_the_daemon_does(journal: Journal, tmp_path: Path, ruled: Rollout, at: str, moves: list[Move]) -> None:
    for kind, _, body in both(journal, tmp_path / ".env", ruled, at, moves).log:
        event(f"{kind} {body.get('kind', '')} {body.get('code', '')}")


def test_a_stage_that_is_climbed_by_itself_is_climbed_by_both(journal: Journal, tmp_path: Path) -> None:
    ruled = rollout(PLAIN, gate("Calm", "latency", below=1), asks={"half": Requires(approvals("lead"))}, automatic=["half"])
    log = both(journal, tmp_path / ".env", ruled, "canary", [Move(seen(0), deed, 1) for deed in ("", "vote", "", "")]).log
    assert [kind for kind, _, _ in log if kind in {Event.PROPOSED, Event.VOTED, Event.INTENDED, Event.DONE}] == [
        Event.PROPOSED,
        Event.VOTED,
        Event.INTENDED,
        Event.DONE,
    ]
    assert [at for kind, at, _ in log if kind == Event.INTENDED] == [START + 3 * INTERVAL]


def seen(errors: float) -> Observations:
    return {"errors": Value({(): errors}), "latency": Value({(): 0.0})}


def test_flags_that_are_there_already_are_written_by_neither(journal: Journal, tmp_path: Path) -> None:
    by_hand = [Move(seen(0), "NEW=false PERCENT=0%", 1), Move(seen(2), "", 1)]
    log = both(journal, tmp_path / ".env", rollout(trigger("Plain", action="rollback to baseline", above=1), on_drift=ONLY_TOLD), "full", by_hand).log
    assert [kind for kind, _, _ in log if kind in {Event.INTENDED, Event.APPLIED, Event.DONE}] == [Event.INTENDED, Event.DONE]


def test_a_rollback_too_many_freezes_both(journal: Journal, tmp_path: Path) -> None:
    care = Aftercare(max_rollbacks=AtMost(1, timedelta(minutes=5)))
    log = both(journal, tmp_path / ".env", rollout(PLAIN, aftercare=care), "full", [Move(seen(2), "", 1)]).log
    assert [kind for kind, _, _ in log][-2:] == [Event.DONE, Event.FROZEN]


def both(journal: Journal, env: Path, ruled: Rollout, at: str, moves: Iterable[Move]) -> Told:
    """The moves, made by the watch and by the replay, which is returned; fails where they differ."""
    write(env, flags_of(ruled, at))
    ruled = replace(ruled, name=f"checkout-{next(NUMBERS)}", flags=replace(ruled.flags, path=str(env), backups=0))
    told = Told(ruled, flags_of(ruled, at))
    with closing(Guarded(ruled, journal)) as guarded:
        now = START
        for move in moves:
            now += move.after * INTERVAL
            guarded.hands.time = now
            told.trace = guarded.trace()
            guarded.watch.evaluate(move.observations, now)
            guarded.settle()
            told.cycle(move.observations, now)
            assert not unlike(guarded, told)
            act(guarded, told, move.deed, now)
            assert not unlike(guarded, told)
        assert not unlike_on_record(guarded, told)
    return told


def act(guarded: Guarded, told: Told, deed: str, now: datetime) -> None:
    if "=" in deed:
        told.flags = dict(one.split("=") for one in deed.split())
        write(guarded.env, told.flags)
    elif deed:
        decide = asked(deed, told.rollout)
        refused = []
        try:
            guarded.watch.request(deed, "ann", "go", decide)
        except OperationRefused as error:
            refused.append(str(error))
        guarded.settle()
        try:
            told.accept(decide(told.ladder, told.state, told.judgement, now), now)
            told.settle(now)
        except OperationRefused as error:
            refused.append(str(error))
        assert len(refused) != 1, refused
        assert len(set(refused)) < 2, refused


ONLY_OF_FILES = {"from", "before", "after", "backup", "flags", "logs"}
UNLIKE = {"seconds", "output"}


def unlike(guarded: Guarded, told: Told) -> list[str]:
    """What the judge knows there and not here."""
    pairs: list[tuple[Any, Any]] = [(guarded.watch.state, told.state), (guarded.watch.judgement, told.judgement)]
    return [
        f"{one.name}: {getattr(real, one.name)}, and here {getattr(mine, one.name)}"
        for real, mine in pairs
        for one in fields(real)
        if getattr(real, one.name) != getattr(mine, one.name)
    ]


def unlike_on_record(guarded: Guarded, told: Told) -> list[str]:
    """The first record that is another one."""
    for real, mine in zip_longest(guarded.log(), told.log):
        if not (real and mine and real[:2] == mine[:2] and _same_body(real[0], real[2], mine[2])):
            return [f"{real}, and here {mine}"]
    return []


def _same_body(kind: str, real: Mapping[str, Any], mine: Mapping[str, Any]) -> bool:
    more = ONLY_OF_FILES if kind in {Event.APPLIED, Event.DONE} else set[str]()
    return real.keys() - mine.keys() <= more and all(key in UNLIKE or real.get(key) == mine[key] for key in mine)
