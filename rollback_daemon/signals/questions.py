"""Which questions one cycle asks: every distinct one once, whoever needs its answer; and of which sort each is.

There are three: queries, which have a history, and endpoints and figures of followed files, which can only be asked now. Must not live here: asking.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rollback_daemon.signals.observation import address

_FOLLOWED = "followed file "  # two words side by side: no PromQL begins so


@dataclass(frozen=True, slots=True)
class FollowedFigure:
    """The question for a figure of a file that is followed: `settings` as the kind of evidence has them, written; `max_age` in seconds."""

    path: str
    figure: str
    max_age: float
    settings: Mapping[str, Any]

    def question(self) -> str:
        """As a text that says all of it, so that the same figure is asked for once, whoever needs it."""
        return _FOLLOWED + json.dumps([self.path, self.figure, self.max_age, self.settings], sort_keys=True, ensure_ascii=False)

    @classmethod
    def of(cls, question: str) -> "FollowedFigure":
        """The question again."""
        path, figure, max_age, settings = json.loads(question.removeprefix(_FOLLOWED))
        return cls(path, figure, max_age, settings)


def distinct(askers: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """The questions of all askers without repeats, in the order in which they first come."""

    def every() -> Iterator[str]:
        for queries in askers:
            yield from queries

    return tuple(dict.fromkeys(every()))


def is_endpoint(question: str) -> bool:
    """Whether a question is an address and no query: no PromQL begins like one."""
    return question.startswith(("http://", "https://"))


def is_followed(question: str) -> bool:
    """Whether a question is for a figure of a followed file."""
    return question.startswith(_FOLLOWED)


def is_query(question: str) -> bool:
    """Whether a question is for Prometheus."""
    return not is_endpoint(question) and not is_followed(question)


def in_words(question: str) -> str:
    """A question as it may be shown."""
    if is_followed(question):
        one = FollowedFigure.of(question)
        settings = ", ".join(f"{name} {_plain(value)}" for name, value in one.settings.items())
        return f"{one.figure} of the followed file {one.path}: {settings}"
    return address(question) if is_endpoint(question) else question


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
