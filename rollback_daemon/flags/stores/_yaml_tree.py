"""A YAML document as a tree of nodes with their places, aliases included.

Lives here: composing a text, finding a node and the characters that it stands in. Must not live here: changing
anything.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from rollback_daemon.flags.store import FlagValue, Scalar
from rollback_daemon.flags.text_format import FormatError, Tokens, line_of, name_of

_TAG = "tag:yaml.org,2002:"
_BROKEN_BYTES = dict.fromkeys(range(0xDC80, 0xDD00), "\ufffd")  # undecodable bytes: no YAML, yet harmless in a comment
_PROPERTIES = re.compile(r"(?<!\S)(?:[&!]\S*[ \t]+)+\Z")
_VALUE_SIGN = re.compile(r"[ \t]*:")


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a mapping or sequence.

    `start` and `end` enclose what stands in its place: its value, or the alias that stands for it.
    """

    key: Node | None
    node: Node
    start: int
    end: int
    is_alias: bool


class Tree:
    """One document, never changed. Composing is slow, so `parse` hands out the same tree for the same text."""

    def __init__(self, text: str, root: Node | None, aliases: dict[tuple[Node, Node | int], tuple[int, int]], loader: YAML) -> None:
        self.text = text
        self.readable = text.translate(_BROKEN_BYTES)
        self.root = root
        self._aliases = aliases
        self._loader = loader
        self._listed: dict[Node, dict[str, list[Member]]] = {}

    def get(self, way: Tokens) -> Node | None:
        """The node that a reader finds at `way`, through aliases and merge keys."""
        node = self.root
        for token in way:
            node = self._read(node, token) if node is not None else None
        return node

    def own(self, node: Node, token: str) -> Member | None:
        """The member that `node` itself has under `token`. Raises FormatError if it has two."""
        found = self._members(node).get(token, [])
        if len(found) > 1:
            line = line_of(self.text, found[1].start)
            raise FormatError(f'the key "{token}" stands twice in one mapping: remove one of them', line)
        return found[0] if found else None

    def parent(self, way: Tokens) -> Node | None:
        """The node whose own member is to be set, or None for the root of an empty document.

        Raises FormatError if it is missing, or shared with others through an alias.
        """
        node = self.root
        for depth, token in enumerate(way[:-1], 1):
            member = self.own(node, token) if node is not None else None
            if member is None:
                raise FormatError(f'"{name_of(way)}" has no parent of its own: add a mapping "{name_of(way[:depth])}" first')
            if member.is_alias:
                raise FormatError(
                    f'"{name_of(way[:depth])}" is an alias, shared with others: write it out first',
                    line_of(self.text, member.start),
                )
            node = member.node
        return node

    def value(self, way: Tokens, node: Node) -> FlagValue:
        """The single value of `node`, or its list of them; a date is the text that it was written as."""
        if isinstance(node, MappingNode):
            raise FormatError(f'"{name_of(way)}" holds a mapping, not a single value: name a value inside it', self._line(node))
        if isinstance(node, SequenceNode) and not all(isinstance(element, ScalarNode) for element in node.value):
            raise FormatError(f'"{name_of(way)}" holds a list of more than single values: name a value inside it', self._line(node))
        try:
            if isinstance(node, SequenceNode) and str(node.tag) == _TAG + "seq":
                return tuple(map(self.single, node.value))
            return self.single(node)
        except (KeyError, ValueError):
            raise FormatError(
                f'"{name_of(way)}" holds a value of a type that is no flag: write text, a number or a boolean',
                self._line(node),
            ) from None

    def single(self, node: Node) -> Scalar:
        """The value of a scalar. Raises KeyError or ValueError for a type that is none of ours."""
        return self._constructed(str(node.tag).removeprefix(_TAG), node)

    def content_end(self, member: Member) -> int:
        """Where the content of a member ends, before blank lines and comments behind it."""
        node = member.node
        if member.is_alias or isinstance(node, ScalarNode):
            block = isinstance(node, ScalarNode) and node.style in {"|", ">"} and not member.is_alias
            return len(self.text[: member.end].rstrip()) if block else member.end
        if not isinstance(node, MappingNode | SequenceNode) or node.flow_style:
            return member.end
        return self.content_end(list(self.members(node))[-1])

    def members(self, node: Node) -> Iterator[Member]:
        """The members of a mapping or sequence in their order."""
        for key, value in pairs_of(node):
            yield self._member(node, key, value)

    def _member(self, parent: Node, key: Node | int, node: Node) -> Member:
        named = key if isinstance(key, Node) else None
        if place := self._aliases.get((parent, key)):
            return Member(named, node, *place, is_alias=True)
        start, end = node.start_mark.index, node.end_mark.index
        if start == end and named and (sign := _VALUE_SIGN.match(self.text, named.end_mark.index)):
            start = end = sign.end()  # an empty value is marked at the token behind it
        if properties := _PROPERTIES.search(self.text, self.text.rfind("\n", 0, start) + 1, start):
            start = properties.start()  # of a tag and an anchor, only what comes last is marked
        return Member(named, node, start, end, is_alias=False)

    def _members(self, node: Node) -> dict[str, list[Member]]:
        if node not in self._listed:
            listed: dict[str, list[Member]] = {}
            for index, member in enumerate(self.members(node)):
                name = key_of(member.key) if member.key is not None else str(index)
                if name is not None:
                    listed.setdefault(name, []).append(member)
            self._listed[node] = listed
        return self._listed[node]

    def _read(self, node: Node, token: str, depth: int = 0) -> Node | None:
        if member := self.own(node, token):
            return member.node
        for base in self._merged(node) if depth < 100 else ():  # a mapping can be merged into itself
            if (found := self._read(base, token, depth + 1)) is not None:
                return found
        return None

    def _merged(self, node: Node) -> Iterator[Node]:
        for key, value in node.value if isinstance(node, MappingNode) else ():
            if is_merge(key):
                yield from value.value if isinstance(value, SequenceNode) else [value]

    def _constructed(self, kind: str, node: Node) -> Scalar:
        constructor = self._loader.constructor
        construct = {
            "str": lambda _: str(node.value),
            "timestamp": lambda _: str(node.value),
            "null": lambda _: None,
            "bool": constructor.construct_yaml_bool,
            "int": constructor.construct_yaml_int,
            "float": constructor.construct_yaml_float,
        }[kind]
        value: Scalar = construct(node)
        return value

    def _line(self, node: Node) -> int:
        return line_of(self.text, node.start_mark.index)


