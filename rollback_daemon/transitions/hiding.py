"""Values that are told nowhere: wherever one stands in a text, as it is or escaped, its name stands instead. Pure.

Lives here: finding them. Must not live here: which texts are told (`printed`, `intake.told`).
"""

import codecs
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

LEAST = 4
"""So many characters a value must have; shorter ones stand in everything."""

_WORDS = frozenset({"true", "false", "null", "none"})  # nobody's secret
_DEEP = 6  # escapes of escapes
_WIDEST = 12  # characters of one that is escaped: four bytes, each as in an address
_HEX = "[0-9a-fA-F]"
_ESCAPE = re.compile(
    rf"(?P<json>\\+(?:u[dD][89abAB]{_HEX}{{2}}\\+u[dD][c-fC-F]{_HEX}{{2}}|u{_HEX}{{4}}|U{_HEX}{{8}}|x{_HEX}{{2}}|[nrtbfv\"'/]|(?<=\\\\)))"
    rf"|(?P<xml>&(?:\#[0-9]{{1,7}}|\#[xX]{_HEX}{{1,6}}|amp|lt|gt|quot|apos);)"
    rf"|(?P<url>%(?:[0-7]{_HEX}|[cCdD]{_HEX}%[89abAB]{_HEX}|[eE]{_HEX}(?:%[89abAB]{_HEX}){{2}}|[fF][0-7](?:%[89abAB]{_HEX}){{3}}))"
    r"|(?P<space>[+\t\n\r\f\v])"
)
_LETTERS = {"n": " ", "r": " ", "t": " ", "f": " ", "v": " ", "b": "\b"}
_LONGEST_CUT = 200  # characters that are left of a text that was cut short
_CUT = re.compile(r"…|\.\.\.")


@dataclass(frozen=True, slots=True)
class _Bare:
    """A text without its escapes, and where each of its characters began; one more for the end."""

    text: str
    places: tuple[int, ...]


class Hiding:
    """Hides these values, by name; what is shorter than `LEAST`, and `true` and the like, are words."""

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        values = {name: value.strip() for name, value in (env or {}).items()}
        values = {name: value for name, value in values.items() if len(value) >= LEAST and value.lower() not in _WORDS}
        self._plain = {form: name for name, value in values.items() for form in _as_json(value)}
        bare = {name: _bare(value).text.strip() for name, value in values.items()}
        self._bare = {value: name for name, value in bare.items() if len(value) >= LEAST}
        self.longest = _WIDEST * max(map(len, values.values()), default=0)  # bytes that one may take

    def __call__(self, text: str) -> str:
        """The text without them. One of which a text was cut short, and says so, is gone, too."""
        return self._without(text, 0)

    def printed(self, output: bytes, unsafe: int = 0) -> str:
        """The same for what a command printed. `unsafe`: so many of its first bytes may be the rest of a value, and are left out."""
        text, first = output.decode("utf-8", "surrogateescape"), output[:unsafe].decode("utf-8", "surrogateescape")
        return self._without(text, len(first)).encode("utf-8", "surrogateescape").decode(errors="replace")

    def _without(self, text: str, unsafe: int) -> str:
        begin, made = unsafe, ""
        for start, end, name in self._merged(text):
            if end > begin:
                made += f"{text[begin : max(begin, start)]}(value of {name})"
                begin = end
        return made + text[begin:]

    def _merged(self, text: str) -> list[tuple[int, int, str]]:
        """Where they stand, those that overlap as one, by the name of the one that begins first, of the longest where several do."""
        merged: list[tuple[int, int, str]] = []
        for start, negative, name in sorted(self._found(text)):
            if merged and start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], -negative), merged[-1][2])
            else:
                merged.append((start, -negative, name))
        return merged

    def _found(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Begin, end (negative, so that the longest is the first) and name of each."""
        if not self._plain:
            return
        for value, name in self._plain.items():
            yield from ((at, -at - len(value), name) for at in _every(value, text))
        bare = _bare(text)
        for value, name in self._bare.items():
            spans = [(at, at + len(value)) for at in _every(value, bare.text)]
            spans += [(cut.start() - length, cut.start()) for cut in _CUT.finditer(bare.text) if (length := _begun(value, bare.text, cut.start()))]
            yield from ((bare.places[start], -bare.places[end], name) for start, end in spans)


def _as_json(value: str) -> Iterable[str]:
    return {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}


def _every(value: str, text: str) -> Iterator[int]:
    """Where it begins, each time, also within itself."""
    at = text.find(value)
    while at >= 0:
        yield at
        at = text.find(value, at + 1)


def _begun(value: str, text: str, cut: int) -> int:
    """How much of the value stands before the place where the text was cut, if that is enough to tell."""
    most = min(len(value) - 1, cut, _LONGEST_CUT)
    return next((length for length in range(most, LEAST - 1, -1) if text.endswith(value[:length], 0, cut)), 0)


def _bare(text: str) -> _Bare:
    """The text with JSON's, XML's and an address's escapes resolved, and all white space a space; whatever stands in whatever."""
    bare = _Bare(text, tuple(range(len(text) + 1)))
    for _ in range(_DEEP):
        once = _resolved(bare)
        if once.text == bare.text:
            break
        bare = once
    return bare


def _resolved(bare: _Bare) -> _Bare:
    parts: list[str] = []
    places: list[int] = []
    at = 0
    for escape in _ESCAPE.finditer(bare.text):
        one = _character(escape)
        if len(one) != 1:
            continue
        parts += [bare.text[at : escape.start()], one]
        places += [*bare.places[at : escape.start()], bare.places[escape.start()]]
        at = escape.end()
    return _Bare("".join([*parts, bare.text[at:]]), (*places, *bare.places[at:]))


def _character(escape: re.Match[str]) -> str:
    """What it stands for; nothing where that is no character."""
    said = escape[0]
    if escape["space"]:
        return " "
    if escape["xml"]:
        return html.unescape(said)
    if escape["url"]:
        return bytes.fromhex(said.replace("%", "")).decode(errors="ignore")
    letters = said.replace("\\", "")
    if not letters or letters in "\"'/":
        return letters or "\\"
    if letters[0] not in "uUx":
        return _LETTERS[letters]
    number = [int(one, 16) for one in re.split("[uUx]", letters)[1:]]
    if len(number) == 2:
        return codecs.decode(b"".join(one.to_bytes(2, "big") for one in number), "utf-16-be", "ignore")
    return chr(number[0]) if number[0] <= 0x10FFFF else ""
