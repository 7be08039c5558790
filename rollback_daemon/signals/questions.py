"""Which questions one cycle asks: every distinct query once, whoever needs its answer."""

from collections.abc import Iterable, Iterator


def distinct(askers: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """The queries of all askers without repeats, in the order in which they first come."""

    def every() -> Iterator[str]:
        for queries in askers:
            yield from queries

    return tuple(dict.fromkeys(every()))
