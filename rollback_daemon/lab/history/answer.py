"""Whether the answer to a range query is one: series with labels and numbers, at times that were asked for.

A server that answers for other times would be judged at the wrong ones, and one half of a cache file is no answer. Must not live here: what is done
with a good one (`track`), with a bad one (`fetching`, `cache`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rollback_daemon.lab.history.track import Grid
from rollback_daemon.signals.observation import Failed, Failure, labels_of

Result = Sequence[Mapping[str, Any]]
_OTHER_TIMES = "it answers for other times than were asked for; an option that aligns queries with their step must be off"


def checked(result: Any, grid: Grid) -> Result | Failed:
    """The result, if it is one for the times of the grid; else why it is none."""
    try:
        return _read(result, grid)
    except _OtherTimes:
        return Failed(Failure.MALFORMED, _OTHER_TIMES)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        return Failed(Failure.MALFORMED, f"the answer is not what the API promises ({type(error).__name__})")


class _OtherTimes(Exception):
    """Points at times that nobody asked for."""


def _read(result: Any, grid: Grid) -> Result:
    if not isinstance(result, list):
        raise TypeError("the result is no list")
    first, step = round(grid.start.timestamp() * 1000), round(grid.step.total_seconds() * 1000)
    asked = set(range(first, first + grid.count * step, step))
    for one in result:
        labels_of(one["metric"])
        if "values" not in one and "histograms" not in one:
            raise LookupError("neither values nor histograms")
        values = one.get("values", ())
        for _, text in values:
            float(text)
        if not _millis(values) | _millis(one.get("histograms", ())) <= asked:
            raise _OtherTimes
    return result


def _millis(points: Iterable[tuple[Any, Any]]) -> set[int]:
    return {round(float(at) * 1000) for at, _ in points}
