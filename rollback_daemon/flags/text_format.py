"""What a text format must offer so that a file of it can be a flag store, and the small tools that the formats share.

Lives here: the protocol, its error, JSON Pointers, splicing, the style of an added member. Must not live here: a file,
a path, the grammar of one format. A format is pure: text and flags go in, text and flags come out; it never puts the
text it was given into an error.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rollback_daemon.flags.store import FlagValue, Scalar, same

Tokens = tuple[str, ...]


class FormatError(ValueError):
    """A text that a format will not read or edit. `line` counts from 1; 0 where the error has no line."""

    def __init__(self, text: str, line: int = 0) -> None:
        self.line = line
        super().__init__(text)


class Format(Protocol):
    """One kind of text that holds flags; a module with these three functions is one."""

    def values(self, text: str, keys: Collection[str]) -> dict[str, FlagValue]:
        """The values of those `keys` that `text` has.

        Raises FormatError for a text that is broken, or a key that holds neither a single value nor a list of them.
        """

    def edit(self, text: str, changes: Mapping[str, FlagValue]) -> str:
        """`text` with all of `changes` set and every other character as it was.

        Raises FormatError where that cannot be done.
        """

    def check(self, key: str, value: FlagValue) -> str | None:
        """What is wrong with this key or value in this format, as a sentence for the person who wrote it;

        None if nothing is.
        """


def line_of(text: str, index: int) -> int:
    """The line, from 1, that the character at `index` stands on."""
    return text.count("\n", 0, index) + 1


def newline_of(text: str) -> str:
    """The line ending that the text uses first; a line feed where it has none."""
    end = text.find("\n")
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"


@dataclass(frozen=True, slots=True)
class Splice:
    """Put `new` in the place of the characters from `start` up to `end`."""

    start: int
    end: int
    new: str


def spliced(text: str, splices: Sequence[Splice]) -> str:
    """`text` with every splice made; those at one and the same place follow each other in the order given."""
    parts, position = [], 0
    for splice in sorted(splices, key=lambda splice: (splice.start, splice.end)):
        parts += [text[position : splice.start], splice.new]
        position = splice.end
    return "".join([*parts, text[position:]])


@dataclass(frozen=True, slots=True)
class Span:
    """Where one member stands in the text: its key, and its value."""

    key_start: int
    key_end: int
    start: int
    end: int


def added_members(text: str, opening: int, members: Sequence[Span], items: Sequence[tuple[str, str]], *, colon: str = "") -> Splice:
    """Add `items` (key and value, rendered) behind the last of `members` of the object whose brace is at `opening`,
    written as its members are.

    `colon` is what stands between key and value; left out, it is copied from the last member. Raises FormatError for an
    empty object with a comment in it.
    """
    if not members:
        return _first_members(text, opening, items, colon or ": ")
    last = members[-1]
    colon = colon or text[last.key_end : last.start]
    if len(members) > 1:
        between = text[members[-2].end : last.key_start]
    else:
        before = text[opening + 1 : last.key_start]
        between = "," + before if "\n" in before else "," if colon == ":" else ", "
    between = ", " if between.strip() != "," else between  # a comment stands there: it belongs to its own member
    return Splice(last.end, last.end, "".join(between + key + colon + value for key, value in items))


def _first_members(text: str, opening: int, items: Sequence[tuple[str, str]], colon: str) -> Splice:
    space = text[opening + 1 : text.find("}", opening)]
    if space.strip():
        raise FormatError("a key cannot be added to an empty object with a comment in it: add one by hand", line_of(text, opening))
    _, line_break, indent = space.rpartition("\n")
    lead = f"{newline_of(text)}{indent}  " if line_break else space
    between = "," + lead if line_break else ", "
    members = between.join(key + colon + value for key, value in items)
    return Splice(opening + 1, opening + 1 + len(space), lead + members + space)


def tokens(key: str) -> Tokens:
    """The way from the root to a flag: a plain key is one step, a JSON Pointer (RFC 6901, beginning with `/`) as many
    as it has.
    """
    if not key.startswith("/"):
        return (key,)
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in key[1:].split("/"))


def targets(changes: Mapping[str, FlagValue]) -> dict[Tokens, FlagValue]:
    """The changes by their way from the root.

    Raises FormatError when one place is named in two ways, to be set to two different values, or lies within another.
    """
    found: dict[Tokens, FlagValue] = {}
    for key, value in changes.items():
        way = tokens(key)
        if way in found and not same(found[way], value):
            raise FormatError(f'"{key}" is named in two ways, with two values: name it once')
        found[way] = value
    for way in found:
        around = next((way[:depth] for depth in range(1, len(way)) if way[:depth] in found), None)
        if around:
            raise FormatError(f'"{name_of(way)}" lies within "{name_of(around)}", which is to be set, too: name one of them')
    return found


def name_of(way: Tokens) -> str:
    """The key that leads this way: a plain name, or a JSON Pointer."""
    if len(way) == 1 and not way[0].startswith("/"):
        return way[0]
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in way)


def check_text(text: str, what: str) -> str | None:
    """A sentence if `text` cannot be written as UTF-8."""
    if any("\ud800" <= char <= "\udfff" for char in text):
        return f"the {what} holds half of a surrogate pair, which no file can hold: write the whole character"
    return None


def check_tree(key: str, value: FlagValue) -> str | None:
    """`Format.check` for formats that hold a tree of objects: JSON and YAML."""
    if not key:
        return "a key cannot be empty: name a top-level key, or a JSON Pointer such as /flags/NAME"
    if key.startswith("/") and "~" in key.replace("~0", "").replace("~1", ""):
        return f'"{key}" is no JSON Pointer: in one, "~" is written "~0" and "/" within a name "~1"'
    return check_text(key, "key") or next(filter(None, map(_check_single, singles(value))), None)


def singles(value: FlagValue) -> Sequence[Scalar]:
    """The elements of a list, or a single value as the only one."""
    return value if isinstance(value, list | tuple) else (value,)


def _check_single(value: object) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return "a flag cannot be infinite or not a number: write a finite number"
    if not isinstance(value, Scalar):
        return "a list can hold single values only: text, numbers, true or false"
    return check_text(value, "value") if isinstance(value, str) else None
