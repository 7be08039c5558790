"""When a trigger fired, as spells: from the first of its series that fires to the last that does, and how two lists of them are laid together.

Works on the document (`report`). Must not live here: what a match means (`compare`, `labels`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar


class Span(Protocol):
    """Something with two ends."""

    @property
    def begun(self) -> datetime: ...

    @property
    def end(self) -> datetime: ...


A = TypeVar("A", bound=Span)
B = TypeVar("B", bound=Span)


@dataclass(frozen=True, slots=True)
class Spell:
    """A trigger fired from `fired` to `end`; it was pending since `begun`. `open`: it fired still when the history ended."""

    begun: datetime
    fired: datetime
    end: datetime
    open: bool = False


def spells(trigger: Mapping[str, Any], last: datetime) -> list[Spell]:
    """Those of a trigger of the document, oldest first; `last` is the end of the history. Series that fire at the same time are one spell."""
    found: list[Spell] = []
    for one in sorted(trigger["fires"], key=lambda fire: str(fire["fired"])):
        begun, fired = datetime.fromisoformat(one["pending"]), datetime.fromisoformat(one["fired"])
        end = datetime.fromisoformat(one["resolved"]) if one["resolved"] else last
        is_open = not one["resolved"]
        if found and fired <= found[-1].end:
            before = found[-1]
            found[-1] = Spell(min(before.begun, begun), before.fired, max(before.end, end), before.open or is_open)
        else:
            found.append(Spell(begun, fired, end, is_open))
    return found


def pairs(ours: Sequence[A], theirs: Sequence[B]) -> Iterator[tuple[A | None, B | None]]:
    """Both lists in the order of time, those that overlap beside each other; each at most once."""
    mine, other = list(ours), list(theirs)
    while mine and other:
        if mine[0].begun <= other[0].end and other[0].begun <= mine[0].end:
            yield mine.pop(0), other.pop(0)
        elif mine[0].end < other[0].begun:
            yield mine.pop(0), None
        else:
            yield None, other.pop(0)
    yield from ((one, None) for one in mine)
    yield from ((None, one) for one in other)
