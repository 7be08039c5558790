"""What a result says, as it is told: without the values that the rule file passes to the command that made it.

The result is read as it is, and its figures are on record as they are; all that is text is gone over here, after reading. Must not live here: where a
value stands in a text (`transitions.hiding`), what is told of a result (`judge.figures`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from rollback_daemon.errors import ConfigurationError
from rollback_daemon.judge.figures import Reading

Hide = Callable[[str], str]


def reading(read: Reading, hide: Hide) -> Reading:
    """The same figures, and nothing hidden in facts, exclusions, notes and checks that failed."""
    failed = dict(_apart((hide(name), hide(said)) for name, said in read.failed.items()))
    return replace(read, told=_within(read.told, hide), failed=failed)


def mistakes(error: ConfigurationError, hide: Hide) -> list[str]:
    """What was wrong, and where, as sentences. The file's name is ours."""
    return [str(replace(one, path=hide(one.path), text=hide(one.text))) for one in error.problems]


def _within(value: Any, hide: Hide) -> Any:
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        return dict(_apart((hide(str(key)), _within(one, hide)) for key, one in value.items()))
    return [_within(one, hide) for one in value] if isinstance(value, (list, tuple)) else value


def _apart(items: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, Any]]:
    """Names that differed only by what is hidden are told apart by a number: none of them may be lost."""
    taken: set[str] = set()
    for name, value in items:
        free, number = name, 1
        while free in taken:
            number += 1
            free = f"{name} ({number})"
        taken.add(free)
        yield free, value
