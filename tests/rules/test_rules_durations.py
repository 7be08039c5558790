"""Durations, limits and figures, as text and back."""

import math
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from rollback_daemon.durations import format_duration, format_number, parse_duration, parse_quantity
from rollback_daemon.lab.toolset import Toolset

MILLISECOND = timedelta(milliseconds=1)
LONGEST = (2**63 - 1) // 10**6
DURATIONS = st.integers(0, LONGEST).map(lambda millis: millis * MILLISECOND)
UNITS = {"y": 365 * 86400.0, "w": 7 * 86400.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

GOOD = ["0", "0s", "0ms", "1ms", "999ms", "1s", "90s", "5m", "1h30m", "2d", "1w", "1y", "1y2w3d4h5m6s7ms", "01h", "100m", "292y", "1h0m", "5s500ms"]
BAD = [
    "",
    " ",
    "5",
    "00",
    "-5m",
    "+5m",
    "1.5m",
    "5min",
    "5 m",
    " 5m",
    "5m ",
    "1m1h",
    "5m5m",
    "5M",
    "h",
    "1h30",
    "5ms5s",
    "soon",
    "1e3s",
    "٣m",
    "300y",
    "1m\n",
]


@given(DURATIONS)
@example(timedelta())
@example(LONGEST * MILLISECOND)
def test_a_duration_that_is_written_reads_as_itself(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@given(st.lists(st.tuples(st.sampled_from(list(UNITS)), st.integers(0, 250)), min_size=1, unique_by=lambda part: part[0]))
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[str, int]]) -> None:
    ordered = sorted(parts, key=lambda part: list(UNITS).index(part[0]))
    text = "".join(f"{count}{unit}" for unit, count in ordered)
    assert parse_duration(text) / timedelta(seconds=1) == pytest.approx(sum(count * UNITS[unit] for unit, count in parts))


@given(st.text(alphabet="0123456789ywdhms. -", max_size=8))
def test_text_is_a_duration_or_is_refused_with_a_remedy(text: str) -> None:
    said = _said_of(text)
    assert said == "" or said.startswith(f'"{text}" is ')


def _said_of(text: str) -> str:
    try:
        duration = parse_duration(text)
    except ValueError as error:
        return str(error)
    assert parse_duration(format_duration(duration)) == duration
    return ""


@pytest.mark.parametrize(
    ("millis", "text"),
    [
        (0, "0s"),
        (1, "1ms"),
        (1500, "1s500ms"),
        (90_000, "1m30s"),
        (86_400_000 * 90, "90d"),
        (86_400_000 * 14, "2w"),
        (86_400_000 * 365, "1y"),
        (86_400_000 * 366, "366d"),
        (-300_000, "-5m"),
    ],
)
def test_durations_are_shown_as_prometheus_shows_them(millis: int, text: str) -> None:
    assert format_duration(millis * MILLISECOND) == text


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("5", '"5s"'),
        ("1.5m", '"1m30s"'),
        ("5min", '"5m"'),
        ("2 hours", '"2h"'),
        ("1m1h", '"1h1m"'),
        ("5M", '"5m"'),
        ("-5m", "negative"),
        ("0.0001s", "15s, 5m"),
    ],
)
def test_a_refused_duration_says_what_was_probably_meant(text: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        parse_duration(text)


def _accepts(promtool: Path, folder: Path, texts: list[str]) -> bool:
    """Whether Prometheus takes all of the texts as a `for`. Its own YAML takes 0 for a number, so the texts are quoted."""
    rules = [{"alert": f"A{number}", "expr": "up", "for": text} for number, text in enumerate(texts)]
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}, default_style='"'), encoding="utf-8")
    done = subprocess.run([promtool, "check", "rules", folder / "rules.yml"], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.every_prometheus
def test_prometheus_takes_the_durations_that_are_taken_here(toolset: Toolset, tmp_path: Path) -> None:
    assert toolset.promtool is not None
    assert _accepts(toolset.promtool, tmp_path, GOOD)
    assert [parse_duration(text) for text in GOOD]


@pytest.mark.parametrize("text", [text for text in BAD if text])  # an empty `for` is none to Prometheus
def test_prometheus_refuses_the_durations_that_are_refused_here(toolset: Toolset, tmp_path: Path, text: str) -> None:
    assert toolset.promtool is not None
    assert not _accepts(toolset.promtool, tmp_path, [text])
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


# limits


@pytest.mark.parametrize(
    ("value", "unit", "number"),
    [
        (3, "", 3.0),
        ("3", "s", 3.0),
        ("1e3", "", 1000.0),
        (".5", "", 0.5),
        ("1%", "", 0.01),
        ("0.1%", "", 0.001),
        ("99.9%", "ratio", 0.999),
        ("1 %", "%", 1.0),
        ("-5%", "percent", -5.0),
        ("200ms", "", 0.2),
        ("200ms", "s", 0.2),
        ("200ms", "ms", 200.0),
        ("1m30s", "s", 90.0),
        ("1m30s", "m", 1.5),
        ("-5m", "s", -300.0),
        ("5ms", "us", 5000.0),
        ("5ms", "ns", 5e6),
        ("100MB", "", 1e8),
        ("100MB", "B", 1e8),
        ("100MB", "MB", 100.0),
        ("1.5 KiB", "bytes", 1536.0),
        ("1GiB", "MiB", 1024.0),
        ("0", "EUR", 0.0),
        ("2%", "requests", "is a ratio"),
        ("5m", "B", "is a duration"),
        ("5MB", "s", "is a size"),
        ("many", "", "is no limit"),
        ("1e999", "", "not a finite number"),
        ("1e999%", "", "not a finite number"),
        (f"1e{10**30}%", "", "not a finite number"),
        (10**400, "", "not a finite number"),
        (math.nan, "", "not a finite number"),
        (math.inf, "", "not a finite number"),
        ("inf", "", "is no limit"),
        ("", "", "is no limit"),
    ],
)
def test_a_limit_is_read_in_the_unit_of_the_signal(value: str | float, unit: str, number: float | str) -> None:
    if isinstance(number, str):
        with pytest.raises(ValueError, match=number):
            parse_quantity(value, unit)
    else:
        assert parse_quantity(value, unit) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_the_limit_that_it_says(number: float) -> None:
    assert parse_quantity(number) == number
    assert parse_quantity(repr(number)) == number


@given(st.decimals(0, 1000, places=3))
def test_a_ratio_is_exactly_the_number_that_it_means(percent: object) -> None:
    assert parse_quantity(f"{percent}%") == float(f"{percent}e-2")


@given(st.integers(0, 10**12).map(lambda millis: millis * MILLISECOND))
def test_a_duration_is_as_many_seconds(duration: timedelta) -> None:
    assert parse_quantity(format_duration(duration), "s") == duration.total_seconds()


@pytest.mark.parametrize(
    ("value", "text"), [(0.031, "0.031"), (98.0, "98"), (1 / 3, "0.333333"), (1e-9, "1e-09"), (math.inf, "+Inf"), (-math.inf, "-Inf")]
)
def test_figures_are_short(value: float, text: str) -> None:
    assert format_number(value) == text
