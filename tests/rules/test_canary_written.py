"""How a `canary` is written: what is taken where nothing is said, how `check` tells it, and what it is without scipy."""

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from rollback_daemon.rules import promql
from rollback_daemon.rules.advice import understood, warnings
from rollback_daemon.rules.load import load
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.statistics.judging import Direction, Tolerance
from rollback_daemon.rules.triggers.canary import Canary, Method

MINUTE = timedelta(minutes=1)
GOOD = Path(__file__).parent / "good" / "canary.yml"
LADDER = """
rollout: demo
owner: team-shop
interval: 15s
flags: {store: dotenv, path: .env}
baseline: {USE_X: "false"}
stages: [{stage: canary, exposure: 10%, set: {USE_X: "true"}}]
"""
WITHOUT_SCIPY = """
import sys
from pathlib import Path
sys.modules["scipy"] = None
from rollback_daemon.errors import ConfigurationError
from rollback_daemon.rules.load import load
try:
    load(Path(sys.argv[1]))
except ConfigurationError as error:
    print([problem.text for problem in error.problems])
print("numpy" in sys.modules)
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Rollout]:
    """A rollout whose only trigger is a canary with these keys."""

    def _load(keys: str) -> Rollout:
        file = tmp_path / "demo.yml"
        file.write_text(f"{LADDER}triggers: [{{alert: Worse, canary: {{{keys}}}}}]\n", encoding="utf-8")
        return load(file)

    return _load


def canary(rollout: Rollout) -> Canary:
    test = rollout.triggers[0].test
    assert isinstance(test, Canary)
    return test


def test_what_is_not_said_is_the_usual(written: Callable[[str], Rollout]) -> None:
    test = canary(written("experiment: 'rate(new[2m])', control: 'rate(old[5m])'"))
    assert (test.method, test.error_rate, test.tolerance) == (Method.SEQUENTIAL, 0.01, Tolerance(Direction.INCREASE, 0.25, relative=True))
    assert (test.at_least, test.samples, test.every, test.window, test.zero, test.beyond) == (20, 200, 5 * MINUTE, 5 * MINUTE, False, None)
    assert (test.experiment.name, test.control.name, test.experiment.exposed_only) == ("Worse", "Worse control", True)
    assert canary(written("experiment: 'rate(new[2m])', control: 'rate(old[5m])', method: mann_whitney")).at_least == 50
    assert canary(written("experiment: 'rate(new[2m])', control: 'rate(old[5m])', samples: 10")).at_least == 10


def test_a_tolerance_in_percent_is_a_share_and_any_other_an_amount(written: Callable[[str], Rollout]) -> None:
    for text, tolerance in (("10%", (0.1, True)), ("0.1", (0.1, False)), ("50ms", (0.05, False)), ("0", (0, False))):
        made = canary(written(f"experiment: 'rate(new[2m])', control: 'rate(old[5m])', tolerance: {text}")).tolerance
        assert (made.amount, made.relative) == tolerance


@pytest.mark.parametrize(
    ("expr", "reach"),
    [
        ("up", 0),
        ("rate(a[5m]) / rate(b[1h30m])", 90),
        ("max_over_time(rate(a[5m])[1h:1m])", 65),
        ("sum(rate(a[5m] offset 1d)) - c", 5),
        ("vector(1)", 0),
    ],
)
def test_samples_are_as_far_apart_as_their_data_reach_back(expr: str, reach: int) -> None:
    assert promql.reach(expr) == reach * MINUTE


def test_check_tells_how_it_is_understood_and_what_is_risky() -> None:
    rollout = load(GOOD)
    assert understood(rollout)[0].startswith(
        "WorseThanControl: p for errors more than 25% above control <= 0.01, clear from 20 pairs on, one each 5m (1h40m)"
    )
    said = {problem.path: problem.text for problem in warnings(rollout)}
    assert "use method: sequential" in said["triggers[2].canary.method"]
    assert "slightest difference" in said["triggers[1].canary.tolerance"]
    assert not [path for path in said if path.startswith("triggers[0]")]


def test_without_scipy_the_ranks_are_a_mistake_that_says_what_to_install_and_the_rest_works() -> None:
    def said(file: Path) -> str:
        return subprocess.run([sys.executable, "-c", WITHOUT_SCIPY, str(file)], capture_output=True, text=True, check=True).stdout

    text = "mann_whitney needs scipy, which is not installed; install rollback-daemon[stats], or use sequential"
    assert said(GOOD) == f"['{text}']\nFalse\n"
