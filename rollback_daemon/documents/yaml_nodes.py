"""YAML text to plain values, with the place of each: the node tree of PyYAML, read with YAML 1.2's idea of a plain scalar.

`on`, `22:30`, `012` and dates are text here, and remembered as ambiguous, so that a place where types count (a flag's value) can ask for quotes.
Anchors, aliases and merge keys work. Lives here: YAML. Must not live here: files, schemas, what any key means.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

_T = TypeVar("_T")
Step = str | int
Trail = tuple[Step, ...]
Place = tuple[int, int]
"""Line and column, from 1; (0, 0) where only the whole file can be named."""

_LIMIT = 250_000  # values in one file after aliases are expanded; more is a mistake or an attack
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = {"", "~", "null", "Null", "NULL"}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INF = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_AMBIGUOUS = re.compile(
    r"y|n|yes|no|on|off|[-+]?0[0-9_]+|[-+]?0x[0-9a-f_]+|[-+]?0o[0-7_]+|[-+]?0b[01_]+|[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?"
    r"|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?|[-+]?[0-9.]+e[-+]?[0-9]+",
    re.IGNORECASE,
)
_MERGE = "<<"
_NO_TAG = "none"
_REMEDIES = {  # a part of PyYAML's words: what usually causes it
    "'\\t'": "indent with spaces",
    "mapping values are not allowed": 'quote a text that contains ": ", and look at the indentation',
    "could not find expected ':'": "a key is followed by a colon and a space",
    "expected <block end>": "look at the indentation, and for a quote or bracket that ends too early",
    "end of stream": "close the quote or bracket",
    "expected ',' or": "close the bracket, add the comma, or quote a text that has brackets in it",
    "undefined alias": "name it first, with &",
    "cannot start any token": "quote the text",
}


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something wrong in the text as YAML. `broken`: the value there could not be read, and nothing more can be said of it."""

    place: Place
    trail: Trail
    text: str
    broken: bool = False


@dataclass(slots=True)
class Values:
    """What a text holds: its value, where each part of it and each key stands, and what was wrong on the way."""

    value: Any = None
    places: dict[Trail, Place] = field(default_factory=dict)
    keys: dict[Trail, Place] = field(default_factory=dict)
    ambiguous: dict[Trail, str] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)


class NotYaml(ValueError):
    """The text is no YAML at all. The message says why; `place` is where."""

    def __init__(self, text: str, place: Place) -> None:
        super().__init__(text)
        self.place = place


class _Loader(yaml.SafeLoader):
    """A loader without YAML 1.1's idea of plain scalars: each arrives as text. It ends where it is clear that there are too many."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._left = 2 * _LIMIT  # nodes: a key is one, too

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        self._left -= 1
        if self._left < 0:
            raise NotYaml(f"has more than {_LIMIT} values", (self.line + 1, 1))
        return super().compose_node(parent, index)

    def resolve(self, _kind: type[Node], _value: Any, _implicit: Any) -> str:
        """Asked only for what has no tag in the file."""
        return _NO_TAG


def read_values(text: str) -> Values:
    """The values of a YAML text. Raises NotYaml; lesser mistakes are among the values' own."""
    return _read_by(_Reader.read, text)


def read_each(text: str) -> list[Values]:
    """The values of each YAML document in a text, empty ones left out; otherwise as `read_values`."""
    return _read_by(_Reader.each, text)


