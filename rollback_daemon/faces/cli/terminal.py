"""How text comes to a terminal: its width, lines that fold with their continuation indented, columns, what may not steer it. By rich.

Nothing is cut: what has no room goes on in the next line. Must not live here: what is said (`show`, `show_record`, `show_aftercare`).
"""

import os
import re
from collections.abc import Iterator, Sequence
from textwrap import TextWrapper
from typing import Any

from rich import markup
from rich.console import Console
from rich.text import Text

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_NO_TAG = re.compile(r"\\\[(?![a-z#/@][^\[]*?])")  # of its own accord rich takes the backslash away
_ROOM = 30  # characters that the last column must have to stand beside the others
_HANG = 4  # by how much a continued line is indented that has no column of its own
_LEAST = 20  # characters of text in a line, however narrow the terminal is
_GAP = "  "


def console() -> Console:
    """Standard output. Where it is no terminal, and COLUMNS does not say how wide it is, no line is folded."""
    found = Console(highlight=False, emoji=False)
    columns = os.environ.get("COLUMNS", "")
    if found.is_terminal or (columns.isascii() and columns.isdigit() and int(columns)):
        return found
    return Console(highlight=False, emoji=False, width=240, soft_wrap=True)


def clean(value: Any) -> Any:
    """The same with control characters written out: nothing that somebody put into a label or a reason may steer the terminal."""
    if isinstance(value, dict):
        return {clean(key): clean(one) for key, one in value.items()}
    if isinstance(value, list):
        return [clean(one) for one in value]
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], value) if isinstance(value, str) else value


def escape(text: str) -> str:
    """The text as markup that shows it as it is."""
    return markup.escape(_NO_TAG.sub(r"\\\\[", text))


def tell(out: Console, said: str, hang: int = _HANG) -> None:
    """Print a line of markup; where it has to be continued, it is indented by `hang`."""
    _tell(out, Text.from_markup(said, emoji=False), hang)


def _tell(out: Console, text: Text, hang: int) -> None:
    if out.soft_wrap:
        out.print(text)
        return
    hang = max(0, min(hang, out.width - _LEAST))
    for index, line in enumerate(_folded(text, out.width, hang)):
        out.print(Text(" " * hang if index else "") + line, overflow="fold")


def labelled(out: Console, label: str, said: str, *, indent: int = 2, width: int = 9) -> None:
    """Print a label and what stands beside it, both of them markup; the latter is continued below itself."""
    start = Text.from_markup(f"{' ' * indent}{label}", emoji=False)
    start.pad_right(indent + width - start.cell_len)
    _beside(out, start, Text.from_markup(said, emoji=False))


def has_room(out: Console, heads: Sequence[str], cells: Sequence[Sequence[str]], room: int = _ROOM) -> bool:
    """Whether the last of these columns has so many characters to itself, or all that it needs."""
    return _start(out, _table(heads, cells), room) is not None


def rows(out: Console, heads: Sequence[str], cells: Sequence[Sequence[str]], *, room: int = _ROOM) -> None:
    """Print columns of markup. The last one is continued below itself; where fewer than `room` characters are left to it, columns are not aligned."""
    table = _table(heads, cells)
    widths = _start(out, table, room)
    for row in table:
        if widths is None:
            _tell(out, Text(_GAP).join(filter(None, row)), _HANG)
            continue
        for text, width in zip(row, widths, strict=False):
            text.pad_right(width + len(_GAP) - text.cell_len)
        _beside(out, Text().join(row[:-1]), row[-1])


def _table(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> list[list[Text]]:
    return [[Text(head, "bold") for head in heads], *([Text.from_markup(cell, emoji=False) for cell in row] for row in cells)]


def _start(out: Console, table: Sequence[Sequence[Text]], room: int) -> list[int] | None:
    """How wide every column but the last one is; None where that leaves too little room."""
    widths = [max(text.cell_len for text in column) for column in zip(*table, strict=True)]
    wanted = sum(widths[:-1]) + len(_GAP) * (len(widths) - 1) + min(room, widths[-1])
    return widths[:-1] if out.soft_wrap or wanted <= out.width else None


def _beside(out: Console, start: Text, text: Text) -> None:
    """Print the text right behind the start, and what is left of it below."""
    hang = start.cell_len
    if out.soft_wrap or out.width - hang < _LEAST:
        _tell(out, start + text, _HANG)
        return
    for index, line in enumerate(_folded(text, out.width - hang, 0)):
        out.print((Text(" " * hang) if index else start) + line, overflow="fold")


def _folded(text: Text, width: int, hang: int) -> Iterator[Text]:
    """The text in lines, all but the first one with room for `hang` spaces before them."""
    wrapper = TextWrapper(width, subsequent_indent=" " * hang, replace_whitespace=False, expand_tabs=False, break_on_hyphens=False)
    at = 0
    for number, line in enumerate(text.plain.split("\n")):
        wrapper.initial_indent = " " * hang if number else ""
        for piece in wrapper.wrap(line) or [""]:
            shown = piece[hang:] if number or at else piece
            begin = text.plain.index(shown, at)
            yield text[begin : begin + len(shown)]
            at = begin + len(shown)
