"""A promotion that has to be earned: everything that a stage can ask for, and each single thing missing, violated or unknown."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollback_daemon.judge import promotion
from rollback_daemon.judge.refusal import Refusal
from rollback_daemon.rules.duties import Fresh, OnDrift, OnRaise, Part, Rehearsing, Requires, Scoring
from tests.judge import people
from tests.judge.timetable import play
from tests.judge.world import START, World, approvals, degrade, gate, intents, quiet, relative, rollout, trigger

HOUR = timedelta(hours=1)
DEMANDING = rollout(
    gate("Low", below=1, stages=["canary"]),
    gate("Steady", "latency", for_="30s", below=1, stages=["canary"]),
    gate("Mostly", "misses", share=0.9, below=1, stages=["canary"]),
    gate("Known", "fresh", min_data="1m", below=1, stages=["canary"]),
    gate("Pods", "up", quorum=(2, 3), at_least=1, stages=["canary"]),
    quiet("Calm", "Alarm"),
    gate("Cost", relative("cost"), at_most=1.5, stages=["canary", "half"]),
    gate("Nice", "noise", blocking=False, below=1, stages=["canary"]),
    trigger("Alarm", "alarm", above=1, action="alert"),
    trigger("Slow", "slow", above=1, action=degrade(MODE="lite")),
    trigger("Patient", "patience", above=1, for_="1h"),
    soak="45s",
    more={"MODE": "full"},
    on_drift=OnDrift(raised=OnRaise.ALERT),
    rehearsal=Rehearsing(None, ()),
    asks={"half": Requires(approvals("lead", "security"), ("day-0",), (Fresh("soak-test", HOUR),), rehearsal=HOUR)},
)
ALL_IS_WELL = {
    0: "errors 0, latency 0, misses 0, fresh 0, up{a} 1, up{b} 1, up{c} 0, cost 1, past cost 1, noise 0, alarm 0, slow 0, patience 0",
    1: "promote",
    16: "rehearse",
    17: "steps pass",
    18: "checkpoint day-0 GO",
    19: "evidence soak-test",
    20: "propose",
    21: "vote GO ann",
    22: "vote GO bob",
    90: "",
}
END = START + timedelta(seconds=91)


def played(changes: dict[int, str], end: str) -> World:
    """The usual way with some lines replaced or added, up to the evaluation at 90 s, when `end` must be so."""
    lines = {**ALL_IS_WELL, **changes}
    must = {90: end, 75: "degrade" if "slow 2" in changes.get(75, "") else ""}
    return play(DEMANDING, "\n".join(f"{at}s | {lines[at]} | {must.get(at, '')}" for at in sorted(lines)), at="baseline")


def test_with_everything_there_it_may_be_promoted_and_the_record_says_on_whose_word() -> None:
    world = played({}, "ready at canary, free")
    assert {check.name for check in world.judgement.checks} >= {  # type: ignore[union-attr]  # it has just been evaluated
        *("phase", "soak", "flags", "Low", "Steady", "Mostly", "Known", "Pods", "Calm", "Cost", "Nice"),
        *("checkpoint day-0", "evidence soak-test", "rehearsal", "approvals", "decision", "trigger Patient", "baseline cost"),
    }
    climbed = people.ask(world, "promote", END)
    assert climbed.body["code"] == "person"
    assert [(vote["by"], vote["role"], vote["go"]) for vote in climbed.body["approved_by"]] == [("ann", "lead", True), ("bob", "security", True)]
    world.accept(climbed, END)
    world.finish(END)
    assert intents(world)[-1] == "promote canary>half"


MISSING = [
    ({31: "hold", 89: "resume"}, "soak", 'soaked 44s of 45s at "canary"; 1s to go'),
    ({90: "errors 2"}, "gate_violated", "gate Low: errors 2, must be < 1"),
    ({75: "latency 2", 90: "latency 0"}, "gate_time", "gate Steady: latency 0, must be < 1; clear for 0s of 30s"),
    ({45: "misses 2", 60: "misses 0"}, "gate_time", "gate Mostly: misses 0, must be < 1; clear in 83.3333% of 6 evaluations, must be at least 90%"),
    ({15: "fresh nothing", 60: "fresh 0"}, "gate_data", "gate Known: fresh 0, must be < 1; seen for 45s of 1m at this stage; 15s to go"),
    ({90: "up{b} 0"}, "gate_violated", 'gate Pods: up >= 1 on 1 of 3 series, must be at least 2; not so on {pod="b"}, {pod="c"}'),
    ({75: "alarm 2", 90: "alarm 0"}, "gate_violated", "gate Calm: fired since this stage began: Alarm at 2026-03-01 12:01:15"),
    ({90: "cost 2"}, "gate_violated", "gate Cost: cost / its baseline 2 (2, baseline 1), must be <= 1.5"),
    ({90: "patience 2"}, "trigger_pending", "trigger Patient is pending"),
    ({90: "flags full"}, "drift", "its flags are not those of the stage on record (PERCENT)"),
    ({85: "hold"}, "held", "it is held (ann: asked); resume it with a reason first"),
    ({75: "slow 2", 90: "slow 0"}, "degraded", "it is degraded (MODE); restore it with a reason first"),
    ({18: ""}, "checkpoint_missing", 'checkpoint "day-0" is not on record'),
    ({18: "checkpoint day-0 NO-GO"}, "checkpoint_no_go", 'checkpoint "day-0": NO-GO by ann: as reported'),
    ({19: ""}, "evidence_missing", 'evidence "soak-test" is not on record'),
    ({16: "", 17: ""}, "rehearsal_missing", "no rollback has been rehearsed; one must be no older than 1h"),
    ({22: ""}, "approvals_missing", "1 of 2 approvals; missing: security"),
    ({20: "", 21: "", 22: ""}, "approvals_missing", 'nobody has proposed the promotion to "half"; it needs lead, security'),
    ({22: "vote NO-GO bob"}, "no_go", "NO-GO by bob (security): bob says NO-GO; it stands until it is withdrawn or resolved"),
]


@pytest.mark.parametrize(("changes", "code", "sentence"), MISSING)
def test_each_single_thing_that_is_missing_blocks_alone_and_says_what_it_is(changes: dict[int, str], code: str, sentence: str) -> None:
    world = played(changes, f"blocked by {code}")
    assert world.judgement
    (reason,) = world.judgement.blockers
    assert sentence in reason.sentence
    with pytest.raises(Refusal) as refusal:
        people.ask(world, "promote", END)
    assert not refusal.value.unknown


UNKNOWN = [
    ({90: "errors nothing"}, "gate_unknown", "gate Low: errors is unknown (the query returned nothing), must be < 1"),
    ({90: "latency failed"}, "gate_unknown", "gate Steady: latency is unknown (connection refused), must be < 1"),
    ({90: "misses NaN"}, "gate_unknown", "gate Mostly: misses is unknown (the value is NaN), must be < 1"),
    ({90: "fresh nothing"}, "gate_unknown", "gate Known: fresh is unknown"),
    ({90: "up{b} gone, up{c} gone"}, "gate_unknown", "gate Pods: up >= 1 is unknown (no data), must be at least 2 of 3"),
    ({90: "up failed"}, "gate_unknown", "gate Pods: up >= 1 is unknown (connection refused), must be at least 2 of 3"),
    ({90: "cost nothing"}, "gate_unknown", "gate Cost: cost / its baseline is unknown"),
    ({60: "past cost nothing"}, "baseline_data", "the baseline of cost over 1h: there is no data at all"),
    ({60: "past cost 1 for 29"}, "baseline_data", "there is data for 29m of it, at least 30m is needed"),
    ({90: "patience failed"}, "trigger_unknown", "trigger Patient cannot tell: connection refused"),
    ({90: "flags unreadable"}, "flags_unreadable", "its flags cannot be read: permission denied"),
]


@pytest.mark.parametrize(("changes", "code", "sentence"), UNKNOWN)
def test_what_cannot_be_told_blocks_too_and_is_not_a_no(changes: dict[int, str], code: str, sentence: str) -> None:
    world = played(changes, f"blocked by {code}")
    assert world.judgement
    (reason,) = world.judgement.blockers
    assert sentence in reason.sentence
    with pytest.raises(Refusal) as refusal:
        people.ask(world, "promote", END)
    assert refusal.value.unknown


def test_what_is_missing_and_what_is_unknown_together_are_a_no() -> None:
    world = played({22: "", 90: "errors nothing"}, "blocked by gate_unknown+approvals_missing")
    with pytest.raises(Refusal) as refusal:
        people.ask(world, "promote", END)
    assert not refusal.value.unknown


def test_a_trigger_that_guards_only_the_next_stage_is_heard_before_it() -> None:
    ahead = rollout(trigger("Next", above=1, for_="1h", stages=("half",)))
    world = play(ahead, "0s | errors 2 | blocked by trigger_pending")
    assert world.judgement
    assert [str(reason) for reason in world.judgement.blockers] == ['trigger Next is pending, and is armed at "half"']


def test_a_gate_asks_only_at_its_own_stages() -> None:
    guarded = rollout(gate("Later", below=1, stages=["half"]))
    play(guarded, "0s | errors 2 | ready at canary, free\n1s | promote | soaking at half\n15s | | soaking at half, blocked by gate_violated")


def test_what_is_required_for_one_stage_is_not_asked_for_the_next() -> None:
    play(
        rollout(asks={"half": Requires(checkpoints=("day-0",))}),
        """
        0s  |                     | ready at canary, blocked by checkpoint_missing
        1s  | checkpoint day-0 GO |
        2s  | promote             | soaking at half
        15s |                     | ready at half, free
        """,
    )


def test_a_checkpoint_of_an_earlier_climb_is_not_on_record_for_this_one() -> None:
    world = play(
        rollout(asks={"half": Requires(checkpoints=("day-0",))}),
        """
        0s  |                     | blocked by checkpoint_missing
        1s  | checkpoint day-0 GO |
        15s |                     | free
        16s | promote             | soaking at half
        17s | rollback            | rolled_back at canary
        18s | resume              |
        30s |                     | ready at canary, blocked by checkpoint_missing
        """,
    )
    assert world.judgement
    assert "the one of 2026-03-01 12:00 UTC was made before this stage began" in str(world.judgement.blockers[0])


@pytest.mark.parametrize(("within", "code"), [(None, "free"), (timedelta(seconds=30), "blocked by evidence_missing")])
def test_evidence_is_as_fresh_as_it_must_be(within: timedelta | None, code: str) -> None:
    play(rollout(asks={"half": Requires(evidence=(Fresh("load", within),))}), f"0s | | \n1s | evidence load |\n30s | | free\n45s | | {code}")


def test_evidence_from_before_this_stage_is_too_old_where_no_age_is_given() -> None:
    play(
        rollout(asks={"half": Requires(evidence=(Fresh("load"),))}),
        "0s | |\n1s | evidence load |\n2s | promote |\n15s | | blocked by evidence_missing",
        at="baseline",
    )


# the scorecard


SCORED = Scoring((Part("technical", 100, ("Nice", "Fine", "Good", "Low")),), go=90, monitor=70)
CARD = [("", "free"), ("Nice 2", "free"), ("Nice 2, Fine 2", "blocked by score"), ("Nice 2, Fine nothing", "blocked by score_unknown")]


@pytest.mark.parametrize(("seen", "expected"), CARD)
def test_checks_that_are_not_blocking_stop_it_only_together_when_the_score_says_no_go(seen: str, expected: str) -> None:
    gates = [gate(name, name, below=1, blocking=False) for name in ("Nice", "Fine", "Good")]
    world = play(
        rollout(*gates, gate("Low", below=1), scoring=SCORED), f"0s | Nice 0, Fine 0, Good 0, errors 0, {seen} | ready at canary, {expected}"
    )
    if "score" in expected:
        assert world.judgement
        assert str(world.judgement.blockers[0]) == "the scorecard has 50, at least 70 of 100 are needed: Nice, Fine"


def test_a_gate_that_only_reports_stops_nothing_where_the_scorecard_is_the_usual_one() -> None:
    play(rollout(gate("Overlay", below=1, blocking=False)), "0s | errors 2 | ready at canary, free\n1s | promote |\n15s | | ready at half, free")


def test_a_score_is_no_further_reason_where_something_else_stops_it_already() -> None:
    gates = [gate("Nice", "noise", below=1, blocking=False), gate("Low", below=1)]
    play(rollout(*gates, scoring=SCORED), "0s | noise 2, errors 2 | blocked by gate_violated")


def test_a_score_that_was_hidden_by_a_missing_approval_stops_the_promotion_all_the_same() -> None:
    gates = [gate(name, name, below=1, blocking=False) for name in ("Nice", "Fine", "Good")]
    play(
        rollout(*gates, gate("Low", below=1), scoring=SCORED, asks={"half": Requires(approvals("lead"))}),
        """
        0s | Nice 2, Fine 2, Good 0, errors 0 | blocked by approvals_missing
        1s | propose                          |
        2s | vote GO ann                      |
        3s | promote                          | refused score
        """,
    )


# by itself


AUTOMATIC = rollout(gate("Low", below=1), soak="30s", asks={"half": Requires(approvals("lead", "security"))}, automatic=["half"])


def test_an_automatic_stage_is_put_to_the_vote_by_the_daemon_and_climbed_in_the_evaluation_after_the_last_word() -> None:
    world = play(
        AUTOMATIC,
        """
        0s..15s | errors 0    | soaking at canary
        30s     |             | proposed, ready at canary, blocked by approvals_missing
        31s     | vote GO ann |
        45s     |             | blocked by approvals_missing
        46s     | vote GO bob |
        60s     |             | promote to half, soaking at half
        75s     |             | soaking at half
        90s..1h |             | ready at half
        """,
    )
    assert (world.position.by, world.position.code) == ("rollbackd", "automatic")


def test_what_is_automatic_waits_for_everything_like_anything_else() -> None:
    play(
        AUTOMATIC,
        """
        0s..15s | errors 0                 | soaking at canary
        16s     | propose                  |
        17s     | vote GO ann, vote GO bob |
        30s     | errors 2                 | blocked by gate_violated+soak
        45s     | errors 0                 | promote to half
        """,
    )


@pytest.mark.parametrize(
    ("stop", "expected", "go_on"),
    [("hold", "blocked by held+soak", "resume"), ("flags unreadable", "blocked by flags_unreadable+soak", "flags canary")],
)
def test_what_is_automatic_waits_while_it_is_held_or_blind_and_goes_on_afterwards(stop: str, expected: str, go_on: str) -> None:
    play(
        AUTOMATIC,
        f"""
        0s  | errors 0                          | soaking at canary
        1s  | propose, vote GO ann, vote GO bob |
        2s  | {stop}                            |
        15s |                                   | {expected}
        30s |                                   | {expected}
        31s | {go_on}                           |
        45s |                                   | blocked by soak
        60s |                                   | promote to half
        """,
    )


@pytest.mark.parametrize("changed", [{"asks": {}}, {"automatic": []}, {"enforce": False}])
def test_nothing_climbs_by_itself_without_approvals_without_being_automatic_or_in_observe_mode(changed: dict[str, object]) -> None:
    settings: dict[str, object] = {"asks": {"half": Requires(approvals("lead"))}, "automatic": ["half"], **changed}
    world = play(rollout(**settings), "0s..1h | | ready at canary")  # type: ignore[arg-type]  # one setting at a time
    assert world.journal[-1][0] == "ready"


# break-glass

GLASS = rollout(trigger("Errors", above=1, for_="30s"), soak="1h", break_glass=("lead",), asks={"half": Requires(approvals("security"), ("day-0",))})


def test_whoever_may_break_the_glass_goes_past_everything_and_all_that_was_passed_is_on_record() -> None:
    world = play(GLASS, "0s | errors 0 |\n1s | hold |\n2s | break glass ann | soaking at half", slow=False)
    assert world.position.broken_glass == "ann: the fix cannot wait"
    assert world.position.code == "break_glass"
    _, body, _ = next(one for one in world.journal if one[0] == "intended")
    assert all(words in body for words in ("it is held", "soaked 0s of 1h", "day-0", "nobody has proposed"))


@pytest.mark.parametrize(
    ("before", "asked", "refused"),
    [
        ("errors 0", "break glass bob", "not_entitled"),
        ("errors 0", "break glass ned", "not_entitled"),
        ("flags unreadable", "break glass ann", "flags_unreadable"),
    ],
)
def test_the_glass_holds_for_who_may_not_and_where_nothing_is_seen(before: str, asked: str, refused: str) -> None:
    play(GLASS, f"0s | errors 0 |\n15s | {before} |\n16s | {asked} | refused {refused}")


def test_the_glass_holds_against_a_trigger_that_would_take_it_back_at_once() -> None:
    play(
        GLASS,
        """
        0s..15s | errors 2        |
        30s     |                 | rollback to baseline
        31s     | break glass ann | refused trigger_firing
        45s     | errors 0        |
        46s     | break glass ann | soaking at canary
        """,
    )


def test_nobody_may_break_the_glass_where_the_rule_file_names_no_one_nor_at_the_top_nor_in_observe_mode() -> None:
    play(rollout(), "0s | | \n1s | break glass ann | refused not_entitled")
    play(GLASS, "0s | errors 0 |\n1s | break glass ann | refused at_top", at="full")
    play(replace(GLASS, enforce=False), "0s | errors 0 |\n1s | break glass ann | refused observing")


def test_without_an_evaluation_a_promotion_is_refused_although_everything_is_on_record() -> None:
    world = played({}, "free")
    with pytest.raises(Refusal) as refusal:
        promotion.promote(world.ladder, world.state, None, "ann", "asked", END)
    assert refusal.value.unknown
