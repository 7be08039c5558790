"""Which copy of the flags may be put back, and which may not: never one that raises anything."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.errors import OperationRefused
from rollback_daemon.flags.store import Flags, FlagValue
from rollback_daemon.judge import machine, restoring
from rollback_daemon.judge.drift import is_raised
from rollback_daemon.judge.position import Open, Position
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.refusal import Refusal
from rollback_daemon.judge.restoring import Copy, Kept
from rollback_daemon.judge.state import Happened, State
from rollback_daemon.judge.transitions import Event, Kind, Phase
from rollback_daemon.rules.model import FlagSettings, Rollout, Stage

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAGES = {"baseline": ("no", 0), "canary": ("yes", 10), "half": ("yes", 50), "full": ("yes", 100)}


def ladder() -> Rollout:
    """Baseline, canary, half and full, with a word and a number."""
    stages = tuple(
        Stage(name, number, percent / 100, {"NEW": new, "PERCENT": percent}) for number, (name, (new, percent)) in enumerate(STAGES.items())
    )
    return Rollout("checkout", "rules.yml", "0", timedelta(seconds=1), timedelta(seconds=3), FlagSettings("yaml", "/srv/f", 3, None), stages, (), ())


def at(stage: str, **other: FlagValue) -> Flags:
    """The flags of a stage, with some other values."""
    new, percent = STAGES[stage]
    values = {"NEW": new, "PERCENT": percent, **other}
    return Flags(values, version=str(values))


def copy(name: str, found: Flags | str, *others: str) -> Copy:
    """A copy of that name."""
    return Copy(f"/srv/f.{name}", found, others)


def standing(stage: str, opened: Open | None = None, degraded: Mapping[str, FlagValue] | None = None) -> State:
    """On record at that stage."""
    phase = Phase.PROMOTING if opened and opened.kind is Kind.PROMOTE else Phase.ROLLING_BACK if opened else Phase.SOAKING
    return State(Position(phase, stage, NOON, NOON, open=opened, degraded=degraded or {}))


def under_way(kind: Kind, origin: str, target: str, failure: str = "") -> Open:
    """A transition that has not ended."""
    return Open("1", kind, origin, target, at(target).values, NOON, None, ("because",), "ann", failure=failure)


def restored(state: State, present: Flags | str, *copies: Copy, wanted: str | None = None, rollout: Rollout | None = None) -> Happened:
    """What follows when ann asks for it."""
    rollout = machine.ladder(rollout or ladder(), state)
    return restoring.restore(rollout, state, Kept(present, copies), wanted, "ann", "because", NOON)


def refused(state: State, present: Flags | str, *copies: Copy, wanted: str | None = None) -> Refusal:
    """Why that may not be."""
    with pytest.raises(Refusal) as refusal:
        restored(state, present, *copies, wanted=wanted)
    return refusal.value


def test_the_copy_goes_on_record_as_a_rollback_to_the_stage_of_its_flags() -> None:
    happened = restored(standing("half"), at("half"), copy("a", at("baseline")))
    assert happened.event is Event.INTENDED
    facts = {"kind": "rollback", "from": "half", "to": "baseline", "by": "ann", "code": "person", "way_kind": "backup", "backup": "/srv/f.a"}
    assert {**happened.body, **facts} == happened.body
    assert happened.body["flags"] == at("baseline").values
    assert happened.body["why"] == ["ann: because", "f.a is put back"]
    after = machine.apply(standing("half"), happened, NOON).position
    assert after is not None
    assert (after.phase, after.goal) == (Phase.ROLLING_BACK, "baseline")


def test_the_newest_copy_that_may_be_is_put_back_when_none_is_named() -> None:
    copies = [
        copy("the same", at("canary")),
        copy("higher", at("half")),
        copy("of no stage", at("canary", PERCENT=7)),
        copy("broken", "f:3: no"),
        copy("shared", at("baseline"), "search"),
        copy("good", at("canary", OTHER="x")),
        copy("older", at("baseline")),
    ]
    assert restored(standing("canary"), at("canary"), *copies).body["backup"] == "/srv/f.good"


def test_every_copy_is_refused_with_its_own_reason() -> None:
    copies = [
        copy("a", at("canary")),
        copy("b", at("half")),
        copy("c", at("canary", PERCENT=7)),
        copy("d", "f:3: no"),
        copy("e", at("baseline"), "x"),
    ]
    found = refused(standing("canary"), at("canary"), *copies)
    assert [reason.code for reason in found.reasons] == [Code.NOT_LOWER, Code.NOT_LOWER, Code.DRIFT, Code.FLAGS_UNREADABLE, Code.SHARED]
    assert [str(reason) for reason in found.reasons] == [
        "f.a: it is as the flags are now; there is nothing to restore",
        'f.b: its flags are those of "half", above "canary"; that is a promotion',
        "f.c: its flags are those of no stage",
        "f:3: no",
        "f.e: it would change the flags of x, too, which stand in the same place",
    ]


@pytest.mark.parametrize("wanted", ["/srv/f.20260301T1.bak", "20260301T1", "f.20260301T1.bak"])
def test_a_copy_is_named_by_its_place_or_by_a_part_of_its_name(wanted: str) -> None:
    copies = [copy("20260302T1.bak", at("baseline", OTHER="x")), copy("20260301T1.bak", at("baseline"))]
    assert restored(standing("half"), at("half"), *copies, wanted=wanted).body["backup"] == "/srv/f.20260301T1.bak"


@pytest.mark.parametrize(
    ("wanted", "why"), [("2026", '"2026" is more than one copy; name one of: f.20261, f.20262'), ("srv", '"srv" is no copy that is kept')]
)
def test_a_part_of_a_name_that_more_than_one_has_or_none_is_refused(wanted: str, why: str) -> None:
    with pytest.raises(OperationRefused, match=why):
        restored(standing("half"), at("half"), copy("20261", at("baseline")), copy("20262", at("baseline")), wanted=wanted)


def test_where_no_copy_is_kept_or_none_can_be_listed_it_says_so() -> None:
    assert "no copy of its flags is kept" in str(refused(standing("half"), at("half")))
    with pytest.raises(Refusal, match="/srv: cannot be listed") as refusal:
        restoring.restore(ladder(), standing("half"), Kept(at("half"), "/srv: cannot be listed"), None, "ann", "because", NOON)
    assert refusal.value.unknown


def test_flags_that_a_person_lowered_are_not_raised_by_a_copy() -> None:
    found = refused(standing("half"), at("baseline"), copy("a", at("canary")))
    assert str(found).endswith('f.a: its flags are those of "canary", and somebody has lowered NEW, PERCENT further')


@pytest.mark.parametrize(
    ("present", "keys"), [(at("half", PERCENT=3), "PERCENT"), (at("half", NEW="no"), "NEW"), (Flags({"NEW": "yes"}, "1"), "PERCENT")]
)
def test_a_single_flag_that_is_lower_or_gone_is_not_raised_either(present: Flags, keys: str) -> None:
    assert f"somebody has lowered {keys} further" in str(refused(standing("half"), present, copy("a", at("canary"))))
    assert restored(standing("half"), present, copy("a", at("canary")), copy("b", at("baseline"))).body["to"] == "baseline"


@pytest.mark.parametrize("present", [at("full"), at("canary", PERCENT=30), at("canary", OTHER="x"), "f:1: broken"])
def test_flags_that_are_higher_or_cannot_be_read_are_in_nobodys_way(present: Flags | str) -> None:
    assert restored(standing("half"), present, copy("a", at("canary"))).body["to"] == "canary"


def test_a_promotion_under_way_is_taken_back_to_where_it_came_from() -> None:
    state = standing("canary", under_way(Kind.PROMOTE, "canary", "half"))
    for present in (at("canary"), at("half")):
        assert restored(state, present, copy("a", at("canary"))).body["to"] == "canary"
    assert "that is a promotion" in str(refused(state, at("half"), copy("a", at("half"))))


@pytest.mark.parametrize(
    ("to", "failure", "allowed"), [("baseline", "", True), ("canary", "", False), ("canary", "no luck", True), ("half", "no luck", False)]
)
def test_a_rollback_under_way_is_overtaken_by_a_lower_copy_or_by_one_that_may_mend_it(to: str, failure: str, *, allowed: bool) -> None:
    state = standing("full", under_way(Kind.ROLLBACK, "full", "canary", failure))
    if allowed:
        assert restored(state, at("full"), copy("a", at(to))).body["to"] == to
    else:
        assert 'it is already being rolled back to "canary"' in str(refused(state, at("full"), copy("a", at(to))))


def test_a_copy_from_before_a_degradation_does_not_end_it() -> None:
    state = standing("half", degraded={"PERCENT": 5})
    found = refused(state, at("half", PERCENT=5), copy("a", at("half")))
    assert "its flags are those of no stage as they are degraded now" in str(found)
    assert restored(state, at("half", PERCENT=5), copy("a", at("baseline"))).body["to"] == "baseline"


def test_nothing_is_put_back_where_no_flag_is_touched_or_nothing_is_known() -> None:
    with pytest.raises(Refusal, match="its mode is observe"):
        restored(standing("half"), at("half"), copy("a", at("baseline")), rollout=replace(ladder(), enforce=False))
    with pytest.raises(Refusal, match="its flags have not been read yet"):
        restored(State(), at("half"), copy("a", at("baseline")))


FLAGS = st.builds(
    lambda new, percent: Flags({"NEW": new, "PERCENT": percent}, f"{new} {percent}"), st.sampled_from(["yes", "no", "?"]), st.integers(0, 100)
)
KEPT = st.sampled_from([at(name) for name in STAGES]) | FLAGS


@given(st.sampled_from(sorted(STAGES)), FLAGS, st.lists(KEPT, max_size=4))
def test_no_copy_ever_raises_a_flag(stage: str, present: Flags, found: list[Flags]) -> None:
    """Neither above the record, nor above what the flags are; unless they are of no stage and go to the bottom, like in every rollback."""
    rollout, state = ladder(), standing(stage)
    try:
        happened = restored(state, present, *[copy(str(number), one) for number, one in enumerate(found)])
    except Refusal:
        return
    target, current = rollout.stage(happened.body["to"]), rollout.stage(stage)
    assert target is not None
    assert current is not None
    assert target.number <= current.number
    put_back = found[int(happened.body["backup"].rpartition(".")[2])].values
    assert put_back == target.flags
    assert target.number == 0 or not any(is_lower(rollout, target, key, value) for key, value in present.values.items())


def is_lower(rollout: Rollout, stage: Stage, key: str, value: FlagValue) -> bool:
    """Whether the stage's own value is above that one, said the other way round than the judge does."""
    if key == "PERCENT":
        return isinstance(value, int) and value < int(str(stage.flags[key]))
    return value not in {other.flags[key] for other in rollout.stages[stage.number :]} and not is_raised(rollout, stage, key, value)


def test_a_copy_that_somebody_asked_for_goes_on_record_and_changes_nothing() -> None:
    happened = restoring.backed_up("/srv/f.a", "ann", "before the night")
    assert (happened.event, happened.body) == (Event.BACKED_UP, {"backup": "/srv/f.a", "by": "ann", "why": "ann: before the night"})
    assert machine.apply(standing("half"), happened, NOON).position == standing("half").position
    assert machine.apply(State(), happened, NOON).position is None
