"""People's words for a promotion, as timetables: who may say what, what it is worth, and what makes it worth nothing any more."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge.refusal import Refusal
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.duties import Fresh, Requires
from rollback_daemon.rules.model import Rollout
from tests.judge import people
from tests.judge.timetable import play
from tests.judge.world import START, World, approvals, rollout

AT = START + timedelta(seconds=16)


def voting(*roles: str, needed: int | None = None, expires: str = "1d", checkpoints: tuple[str, ...] = ()) -> Rollout:
    """A rollout whose half asks for these approvals."""
    return rollout(asks={"half": Requires(approvals(*roles, needed=needed, expires=expires), checkpoints, (Fresh("load", timedelta(hours=1)),))})


def told(world: World, event: Event) -> list[dict[str, object]]:
    """What the journal has of this event."""
    return [json.loads(body) for name, body, _ in world.journal if name == event]


def approvals_of(world: World) -> str:
    """How the scorecard tells of the approvals."""
    assert world.judgement
    return next(check.evidence for check in world.judgement.checks if check.name == "approvals")


BOTH = voting("lead", "security")
PROPOSED = "0s | | \n1s | evidence load |\n2s | propose |"

# whose word is asked for


def test_each_role_that_is_asked_for_must_say_go() -> None:
    world = play(
        BOTH,
        f"""
        {PROPOSED}
        3s  | vote GO ann |
        4s  | promote     | refused approvals_missing
        15s |             | ready at canary, blocked by approvals_missing
        16s | vote GO bob |
        30s |             | free
        31s | promote     | soaking at half
        """,
    )
    assert [(one["by"], one["role"], one["go"]) for one in told(world, Event.VOTED)] == [("ann", "lead", True), ("bob", "security", True)]


@pytest.mark.parametrize(("votes", "expected"), [("vote GO ann", "approvals_missing"), ("vote GO ann, vote GO lea", "approvals_missing")])
def test_two_people_in_one_role_are_one_approval(votes: str, expected: str) -> None:
    play(BOTH, f"{PROPOSED}\n3s | {votes} |\n15s | | blocked by {expected}")


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ("vote GO ann", "blocked by approvals_missing"),
        ("vote GO ann, vote GO bob", "free"),
        ("vote GO oli, vote GO bob", "free"),
        ("vote GO ann, vote GO bob, vote GO oli", "free"),
    ],
)
def test_a_quorum_is_so_many_of_the_roles(votes: str, expected: str) -> None:
    play(voting("lead", "security", "ops", needed=2), f"{PROPOSED}\n3s | {votes} |\n15s | | {expected}")


def test_somebody_with_two_roles_says_in_which_and_has_one_vote_all_the_same() -> None:
    world = play(
        BOTH,
        f"""
        {PROPOSED}
        3s | vote GO cat             | refused not_entitled
        4s | vote GO cat as lead     |
        5s | vote GO cat as security | refused not_entitled
        6s | vote GO cat as lead     | refused not_entitled
        15s|                         | blocked by approvals_missing
        """,
    )
    with pytest.raises(Refusal, match="cat has voted already: one person has one vote, whatever their roles; withdraw it first"):
        people.ask(world, "vote GO cat as security", AT)


REFUSED = [
    ("vote GO pam", "who proposes a promotion has no vote on it"),
    ("vote NO-GO pam", "who proposes a promotion has no vote on it"),
    ("vote GO ned", "ned has none of the roles lead, security"),
    ("vote GO oli", "oli has none of the roles lead, security"),
    ("vote GO oli as ops", 'the role "ops" is not asked for; those are lead, security'),
    ("vote GO ann as security", 'ann does not have the role "security"'),
    ("vote GO cat", r"more than one role of cat is asked for \(lead, security\); say which"),
    ("withdraw bob", "there is no vote of bob on proposal"),
    ("resolve ann of bob", "there is no standing NO-GO of bob on proposal"),
]


@pytest.mark.parametrize(("asked", "why"), REFUSED)
def test_who_may_not_say_something_is_told_why(asked: str, why: str) -> None:
    world = play(BOTH, f"{PROPOSED}\n3s | {asked} | refused not_entitled\n15s | | blocked by approvals_missing")
    with pytest.raises(Refusal, match=why):
        people.ask(world, asked, AT)


@pytest.mark.parametrize("asked", ["vote GO ann", "withdraw ann", "resolve ann of bob"])
def test_without_a_proposal_there_is_nothing_to_vote_on(asked: str) -> None:
    play(BOTH, f"0s | |\n1s | {asked} | refused approvals_missing")


def test_nothing_is_put_to_the_vote_at_the_top_during_a_change_or_where_nobody_is_asked() -> None:
    play(voting("lead"), "0s | |\n1s | propose | refused at_top", at="full")
    play(voting("lead"), "0s | |\n1s | rollback |\n2s | propose | refused in_transition", slow=True)
    world = play(rollout(), "0s | |\n1s | propose | refused")
    with pytest.raises(OperationRefused, match='"half" asks for no approvals; promote it'):
        people.ask(world, "propose", AT)


def test_a_new_proposal_ends_the_one_before_and_its_votes() -> None:
    play(BOTH, f"{PROPOSED}\n3s | vote GO ann, vote GO bob |\n4s | propose ann |\n15s | | blocked by approvals_missing\n16s | vote GO lea |")


def test_what_they_had_before_them_is_on_record_with_each_word() -> None:
    world = play(BOTH, f"{PROPOSED}\n3s | vote GO ann |")
    for body in [*told(world, Event.PROPOSED), *told(world, Event.VOTED)]:
        assert isinstance(body["seen"], dict)
        assert body["seen"]["checks"]["evidence load"][0] == "pass"
        assert body["seen"]["checks"]["approvals"][0] == "fail"


def test_conditions_are_kept_with_the_vote_and_go_into_the_record_of_the_promotion() -> None:
    world = play(voting("lead"), PROPOSED)
    (proposal,) = told(world, Event.PROPOSED)
    body = {"id": proposal["id"], "by": "ann", "role": "lead", "go": True, "why": "well", "conditions": ["watch p95", "no deploys today"]}
    world.happen(Event.VOTED, AT, **body)
    assert approvals_of(world) == "1 of 1 approvals: ann as lead on condition: watch p95, no deploys today"
    climbed = people.ask(world, "promote", AT)
    assert climbed.body["approved_by"][0]["conditions"] == ["watch p95", "no deploys today"]


# against it


def test_a_no_go_stops_it_until_it_is_withdrawn() -> None:
    play(
        voting("lead", "security", needed=1),
        f"""
        {PROPOSED}
        3s  | vote GO ann    |
        4s  | vote NO-GO bob |
        15s |                | ready at canary, blocked by no_go
        16s | promote        | refused no_go
        17s | withdraw bob   |
        30s |                | free
        31s | vote GO bob    |
        45s |                | free
        """,
    )


def test_a_go_can_be_withdrawn_too_and_given_anew() -> None:
    play(
        voting("lead"),
        f"""
        {PROPOSED}
        3s  | vote GO ann  |
        15s |              | free
        16s | withdraw ann |
        30s |              | blocked by approvals_missing
        31s | vote GO ann  |
        45s |              | free
        """,
    )


def test_a_no_go_can_be_resolved_by_another_voter_and_the_dissent_stays_on_record() -> None:
    world = play(
        voting("lead", "security", needed=1),
        f"""
        {PROPOSED}
        3s  | vote GO ann        |
        4s  | vote NO-GO bob     |
        5s  | resolve pam of bob | refused not_entitled
        6s  | resolve oli of bob | refused not_entitled
        7s  | resolve bob of bob | refused not_entitled
        15s |                    | blocked by no_go
        16s | resolve cat of bob |
        17s | resolve ann of bob | refused not_entitled
        30s |                    | free
        """,
    )
    assert approvals_of(world) == "1 of 1 approvals: ann as lead, bob as security NO-GO, resolved by cat: looked into"
    climbed = people.ask(world, "promote", START + timedelta(seconds=31))
    assert climbed.body["approved_by"][1] == {"by": "bob", "role": "security", "go": False, "conditions": [], "resolved": "cat: looked into"}


def test_a_resolved_no_go_is_no_go_in_its_role() -> None:
    play(BOTH, f"{PROPOSED}\n3s | vote GO ann, vote NO-GO bob |\n4s | resolve cat of bob |\n15s | | blocked by approvals_missing")


# what makes it worth nothing any more

CHANGES = [
    ("edit", "the rule file has changed since it was made"),
    ("evidence load", "the checkpoints, the evidence or the rehearsal that it was made on have changed since"),
    ("checkpoint day-0 GO", "the checkpoints, the evidence or the rehearsal that it was made on have changed since"),
]


@pytest.mark.parametrize(("change", "why"), CHANGES)
def test_votes_count_no_more_after_what_was_voted_on_has_changed(change: str, why: str) -> None:
    world = play(
        voting("lead", checkpoints=("day-0",)),
        f"""
        0s  |                     |
        1s  | evidence load       |
        2s  | checkpoint day-0 GO |
        3s  | propose             |
        4s  | vote GO ann         |
        15s |                     | free
        16s | {change}            |
        17s | vote GO lea         | refused approvals_void
        18s | promote             | {"refused approvals_void+not_evaluated" if change == "edit" else "refused approvals_void"}
        30s |                     | voided, blocked by approvals_missing
        31s | vote GO lea         | refused approvals_missing
        """,
    )
    assert [(body["why"], body["votes"]) for body in told(world, Event.VOIDED)] == [(why, 1)]
    assert f'nobody has proposed the promotion to "half"; the last proposal is void: {why}; it needs lead' in approvals_of(world)


@pytest.mark.parametrize(("expires", "expected"), [("59s", "free"), ("58s", "voided, blocked by approvals_missing")])
def test_votes_expire_with_their_proposal(expires: str, expected: str) -> None:
    play(voting("lead", expires=expires), f"{PROPOSED}\n3s | vote GO ann |\n15s..45s | | free\n60s | | {expected}")


def test_an_expired_vote_is_refused_before_any_evaluation_has_told() -> None:
    play(
        voting("lead", expires="10s"),
        f"{PROPOSED}\n3s | vote GO ann |\n12s | promote | refused approvals_void\n13s | vote GO lea | refused approvals_void",
    )


def test_a_next_stage_of_another_name_is_another_promotion_even_under_the_same_digest() -> None:
    world = play(voting("lead"), f"{PROPOSED}\n3s | vote GO ann |\n15s | | free")
    stages = world.rollout.stages
    world.rollout = replace(world.rollout, stages=(*stages[:2], replace(stages[2], name="third"), *stages[3:]))
    world.evaluate({}, START + timedelta(seconds=30))
    assert [body["why"] for body in told(world, Event.VOIDED)] == ['the next stage is no longer "half"']


def test_votes_do_not_count_for_a_new_climb_after_a_rollback() -> None:
    world = play(
        voting("lead"),
        f"""
        {PROPOSED}
        3s  | vote GO ann |
        15s |             | free
        16s | rollback    | rolled_back at baseline
        30s |             | voided, blocked by latched
        31s | resume      |
        45s |             | baseline at baseline, free
        46s | promote     | soaking at canary
        60s |             | blocked by approvals_missing
        """,
    )
    assert told(world, Event.VOIDED)[0]["why"] == 'it was about the way up from "canary", and the rollout has been elsewhere since'


def test_votes_are_used_up_by_the_promotion_that_they_were_for() -> None:
    play(
        voting("lead"),
        f"""
        {PROPOSED}
        3s  | vote GO ann |
        4s  | promote     |
        5s  | give up     | held at canary
        15s |             | blocked by approvals_missing+held
        """,
        slow=True,
    )


def test_votes_outlast_a_hold_and_a_resume() -> None:
    play(voting("lead"), f"{PROPOSED}\n3s | vote GO ann |\n4s | hold |\n15s | | blocked by held\n16s | resume |\n30s | | ready at canary, free")


def test_votes_do_not_outlast_flags_that_a_person_lowered() -> None:
    play(voting("lead"), f"{PROPOSED}\n3s | vote GO ann |\n15s | flags baseline | held at baseline\n30s | | voided, blocked by held")


def test_votes_do_not_count_for_another_stay_at_the_same_stage_although_nobody_looked_in_between() -> None:
    play(
        replace(voting("lead"), break_glass=("lead",)),
        f"""
        {PROPOSED}
        3s  | vote GO ann     |
        4s  | rollback        | rolled_back at baseline
        5s  | break glass ann | soaking at canary
        6s  | promote         | refused approvals_missing+not_evaluated
        """,
    )
