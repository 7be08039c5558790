"""The notation of series means what promtool makes of it, and nothing else is taken for it."""

import itertools
import json
import math
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollback_daemon.lab.remote_write import STALE
from rollback_daemon.lab.testing.load import load
from rollback_daemon.lab.testing.notation import NotationError, Point, labels, points
from rollback_daemon.lab.testing.results import Outcome
from rollback_daemon.lab.testing.running import run
from rollback_daemon.lab.testing.samples import expected
from rollback_daemon.lab.testing.schema import ExpectedSample
from rollback_daemon.lab.toolset import Toolset, toolsets

NUMBERS = st.sampled_from(["0", "1", "7", "010", "08", "2.5", ".5", "3.", "1e3", "2E-2", "1.5e+1"])
SIGNS = st.sampled_from(["", "", "-", "+"])
TIMES = st.integers(0, 5)
VALUES = st.builds("{}{}".format, SIGNS, NUMBERS)
ITEMS = st.one_of(
    VALUES,
    st.builds("{}x{}".format, VALUES, TIMES),
    st.builds("{}{}{}x{}".format, VALUES, st.sampled_from(["+", "-"]), NUMBERS, TIMES),
    st.sampled_from(["_", "_x0", "_x3", "stale", "NaN", "Inf", "-inf", "stale+1x2", "Inf-1x1"]),
)
TEXTS = st.lists(st.builds("{}{}".format, ITEMS, st.sampled_from([" ", "  ", "\t"])), max_size=5).map("".join)
FRESH = itertools.count()  # a server of its own for each example
STEP = 600  # seconds; more than a sample counts for, so that each time shows its own points


def document(series: Sequence[tuple[str, Sequence[Point]]]) -> dict[str, Any]:
    """A test of promtool's which says that each text is these points."""
    length = max((len(own) for _, own in series), default=0)
    tests = []
    for index in range(length + 1):
        there = [(number, own[index]) for number, (_, own) in enumerate(series) if index < len(own) and isinstance(own[index], float)]
        samples = [{"labels": f'm{{i="{number}"}}', "value": _yaml(value)} for number, value in there if isinstance(value, float)]
        numbers = [one for one in samples if one["value"] != ".nan"]
        tests.append({"expr": "m == m", "eval_time": f"{index * STEP}s", "exp_samples": numbers})
        count = [{"labels": "{}", "value": len(there)}] if there else []
        tests.append({"expr": "count(m)", "eval_time": f"{index * STEP}s", "exp_samples": count})
    written = [{"series": f'm{{i="{number}"}}', "values": text} for number, (text, _) in enumerate(series)]
    case = {"interval": f"{STEP}s", "input_series": written, "promql_expr_test": tests}
    return {"rule_files": [], "evaluation_interval": f"{STEP}s", "tests": [case]}


def _yaml(value: float) -> float | str:
    return ".nan" if math.isnan(value) else value


def written(folder: Path, content: dict[str, Any]) -> Path:
    file = folder / "test.yml"
    file.write_text(json.dumps(content).replace("-Infinity", "-.inf").replace("Infinity", ".inf").replace('".nan"', ".nan"), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notation")


def promtool(toolset: Toolset, file: Path) -> str:
    """What promtool of this version has against the file."""
    assert toolset.promtool
    ran = subprocess.run([toolset.promtool, "test", "rules", file], capture_output=True, text=True, timeout=60, check=False)
    return "" if ran.returncode == 0 else (ran.stdout + ran.stderr)[:2000]


@pytest.mark.oldest_and_newest
@settings(max_examples=3)
@given(texts=st.lists(TEXTS, min_size=25, max_size=25))
def test_every_text_means_to_promtool_and_on_a_real_server_what_it_means_here(texts: list[str], toolset: Toolset, folder: Path) -> None:
    file = written(folder, document([(text, points(text)) for text in texts]))
    assert promtool(toolset, file) == ""
    [case] = load(file)
    result = run(case, toolset.prometheus, folder / str(next(FRESH)))
    assert (result.outcome, result.failures, result.why) == (Outcome.PASSED, (), "")


def test_promtool_objects_to_points_that_a_text_does_not_mean(toolset: Toolset, folder: Path) -> None:
    assert "got:" in promtool(toolset, written(folder, document([("1+1x2", [1.0, 2.0, 4.0])])))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("-2+4x3", [-2, 2, 6, 10]),
        (" 1-2x4 ", [1, -1, -3, -5, -7]),
        ("1x4", [1, 1, 1, 1, 1]),
        ("1 _x3 stale", [1, None, None, None, STALE]),
        ("0x10", [0] * 11),
        ("1_000", [1000]),
        ("", []),
    ],
)
def test_known_texts(text: str, meant: list[Point]) -> None:
    assert points(text) == meant


