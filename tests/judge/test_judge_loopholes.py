"""Ways around a vote that must not be ways: proposing anew, touching what was voted on, a role that is gone, a rehearsal that nobody can stop."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from rollback_daemon.governance.ballots import Ballots
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge import consent, requests, requirements
from rollback_daemon.judge.approvals import why_void
from rollback_daemon.judge.position import Rehearsal
from rollback_daemon.judge.refusal import Refusal
from rollback_daemon.judge.transitions import Event, Phase
from rollback_daemon.rules.duties import Fresh, Requires
from rollback_daemon.rules.model import Rollout
from tests.judge.people import ROLES
from tests.judge.timetable import play
from tests.judge.world import START, World, approvals, degrade, rollout, trigger

AT = START + timedelta(minutes=2)


def voting(*roles: str, expires: str = "1d") -> Rollout:
    """A rollout whose half asks for one approval from these roles, and for one piece of evidence."""
    return rollout(asks={"half": Requires(approvals(*roles, needed=1, expires=expires), (), (Fresh("load", timedelta(hours=1)),))})


AGAINST = "0s | | \n1s | evidence load |\n2s | propose |\n3s | vote NO-GO bob |"

WAYS = {
    "proposing anew": "15s | | blocked by no_go\n16s | propose ann |",
    "a proposal of the other voter": "15s | | blocked by no_go\n16s | propose lea |",
    "the same evidence again": "15s | | blocked by no_go\n16s | evidence load |\n30s | | voided, blocked by approvals_missing\n31s | propose ann |",
    "another text of the rule file": "15s | | blocked by no_go\n16s | edit |\n30s | | voided, blocked by approvals_missing\n31s | propose ann |",
    "twice": "4s | propose ann |\n5s | propose pam |\n15s | | blocked by no_go\n16s | propose ann |",
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_no_go_is_not_got_rid_of_by(way: str) -> None:
    after = "32s | vote GO cat as lead |\n45s | | blocked by no_go\n46s | promote | refused no_go\n47s | resolve cat of bob |\n60s | | free"
    play(voting("lead", "security"), f"{AGAINST}\n{way}\n{after}")


def test_a_no_go_is_not_got_rid_of_by_letting_it_expire() -> None:
    play(
        voting("lead", "security", expires="20s"),
        f"{AGAINST}\n30s | | voided, blocked by approvals_missing\n31s | propose ann |\n32s | vote GO cat as lead |\n45s | | blocked by no_go",
    )


def test_who_said_no_go_withdraws_it_from_the_next_proposal_just_the_same() -> None:
    play(voting("lead", "security"), f"{AGAINST}\n4s | propose pam |\n5s | vote GO ann, withdraw bob |\n15s | | free")


def test_a_resolved_or_withdrawn_no_go_does_not_come_back() -> None:
    play(voting("lead", "security"), f"{AGAINST}\n4s | resolve cat of bob |\n5s | propose pam |\n6s | vote GO ann |\n15s | | free")
    play(voting("lead", "security"), f"{AGAINST}\n4s | withdraw bob |\n5s | propose pam |\n6s | vote GO ann |\n15s | | free")


def test_a_no_go_was_for_one_climb() -> None:
    world = play(
        voting("lead", "security"),
        f"{AGAINST}\n16s | rollback to baseline |\n30s | resume | voided\n45s | |\n46s | promote |\n60s | |\n61s | propose pam |",
    )
    proposal = world.dossier().proposal
    assert proposal is not None
    assert proposal.votes == ()


def test_what_stands_against_it_is_on_record_with_the_new_proposal_and_in_the_report() -> None:
    world = play(voting("lead", "security"), f"{AGAINST}\n4s | propose ann |\n5s | resolve cat of bob |")
    ballots = Ballots()
    for seq, (name, body, at) in enumerate(world.journal, 1):
        ballots.take(Record(seq, at, "checkout", name, json.loads(body), ""))
    first, second = ballots.proposals
    assert [(vote["by"], vote["decision"], vote["resolved"]) for vote in first["votes"]] == [("bob", "NO-GO", None)]
    assert [(vote["by"], vote["seq"]) for vote in second["votes"]] == [("bob", first["votes"][0]["seq"])]
    assert second["votes"][0]["resolved"]["by"] == "cat"


def test_a_go_counts_only_as_long_as_its_voter_has_the_role() -> None:
    world = play(voting("lead", "security"), "0s | |\n1s | evidence load |\n2s | propose |\n3s | vote GO ann, vote NO-GO bob |")
    assert list(consent.lapsed(world.dossier(), lambda name: ROLES[name])) == []
    (gone,) = consent.lapsed(world.dossier(), lambda _: {"ops"})
    assert (gone.event, gone.body["by"], gone.body["why"]) == (Event.WITHDRAWN, "ann", 'ann does not have the role "lead" any more')
    world.accept(gone, AT)
    proposal = world.dossier().proposal
    assert proposal is not None
    assert [vote.by for vote in proposal.votes] == ["bob"]


def rehearsing(world: World, phase: Phase) -> World:
    position = world.position
    rehearsal = Rehearsal("r1", "canary", position.entered, timedelta(), "ann", START)
    world.state = replace(world.state, position=replace(position, stage="baseline", phase=phase, rehearsing=rehearsal))
    return world


def test_a_hold_stops_a_rehearsal_below_for_good() -> None:
    world = rehearsing(play(rollout(), "0s | |"), Phase.ROLLED_BACK)
    ended = requests.halt(world.rollout, world.state, "bob", "not today", AT)
    assert (ended.event, ended.body["passed"]) == (Event.REHEARSED, False)
    assert ended.body["why"] == "the rehearsal failed: it was stopped by bob: not today"
    world.accept(ended, AT)
    assert (world.position.rehearsing, world.position.phase) == (None, Phase.ROLLED_BACK)
    with pytest.raises(Refusal, match="it was rolled back"):
        requests.halt(world.rollout, world.state, "bob", "not today", AT)


# a clock that is set back


def test_nothing_that_was_said_when_the_clock_was_ahead_counts_for_as_long_as_it_was() -> None:
    asked = Requires(approvals("lead", needed=1), ("day-0",), (Fresh("load", timedelta(hours=1)),), rehearsal=timedelta(days=7))
    world = play(rollout(asks={"half": asked}), "0s | |\n1s | evidence load, checkpoint day-0 GO |\n2s | propose |\n3s | vote GO ann |")
    world.happen(Event.REHEARSED, START, id="r", stage="canary", passed=True, seconds=1.0, why="every step passed", by="ann")

    def against(now: timedelta) -> list[str]:
        found = requirements.checks(world.rollout, world.dossier(), world.position, START + now)
        return [check.name for check in found if check.code and check.blocking]

    assert against(timedelta(seconds=-15)) == against(timedelta(seconds=15)) == ["approvals"]  # the rehearsal has voided it
    assert against(timedelta(days=-30)) == ["checkpoint day-0", "evidence load", "rehearsal", "approvals"]
    said = [check.evidence for check in requirements.checks(world.rollout, world.dossier(), world.position, START - timedelta(days=30))]
    assert sum("which has not come yet: the clock was set back; it is needed again" in one for one in said) == 3


def test_a_proposal_does_not_live_longer_because_the_clock_was_set_back() -> None:
    world = play(voting("lead", "security"), "0s | |\n1s | evidence load |\n2s | propose |\n3s | vote GO ann |")
    assert why_void(world.rollout, world.dossier(), world.position, START) == ""
    assert "the clock was set back" in why_void(world.rollout, world.dossier(), world.position, START - timedelta(minutes=1))


# a lesser service that would be more


@pytest.mark.parametrize("percent", ["5", "50", "100"])
def test_a_lesser_service_is_at_no_stage_more_than_the_stage(percent: str) -> None:
    """Not at canary, where 5 is less than 10 and 50 is more, and not at the baseline, where both are."""
    lite = trigger("Lite", "latency", above=1, action=degrade(PERCENT=percent))
    text = "0s | latency 2 |{}\n15s | |\n16s | rollback to baseline |\n30s | | rolled_back at baseline, drift none"
    world = play(rollout(lite, percent="{1}"), text.format(" degrade" if percent == "5" else ""))
    assert isinstance(world.flags, dict)
    assert (world.flags["NEW"], world.flags["PERCENT"]) == ("false", "0")
