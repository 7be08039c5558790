"""What every kind of evidence must do, with good files and with bad ones. It runs on each kind that the registry has."""

import hashlib
import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from rollback_daemon.errors import ConfigurationError
from rollback_daemon.evidence import KINDS
from rollback_daemon.evidence.kind import MAX_BYTES, Result, Source
from tests.evidence.raw import NOW, both, read, text
from tests.evidence.samples import GOOD

KIND = pytest.mark.parametrize("kind", KINDS)
WITH_TIME = pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"number"}))
DEEP = 10_000
BAD: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _good: b"",
    "blank": lambda _good: b"\n \n",
    "not UTF-8": lambda good: b"\xff\xfe\x80\x81" + good,
    "cut": lambda good: good[: len(good) * 2 // 3],
    "only half of the last line": lambda good: good[: len(good) - 3],
    "not its format": lambda _good: b"Segmentation fault (core dumped)\n",
    "too large": lambda good: good + b" " * MAX_BYTES,
    "deep JSON": lambda _good: b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"\n",
    "deep lists": lambda _good: b"[" * DEEP + b"\n",
    "deep XML": lambda _good: b"<testsuites>" + b"<a>" * DEEP + b"</a>" * DEEP + b"</testsuites>\n",
    "another JSON": lambda _good: b"[1, 2, 3]\n",
    "NUL": lambda _good: b"\0" * 100 + b"\n",
}
_NO_MISTAKE = {
    *((one, "jsonl") for one in ("empty", "blank", "cut", "only half of the last line")),
    ("cut", "number"),
    ("only half of the last line", "number"),
}
"""A log is empty after it was rotated, and its last line may be half-written; half a number is one."""


def good(kind: str) -> Result:
    data, settings = GOOD[kind]
    return read(kind, data, **settings)


def refused(kind: str, data: bytes) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        read(kind, data, **GOOD[kind][1])
    return [str(one) for one in error.value.problems]


def test_there_is_a_good_file_of_every_kind() -> None:
    assert GOOD.keys() == KINDS.keys()


@KIND
def test_a_good_file_gives_figures_that_the_kind_explains(kind: str) -> None:
    result = good(kind)
    assert result.figures
    assert result.figures.keys() <= KINDS[kind].figures.keys()
    assert all(math.isfinite(one) for one in result.figures.values())
    assert result.digest == hashlib.sha256(GOOD[kind][0]).hexdigest()
    assert json.loads(json.dumps(dict(result.facts), allow_nan=False)) == dict(result.facts)


@WITH_TIME
def test_the_time_of_a_file_has_a_zone_and_lies_in_the_past(kind: str) -> None:
    made_at = good(kind).made_at
    assert made_at is not None
    assert made_at <= NOW


@KIND
def test_the_same_bytes_are_always_the_same_result(kind: str) -> None:
    assert good(kind) == good(kind)


@KIND
@pytest.mark.parametrize("ill", BAD)
def test_a_bad_file_is_refused_with_its_name_or_says_nothing_wrong(kind: str, ill: str) -> None:
    data = BAD[ill](GOOD[kind][0])
    if (ill, kind) in _NO_MISTAKE:
        read(kind, data, **GOOD[kind][1])
        return
    problems = refused(kind, data)
    assert all(one.startswith("evidence:") for one in problems)
    assert all(len(one) < 400 for one in problems)


@WITH_TIME
def test_a_file_from_the_future_is_refused(kind: str) -> None:
    data = GOOD[kind][0].replace(b"2026-11-20", b"2062-11-20").replace(b"1795143600.0", b"2932333200.0")
    assert data != GOOD[kind][0]
    assert all("has not come yet; look at the clock" in one for one in refused(kind, data))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "-1", "true", '"1"', "null", "[]"])
@pytest.mark.parametrize(
    ("kind", "field"), [("results", "latency_ms"), ("soak", "totalGames"), ("parity", "total_cases"), ("pytest_json", "created")]
)
def test_what_is_no_number_of_that_kind_is_refused_where_it_stands(kind: str, field: str, number: str) -> None:
    said, changed = json.loads(GOOD[kind][0]), f'"{field}": {number}'
    one = next(value for value in _values(said, field))
    data = GOOD[kind][0].replace(f'"{field}": {one}'.encode(), changed.encode())
    if (kind, number) == ("pytest_json", "-1"):
        return  # 1969 is a time
    problems = refused(kind, data)
    assert any(field in problem for problem in problems)
    assert not any("9" * 100 in problem for problem in problems)


def _values(value: Any, field: str) -> Any:
    if isinstance(value, dict):
        if field in value:
            yield value[field]
        for inner in value.values():
            yield from _values(inner, field)
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner, field)


@pytest.mark.parametrize("kind", ["results", "soak", "parity", "pytest_json", "release_gate", "shadow_diff"])
def test_a_key_that_stands_twice_is_refused(kind: str) -> None:
    data = GOOD[kind][0].strip()[:-1] + b', "once": 1, "once": 2}'
    assert refused(kind, data) == ['evidence: has "once" twice in one object; which of them counts?']


def test_of_very_many_mistakes_the_first_hundred_are_named() -> None:
    source = Source(b"", "evidence", NOW)
    with pytest.raises(ConfigurationError) as error:
        source.reject_if(source.problem("wrong", line=line) for line in range(1, 1001))
    assert len(error.value.problems) == 101
    assert "and more; mend these first" in str(error.value)


def test_mistakes_in_very_many_places_are_told_from_the_first_on_and_soon() -> None:
    broken: list[dict[str, Any]] = [{"id": f"C-{number}"} for number in range(5000)]
    problems = refused("results", text(*both(), *broken))
    assert len(problems) == 101
    assert 'evidence: cases[2] (C-0).run: "run" is missing; it must be given' in problems
    assert refused("results", text(*[{}] * 200_000)) == ["evidence: has more than 200000 objects; split it"]
