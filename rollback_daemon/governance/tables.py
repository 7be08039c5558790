"""Markdown that nothing written by people can break out of: escaped text, tables, lists.

Lives here: the syntax. Must not live here: what a document says.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

_SPACE = re.compile(r"\s+")
_MEANS_SOMETHING = re.compile(r"[\\`*_{}\[\]|~#!$]")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # control characters, and those that turn the direction of what follows
_BEGINS_SOMETHING = re.compile(r"([-+=]|[0-9]+(?=[.)](?: |$)))")


def text(value: Any) -> str:
    """A text of people on one line: spaces and line breaks become one space, what cannot be seen is written out, nothing is markup.

    Without anything in it, it is a dash.
    """
    line = _SPACE.sub(" ", str(value if value is not None else "")).strip()
    shown = "".join(map(_shown, line))
    if first := _BEGINS_SOMETHING.match(shown):  # a list, or the line below a heading
        at = first.end() if first[0].isdigit() else 0
        shown = f"{shown[:at]}\\{shown[at:]}"
    return shown or "-"


def _shown(character: str) -> str:
    if unicodedata.category(character) in _UNSEEN:
        return f"\\\\u{ord(character):04x}"
    return _HTML.get(character) or _MEANS_SOMETHING.sub(r"\\\g<0>", character)


def texts(values: Iterable[Any], between: str = "; ") -> str:
    """Several of them on one line."""
    return between.join(text(one) for one in values) or "-"


def code(value: Any) -> str:
    """An identifier in the type of code: digits, letters and the like only; anything else is a text."""
    shown = str(value)
    return f"`{shown}`" if re.fullmatch(r"[A-Za-z0-9.:+/-]+", shown) else text(shown)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table; the cells are Markdown already. Without rows it is a line that says so."""
    made = [f"| {' | '.join(row)} |" for row in rows]
    if not made:
        return ["None on record.", ""]
    return [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *made, ""]


def section(title: str, lines: Iterable[str]) -> list[str]:
    """A heading with what stands below it."""
    return [f"## {title}", "", *lines]