def _read_by(how: Callable[["_Reader", list[Node]], _T], text: str) -> _T:
    try:
        return how(_Reader(), list(yaml.compose_all(text, Loader=_Loader)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise NotYaml(_sentence(error), (mark.line + 1, mark.column + 1) if mark else (0, 0)) from error
    except yaml.reader.ReaderError as error:
        raise NotYaml(f"has a character that YAML forbids (U+{error.character:04X}); leave it out", _place_of(text, error.position)) from error
    except RecursionError as error:
        raise NotYaml("is nested too deeply to be read", (0, 0)) from error


def _sentence(error: yaml.MarkedYAMLError) -> str:
    words = ", ".join(part for part in (error.problem, error.context) if part)
    remedy = next((remedy for part, remedy in _REMEDIES.items() if part in words), "")
    return f"is not valid YAML: {words}" + (f"; {remedy}" if remedy else "")


def _place_of(text: str, index: int) -> Place:
    before = text[:index]
    return before.count("\n") + 1, index - before.rfind("\n")


class _Reader:
    """Turns node trees into values."""

    def __init__(self) -> None:
        self._read = Values()
        self._left = _LIMIT

    def read(self, nodes: list[Node]) -> Values:
        if nodes:
            self._read.value = self._value(nodes[0], (), ())
        if len(nodes) > 1:
            self._complain(nodes[1], (), "is a second YAML document; use one file for each")
        return self._read

    def each(self, nodes: list[Node]) -> list[Values]:
        """One for each document that is not empty. The limit on values is one for all of them."""
        found: list[Values] = []
        for node in nodes:
            self._read = Values()
            self._read.value = self._value(node, (), ())
            if self._read.value is not None or self._read.mistakes:
                found.append(self._read)
        return found

    def _value(self, node: Node, trail: Trail, above: tuple[int, ...]) -> Any:
        self._read.places[trail] = _mark(node)
        self._left -= 1
        if self._left < 0:
            raise NotYaml(f"expands to more than {_LIMIT} values", _mark(node))
        if id(node) in above:
            self._complain(node, trail, "is an alias that contains itself; write it out", broken=True)
            return None
        if node.tag != _NO_TAG:
            shown = node.tag.replace("tag:yaml.org,2002:", "!!")
            self._complain(node, trail, f'has the tag "{shown}"; tags mean nothing here, leave it out (and quote a text)', broken=True)
        if isinstance(node, ScalarNode):
            return self._scalar(node, trail)
        if isinstance(node, SequenceNode):
            return [self._value(child, (*trail, index), (*above, id(node))) for index, child in enumerate(node.value)]
        return self._mapping(node, trail, (*above, id(node)))

    def _mapping(self, node: Node, trail: Trail, above: tuple[int, ...]) -> dict[str, Any]:
        values = self._merged(node, trail, above)
        own: set[str] = set()
        for key_node, value_node in node.value:
            if _is_merge(key_node):
                continue
            if not isinstance(key_node, ScalarNode):
                self._complain(key_node, trail, "has a key that is a list or a mapping; keys are text")
                continue
            key = str(key_node.value)
            place = (*trail, key)
            if key in own:
                first = self._read.keys[place][0]
                self._complain(key_node, place, f'the key "{key}" stands here twice (first in line {first}); keep one')
                continue
            if key in values:
                self._forget(place)
            own.add(key)
            self._read.keys[place] = _mark(key_node)
            values[key] = self._value(value_node, place, above)
        return values

    def _merged(self, node: Node, trail: Trail, above: tuple[int, ...]) -> dict[str, Any]:
        """What the mapping's merge key brings; of several sources the earlier ones win."""
        values: dict[str, Any] = {}
        merges = [(key, value) for key, value in node.value if _is_merge(key)]
        for key, _ in merges[1:]:
            self._complain(key, trail, 'the key "<<" stands here twice; merge a list instead: <<: [*one, *two]')
        for _, value in merges[:1]:
            for source in reversed(value.value if isinstance(value, SequenceNode) else [value]):
                if not isinstance(source, MappingNode):
                    self._complain(source, trail, '"<<" merges mappings only; write <<: *name, or <<: [*one, *two]', broken=True)
                elif id(source) in above:
                    self._complain(source, trail, '"<<" merges a mapping into itself; leave it out', broken=True)
                else:
                    values.update(self._mapping(source, trail, (*above, id(source))))
        return values

    def _forget(self, trail: Trail) -> None:
        """What was merged at `trail` is overridden: neither it nor anything in it counts."""
        for known in (self._read.places, self._read.keys, self._read.ambiguous):
            for place in [place for place in known if place[: len(trail)] == trail]:
                known.pop(place, None)

    def _scalar(self, node: ScalarNode, trail: Trail) -> Any:
        text = str(node.value)
        if node.style is not None:
            return text
        if _AMBIGUOUS.fullmatch(text):
            self._read.ambiguous[trail] = text
        return _plain(text)

    def _complain(self, node: Node, trail: Trail, text: str, *, broken: bool = False) -> None:
        self._read.mistakes.append(Mistake(_mark(node), trail, text, broken))


def _plain(text: str) -> Any:
    """A plain scalar by YAML 1.2's core schema."""
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _INT.fullmatch(text):
        return int(text) if len(text) < 400 else text
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INF.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def _is_merge(key: Node) -> bool:
    return isinstance(key, ScalarNode) and key.value == _MERGE and key.style is None


def _mark(node: Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1
