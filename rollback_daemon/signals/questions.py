"""Which questions one cycle asks: every distinct query or endpoint once, whoever needs its answer."""

from collections.abc import Iterable, Iterator


def distinct(askers: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """The queries of all askers without repeats, in the order in which they first come."""

    def every() -> Iterator[str]:
        for queries in askers:
            yield from queries

    return tuple(dict.fromkeys(every()))


def is_endpoint(question: str) -> bool:
    """Whether a question is an address and no query: no PromQL begins like one."""
    return question.startswith(("http://", "https://"))
