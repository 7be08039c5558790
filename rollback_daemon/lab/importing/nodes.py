"""A value in a file together with its place, and walking down from it.

Lives here: looking into documents whose form nobody has promised. Must not live here: what any key means.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rollback_daemon.documents import Document, Trail
from rollback_daemon.errors import Problem


@dataclass(frozen=True, slots=True)
class Node:
    """The value that `trail` leads to in a document; `wrong` is told of values that are not what they must be."""

    document: Document
    wrong: Callable[[Problem], None]
    trail: Trail = ()
    value: Any = None

    def at(self, *steps: str | int) -> "Node":
        """What is below, with the value None where nothing is. Something that should have been a mapping, and is none, is told as wrong."""
        node = self
        for step in steps:
            node = node._child(step)
        return node

    def _child(self, step: str | int) -> "Node":
        inside = self.value
        below: Any = None
        if isinstance(inside, dict):
            below = inside.get(step)
        elif isinstance(inside, list) and isinstance(step, int):
            below = inside[step] if step < len(inside) else None
        elif inside is not None:
            self.wrong(self.problem("must be a mapping of keys to values"))
        return Node(self.document, self.wrong, (*self.trail, step), below)

    def entries(self) -> Iterator["Node"]:
        """The entries of a list; nothing where nothing is. Anything else is told as wrong, and so is an entry that is no mapping."""
        if not isinstance(self.value, list):
            if self.value is not None:
                self.wrong(self.problem("must be a list"))
            return
        for index in range(len(self.value)):
            entry = self.at(index)
            if isinstance(entry.value, dict):
                yield entry
            else:
                self.wrong(entry.problem("must be a mapping of keys to values"))

    def items(self) -> Iterator[tuple[str, "Node"]]:
        """The keys of a mapping with what is below; nothing where nothing is. Anything else is told as wrong."""
        if isinstance(self.value, dict):
            for key in self.value:
                yield key, self.at(key)
        elif self.value is not None:
            self.wrong(self.problem("must be a mapping of keys to values"))

    @property
    def text(self) -> str:
        """A single value as text; empty where there is none, or several."""
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        if isinstance(self.value, float):
            return f"{self.value:.15g}"
        return "" if self.value is None or isinstance(self.value, (dict, list)) else str(self.value)

    def problem(self, text: str, *, key: bool = False) -> Problem:
        """Something to be said of this place (or of its key)."""
        return self.document.problem(self.trail, text, key=key)
