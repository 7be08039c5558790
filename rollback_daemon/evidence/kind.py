"""The contract of a kind of evidence: the bytes of a file become a `Result`, or every mistake in it is named.

Lives here: what a kind is given, what it gives back, what a kind says of itself. Must not live here: a format, files, the clock.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from traceback import extract_tb
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel

from rollback_daemon.errors import ConfigurationError, Problem
from rollback_daemon.schema import Part

MAX_BYTES = 16 * 2**20
"""How large a file may be. A larger one is refused before it is looked into."""

CLOCK_SKEW = timedelta(minutes=5)
"""How far a time in a file may be ahead of the clock: by more, one of the two clocks is wrong, and "fresh" means nothing."""

NOT_YET = "has not come yet; look at the clock of the runner and at this one"
"""What is said of a time in the future."""

_READ = TypeVar("_READ")
ENOUGH = 100
"""So many mistakes are named; whoever finds more need not go on."""


class DefectOfReader(ConfigurationError):
    """A file that its reader trips over: neither is it read, nor is it said what is wrong with it. The cause is what the reader raised."""


def few(problems: Iterable[Problem]) -> list[Problem]:
    """The first ones, with a last one that says so where there are more."""
    found = list(islice(problems, ENOUGH + 1))
    if len(found) > ENOUGH:
        found[ENOUGH:] = [Problem(found[0].file, 0, 0, "", "and more; mend these first")]
    return found


@dataclass(frozen=True, slots=True)
class Source:
    """One file to be read: its bytes, the name that messages have for it, and what time it is."""

    data: bytes
    file: str
    now: datetime

    @property
    def digest(self) -> str:
        """Identifies the bytes: SHA-256, as hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()

    def problem(self, text: str, path: str = "", line: int = 0, column: int = 0) -> Problem:
        """A mistake in this file."""
        return Problem(self.file, line, column, path, text)

    def refuse(self, text: str, path: str = "", line: int = 0, column: int = 0) -> NoReturn:
        """Raise ConfigurationError for the one mistake after which nothing more can be said."""
        raise ConfigurationError([self.problem(text, path, line, column)])

    def reject_if(self, problems: Iterable[Problem]) -> None:
        """Raise ConfigurationError with these, if there are any; of very many only the first ones are named."""
        if found := few(problems):
            raise ConfigurationError(found)

    def in_future(self, at: datetime) -> bool:
        """Whether that time has not come, beyond what clocks may differ by."""
        return at > self.now + CLOCK_SKEW


def guarded(source: Source, read: Callable[[], _READ]) -> _READ:
    """What `read` makes of the source. Raises ConfigurationError, and DefectOfReader for whatever else: no file may end who reads others, too."""
    try:
        return read()
    except ConfigurationError:
        raise
    except Exception as error:
        at = extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} in {at.filename.rpartition('/')[2]}, line {at.lineno}"
        raise DefectOfReader([source.problem(f"cannot be read: {place}; this is a defect of rollbackd, report it")]) from error


@dataclass(frozen=True, slots=True)
class Excluded:
    """Something in the file that was left out of the figures because the rules name it, with the reason that they give, and how it ended."""

    name: str
    reason: str
    outcome: str


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """One check that the file itself says has failed, by its name, and the sentence that says what it came to."""

    check: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Result:
    """What a file says.

    `figures` by name, in the units that the kind's `figures` say; one that cannot be told is not there, and never 0. `facts` are JSON, for people.
    `made_at` is None where the file does not say when. `notes` are sentences for whoever reads the result. `digest` identifies the file's bytes.
    `failed`: of a file that has checks, those that failed, each of which somebody is to look after.
    """

    figures: Mapping[str, float]
    digest: str
    made_at: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    excluded: tuple[Excluded, ...] = ()
    notes: tuple[str, ...] = ()
    failed: tuple[FailedCheck, ...] = ()


def known(**figures: float | None) -> dict[str, float]:
    """Those figures that can be told: neither None, nor beyond what a number can hold."""
    return {name: float(value) for name, value in figures.items() if value is not None and math.isfinite(value)}


def ratio(part: float, whole: float) -> float | None:
    """A part of a whole, 0-1; None where there is nothing to take a part of."""
    return part / whole if whole else None


@dataclass(frozen=True, slots=True)
class Figure:
    """What a figure of a kind is: its unit (`ratio`, `count`, `ms`, or empty where the rules say it) and its meaning."""

    unit: str
    meaning: str


class NoSettings(Part):
    """A kind that needs not be told anything."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind as the registry has it.

    `settings`: what the rules may say of it beside its name. `reader`: raises ConfigurationError with every mistake in the file, each with its place
    and what would be right; it is called by `read` only. `form`: the format of the file where it is ours to say, for a JSON Schema; None where others
    have defined it. `checks`: whether such a file has checks that can fail. `alike`: whether two results may be the same bytes and not say when they
    were made, so that these bytes can be news again.
    """

    summary: str
    figures: Mapping[str, Figure]
    reader: Callable[[Source, Any], Result]
    settings: type[BaseModel] = NoSettings
    form: type[BaseModel] | None = None
    checks: bool = False
    alike: bool = False

    def read(self, source: Source, settings: Any) -> Result:
        """The file's figures. Raises ConfigurationError, and nothing else, whatever is in the file."""
        return guarded(source, lambda: self.reader(source, settings))
