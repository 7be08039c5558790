"""What a transition writes, given the flags as they are. Mostly properties: whatever the ladder and the flags are."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollback_daemon.flags.store import FlagValue, same
from rollback_daemon.judge import lesser
from rollback_daemon.judge.drift import matching
from rollback_daemon.judge.position import Open
from rollback_daemon.judge.transitions import Kind
from rollback_daemon.rules.model import FlagSettings, Rollout, Stage
from rollback_daemon.transitions.plan import disturbed, plan
from tests.transitions.rehearsal import NOON, at, ladder

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
KEYS = ("A", "B", "C")
VALUES: st.SearchStrategy[FlagValue] = st.sampled_from([True, False, 0, 1, 1.0, "true", "1", "", None])
Flags = dict[str, FlagValue]


def opened(rollout: Rollout, kind: Kind, origin: str, target: str) -> Open:
    stage = rollout.stage(target)
    assert stage is not None
    return Open("id", kind, origin, target, stage.flags, NOON, None, ("because",), "rollbackd")


def rollout(*flags: Flags) -> Rollout:
    """A ladder with these flags from the bottom up."""
    stages = tuple(Stage(f"stage-{number}" if number else "baseline", number, number / 10, one) for number, one in enumerate(flags))
    settings = FlagSettings("json", "/srv/flags.json")
    return Rollout("any", "rules.yml", "0", timedelta(seconds=1), timedelta(seconds=3), settings, stages, (), ())


@st.composite
def ladders(draw: st.DrawFn, values: st.SearchStrategy[FlagValue] = VALUES) -> Rollout:
    """Stages of arbitrary flags; some may share them."""
    number = draw(st.integers(2, 5))
    return rollout(*[{key: draw(values) for key in KEYS} for _ in range(number)])


@st.composite
def rising_ladders(draw: st.DrawFn) -> Rollout:
    """Every flag is a number that never falls from stage to stage, and one of them always rises."""
    number = draw(st.integers(2, 5))
    rows: list[Flags] = [dict.fromkeys(KEYS, 0)]
    for _ in range(number - 1):
        risen = {key: int(str(value)) + draw(st.integers(0, 2)) for key, value in rows[-1].items()}
        rows.append({**risen, "A": risen["A"] + 1})
    return rollout(*rows)


@st.composite
def cases(draw: st.DrawFn, of: st.SearchStrategy[Rollout]) -> tuple[Rollout, Open, Flags]:
    """A rollback on such a ladder, and flags: of a stage, mixed of several, some missing or strange."""
    found = draw(of)
    origin = draw(st.integers(1, len(found.stages) - 1))
    target = draw(st.integers(0, origin - 1))
    sources = [draw(st.sampled_from(found.stages)) for _ in KEYS]
    if draw(st.booleans()):
        sources = [sources[0]] * len(KEYS)
    flags = {key: source.flags[key] for key, source in zip(KEYS, sources, strict=True)}
    return found, opened(found, Kind.ROLLBACK, found.stages[origin].name, found.stages[target].name), flags


@unhurried
@given(cases(ladders()))
def test_a_rollback_never_ends_above_its_target_nor_above_the_flags(case: tuple[Rollout, Open, Flags]) -> None:
    found, rollback, flags = case
    planned = plan(found, rollback, flags)
    target, there = found.stage(rollback.target), matching(found, flags)
    assert target is not None
    assert planned.stage.number <= target.number
    assert there is None or planned.stage.number <= there.number


@unhurried
@given(cases(rising_ladders()))
def test_a_rollback_raises_no_single_flag(case: tuple[Rollout, Open, Flags]) -> None:
    found, rollback, flags = case
    for key, value in plan(found, rollback, flags).changes.items():
        assert int(str(value)) < int(str(flags[key]))


@unhurried
@given(cases(ladders()))
def test_what_is_written_leads_to_what_is_expected_and_needs_no_second_write(case: tuple[Rollout, Open, Flags]) -> None:
    found, rollback, flags = case
    planned = plan(found, rollback, flags)
    after = {**flags, **planned.changes}
    assert all(same(after[key], value) for key, value in planned.expected.items())
    again = plan(found, rollback, after)
    assert not again.changes
    assert all(same(again.expected[key], value) for key, value in planned.expected.items())


@unhurried
@given(cases(rising_ladders()), st.sampled_from(KEYS))
def test_a_flag_that_is_missing_leads_to_the_bottom(case: tuple[Rollout, Open, Flags], missing: str) -> None:
    found, rollback, flags = case
    del flags[missing]
    planned = plan(found, rollback, flags)
    assert planned.stage.number == 0
    assert missing in planned.changes


def test_flags_lowered_by_hand_stay_where_they_are() -> None:
    planned = plan(ladder(), opened(ladder(), Kind.ROLLBACK, "full", "half"), at("canary"))
    assert planned.stage.name == "canary"
    assert not planned.changes


def test_a_mixture_that_is_nobodys_goes_to_the_bottom() -> None:
    planned = plan(ladder(), opened(ladder(), Kind.ROLLBACK, "full", "half"), {"NEW": "yes", "PERCENT": "77%"})
    assert planned.stage.name == "baseline"
    assert planned.changes == at("baseline")


def test_a_mixture_with_a_part_below_the_target_goes_to_the_bottom() -> None:
    planned = plan(ladder(), opened(ladder(), Kind.ROLLBACK, "full", "half"), {"NEW": "no", "PERCENT": "100%"})
    assert planned.stage.name == "baseline"


def test_a_rollback_half_done_goes_on_to_its_target() -> None:
    tall = rollout({"A": 0, "B": 0}, {"A": 1, "B": 1}, {"A": 2, "B": 2})
    planned = plan(tall, opened(tall, Kind.ROLLBACK, "stage-2", "stage-1"), {"A": 1, "B": 2})
    assert planned.stage.name == "stage-1"
    assert planned.changes == {"B": 1}


def test_a_promotion_goes_to_its_target() -> None:
    planned = plan(ladder(), opened(ladder(), Kind.PROMOTE, "canary", "half"), at("canary"))
    assert planned.stage.name == "half"
    assert planned.changes == {"PERCENT": "50%"}


def test_a_rollback_to_a_stage_that_the_rule_file_no_longer_has_goes_to_the_bottom() -> None:
    gone = replace(opened(ladder(), Kind.ROLLBACK, "full", "half"), target="quarter")
    assert plan(ladder(), gone, at("full")).stage.name == "baseline"


def test_types_count() -> None:
    tall = rollout({"A": False}, {"A": True})
    planned = plan(tall, opened(tall, Kind.ROLLBACK, "stage-1", "baseline"), {"A": "false"})
    assert planned.changes == {"A": False}


def test_a_promotion_is_disturbed_by_flags_that_are_neither_before_nor_after() -> None:
    promotion = opened(ladder(), Kind.PROMOTE, "canary", "half")
    assert disturbed(ladder(), promotion, at("canary"), written=False) == ()
    assert disturbed(ladder(), promotion, at("half"), written=False) == ()
    assert disturbed(ladder(), promotion, at("baseline"), written=False) == ("NEW", "PERCENT")
    assert disturbed(ladder(), promotion, {"NEW": "yes"}, written=False) == ("PERCENT",)


def test_once_written_only_the_flags_after_it_are_its_own() -> None:
    promotion = opened(ladder(), Kind.PROMOTE, "canary", "half")
    assert disturbed(ladder(), promotion, at("half"), written=True) == ()
    assert disturbed(ladder(), promotion, at("canary"), written=True) == ("PERCENT",)


def test_a_promotion_from_a_stage_that_is_gone_is_disturbed_unless_it_is_done() -> None:
    promotion = replace(opened(ladder(), Kind.PROMOTE, "canary", "half"), origin="gone")
    assert disturbed(ladder(), promotion, at("canary"), written=False) == ("PERCENT",)
    assert disturbed(ladder(), promotion, at("half"), written=False) == ()


NUMBERS = rollout({"ON": False, "SHARE": 0}, {"ON": True, "SHARE": 10}, {"ON": True, "SHARE": 50}, {"ON": True, "SHARE": 100})


def test_a_raise_is_taken_back_to_the_stage_on_record_however_far_it_went() -> None:
    for raised in ({"ON": True, "SHARE": 100}, {"ON": True, "SHARE": 33}, {"ON": True, "SHARE": 900}):
        planned = plan(NUMBERS, opened(NUMBERS, Kind.ROLLBACK, "stage-1", "stage-1"), raised)
        assert planned.stage.name == "stage-1"
        assert planned.changes == {"SHARE": 10}


def test_a_raise_from_the_bottom_is_taken_back_even_by_half() -> None:
    for raised, written in (({"ON": True, "SHARE": 0}, {"ON": False}), ({"ON": False, "SHARE": 7}, {"SHARE": 0})):
        planned = plan(NUMBERS, opened(NUMBERS, Kind.ROLLBACK, "baseline", "baseline"), raised)
        assert planned.changes == written


def test_a_number_below_the_target_is_no_raise_and_leads_to_the_bottom() -> None:
    others: list[Flags] = [{"ON": True, "SHARE": 33}, {"ON": False, "SHARE": 100}, {"ON": True, "SHARE": "100"}]
    for other in others:
        planned = plan(NUMBERS, opened(NUMBERS, Kind.ROLLBACK, "stage-3", "stage-2"), other)
        assert planned.stage.name == "baseline"


def test_a_lesser_service_sets_its_own_flags_and_no_others_wherever_the_rest_are() -> None:
    kinder = replace(opened(NUMBERS, Kind.DEGRADE, "stage-2", "stage-2"), flags={"SHARE": 5})
    planned = plan(lesser.ladder(NUMBERS, {"SHARE": 5}), kinder, {"ON": True, "SHARE": 50})
    assert (planned.stage.name, planned.expected, planned.changes) == ("stage-2", {"SHARE": 5}, {"SHARE": 5})
    assert not plan(lesser.ladder(NUMBERS, {"SHARE": 5}), kinder, {"ON": True, "SHARE": 5}).changes


def test_restoring_sets_them_back_to_those_of_the_stage() -> None:
    restored = replace(opened(NUMBERS, Kind.RESTORE, "stage-2", "stage-2"), flags={"SHARE": 50})
    assert plan(NUMBERS, restored, {"ON": True, "SHARE": 5}).changes == {"SHARE": 50}


def test_a_rollback_while_degraded_keeps_the_lesser_service_where_it_is_less() -> None:
    kinder = lesser.ladder(NUMBERS, {"SHARE": 5})
    assert [stage.flags["SHARE"] for stage in kinder.stages] == [min(5, int(str(stage.flags["SHARE"]))) for stage in NUMBERS.stages]
    planned = plan(kinder, opened(kinder, Kind.ROLLBACK, "stage-2", "baseline"), {"ON": True, "SHARE": 5})
    assert planned.changes == planned.expected == {"ON": False, "SHARE": 0}


@unhurried
@given(cases(rising_ladders()), st.integers(0, 9), st.sampled_from(KEYS))
def test_a_number_that_somebody_set_is_never_written_over_with_a_higher_one(case: tuple[Rollout, Open, Flags], number: int, key: str) -> None:
    found, rollback, flags = case
    flags[key] = number
    planned = plan(found, rollback, flags)
    target = found.stage(rollback.target)
    assert target is not None
    assert planned.stage.number <= target.number
    assert all(int(str(value)) < int(str(flags[name])) for name, value in planned.changes.items())