@pytest.mark.parametrize(
    ("text", "token", "remedy"),
    [
        ("1 stalex3", '"stalex3"', "write stale stale"),
        ("Infx3", '"Infx3"', "write Inf+0x3"),
        ("0x1f", '"0x1f"', "no hexadecimal"),
        ("1, 2", '"1,"', "separate values by spaces"),
        ("1 + 2x3", '"+"', "without spaces"),
        ("5m", '"5m"', "without a unit"),
        ("1 2\n3", '"2"', "in one line"),
        ("1x-3", '"1x-3"', "write numbers"),
        ("--1", '"--1"', "write numbers"),
        ("1 __", '"__"', "write numbers"),
        ("0_9", '"0_9"', "write numbers"),
        ("1x9999999", '"1x9999999"', "fewer"),
        ("{{som:1}}", "{{som:1}}", 'did you mean "sum"?'),
        ("{{sum:1}", "{{sum:1}", "close it with }}"),
        ("{{ sum:1}}", "{{ sum:1}}", "a space only separates"),
        ("{{buckets:[ 1]}}", "{{buckets:[ 1]}}", "write it like [1 2 1]"),
        ("{{schema:2}}+{{schema:0}}x1", "{{schema:2}}", "swap them"),
        ("{{schema:9}}", "{{schema:9}}", "from -4 to 8, or -53"),
        ("{{schema:-5}}", "{{schema:-5}}", "from -4 to 8, or -53"),
        ("0 1e999", "1e999", "larger than a number can be"),
    ],
)
def test_anything_else_is_refused_with_the_token_and_the_remedy(text: str, token: str, remedy: str) -> None:
    with pytest.raises(NotationError) as refused:
        points(text)
    assert token in str(refused.value)
    assert remedy in str(refused.value)


def test_a_bucket_beyond_every_number_has_no_end() -> None:
    far, wide = "{{count:1 z_bucket_w:1 offset:5000 buckets:[1]}}", "{{z_bucket:3 z_bucket_w:1e300}}"
    assert len(points(f"{wide}+{far}x2")) == 3
    assert expected(ExpectedSample(histogram=far))[1] == (1, 0, [(math.inf, 1)])


@pytest.mark.parametrize("text", ["m{a!='b'}", "m[5m]", "1 +", "m{a='b', a='c'}", "sum(m)", "m offset 5m"])
def test_what_is_no_series_is_refused(text: str) -> None:
    with pytest.raises(NotationError, match=r"series|matched|twice"):
        labels(text)


def test_a_series_is_its_labels() -> None:
    assert labels('up{job="api", code="500"}') == {"__name__": "up", "job": "api", "code": "500"}
    assert labels('{__name__="up"}') == {"__name__": "up"}


HISTOGRAMS = {
    "rule_files": [],
    "evaluation_interval": "1m",
    "tests": [
        {
            "interval": "1m",
            "input_series": [
                {
                    "series": "m",
                    "values": "{{sum:6 count:4 z_bucket:1 z_bucket_w:0.1 buckets:[1 2]}}+{{sum:2 count:1 z_bucket_w:0.1 buckets:[0 1]}}x4",
                },
                {"series": "fine", "values": "{{schema:0 count:2 buckets:[1 1]}}+{{schema:1 count:4 buckets:[1 1 1 1]}}x1"},
                {"series": "turns", "values": "1 {{count:3}} 2 stale {{count:4}}"},
            ],
            "promql_expr_test": [
                {"expr": "histogram_count(m)", "eval_time": "4m", "exp_samples": [{"labels": "{}", "value": 8}]},
                {"expr": "histogram_sum(m)", "eval_time": "4m", "exp_samples": [{"labels": "{}", "value": 14}]},
                {"expr": "6 * histogram_fraction(0, 1, fine)", "eval_time": "1m", "exp_samples": [{"labels": "{}", "value": 2}]},
                {"expr": "6 * histogram_fraction(0, 2, fine)", "eval_time": "1m", "exp_samples": [{"labels": "{}", "value": 5}]},
                {"expr": "count_over_time(turns[10m])", "eval_time": "4m", "exp_samples": [{"labels": "{}", "value": 4}]},
                {"expr": "turns", "eval_time": "3m"},
            ],
        }
    ],
}


def test_native_histograms_grow_as_they_do_in_promtool(folder: Path) -> None:
    newest = [one for one in toolsets() if one.promtool][-1:]
    if not newest or newest[0].version.startswith("2.4"):
        pytest.skip("no promtool that knows native histograms in tests")
    file = written(folder, HISTOGRAMS)
    assert promtool(newest[0], file) == ""
    [case] = load(file)
    result = run(case, newest[0].prometheus, folder / "native")
    assert (result.outcome, result.failures, result.why) == (Outcome.PASSED, (), "")
