"""Lines of a log, of any length and any bytes, and what a pattern finds in them.

Lives here: cutting blocks into lines, matching one of them, showing it. Must not live here: where the blocks come from (`log_scan`).
"""

from collections.abc import Generator, Iterable, Iterator

import regex

_LONGEST = 32 * 1024  # bytes of a line that are looked at together
_OVERLAP = 4 * 1024  # what two such pieces have in common; a wider match across them is not seen
_PATIENCE = 2.0  # seconds that a pattern may take for a line
_SHOWN = 300  # characters of a line that are worth showing
_BEFORE = 100  # of these, before the match


def match(pattern: regex.Pattern[str], text: str, begin: int, half: int) -> regex.Match[str] | None:
    """A match that does not end within the first `half` characters. Raises TimeoutError for a pattern that comes to no end.

    Nothing else has to wait for it meanwhile: that is why the patterns are not those of the standard library, which keep every thread waiting.
    """
    if not half:
        return pattern.search(text, begin, concurrent=True, timeout=_PATIENCE)
    return next((found for found in pattern.finditer(text, begin, concurrent=True, timeout=_PATIENCE) if found.end() > half), None)


def pieces(blocks: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    """The lines of these blocks, without their ends, and long ones in pieces; with each the place to search from.

    That is 1 in a piece that goes on with a line, so that nothing takes it for the line's beginning.
    """
    held, begin = b"", 0
    for block in blocks:
        *lines, held = (held + block).split(b"\n")
        for line in lines:
            yield (yield from _shortened(line, begin))
            begin = 0
        held, begin = yield from _shortened(held, begin)
    if held:
        yield held, begin


def _shortened(line: bytes, begin: int) -> Generator[tuple[bytes, int], None, tuple[bytes, int]]:
    """The pieces of a line but the last one, which is returned."""
    while len(line) > _LONGEST:
        yield line[:_LONGEST], begin
        line, begin = line[_LONGEST - _OVERLAP :], 1
    return line, begin


def shown(line: str, at: int) -> str:
    """The line for people: around the match, without what a terminal would obey."""
    begin = max(0, at - _BEFORE)
    text = "".join(letter if letter.isprintable() else " " for letter in line[begin : begin + _SHOWN]).strip()
    return ("..." if begin else "") + text + ("..." if begin + _SHOWN < len(line) else "")
