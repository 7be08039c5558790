"""Flags in a YAML file: top-level keys, or places named by a JSON Pointer.

Lives here: which characters of a document a change replaces, or where it adds some. Must not live here: files, dumping
a whole document. Every edit is proven: composed again, with aliases followed, all that was not to be changed must still
say the same.
"""

import re
from collections.abc import Collection, Mapping

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from rollback_daemon.flags.store import FlagValue, same
from rollback_daemon.flags.stores._yaml_list import replaced
from rollback_daemon.flags.stores._yaml_proof import Proof
from rollback_daemon.flags.stores._yaml_scalar import rendered
from rollback_daemon.flags.stores._yaml_tree import Member, Tree, key_of, parse
from rollback_daemon.flags.text_format import (
    FormatError,
    Span,
    Splice,
    Tokens,
    added_members,
    check_tree,
    line_of,
    name_of,
    newline_of,
    spliced,
    targets,
    tokens,
)

_PROPERTIES = re.compile(r"(?:[&!]\S*(?:\s+|$))*")
_BLOCK = re.compile(r"[|>][^\s#]*[ \t]*(?P<comment>#[^\r\n]*)?")
_REST_OF_LINE = re.compile(r"[^\r\n]*")


def check(key: str, value: FlagValue) -> str | None:
    """See `Format.check`."""
    return check_tree(key, value)


def values(text: str, keys: Collection[str]) -> dict[str, FlagValue]:
    """See `Format.values`. Aliases and merge keys are followed; a key that stands twice in one mapping is an error."""
    tree = parse(text)
    found = {key: tree.get(tokens(key)) for key in keys}
    return {key: tree.value(tokens(key), node) for key, node in found.items() if node is not None}


def edit(text: str, changes: Mapping[str, FlagValue]) -> str:
    """See `Format.edit`. A missing key is added to the mapping that it belongs to, which must be there."""
    tree = parse(text)
    splices: list[Splice] = []
    added: dict[Node | None, dict[str, FlagValue]] = {}
    wanted = {way: value for way, value in targets(changes).items() if not _is_there(tree, way, value)}
    for way, value in wanted.items():
        parent = tree.parent(way)
        member = tree.own(parent, way[-1]) if parent is not None else None
        if member is None:
            _require_mapping(tree, way, parent)
            added.setdefault(parent, {})[way[-1]] = value
        else:
            splices += _replacements(tree, member, value)
    splices += [_addition(tree, parent, items) for parent, items in added.items()]
    return _proven(tree, spliced(text, splices), wanted)


def _is_there(tree: Tree, way: Tokens, value: FlagValue) -> bool:
    node = tree.get(way)
    return node is not None and same(tree.value(way, node), value)


def _require_mapping(tree: Tree, way: Tokens, parent: Node | None) -> None:
    if parent is not None and not isinstance(parent, MappingNode):
        raise FormatError(f'"{name_of(way)}" cannot be added: its parent is no mapping', line_of(tree.text, parent.start_mark.index))


def _proven(tree: Tree, text: str, wanted: Mapping[Tokens, FlagValue]) -> str:
    try:
        edited = parse(text)
        proven = Proof().holds(tree.root, edited.root, frozenset(wanted)) and all(_is_there(edited, way, value) for way, value in wanted.items())
    except FormatError:
        proven = False
    if not proven:
        names = ", ".join(f'"{name_of(way)}"' for way in sorted(wanted))
        raise FormatError(f"setting {names} would change other values too (an anchor, or an unusual layout): edit the file by hand")
    return text


def _replacements(tree: Tree, member: Member, value: FlagValue) -> list[Splice]:
    if isinstance(member.node, SequenceNode) and not member.is_alias:
        return replaced(tree, member, member.node, value)
    return [_replacement(tree, member, value)]


def _replacement(tree: Tree, member: Member, value: FlagValue) -> Splice:
    """Put `value` in the place of a scalar or an alias, keeping its anchor and, for text, its quotes."""
    old = tree.text[member.start : member.end]
    style = member.node.style if isinstance(member.node, ScalarNode) and not member.is_alias else None
    new = rendered(value, style)
    if member.is_alias:
        return Splice(member.start, member.end, new)
    anchor, core = _without_tag(old)
    if style in {"|", ">"}:
        new += _around_block(core)
    if member.start == member.end or (not core and not old[-1:].isspace()):
        new = " " + new
    before = tree.text[member.start - 1 : member.start]
    # {"a":"text"} may do without a space, {"a":true} may not
    lead = " " if before == ":" and not new.startswith(" ") else ""
    return Splice(member.start, member.end, lead + anchor + new)


def _without_tag(old: str) -> tuple[str, str]:
    """The anchor in front of a scalar, and the scalar. A tag is dropped: the new value shows its type by itself.

    Only YAML's own tags come this far; a value with any other is no flag.
    """
    match = _PROPERTIES.match(old)
    properties = match[0] if match else ""
    core = old[len(properties) :]
    if "!" not in properties:
        return properties, core
    return "".join(f"{word} " for word in properties.split() if word.startswith("&")), core


def _around_block(core: str) -> str:
    """What stays of a block scalar: the comment in its first line, and the line ends behind its content."""
    header = _BLOCK.match(core)
    comment = " " + header["comment"] if header and header["comment"] else ""
    tail = core[len(core.rstrip()) :]
    return comment + tail[min((tail.find(end) for end in "\r\n" if end in tail), default=len(tail)) :]


def _addition(tree: Tree, parent: Node | None, items: Mapping[str, FlagValue]) -> Splice:
    members = list(tree.members(parent)) if parent is not None else []
    if isinstance(parent, MappingNode) and parent.flow_style:
        return _flow_addition(tree, parent, members, items)
    lines = [f"{rendered(key, None)}: {rendered(value, None)}" for key, value in items.items()]
    newline = newline_of(tree.text)
    if parent is None or not members:  # a document of nothing but comments
        complete = not tree.text or tree.text.endswith("\n")
        return Splice(len(tree.text), len(tree.text), newline.join([*lines, ""] if complete else ["", *lines]))
    column = parent.value[0][0].start_mark.column
    rest = _REST_OF_LINE.match(tree.text, tree.content_end(members[-1]))
    index = rest.end() if rest else len(tree.text)
    return Splice(index, index, "".join(newline + " " * column + line for line in lines))


def _flow_addition(tree: Tree, parent: Node, members: list[Member], items: Mapping[str, FlagValue]) -> Splice:
    spans = [Span(m.key.start_mark.index, m.key.end_mark.index, m.start, m.end) for m in members if m.key is not None]
    quotes = next((m.key.style for m in members if isinstance(m.key, ScalarNode) and key_of(m.key) is not None), None)
    opening = tree.text.index("{", parent.start_mark.index)
    return added_members(
        tree.text,
        opening,
        spans,
        [(rendered(key, quotes), rendered(value, quotes)) for key, value in items.items()],
        colon=": ",
    )
