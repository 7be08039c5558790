"""A JSON-lines file, as observability writes it: one object in each line; a field of it, over a window of time, becomes one number.

`Window` takes lines one by one and keeps only what lies in the window, so that whoever follows a growing file can use it, too. A last line without
its end is one that is being written, and no mistake. NaN is no data. Must not live here: following a file.
"""

import json
import math
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from rollback_daemon.errors import Problem
from rollback_daemon.evidence.kind import ENOUGH, NOT_YET, Figure, Kind, Result, Source, known
from rollback_daemon.evidence.reading import bounded, instant, since_epoch, strict_json
from rollback_daemon.schema import Duration, Part

_ESCAPE = re.compile(r"~[01]")
_NOTHING = object()


class Aggregate(StrEnum):
    """What many values become one by."""

    LAST = "last"
    COUNT = "count"
    SUM = "sum"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    P50 = "p50"
    P95 = "p95"
    P99 = "p99"


def _rank(percent: int) -> Callable[[Sequence[float]], float]:
    """By the nearest rank, as the release gate does it."""
    return lambda values: sorted(values)[-(-percent * len(values) // 100) - 1]


_OF_MANY: dict[Aggregate, Callable[[Sequence[float]], float]] = {
    Aggregate.LAST: lambda values: values[-1],
    Aggregate.SUM: math.fsum,
    Aggregate.MEAN: lambda values: math.fsum(values) / len(values),
    Aggregate.MIN: min,
    Aggregate.MAX: max,
    Aggregate.P50: _rank(50),
    Aggregate.P95: _rank(95),
    Aggregate.P99: _rank(99),
}


def _pointer(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError(f'"{text}" is no JSON pointer; write "/{text}", and a slash before each further level')
    return text


Pointer = Annotated[str, AfterValidator(_pointer), Field(min_length=2)]


class Settings(Part):
    """What is taken of each line: the value at `field`, if what stands at the pointers of `where` is as it says there.

    `time` leads to when it was: RFC 3339, or Unix seconds. `window` is how far back lines count.
    """

    field: Pointer
    aggregate: Aggregate = Field(default=Aggregate.LAST, strict=False)
    window: Duration = Field(default=timedelta(minutes=5), gt=timedelta())
    time: Pointer = "/timestamp"
    where: dict[Pointer, str | int | float | bool] = {}


@dataclass(frozen=True, slots=True)
class Sample:
    """The value of one line, and when it was."""

    at: datetime
    value: float


class Window:
    """The samples of a window that ends now. What leaves it is forgotten."""

    def __init__(self, settings: Settings, now: datetime) -> None:
        self._settings = settings
        self._now = now
        self._samples: deque[Sample] = deque()
        self.lines = 0

    def take(self, line: str) -> None:
        """One line. Raises ValueError saying what is wrong with it."""
        self.lines += 1
        value = strict_json(line)
        if not isinstance(value, dict):
            raise ValueError("must be an object, like {" + '"timestamp": "2026-11-20T03:12:00Z", ...}')
        found = at(value, self._settings.field)
        if found is _NOTHING or found is None or not all(_same(at(value, where), wanted) for where, wanted in self._settings.where.items()):
            return
        number = self._number(found)
        when = self._when(at(value, self._settings.time))
        if math.isfinite(number) and when > self._now - self._settings.window:
            self._samples.append(Sample(when, number))

    def _number(self, found: Any) -> float:
        if self._settings.aggregate is Aggregate.COUNT:
            return 1.0
        if isinstance(found, (int, float)):
            return float(found)
        raise ValueError(f"has no number at {self._settings.field}; only the aggregate count takes anything")

    def _when(self, found: Any) -> datetime:
        if isinstance(found, (int, float)) and not isinstance(found, bool) and math.isfinite(found):
            return since_epoch(found)
        if found is _NOTHING:
            raise ValueError(f'has no time at {self._settings.time}; "time" says where it is')
        return instant(found)

    def samples(self) -> list[Sample]:
        """Those in the window, the oldest first."""
        return sorted(self._samples, key=lambda one: one.at)

    def value(self) -> float | None:
        """The aggregate; None where there is nothing to aggregate. Nothing counted is 0."""
        values = [one.value for one in self.samples()]
        if self._settings.aggregate is Aggregate.COUNT:
            return float(len(values))
        return _OF_MANY[self._settings.aggregate](values) if values else None


def at(value: Any, pointer: str) -> Any:
    """What a JSON pointer (RFC 6901) leads to; `_NOTHING` where it leads nowhere."""
    for step in pointer[1:].split("/"):
        key = _ESCAPE.sub(lambda found: "~" if found[0] == "~0" else "/", step)
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return _NOTHING
    return value


def _same(found: Any, wanted: str | float) -> bool:
    """JSON's idea of equal: true is not 1."""
    return isinstance(found, bool) is isinstance(wanted, bool) and bool(found == wanted)


def _is_half(last: str) -> bool:
    """Whether the last line, which has no end, is no whole object yet."""
    try:
        return not isinstance(strict_json(last), dict) if last.strip() else False
    except ValueError:
        return True


def read(source: Source, settings: Settings) -> Result:
    """The aggregate over the window; the time is that of its newest sample."""
    window, problems = Window(settings, source.now), list[Problem]()
    try:
        text = bounded(source).data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        source.refuse(f"is not UTF-8 at byte {error.start}; is it compressed?")
    lines = text.split("\n")
    half = _is_half(lines[-1])
    for number, line in enumerate(lines[:-1] if half else lines, 1):
        if not line.strip():
            continue
        if len(problems) > ENOUGH:
            break
        try:
            window.take(line)
        except json.JSONDecodeError as error:
            problems.append(source.problem(f"is no JSON: {error.msg.lower()}", "", number, error.colno))
        except ValueError as error:
            problems.append(source.problem(str(error), "", number))
    samples = window.samples()
    if samples and source.in_future(samples[-1].at):
        told = f"{samples[-1].at.isoformat()} at {settings.time} {NOT_YET}"
        problems.append(source.problem(told))
    source.reject_if(problems)
    notes = ("the last line is not written to its end; it is left for the next look",) if half else ()
    value = window.value()
    figures = known(value=value, samples=len(samples), lines=window.lines)
    return Result(figures, source.digest, samples[-1].at if samples else None, {"aggregate": settings.aggregate.value}, notes=notes)


FIGURES = {
    "value": Figure("", "the aggregate of the field over the window; not there where there is no sample, except that nothing counted is 0"),
    "samples": Figure("count", "lines in the window that have the field and are as `where` says"),
    "lines": Figure("count", "lines in the file"),
}
KIND = Kind("a JSON-lines file: a field, an aggregate, a window", FIGURES, read, Settings)