def pairs_of(node: Node) -> Iterable[tuple[Node | int, Node]]:
    """Key and value of each member of a mapping, index and value of each of a sequence."""
    if isinstance(node, ScalarNode):
        return ()
    pairs: Iterable[tuple[Node | int, Node]] = node.value if isinstance(node, MappingNode) else enumerate(node.value)
    return pairs


def key_of(key: Node) -> str | None:
    """The name of a key as it is written, without quotes; None for a merge key, and for a key that is no scalar."""
    return str(key.value) if isinstance(key, ScalarNode) and not is_merge(key) else None


def is_merge(key: Node) -> bool:
    """Whether a key is `<<`, which brings in the members of another mapping."""
    return str(key.tag) == _TAG + "merge"


@lru_cache(maxsize=8)
def parse(text: str) -> Tree:
    """Compose a text of one document.

    Raises FormatError, with the line, for several documents and for anything that is no YAML.
    """
    loader = YAML(typ="safe", pure=True)
    loader.Composer = _AliasKeeper
    try:
        root = loader.compose(text.translate(_BROKEN_BYTES))
    except YAMLError as error:
        raise _explained(error, text) from None
    except RecursionError:
        raise FormatError("this YAML is nested too deeply: mend it by hand") from None
    except (ValueError, AssertionError, AttributeError, IndexError, KeyError):  # the scanner's way with some nonsense
        raise FormatError("this is not valid YAML: mend it by hand") from None
    return Tree(text, root, loader.composer.aliases, loader)


def _explained(error: YAMLError, text: str) -> FormatError:
    """The library's own message is not passed on: it quotes the text."""
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else line_of(text, getattr(error, "position", 0))
    if getattr(error, "context", None) == "expected a single document in the stream":
        return FormatError("the file holds several documents: keep the flags in a file of one document", line)
    tab = "\t" in "".join(text.splitlines()[line - 1 : line])
    cause = " (a tab stands where this reader wants spaces)" if tab else ""
    return FormatError(f"this is not valid YAML{cause}: mend it by hand", line)


class _AliasKeeper(Composer):
    """Remembers where an alias stood, which the composed tree does not tell."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False
        self.aliases: dict[tuple[Node, Node | int], tuple[int, int]] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.parser.check_event(AliasEvent):
            event = self.parser.peek_event()
            self.aliases[parent, index] = (event.start_mark.index, event.end_mark.index)
        return super().compose_node(parent, index)
