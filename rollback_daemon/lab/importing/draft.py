"""What an import gathers: signals, triggers, and a note for everything that was not carried over or means something else here.

Lives here: names, notes, counts. Must not live here: any format, how the result is written (`writing`).
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

from rollback_daemon.durations import format_duration
from rollback_daemon.errors import Problem
from rollback_daemon.lab.importing.nodes import Node
from rollback_daemon.rules import promql
from rollback_daemon.rules.load import DEFAULT_INTERVAL

_MOST_LINES = 10
_UNUSABLE = re.compile(r"[^A-Za-z0-9_.-]+")


class NoteKind(StrEnum):
    """What a note is about."""

    LEFT_OUT = "left out"
    DIFFERS = "differs"
    WHOLE = "judged whole"
    RENAMED = "renamed"
    STAYS = "stays where it is"


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a person should know of what was imported, at its place."""

    kind: NoteKind
    problem: Problem


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the person asked for: the action of every trigger, and values for the arguments of templates."""

    action: str = "alert"
    arguments: Mapping[str, str] = field(default_factory=dict)


class LeftOut(ValueError):
    """Something that cannot be carried over: why, what to do, and the place that says so."""

    def __init__(self, node: Node, text: str) -> None:
        super().__init__(text)
        self.node = node


@dataclass(slots=True)
class Draft:
    """What has been gathered so far. `origins` says where each trigger comes from."""

    wanted: Wanted = field(default_factory=Wanted)
    signals: dict[str, dict[str, Any]] = field(default_factory=dict)
    triggers: list[dict[str, Any]] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    total: int = 0
    carried: int = 0
    recording: int = 0
    _said: dict[tuple[NoteKind, str, str], list[Problem]] = field(default_factory=dict)
    _intervals: list[tuple[Node, timedelta]] = field(default_factory=list)
    _looked_at_every: list[tuple[Node, timedelta]] = field(default_factory=list)

    def note(self, kind: NoteKind, node: Node, text: str, *, key: bool = False) -> None:
        """Say something at a place."""
        self.notes.append(Note(kind, node.problem(text, key=key)))

    def once(self, kind: NoteKind, node: Node, text: str) -> None:
        """Say something that is true of much in a file once, at the first place, with the lines of the others."""
        places = self._said.setdefault((kind, node.document.file, text), [])
        places.append(node.problem(text))

    def leave_out(self, node: Node, text: str) -> None:
        """Say why something is not carried over, and what to do."""
        self.note(NoteKind.LEFT_OUT, node, f"left out: {text}")

    @contextmanager
    def one(self) -> Iterator[None]:
        """One thing that is carried over, or left out with a note."""
        self.total += 1
        try:
            yield
        except LeftOut as why:
            self.leave_out(why.node, str(why))

    def signal(self, node: Node, name: str, **keys: Any) -> str:
        """Add a signal; its name as it is used here."""
        name = self._name(node, name, self.signals, "signal")
        self.signals[name] = {key: value for key, value in keys.items() if value is not None}
        return name

    def trigger(self, node: Node, name: str, origin: Node, **keys: Any) -> None:
        """Add a trigger. `node` is where its name stands, `origin` where it begins; a key that is None is left out, as is an empty mapping."""
        name = self._name(node, name, {one["alert"] for one in self.triggers}, "trigger")
        told = {"alert": name, **{key.rstrip("_"): value for key, value in keys.items() if value not in (None, {})}}
        self.triggers.append({"alert": name, **{key: told[key] for key in told if key != "alert"}, "action": keys.get("action", self.wanted.action)})
        place = origin.problem("")
        self.origins.append(f"{place.file}:{place.line}")
        self.carried += 1

    def _name(self, node: Node, name: str, taken: Any, what: str) -> str:
        usable = _UNUSABLE.sub("_", name).strip("_")
        usable = usable if usable.strip("._-") else f"{what}_{usable}".rstrip("_")
        free, number = usable, 1
        while free in taken:
            number += 1
            free = f"{usable}_{number}"
        if free != name:
            why = "a name has letters, digits, _ . and - only" if usable != name else f"each {what} has a name of its own here"
            self.note(NoteKind.RENAMED, node, f'"{name}" is called {free} here: {why}')
        return free

    def evaluated_every(self, node: Node, interval: timedelta | None) -> None:
        """A group of rules with triggers in it is evaluated so often; None: as its server does by default."""
        self._intervals.append((node, interval or timedelta()))

    def looked_at_every(self, node: Node, interval: timedelta) -> None:
        """A trigger counts so often, which cannot be more often than there are evaluations."""
        self._looked_at_every.append((node, interval))

    def settle(self, *, whole: bool) -> timedelta | None:
        """At the end: the interval of the rule file, None for the usual one; says where that differs, and puts the notes in order.

        `whole`: there is a file to write it into.
        """
        asked = {interval for _, interval in self._intervals}
        common = next(iter(asked)) if len(asked) == 1 and whole else timedelta()
        chosen = min([common or DEFAULT_INTERVAL, *(interval for _, interval in self._looked_at_every)])
        for node, interval in self._looked_at_every:
            if interval < DEFAULT_INTERVAL and not whole:
                self.note(NoteKind.DIFFERS, node, f"asks for interval: {format_duration(interval)}, or less, in the rule file that it is pasted into")
        for node, interval in self._intervals:
            if interval and interval != chosen:
                text = f"is evaluated every {format_duration(interval)} there; a rollout has one interval for all, here {format_duration(chosen)}"
                self.note(NoteKind.DIFFERS, node, text)
        self.notes += [Note(kind, _with_lines(places)) for (kind, _, _), places in self._said.items()]
        self._said.clear()
        self.notes.sort(key=lambda note: note.problem)
        return chosen if chosen != DEFAULT_INTERVAL or common else None


def _with_lines(places: list[Problem]) -> Problem:
    """The first place, with the lines of the others."""
    first = min(places)
    lines = sorted({place.line for place in places} - {first.line})
    if not lines:
        return first
    more = f" and {len(lines) - _MOST_LINES} more" if len(lines) > _MOST_LINES else ""
    shown = ", ".join(map(str, lines[:_MOST_LINES]))
    return replace(first, text=f"{first.text}; the same in line{'s' if len(lines) > 1 else ''} {shown}{more}")


def unusable(expr: str) -> str:
    """Why an expression cannot be asked, with the remedy; empty where it can."""
    if "{{" in expr or "}}" in expr:
        return "the expression has a template in it (Helm, Jsonnet); render the file first, and import what comes out"
    try:
        promql.require_vector(expr)
    except promql.PromQLError as error:
        return f"the expression {error}"
    return ""


def plain(value: float) -> float | int:
    """A figure as a person writes it: 5, not 5.0."""
    return int(value) if value == int(value) and abs(value) < 1e15 else value
