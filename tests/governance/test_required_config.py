"""What stages require of the configuration, before day one and in the report; and a climb that exposes no more."""

from dataclasses import replace
from pathlib import Path

import pytest

from rollback_daemon.faces.cli.here_check import warnings
from rollback_daemon.governance.ballots import Ballots
from rollback_daemon.governance.happenings import line
from rollback_daemon.governance.moves import Moves
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge.reasons import Outcome
from rollback_daemon.rules.duties import Requires
from rollback_daemon.rules.load import load
from tests.governance.dayone import NOW, DayOne, at

RULES = """\
rollout: demo
owner: team-shop
flags: {store: dotenv, path: .env}
baseline: {USE_X: "false"}
stages:
  - {stage: a, exposure: 10%, set: {USE_X: "true"}, requires: {config: {MODE: slow}}}
  - {stage: b, exposure: 20%, set: {USE_X: "sure"}}
triggers: [{alert: ErrorsHigh, expr: error_ratio > 0.01}]
"""


@pytest.fixture
def asking(day: DayOne) -> DayOne:
    """The canary wants MODE to be slow, half to be fast."""
    modes = {"canary": "slow", "half": "fast"}
    stages = [replace(one, requires=Requires(config={"MODE": modes[one.name]})) if one.name in modes else one for one in day.rollout.stages]
    day.rollout = replace(day.rollout, stages=tuple(stages))
    return day


@pytest.mark.parametrize(
    ("stage", "mode", "outcome", "evidence"),
    [
        ("baseline", "slow", Outcome.PASS, 'MODE is "slow", as "canary" requires'),
        ("baseline", "fast", Outcome.FAIL, 'MODE is "fast", must be "slow" at "canary"'),
        ("canary", "slow", Outcome.FAIL, 'MODE is "slow", must be "fast" at "half"'),
        ("canary", "fast", Outcome.PASS, 'MODE is "fast", as "half" requires'),
        ("canary", "odd", Outcome.FAIL, 'MODE is "odd", must be "slow" at "canary"'),
        ("half", "fast", Outcome.PASS, 'MODE is "fast", as "half" requires'),
        ("half", "slow", Outcome.FAIL, 'MODE is "slow", must be "fast" at "half"'),
    ],
)
def test_the_preflight_looks_at_what_the_stage_and_the_next_one_require(
    asking: DayOne, stage: str, mode: str, outcome: Outcome, evidence: str
) -> None:
    flags = {"baseline": ("false", "0"), "canary": ("true", "10"), "half": ("true", "50")}[stage]
    asking.write(SPICE=flags[0], SHARE=flags[1], MODE=mode)
    found = asking.finding("config MODE", at(stage))
    assert (found.outcome, found.evidence) == (outcome, evidence)


def test_a_missing_key_and_an_unreadable_file_are_unknown(asking: DayOne) -> None:
    assert asking.finding("config MODE").evidence == 'MODE is missing, must be "slow" at "canary"'
    assert asking.outcome("config MODE") is Outcome.UNKNOWN
    asking.env.unlink()
    assert asking.outcome("config MODE") is Outcome.UNKNOWN


def test_check_says_that_a_key_is_not_there_yet_at_the_place_where_it_is_required(tmp_path: Path) -> None:
    file = tmp_path / "demo.yml"
    file.write_text(RULES, encoding="utf-8")
    (tmp_path / ".env").write_text("USE_X=false\n", encoding="utf-8")
    assert [f"{one.line}: {one.text}" for one in warnings(load(file))] == [
        f'6: "MODE" is not in {tmp_path / ".env"}; "a" waits for somebody to add it'
    ]
    (tmp_path / ".env").write_text("USE_X=false\nMODE=fast\n", encoding="utf-8")
    assert list(warnings(load(file))) == []


def test_a_shadow_found_at_first_sight_is_a_climb_that_nobody_answers_for() -> None:
    moves = Moves({"baseline": 0.0, "shadow": 0.0, "canary": 0.1}, Ballots())
    for number, stage in enumerate(("baseline", "shadow", "baseline")):
        moves.take(Record(number, NOW, "checkout", "adopted", {"stage": stage, "why": "the flags were found so"}, ""))
    assert [(one["to"], one["exposure_after"]) for one in moves.climbs] == [("shadow", 0.0)]
    assert [one["to"] for one in moves.descents] == ["baseline", "baseline"]


def test_a_timeline_tells_it_in_a_line() -> None:
    off = {"wrong": {"MODE": {"expected": "fast", "actual": "slow"}}, "why": ["MODE is slow"], "stage": "half"}
    assert line(Record(1, NOW, "checkout", "misconfigured", off, "")) == (
        "warn",
        "the configuration is not what the stage requires",
        ["MODE is slow"],
    )
    assert line(Record(2, NOW, "checkout", "misconfigured", {"wrong": {}, "why": []}, ""))[0] == "good"
