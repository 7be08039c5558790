"""Flags in a dotenv file: `KEY=value` lines, as python-dotenv reads them without interpolation.

Lives here: reading such text, and splicing a value into its own line. Must not live here: files, interpolation, the
environment. A value is written so that python-dotenv reads it back, and, where any quoting allows it, so that `sh`
sourcing the file reads the same.
"""

import io
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from dotenv.parser import Binding, parse_stream

from rollback_daemon.flags.store import FlagValue
from rollback_daemon.flags.text_format import FormatError, Splice, check_text, line_of, newline_of, spliced

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_HEAD = re.compile(r"\s*(?P<export>export[^\S\r\n]+)?(?:'[^']+'|[^=#\s]+)(?P<equals>[^\S\r\n]*=[^\S\r\n]*)?")
_QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_UNQUOTED = re.compile(r"[^\r\n]*?(?=\s+#|[^\S\r\n]*(?:[\r\n]|$))")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")  # neither sh nor python-dotenv sees anything but text in these
# \r, because a reader with universal newlines would change a bare one
_DOUBLE_ESCAPES = {"\\": "\\\\", '"': '\\"', "\r": "\\r"}


def check(key: str, value: FlagValue) -> str | None:
    """See `Format.check`: names as an environment has them, values that are text without NUL."""
    if not _KEY.fullmatch(key):
        return f'"{key}" is no dotenv key: use letters, digits, "_" and ".", and begin with a letter or "_"'
    if isinstance(value, list | tuple):
        return "a dotenv file knows text only, no lists: write it as one text, in the way that its reader takes apart"
    if not isinstance(value, str):
        return "dotenv values are text: quote it"
    if "\0" in value:
        return "a dotenv value cannot hold a NUL character: leave it out"
    return check_text(value, "value")


def values(text: str, keys: Collection[str]) -> dict[str, FlagValue]:
    """See `Format.values`. Of a key that stands there twice, the later counts; a key without `=` is None."""
    found: dict[str, FlagValue] = {
        line.binding.key: line.binding.value for line in _lines(text, keys) if line.binding.key in keys and line.binding.key
    }
    return found


def edit(text: str, changes: Mapping[str, FlagValue]) -> str:
    """See `Format.edit`. Every occurrence of a key is set; a missing key becomes a last line."""
    lines = list(_lines(text, changes))
    splices = [line.setting(_text(changes[line.binding.key])) for line in lines if line.binding.key in changes and line.binding.key]
    missing = [key for key in changes if not any(line.binding.key == key for line in lines)]
    edited = spliced(text, splices) + _appended(text, lines, {key: _text(changes[key]) for key in missing})
    return _proven(lines, edited, changes)


@dataclass(frozen=True, slots=True)
class _Line:
    """A binding and the place in the text at which its original begins."""

    binding: Binding
    start: int

    def setting(self, value: str) -> Splice:
        """What sets this line to `value`; an empty splice where it has it already."""
        original = self.binding.original.string
        head = _HEAD.match(original)
        if head is None:
            raise FormatError(
                f'"{self.binding.key}" stands in a line that cannot be edited safely: rewrite it as KEY=value',
                self.binding.original.line,
            )
        start, end = _value_span(original, head)
        if self.binding.value == value:
            return Splice(self.start + start, self.start + end, original[start:end])
        new = _rendered(value, original[start : start + 1], followed=bool(original[end:].strip()))
        return Splice(self.start + start, self.start + end, new if head["equals"] else "=" + new)


def _value_span(original: str, head: re.Match[str]) -> tuple[int, int]:
    start = head.end()
    if not head["equals"]:
        return start, start
    value = _QUOTED.match(original, start) or _UNQUOTED.match(original, start)
    commented = original[start - 1] != "=" and original[start : start + 1] == "#"
    # empty: a value goes right behind the sign, where sh wants it
    if value is None or start == value.end() or commented:
        start = head.start("equals") + head["equals"].index("=") + 1
        return start, start
    return start, value.end()


def _lines(text: str, keys: Collection[str]) -> Iterator[_Line]:
    bindings = list(parse_stream(io.StringIO(text, newline="")))
    # what the parser drops in front, such as a byte order mark
    start = len(text) - sum(len(binding.original.string) for binding in bindings)
    for binding in bindings:
        if binding.error:
            _refuse_broken(text, start, binding, keys)
        yield _Line(binding, start)
        start += len(binding.original.string)


def _refuse_broken(text: str, start: int, binding: Binding, keys: Collection[str]) -> None:
    """A line that cannot be parsed harms nobody, unless it is about one of our own keys."""
    head = _HEAD.match(binding.original.string)
    key = head and binding.original.string[head.end("export") if head["export"] else 0 : head.end()].strip(" \t\r\n='")
    if key in keys:
        begin = start + len(binding.original.string) - len(binding.original.string.lstrip())
        raise FormatError(f'the value of "{key}" cannot be parsed: close its quotes', line_of(text, begin))


def _proven(before: list[_Line], edited: str, changes: Mapping[str, FlagValue]) -> str:
    """An open quote somewhere takes the next quote for its own end: then a new one would change other lines."""
    after = list(_lines(edited, ()))
    if _others(before, changes) != _others(after, changes) or values(edited, changes) != changes:
        line = next((line.binding.original.line for line in before if line.binding.error), 0)
        raise FormatError("the flags cannot be set without changing other lines: close the quote that is open", line)
    return edited


def _others(lines: list[_Line], changes: Mapping[str, FlagValue]) -> list[tuple[str | None, str | None]]:
    return [(line.binding.key, line.binding.value) for line in lines if line.binding.key not in changes]


def _appended(text: str, lines: list[_Line], missing: Mapping[str, str]) -> str:
    if not missing:
        return ""
    newline = newline_of(text)
    heads = [_HEAD.match(line.binding.original.string) for line in lines if line.binding.key]
    export = "export " if heads and all(head and head["export"] for head in heads) else ""
    added = [f"{export}{key}={_rendered(value, '', followed=False)}" for key, value in missing.items()]
    complete = not text or text.endswith(("\n", "\r"))
    return newline.join([*added, ""]) if complete else newline.join(["", *added])


def _text(value: FlagValue) -> str:
    if not isinstance(value, str):
        raise FormatError("dotenv values are text: quote it")
    return value


def _rendered(value: str, style: str, *, followed: bool) -> str:
    """`value` in the quotes `style` (or none) if they can hold it, else in others; in those that `sh` reads alike, if
    any does.
    """
    double = '"' + "".join(_DOUBLE_ESCAPES.get(char, char) for char in value) + '"'
    readings = {
        "": (value, bool(_PLAIN.fullmatch(value) and (value or not followed))),
        "'": (f"'{value}'", not re.search(r"['\r]|\\\\|\\$", value)),
        '"': (double, not re.search(r"[$`\r]", value)),
    }
    order = ([style] if style in {"'", '"'} else []) + ["", "'", '"']
    return next((readings[quotes][0] for quotes in order if readings[quotes][1]), double)
