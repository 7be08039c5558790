"""A JSON-lines file, as observability writes it: one object in each line; a field of it, over a window of time, becomes one number.

A last line without its end is one that is being written, and no mistake. NaN is no data. Must not live here: what one line says (`lines`), what many
samples become (`samples`), following a file.
"""

import json

from rollback_daemon.errors import Problem
from rollback_daemon.evidence.kind import ENOUGH, NOT_YET, Figure, Kind, Result, Source, known
from rollback_daemon.evidence.lines import Settings, measured, object_of, said, when
from rollback_daemon.evidence.reading import bounded, since_epoch, strict_json
from rollback_daemon.evidence.samples import Samples


def _is_half(last: str) -> bool:
    """Whether the last line, which has no end, is no whole object yet."""
    try:
        return not isinstance(strict_json(last), dict) if last.strip() else False
    except ValueError:
        return True


def read(source: Source, settings: Settings) -> Result:
    """The aggregate over the window; the time is that of its newest sample."""
    samples, problems = Samples(), list[Problem]()
    try:
        text = bounded(source).data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        source.refuse(f"is not UTF-8 at byte {error.start}; is it compressed?")
    lines = text.split("\n")
    half = _is_half(lines[-1])
    since, count = (source.now - settings.window).timestamp(), 0
    for number, line in enumerate(lines[:-1] if half else lines, 1):
        if not line.strip():
            continue
        if len(problems) > ENOUGH:
            break
        count += 1
        try:
            _take(line, settings, samples, since)
        except ValueError as error:
            column = error.colno if isinstance(error, json.JSONDecodeError) else 0
            problems.append(source.problem(said(error), "", number, column))
    newest = samples.newest()
    made_at = None if newest is None else since_epoch(newest)
    if made_at and source.in_future(made_at):
        told = f"{made_at.isoformat()} at {settings.time} {NOT_YET}"
        problems.append(source.problem(told))
    source.reject_if(problems)
    notes = ("the last line is not written to its end; it is left for the next look",) if half else ()
    figures = known(value=samples.aggregated(settings.aggregate, since), samples=samples.count(since), lines=count)
    return Result(figures, source.digest, made_at, {"aggregate": settings.aggregate.value}, notes=notes)


def _take(line: str, settings: Settings, samples: Samples, since: float) -> None:
    """One line. Raises ValueError saying what is wrong with it."""
    value = object_of(line)
    number = measured(value, settings)
    if number is not None and (time := when(value, settings.time)) > since:
        samples.add(time, number)


FIGURES = {
    "value": Figure("", "the aggregate of the field over the window; not there where there is no sample, except that nothing counted is 0"),
    "samples": Figure("count", "lines in the window that have the field and are as `where` says"),
    "lines": Figure("count", "lines in the file"),
}
KIND = Kind("a JSON-lines file: a field, an aggregate, a window", FIGURES, read, Settings, alike=True)
