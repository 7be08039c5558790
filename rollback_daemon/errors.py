"""Every exception that crosses a module's border, as one tree.

    RollbackdError
    ├── ConfigurationError     one or more Problems in files a person wrote; each names place, cause and remedy
    ├── FlagError              a flag store did not do what was asked
    │   ├── Refused            it will not, however often it is asked, until somebody mends something
    │   ├── Transient          it may, if asked again later
    │   │   └── Conflict       somebody else was quicker; read again and ask again at once
    │   └── UnknownOutcome     it may have; read back before asking again
    ├── JournalUnavailable     the journal cannot be read or written now
    ├── IllegalTransition      the table of transitions has no such row; nothing was changed
    ├── OperationRefused       a person asked for something that may not be done now; says why
    └── ImpossibleMoment       a person asked about a moment of which nothing can be known; says which there are

Lives here: exceptions and `Problem`. Must not live here: anything that imports another module of the package.
"""

import re
from dataclasses import dataclass


class RollbackdError(Exception):
    """Base of every error this package raises on purpose."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a file: `file:line:column: path: text`. Lines and columns count from 1; 0 means "the whole file"."""

    file: str
    line: int
    column: int
    path: str
    text: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{where}: {self.path}: {self.text}" if self.path else f"{where}: {self.text}"


class ConfigurationError(RollbackdError):
    """Files that cannot be used, with every problem found in them, in the order of their places."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(set(problems), key=_place)
        super().__init__("\n".join(map(str, self.problems)))


def _place(problem: Problem) -> tuple[object, ...]:
    """The order of a reader: `cases[2]` comes before `cases[10]`."""
    steps = [int(one) if one.isdecimal() else one for one in re.split(r"(\d+)", problem.path)]
    return problem.file, problem.line, problem.column, steps, problem.text


class FlagError(RollbackdError):
    """A flag store did not do what was asked."""

    outcome = "failed"


class Refused(FlagError):
    """The store will not do it until somebody mends something (no permission, not a file, unreadable content)."""

    outcome = "refused"


class Transient(FlagError):
    """The store could not do it now (busy, changed in between, disk full); asking again may help."""

    outcome = "transient"


class Conflict(Transient):
    """Somebody else changed the content between reading and writing; reading it again and asking again at once is right."""


class UnknownOutcome(FlagError):
    """The store may have done it or not; it must be read back before it is asked again."""

    outcome = "unknown"


class JournalUnavailable(RollbackdError):
    """The journal cannot be read or written now. Blocks promotion, never a rollback."""


class IllegalTransition(RollbackdError):
    """The table of transitions has no row for this phase and event; nothing was changed."""


class OperationRefused(RollbackdError):
    """A person asked for something that may not be done now. The sentence says why and what would change it."""


class ImpossibleMoment(RollbackdError):
    """A person asked about a moment that is none, has not come, or lies before everything on record. The sentence says what would be right."""
