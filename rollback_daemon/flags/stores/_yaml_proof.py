"""The proof that an edit of a YAML document has changed nothing but what it was to change.

Lives here: comparing two trees of nodes. Must not live here: text, editing.
"""

from collections.abc import Iterator
from itertools import zip_longest

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from rollback_daemon.flags.stores._yaml_tree import key_of, pairs_of
from rollback_daemon.flags.text_format import Tokens

_Kept = tuple[str | None, Node | None, Node]
"""Name, key and value of a member that must stay as it is."""


class Proof:
    """Whether two documents say the same, but for the members at some ways, which may differ, be missing or be new."""

    def __init__(self) -> None:
        self._proven: set[tuple[Node, Node]] = set()

    def holds(self, before: Node | None, after: Node | None, apart: frozenset[Tokens]) -> bool:
        """Aliases are followed, so that a change seen through another alias counts."""
        if before is None or after is None:  # a document that was empty may gain the members, and nothing else
            return after is None or (isinstance(after, MappingNode) and {(key_of(key),) for key, _ in after.value} <= apart)
        if (before, after) in self._proven and not apart:
            return True
        if not apart:
            self._proven.add((before, after))  # now, so that a node within itself comes to an end
        if type(before) is not type(after) or str(before.tag) != str(after.tag):
            return False
        if isinstance(before, ScalarNode):
            return bool(before.value == after.value)
        return self._same_members(before, after, apart)

    def _same_members(self, before: Node, after: Node, apart: frozenset[Tokens]) -> bool:
        leaves = {way[0] for way in apart if len(way) == 1}
        pairs = zip_longest(_kept(before, leaves), _kept(after, leaves))
        return all(old and new and self._same_member(old, new, apart) for old, new in pairs)

    def _same_member(self, before: _Kept, after: _Kept, apart: frozenset[Tokens]) -> bool:
        (name, old_key, old), (_, new_key, new) = before, after
        keys = old_key is None or self.holds(old_key, new_key, frozenset())
        return keys and self.holds(old, new, frozenset(way[1:] for way in apart if way[0] == name))


def _kept(node: Node, leaves: set[str]) -> Iterator[_Kept]:
    """The members that are not to be set."""
    for key, value in pairs_of(node):
        name = key_of(key) if isinstance(key, Node) else str(key)
        if name is None or name not in leaves:
            yield name, key if isinstance(key, Node) else None, value
