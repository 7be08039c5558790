"""The shipped rule files are tested by their own test files, and no trigger of theirs is left out."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rollback_daemon.faces.cli import app
from rollback_daemon.lab.testing.load import Case, load
from rollback_daemon.lab.testing.schema import ExpectedTrigger
from rollback_daemon.lab.toolset import Toolset
from rollback_daemon.rules.load import load as load_rules
from rollback_daemon.rules.model import Trigger

RULES = Path(__file__).parents[2] / "rules"
TESTS = sorted((RULES / "tests").glob("*.yml"))
SHIPPED = sorted(RULES.glob("*.yml"))
TRIGGERS = {f"{file.stem}: {one.name}": one for file in SHIPPED for one in load_rules(file).triggers}
CASES = [case for file in TESTS for case in load(file)]


@pytest.mark.oldest_and_newest
def test_every_shipped_test_passes(toolset: Toolset) -> None:
    done = CliRunner().invoke(app, ["test", *map(str, TESTS), "--prometheus-binary", str(toolset.prometheus)])
    assert done.exit_code == 0, done.stdout


@pytest.mark.parametrize("called", TRIGGERS)
def test_every_trigger_has_a_case_in_which_it_fires_and_one_in_which_it_just_does_not(called: str) -> None:
    rollout, trigger = called.split(": ", maxsplit=1)[0], TRIGGERS[called]
    looks = [look for case in CASES if case.rollout and case.rollout.name == rollout for look in looked(case, trigger.name)]
    assert any(one.phase == "firing" for _, one in looks), "nowhere does it fire"
    assert any(one.phase == "inactive" and is_close(trigger, one) for _, one in looks), "nowhere is its value just on the healthy side of its limit"


@pytest.mark.parametrize("called", [called for called, one in TRIGGERS.items() if one.for_])
def test_every_window_is_looked_at_one_evaluation_before_its_end_and_at_it(called: str) -> None:
    rollout, trigger = called.split(": ", maxsplit=1)[0], TRIGGERS[called]
    cases = [case for case in CASES if case.rollout and case.rollout.name == rollout]
    edges = [
        case.name
        for case in cases
        for (before, one), (after, other) in pairwise(sorted(looked(case, trigger.name), key=lambda look: look[0]))
        if (one.phase, other.phase) == ("pending", "firing") and after - before == case.interval.total_seconds()
    ]
    assert edges


def looked(case: Case, trigger: str) -> Iterator[tuple[float, ExpectedTrigger]]:
    """When in a case, in seconds, something is expected of the trigger, and what."""
    for test in case.written.rollout_test:
        if trigger in test.triggers:
            yield test.eval_time.total_seconds(), test.triggers[trigger]


def is_close(trigger: Trigger, expected: ExpectedTrigger) -> bool:
    """Whether the value is at most a tenth of the limit away from it; of what is counted from 0 on, at most 2."""
    condition = trigger.test.condition
    if condition is None or not isinstance(expected.value, float):
        return False
    assert not condition.holds(expected.value)
    return -condition.margin(expected.value) <= (abs(condition.limit) / 10 or 2) or trigger.name == "RepeatedViolations"


def test_every_shipped_rule_file_has_a_test_file() -> None:
    assert {file.stem for file in SHIPPED} <= {file.stem for file in TESTS}
