"""Giving an array in brackets other elements, and leaving it the look that it has.

Lives here: which characters of the old array the new one keeps. Must not live here: a grammar; where the array and its elements stand
is told by the format that has read them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rollback_daemon.flags.store import Scalar


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its value, and the characters from `start` up to `end` that it stands in."""

    value: Scalar
    start: int
    end: int


def relaid(text: str, start: int, end: int, old: Sequence[Element], new: Sequence[Scalar], render: Callable[[Scalar], str], comma: str) -> str:
    """What to write in the place of the array from `start` up to `end` of `text`, brackets included, so that it holds `new`.

    Elements that stay keep their characters, and what stands between the first two of the `old` ones stands between all: an array in
    one line stays in one, one with a line for each element keeps that. `comma` is for arrays that do not show what they want.
    """
    if not old or not new:
        return f"[{comma.join(map(render, new))}]"
    lead, tail = text[start + 1 : old[0].start], text[old[-1].end : end]
    if len(old) > 1:
        comma = text[old[0].end : old[1].start]
    elif "\n" in lead:
        comma = "," + lead
    written = {identity(element.value): text[element.start : element.end] for element in old}
    return "[" + lead + comma.join(written.get(identity(value)) or render(value) for value in new) + tail


def identity(value: Scalar) -> tuple[type, str]:
    """What tells two scalars apart, types included."""
    return type(value), repr(value)  # 1, 1.0 and true are equal, and so are 0.0 and -0.0
