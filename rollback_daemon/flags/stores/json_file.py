"""Flags in a JSON file: top-level keys, or places named by a JSON Pointer.

Lives here: finding the characters of one value, or of a list of them, with the json module's own decoder, and splicing it.
Must not live here: files, dumping a whole document.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from rollback_daemon.flags.array_layout import Element, relaid
from rollback_daemon.flags.store import FlagValue, same
from rollback_daemon.flags.text_format import (
    FormatError,
    Span,
    Splice,
    Tokens,
    added_members,
    check_tree,
    line_of,
    name_of,
    spliced,
    targets,
    tokens,
)

_SPACE = re.compile(r"[ \t\r\n]*")
_decoder = json.JSONDecoder()


def check(key: str, value: FlagValue) -> str | None:
    """See `Format.check`."""
    return check_tree(key, value)


def values(text: str, keys: Collection[str]) -> dict[str, FlagValue]:
    """See `Format.values`. Of a key that stands there twice, the later counts."""
    document = _Document(text)
    found = {key: document.find(tokens(key)) for key in keys}
    return {key: document.value(tokens(key), span) for key, span in found.items() if span}


def edit(text: str, changes: Mapping[str, FlagValue]) -> str:
    """See `Format.edit`. A missing key is added to the object that it belongs to, which must be there."""
    document = _Document(text)
    splices: list[Splice] = []
    added: dict[int, list[tuple[str, str]]] = {}
    for way, value in targets(changes).items():
        span = document.find(way)
        if span is None:
            added.setdefault(document.parent(way), []).append((document.dumped(way[-1]), document.dumped(value)))
        elif not same(document.value(way, span), value):
            splices.append(Splice(span.start, span.end, document.replacement(span, value)))
    for start, items in added.items():
        splices.append(added_members(text, start, [member.span for member in document.members(start)], items))
    return spliced(text, splices)


@dataclass(frozen=True, slots=True)
class _Member:
    key: str
    span: Span


class _Document:
    """A text that is valid JSON, and where the members of its objects and arrays stand; each is scanned once, when it
    is asked for.
    """

    def __init__(self, text: str) -> None:
        _validate(text)
        self._text = text
        self._root = _skip(text, 0)
        self._scanned: dict[int, list[_Member]] = {}

    def members(self, start: int) -> list[_Member]:
        """The members of the object or array that begins at `start`; none for any other value."""
        if start not in self._scanned:
            self._scanned[start] = _scan(self._text, start) if self._text[start] in "{[" else []
        return self._scanned[start]

    def find(self, way: Tokens) -> Span | None:
        """Where the member at the end of `way` stands, if it does."""
        start, span = self._root, None
        for token in way:
            span = next((member.span for member in reversed(self.members(start)) if member.key == token), None)
            if span is None:
                return None
            start = span.start
        return span

    def parent(self, way: Tokens) -> int:
        """Where the object begins that a missing member is to be added to."""
        span = self.find(way[:-1])
        if len(way) > 1 and span is None:
            raise FormatError(f'"{name_of(way)}" has no parent: add an object "{name_of(way[:-1])}" first')
        start = span.start if span else self._root
        if self._text[start] != "{":
            raise FormatError(f'"{name_of(way)}" cannot be added: its parent is no object', line_of(self._text, start))
        return start

    def value(self, way: Tokens, span: Span) -> FlagValue:
        """The single value, or the list of single values, that stands at `span`."""
        value = _decoder.raw_decode(self._text, span.start)[0]
        kind = "an object, not a single value" if isinstance(value, dict) else None
        if isinstance(value, list) and any(isinstance(element, dict | list) for element in value):
            kind = "an array of more than single values"
        if kind:
            raise FormatError(f'"{name_of(way)}" holds {kind}: name a value inside it', line_of(self._text, span.start))
        return tuple(value) if isinstance(value, list) else value

    def dumped(self, value: FlagValue) -> str:
        """`value` in one line, in the characters that the text has."""
        return json.dumps(value, ensure_ascii=self._text.isascii())

    def replacement(self, span: Span, value: FlagValue) -> str:
        """What to write in the place of the value at `span`."""
        if not isinstance(value, list | tuple):
            return self.dumped(value)
        comma = "," if self._text[span.key_end : span.start] == ":" else ", "
        old = [Element(_decoder.raw_decode(self._text, one.start)[0], one.start, one.end) for one in self._elements(span.start)]
        return relaid(self._text, span.start, span.end, old, value, self.dumped, comma)

    def _elements(self, start: int) -> list[Span]:
        return [member.span for member in self.members(start)] if self._text[start] == "[" else []


def _validate(text: str) -> None:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise FormatError(f"this is not valid JSON (column {error.colno}): mend it by hand", error.lineno) from None
    except (RecursionError, ValueError):  # nested too deeply; an integer of too many digits
        raise FormatError("this JSON is beyond what can be read: mend it by hand") from None


def _skip(text: str, index: int) -> int:
    match = _SPACE.match(text, index)
    return match.end() if match else index


def _scan(text: str, opening: int) -> list[_Member]:
    """The members of an object, or of an array under their indices, in a text known to be valid."""
    found: list[_Member] = []
    index = _skip(text, opening + 1)
    while text[index] not in "]}":
        key, key_start, key_end = str(len(found)), index, index
        if text[opening] == "{":
            key, key_end = _decoder.raw_decode(text, index)
            index = _skip(text, _skip(text, key_end) + 1)
        end = _decoder.raw_decode(text, index)[1]
        found.append(_Member(key, Span(key_start, key_end, index, end)))
        index = _skip(text, end)
        index = _skip(text, index + 1) if text[index] == "," else index
    return found
