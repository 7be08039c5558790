"""The contract of every flag store: read some flags, set many of them at once, keep and restore backups.

Lives here: the protocol and its value types. Must not live here: a format, a path, a decision. "Toggle" does not exist:
a flag is set to a value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Scalar = str | bool | int | float | None
"""What a flag can hold. Types count: `true` is not `"true"`, and 1 is not true."""

FlagValue = Scalar | tuple[Scalar, ...]
"""A single value, or a list of single values, whose order counts. Where text is the only thing that a store knows, there are no lists."""


@dataclass(frozen=True, slots=True)
class Flags:
    """Flags as they were read at one moment. A key that the store does not have is missing from `values`.

    `version` identifies the whole content that they were read from: equal versions mean that nothing in the store has
    changed.

    `trace` is what the store knows of its last change, as plain texts for people, and for nothing else: who and when, under names of
    the store's own choice (`owner`, `modified`, ...). It may be empty.
    """

    values: Mapping[str, FlagValue]
    version: str
    trace: Mapping[str, str] = field(default_factory=dict)


class FlagStore(Protocol):
    """One place where flags are changed.

    Every method raises `Refused`, `Transient` or `UnknownOutcome` (see `errors`).
    """

    def read(self, keys: frozenset[str]) -> Flags:
        """The values of `keys` as they are now."""

    def write(self, changes: Mapping[str, FlagValue], *, if_version: str) -> None:
        """Set all of `changes`, or none of them.

        `Conflict` when the content is no longer `if_version`. Values already there are left as they are.
        """

    def backup(self, name: str, *, sparing: str = "") -> str:
        """Keep a copy of the present content under `name`; returns where it is.

        Asking twice for the same name keeps the first copy. The older copies that make room for it are others than `sparing`.
        """

    def restore(self, backup: str, *, if_version: str | None = None) -> None:
        """Put back the content that `backup` returned, all of it.

        `Conflict` when an `if_version` is given and the content is no longer that one.
        """

    def backups(self) -> Sequence[str]:
        """Where the copies are that are kept, the newest first; each is one that `read_backup` and `restore` take."""

    def read_backup(self, backup: str, keys: frozenset[str]) -> Flags:
        """The values of `keys` in a copy, as `read` has those of the store; the trace is that of the copy."""

    def describe(self) -> str:
        """The place, for people: a path or an address, never a secret."""


def same(left: Scalar | Sequence[Scalar], right: Scalar | Sequence[Scalar]) -> bool:
    """Equal in value and in type:

    `true`, 1 and `"true"` are three different things; an integer equals its own float. Lists, which may come as tuples, are the same
    when their elements are, one by one; a list of one is not that one.
    """
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return left == right
