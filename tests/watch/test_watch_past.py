"""A rollout at a past moment: a story that a real watch acted out on a real flag file, looked at from the journal alone."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rollback_daemon.errors import ImpossibleMoment, OperationRefused
from rollback_daemon.faces import views, views_past
from rollback_daemon.governance.moments import moment
from rollback_daemon.governance.past import past
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.rules.model import Rollout
from tests.watch.guarded import AWAY, BAD, GOOD, NOON, SECOND, SLOW, Desk, content


def then(desk: Desk, at: datetime) -> dict[str, Any]:
    """What is told of that moment."""
    return views_past.moment(past(desk.journal, "checkout", at), desk.rollout)


def stands(told: dict[str, Any]) -> tuple[Any, ...]:
    """Where it was."""
    return told["phase"], told["stage"], told["exposure"]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, dict[str, datetime]]]:
    """Up to half, pending, taken back, held, blind, raised by hand; and when each of these was."""
    desk, when = Desk(tmp_path_factory.mktemp("story")), dict[str, datetime]()
    desk.watch.tell_rules()
    desk.hands.time += SECOND
    desk.climb_to("half")
    when["half"] = desk.hands.time
    desk.evaluate(SLOW)
    when["pending"] = desk.hands.time
    desk.evaluate(GOOD)
    desk.evaluate(BAD)
    when["intended"] = desk.hands.time
    desk.hands.time += SECOND  # the flags are written meanwhile
    desk.settle()
    desk.evaluate(GOOD)
    when["back"] = desk.hands.time
    desk.hands.time += SECOND / 2
    desk.watch.resume("ann", "cause found")
    desk.watch.hold("bob", "the weekend")
    when["held"] = desk.hands.time
    desk.evaluate(AWAY, times=5)
    when["blind"] = desk.hands.time
    desk.evaluate(GOOD)
    desk.env.write_text(content("full"))
    desk.evaluate(GOOD)
    when["raised"] = desk.hands.time
    desk.settle().evaluate(GOOD)
    when["reverted"] = desk.hands.time
    yield desk, when
    desk.close()


Story = tuple[Desk, dict[str, datetime]]


def test_the_stage_its_exposure_and_its_flags_are_those_of_then(story: Story) -> None:
    desk, when = story
    told = then(desk, when["half"])
    assert stands(told) == ("ready", "half", 0.5)
    assert told["flags"]["expected"] == {"NEW": "yes", "PERCENT": "50"}
    assert (told["why"], told["by"]) == ("ann: go on", "ann")
    assert [one["phase"] for one in told["triggers"]] == ["inactive", "inactive"]
    assert told["transition"] is None


def test_the_rules_are_those_that_held_then(story: Story) -> None:
    desk, when = story
    told = then(desk, when["half"])
    assert (told["rules_sha256"], told["same_rules_now"], told["mode"]) == (desk.rollout.digest, True, "enforce")
    assert told["rules"][0].startswith("ErrorsHigh: errors > 0.5")


def test_a_trigger_has_the_value_and_the_limit_of_its_last_change(story: Story) -> None:
    desk, when = story
    told = {one["alert"]: one for one in then(desk, when["pending"])["triggers"]}
    assert told["LatencyHigh"]["phase"] == "pending"
    assert [one["sentence"] for one in told["LatencyHigh"]["series"]] == ["LatencyHigh 0.9 > 0.5"]
    assert told["LatencyHigh"]["series"][0]["since"] == views.time_of(when["pending"])
    after = {one["alert"]: one for one in then(desk, when["pending"] + SECOND)["triggers"]}
    assert (after["LatencyHigh"]["phase"], after["LatencyHigh"]["series"][0]["sentence"]) == ("inactive", "LatencyHigh 0, limit > 0.5")


def test_the_exact_second_of_a_record_is_after_it_and_what_comes_next_is_told(story: Story) -> None:
    desk, when = story
    just_before = then(desk, when["intended"] - timedelta(microseconds=1))
    assert stands(just_before) == ("ready", "half", 0.5)
    assert [one["event"] for one in just_before["after"]] == ["trigger", "gate", "intended"]
    assert just_before["gates"] == []
    told = then(desk, when["intended"])
    assert "intended" in [one["event"] for one in told["before"]]
    assert [one["sentence"] for one in told["gates"]] == ["Errors: errors 0.9, must be < 0.5"]
    assert {one["alert"]: one["phase"] for one in told["triggers"]} == {"ErrorsHigh": "firing", "LatencyHigh": "inactive"}


def test_between_intent_and_done_the_transition_is_under_way_with_its_steps_and_its_end(tmp_path: Path) -> None:
    desk = Desk(tmp_path).climb_to("half")
    intent = desk.intent(Kind.ROLLBACK, "canary")
    at = desk.hands.time + SECOND
    facts = {"id": intent.body["id"], "kind": "rollback", "from": "half"}
    for seconds, (event, body) in enumerate(
        [
            (Event.INTENDED, intent.body),
            (Event.ATTEMPTED, {**facts, "outcome": "transient", "error": "disk full", "attempt": 1, "next": at.isoformat()}),
            (Event.APPLIED, {**facts, "before": {}, "after": {}, "backup": ""}),
            (Event.DONE, {**facts, "to": "canary", "flags": {"NEW": "yes", "PERCENT": "10"}}),
        ]
    ):
        desk.journal.append("checkout", event, body, at + seconds * SECOND)
    told = then(desk, at + 2 * SECOND + SECOND / 2)
    assert stands(told)[:2] == ("failed", "half")
    assert [(one["event"], one["error"]) for one in told["transition"]["steps"]] == [("intended", ""), ("attempted", "disk full"), ("applied", "")]
    assert (told["transition"]["to"], told["transition"]["ended"]) == ("canary", {"event": "done", "at": views.time_of(at + 3 * SECOND)})
    assert told["flags"]["expected"] == {"NEW": "yes", "PERCENT": "10"}, "what it was to set"
    assert [one["event"] for one in told["after"]] == ["done"]
    assert stands(then(desk, at + 3 * SECOND))[:2] == ("rolled_back", "canary")
    desk.close()


def test_what_was_said_and_seen_then_is_told(story: Story) -> None:
    desk, when = story
    assert (then(desk, when["back"])["phase"], then(desk, when["back"])["stage"]) == ("rolled_back", "canary")
    held = then(desk, when["held"])
    assert (held["phase"], held["why"], held["by"], held["blind"]) == ("held", "bob: the weekend", "bob", False)
    blind = then(desk, when["blind"])
    assert blind["blind"]
    assert blind["sight"]["why"][0] == "ErrorsHigh: no answer: connection refused"
    raised = then(desk, when["raised"])
    assert raised["drift"] == "higher"
    assert raised["flags"]["differing"]["PERCENT"] == {"expected": "10", "actual": "100"}
    assert then(desk, when["reverted"])["drift"] == "none"


def test_a_moment_before_anything_was_on_record_is_refused(story: Story) -> None:
    desk, _ = story
    with pytest.raises(ImpossibleMoment, match=r"nothing was on record of checkout at 2026-03-01 11:59:59Z; its first record is of 2026-03-01 12:00"):
        then(desk, NOON - SECOND)
    with pytest.raises(ImpossibleMoment, match="nothing is on record of it yet"):
        past(desk.journal, "other", NOON)


def test_a_record_that_cannot_follow_hides_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path).climb_to("canary")
    desk.journal.append("checkout", Event.DONE, {"id": "other"}, desk.hands.time)
    told = then(desk, desk.hands.time)
    assert stands(told)[:2] == ("ready", "canary")
    assert any("1 record means" in one for one in told["unknown"])
    assert told["exposure"] is None, "which rules held was not put on record"
    desk.close()


def test_where_the_clock_was_set_back_the_later_time_counts(tmp_path: Path) -> None:
    desk = Desk(tmp_path).climb_to("half")
    desk.journal.append("checkout", Event.HELD, {"why": "ann: stop", "by": "ann"}, NOON)
    told = then(desk, NOON + SECOND / 4)
    assert told["phase"] == "held"
    assert any("set back" in one for one in told["unknown"])
    desk.close()


MOVES = st.lists(
    st.sampled_from(["good", "good", "bad", "slow", "slow", "slow", "promote", "resume", "hold", "raise", "away", "restart", "drop", "back"]),
    max_size=16,
)
LOOKS = {"good": GOOD, "bad": BAD, "slow": SLOW, "away": AWAY}
SAME = ("phase", "stage", "exposure", "since", "entered", "why", "blind", "drift", "degraded", "transition", "proposal", "rules_sha256")


def in_short(told: dict[str, Any]) -> dict[str, Any]:
    """What a moment and the present have in common."""
    return {name: told[name] for name in SAME} | {one["alert"]: one["phase"] for one in told["triggers"]}


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES)
@example(moves=["slow", "restart", "good"]).via("what was pending before a long stop is forgotten")
@example(moves=["slow", "drop", "good", "back", "good"]).via("a trigger that was taken out and put in again")
def test_a_moment_is_told_as_the_daemon_itself_told_it_then(tmp_path_factory: pytest.TempPathFactory, moves: list[str]) -> None:
    desk = Desk(tmp_path_factory.mktemp("now"))
    desk.watch.tell_rules()
    desk.climb_to("canary")
    whole, said = desk.rollout, dict[datetime, dict[str, Any]]()
    for one in moves:
        move(desk, one, whole)
        desk.settle()
        if one in LOOKS or desk.hands.time in said:
            said[desk.hands.time] = in_short(views.explanation(desk.watch))
    assert {at: in_short(then(desk, at)) for at in said} == said
    desk.close()


def move(desk: Desk, one: str, whole: Rollout) -> None:
    """What happens to the world, its people and its rule file."""
    if one in LOOKS:
        desk.evaluate(LOOKS[one])
    elif one == "raise":
        desk.env.write_text(content("full"))
    elif one == "restart":
        desk.hands.time += 10 * SECOND
        desk.restart()
        desk.evaluate()
    elif one in {"drop", "back"}:
        desk.rollout = replace(whole, triggers=whole.triggers[:1], digest="1") if one == "drop" else whole
        desk.hands.time += SECOND / 2
        desk.watch.reconfigure(desk.rollout, desk.watch.store)
        desk.watch.tell_rules()
        desk.evaluate()
    else:
        ask(desk, one)


def ask(desk: Desk, what: str) -> None:
    """A person's request, granted or not."""
    with contextlib.suppress(OperationRefused):
        if what == "hold":
            desk.watch.hold("ann", "no")
        elif what == "promote":
            desk.watch.promote("ann", "go")
        else:
            desk.watch.resume("ann", "go")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-03-01T12:00:05Z", "12:00:05.999999"),
        ("2026-03-01 12:00:05Z", "12:00:05.999999"),
        ("2026-03-01 12:01", "12:01:00.999999"),
        ("2026-03-01T13:00:05.250+01:00", "12:00:05.250999"),
        ("2026-03-01T12:00:05.250123Z", "12:00:05.250123"),
        ("1772366405", "12:00:05.999999"),
        ("1772366405.5", "12:00:05.599999"),
        ("2h", "11:00:00.500000"),
        ("now", "13:00:00.500000"),
        ("2026-03-01 13:00:00", "13:00:00.500000"),
    ],
)
def test_a_moment_may_be_written_in_several_ways(text: str, meant: str) -> None:
    assert f"{moment(text, NOON + timedelta(hours=1, seconds=0.5)):%H:%M:%S.%f}" == meant


@pytest.mark.parametrize("text", ["yesterday", "", "2026-13-01", "99999999999999", "-2h", "1e9", "2h ago", "300y", "2026-03-01T12:00:00+99:00"])
def test_what_is_no_moment_is_told_so(text: str) -> None:
    with pytest.raises(ImpossibleMoment, match="is no moment; write it as"):
        moment(text, NOON)


def test_what_has_not_come_is_told_so() -> None:
    with pytest.raises(ImpossibleMoment, match="2026-03-02 00:00:00Z has not come yet; it is 2026-03-01 12:00:00Z now"):
        moment("2026-03-02", NOON)
