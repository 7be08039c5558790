"""What the loader knows of a kind of trigger: how it is written, and how the kind is made of that.

A kind is one file in `triggers/`: a frozen dataclass that is a `reading.TriggerKind` (pure), the form of what stands under the kind's own key (a
pydantic part), and a function from the one to the other. Lives here: what such a file is given, and what it hands to the registry. Must not live
here: any one kind, the keys that all triggers have (`schema`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rollback_daemon.documents import Step
from rollback_daemon.rules.conditions import Notes
from rollback_daemon.rules.measures import Signal
from rollback_daemon.rules.model import Gate
from rollback_daemon.rules.reading import TriggerKind

Where = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """What stands around a kind's own part in the rule file.

    `trail` leads to the trigger, `at` to what stands under the kind's key. `stages` are those that the trigger names. `interval` is None where the
    file's own could not be read, `lost` has the top-level keys that are not as written: of what only follows from them nothing is to be said.
    """

    alert: str
    severity: str
    trail: Where
    at: Where
    signals: Mapping[str, Signal]
    gates: Sequence[Gate]
    stages: Sequence[str]
    interval: timedelta | None
    lost: frozenset[str]
    notes: Notes

    def say(self, where: Sequence[Step], text: str) -> None:
        """Note what is wrong at a place below the kind's key; an empty one is the key's whole value."""
        self.notes.say((*self.at, *where), text)


def _in_short(test: Any) -> str:
    return f"{test.subject} {test.limit}".rstrip()


def _nothing(_test: Any) -> Iterator[tuple[Where, str]]:
    return iter(())


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind as the registry has it.

    `form`: the type of what stands under the kind's key, as a field of a pydantic part has it; None for the kind without a key. `build` makes the
    kind of that; what is wrong it notes, and makes what it can. `describe` says in a line of `check` what is a breach; `advise` what was most likely
    meant otherwise, each with its place below the kind's key.
    """

    test: type[TriggerKind]
    form: Any = None
    build: Callable[[Any, Setting], TriggerKind] | None = None
    describe: Callable[[Any], str] = _in_short
    advise: Callable[[Any], Iterator[tuple[Where, str]]] = _nothing
