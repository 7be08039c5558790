"""Giving a sequence in a YAML document other elements, in brackets or with a dash for each.

Lives here: which characters of the sequence go and which stay. Must not live here: the proof that nothing else has changed.
"""

import re
from collections.abc import Sequence

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode, SequenceNode
from ruamel.yaml.tokens import BlockEntryToken

from rollback_daemon.flags.array_layout import Element, identity, relaid
from rollback_daemon.flags.store import FlagValue, Scalar
from rollback_daemon.flags.stores._yaml_scalar import rendered
from rollback_daemon.flags.stores._yaml_tree import Member, Tree
from rollback_daemon.flags.text_format import FormatError, Splice, line_of, newline_of

_REST_OF_LINE = re.compile(r"[^\r\n]*")
_LINE_END = re.compile(r"\r?\n")
_VALUE_SIGN = re.compile(r"[ \t]*:")


def replaced(tree: Tree, member: Member, node: SequenceNode, value: FlagValue) -> list[Splice]:
    """Put `value`, a list or not, in the place of the sequence `node`, which is what `member` holds.

    What stays keeps its characters and the comments beside and above it. Raises FormatError for a layout that does not allow that.
    """
    if node.flow_style:
        return [_in_brackets(tree, member, node, value)]
    dashes = _dashes(tree, node)
    members = list(tree.members(node))
    ends = [_line_end(tree.text, tree.content_end(one) if one.end > one.start else dash + 1) for one, dash in zip(members, dashes, strict=True)]
    if not isinstance(value, list | tuple) or not value:
        return _collapsed(tree.text, member, dashes[0], ends[-1], rendered(value, None))
    return [Splice(dashes[0], ends[-1], _lines(tree, node, members, dashes, ends, value))]


def _in_brackets(tree: Tree, member: Member, node: SequenceNode, value: FlagValue) -> Splice:
    text = tree.text
    start = text.index("[", node.start_mark.index)
    old = [Element(tree.single(one.node), one.start, one.end) for one in tree.members(node)]
    bounds = [start, *(place for element in old for place in (element.start, element.end)), member.end]
    if any("#" in text[left:right] for left, right in zip(bounds[::2], bounds[1::2], strict=True)):
        raise FormatError("a list in brackets with a comment in it cannot be set: edit it by hand, or write the comment above", line_of(text, start))
    quotes = _quotes(node)
    if not isinstance(value, list | tuple):
        return Splice(start, member.end, rendered(value, quotes))
    return Splice(start, member.end, relaid(text, start, member.end, old, value, lambda one: rendered(one, quotes), ", "))


def _lines(tree: Tree, node: SequenceNode, members: Sequence[Member], dashes: Sequence[int], ends: Sequence[int], values: Sequence[Scalar]) -> str:
    """The elements, each from the end of the line before it to the end of its own line."""
    text = tree.text
    column = dashes[0] - text.rfind("\n", 0, dashes[0]) - 1
    gap = text[dashes[0] + 1 : members[0].start]
    lead = " " * column + "-" + (gap if gap.strip(" ") == "" and gap else " ")
    starts = [dashes[0], *ends[:-1]]
    chunks = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    chunks = [" " * column + chunks[0], *(_LINE_END.sub("", chunk, count=1) for chunk in chunks[1:])]
    written = {identity(tree.single(member.node)): chunk for member, chunk in zip(members, chunks, strict=True)}
    quotes = _quotes(node)
    return newline_of(text).join(written.get(identity(value)) or lead + rendered(value, quotes) for value in values).lstrip(" \r\n")


def _collapsed(text: str, member: Member, first: int, end: int, new: str) -> list[Splice]:
    """`new` behind the key, and the lines of the elements taken out."""
    if member.key is None:
        return [Splice(first, end, new)]
    sign = _VALUE_SIGN.match(text, member.key.end_mark.index)
    if sign is None:
        raise FormatError("a list behind a key of several lines cannot be set: edit it by hand", line_of(text, first))
    above = text.rfind("\n", 0, first)
    above -= text[above - 1 : above] == "\r"
    return [Splice(sign.end(), sign.end(), " " + new), Splice(above, end, "")]


def _dashes(tree: Tree, node: SequenceNode) -> list[int]:
    """Where the dash of each element stands. The nodes do not tell; an element may be empty, or begin on another line."""
    found = [
        token.start_mark
        for token in YAML(typ="safe", pure=True).scan(tree.readable)
        if isinstance(token, BlockEntryToken) and node.start_mark.index <= token.start_mark.index < node.end_mark.index
    ]
    return [mark.index for mark in found]


def _line_end(text: str, index: int) -> int:
    match = _REST_OF_LINE.match(text, index)
    return match.end() if match else index


def _quotes(node: SequenceNode) -> str | None:
    return next((one.style for one in node.value if isinstance(one, ScalarNode)), None)
