"""A signal over time as a small picture: its values, its limits, and where nothing could be seen. SVG made here, coloured by the page's style.

Lives here: drawing. Must not live here: which values (`faces.trails`), words around it.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

WIDTH, HEIGHT = 320, 64
_EDGE = 5  # above and below, so that a line at the limit is seen whole
_LARGEST = sys.float_info.max
_FAR = 40.0  # times the span of the values: a limit further off is not drawn, or the values would be a flat line


@dataclass(frozen=True, slots=True)
class Sparkline:
    """The picture, and whether its limits are in it (`far`: they are too far off to be drawn)."""

    svg: str
    far: bool


def sparkline(times: Sequence[float], values: Sequence[float], limits: Sequence[float]) -> Sparkline | None:
    """None where there is nothing to be drawn yet. `times` rise."""
    known = [value for value in values if math.isfinite(value)]
    if not known or len(times) < 2:
        return None
    near = [limit for limit in dict.fromkeys(limits) if _is_near(limit, known)]
    low, high = _span([*known, *near])

    def x(at: float) -> float:
        return round((at - times[0]) / (times[-1] - times[0]) * WIDTH, 1)

    def y(value: float) -> float:
        share = (value / 2 - low / 2) / (high / 2 - low / 2)  # halves: the difference of two figures may be larger than a figure can be
        return round(HEIGHT - _EDGE - share * (HEIGHT - 2 * _EDGE), 1)

    parts = [f'<path class="limit" d="M0 {y(limit)}H{WIDTH}"/>' for limit in near]
    for run in _runs(times, values):
        drawn = "L".join(f"{x(at)} {y(value)}" for at, value in run)
        parts.append(f'<path class="value" d="M{drawn}{"h0.1" if len(run) == 1 else ""}"/>')
    for begin, end in _gaps(times, values):
        wide = max(1.0, round(x(end) - x(begin), 1))
        parts.append(f'<rect class="gap" x="{x(begin)}" y="0" width="{wide}" height="{HEIGHT}"/>')
    picture = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true" focusable="false">{"".join(parts)}</svg>'
    return Sparkline(picture, far=len(near) < len(set(limits)))


def _span(figures: Sequence[float]) -> tuple[float, float]:
    """From the lowest to the highest; some room around them where they are all the same."""
    low, high = min(figures), max(figures)
    largest = max(abs(low), abs(high))
    if high / 2 - low / 2 > largest * 1e-9 and largest > 1e-300:
        return low, high
    room = max(largest / 2, 1e-9)
    return max(low - room, -_LARGEST), min(high + room, _LARGEST)


def _is_near(limit: float, known: Sequence[float]) -> bool:
    low, high = min(known), max(known)
    span = max(high - low, abs(high) / 2, abs(low) / 2)
    return span == 0 or low - _FAR * span <= limit <= high + _FAR * span


def _runs(times: Sequence[float], values: Sequence[float]) -> Iterator[list[tuple[float, float]]]:
    """The stretches in which it was seen; where it is infinite it is not drawn."""
    run: list[tuple[float, float]] = []
    for at, value in zip(times, values, strict=True):
        if math.isfinite(value):
            run.append((at, value))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _gaps(times: Sequence[float], values: Sequence[float]) -> Iterator[tuple[float, float]]:
    """The stretches in which it was not seen, from the last time that it was."""
    begin: float | None = None
    for (at, _), (later, following) in pairwise(zip(times, values, strict=True)):
        if math.isnan(following) and begin is None:
            begin = at
        if not math.isnan(following) and begin is not None:
            yield begin, later
            begin = None
    if begin is not None:
        yield begin, times[-1]
