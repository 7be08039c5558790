"""What the rules leave out by name, each with its reason: tests that cannot be collected, mismatches that are known.

Lives here: how it is written, and how names are matched. Must not live here: any one format.
"""

import re
from collections.abc import Iterable

from rollback_daemon.evidence.kind import Excluded
from rollback_daemon.schema import Part, Text

_SUFFIX = re.compile(r"\.py(?=::|\*|$)")


class Exclusion(Part):
    """One name that is left out, exactly or as a glob (`*` and `?`), and why."""

    name: Text
    reason: Text


def plain(name: str) -> str:
    """A test's name in the one spelling in which names are compared.

    `tests/test_a.py::TestC::test_m[x]` of pytest and `tests.test_a.TestC` with `test_m[x]` of JUnit XML are both `tests.test_a.TestC.test_m[x]`.
    """
    head, bracket, parameters = name.partition("[")
    dotted = _SUFFIX.sub("", head).replace("::", ".").replace("/", ".")
    return f"{dotted}{bracket}{parameters}"


class Exclusions:
    """The exclusions of one reading: which names they hold for, and which of them held for none."""

    def __init__(self, asked: Iterable[Exclusion]) -> None:
        self._asked = [(one, _pattern(plain(one.name))) for one in asked]
        self._met: set[str] = set()
        self.excluded: list[Excluded] = []

    def take(self, name: str, outcome: str) -> bool:
        """Whether this one is left out; then it is noted with how it ended."""
        spelt = plain(name)
        held = [one for one, pattern in self._asked if pattern.fullmatch(spelt)]
        self._met.update(one.name for one in held)
        if held:
            self.excluded.append(Excluded(name, held[0].reason, outcome))
        return bool(held)

    def notes(self) -> tuple[str, ...]:
        """A sentence for each exclusion that is no longer needed."""
        return tuple(f'the exclusion "{one.name}" holds for nothing in the file; take it out' for one, _ in self._asked if one.name not in self._met)


def _pattern(glob: str) -> re.Pattern[str]:
    """`*` and `?` only: brackets are parts of names here."""
    return re.compile("".join(".*" if one == "*" else "." if one == "?" else re.escape(one) for one in glob), re.DOTALL)
