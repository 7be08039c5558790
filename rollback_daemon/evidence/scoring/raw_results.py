"""The raw result file of a case runner: its format, and the runs in it.

Lives here: one file. Must not live here: which run of a case counts (`first_runs`), what it is worth (`release_gate`, `shadow_diff`).
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from rollback_daemon.errors import Problem
from rollback_daemon.evidence.kind import NOT_YET, Source
from rollback_daemon.evidence.mistaken import refuse_mistaken
from rollback_daemon.evidence.reading import Instant, Written, bounded, formed, json_of, placed, shown

_ALIKE = 0.8  # of 1, by difflib: a slip of the fingers, not another word
_MOST_HINTS = 20


def _identifier(text: str) -> str:
    if text != text.strip() or not text.isprintable():
        raise ValueError(f"{shown(text)} has characters that cannot be seen; leave them out")
    return text


Identifier = Annotated[str, AfterValidator(_identifier), Field(min_length=1, max_length=200)]


class RawCase(Written):
    """One run of one case in one role.

    `latency_ms` is milliseconds until the answer was there. `diagnostic`: it was run to find something out, and never counts. `corrected`: a person
    had to correct the answer. `write_safety_incident`: something was written that must not have been.
    """

    id: Identifier
    run: int = Field(ge=1)
    started_at: Instant
    role: Identifier | None = None
    critical: bool = False
    diagnostic: bool = False
    benchmark: Identifier | None = None
    passed: bool
    output_shape_ok: bool
    corrected: bool = False
    latency_ms: float = Field(ge=0)
    write_safety_incident: bool


class RawResults(Written):
    """A raw result file: one session of a case runner against one engine. `started_at` is when the session began."""

    engine: Identifier
    started_at: Instant
    cases: list[RawCase]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one case in one role, and where it stands. For the fields see `RawCase`; `session` is when the runner's session began."""

    file: str
    index: int
    session: datetime
    id: str
    run: int
    started_at: datetime
    role: str | None
    critical: bool
    diagnostic: bool
    benchmark: str | None
    passed: bool
    output_shape_ok: bool
    corrected: bool
    latency_ms: float
    write_safety_incident: bool

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        return f"{self.file}: cases[{self.index}]"

    @property
    def name(self) -> str:
        """The case and the role, for people."""
        return f"{self.id} as {self.role}" if self.role else self.id

    @property
    def content(self) -> tuple[Any, ...]:
        """Everything that it says and that is scored: equal for two copies of one run."""
        said = (self.critical, self.diagnostic, self.benchmark, self.passed, self.output_shape_ok)
        return (self.started_at, *said, self.corrected, self.latency_ms, self.write_safety_incident)


@dataclass(frozen=True, slots=True)
class RawFile:
    """A raw result file that was read. `hints` are sentences about fields that were most likely meant to be others.

    `slips`: of each field that would say something else if it was meant, the sentence about the first such place.
    """

    file: str
    digest: str
    engine: str
    started_at: datetime
    runs: tuple[Run, ...]
    hints: tuple[str, ...] = ()
    slips: Mapping[str, str] = field(default_factory=dict)


def read_raw(source: Source) -> RawFile:
    """The file's runs. Raises ConfigurationError with every field that is missing or wrong, each with its case."""
    value = json_of(bounded(source))
    refuse_mistaken(source, value, "results")
    made = formed(source, value, RawResults, '{"engine": "v3_shadow", "started_at": "2026-11-20T03:12:00Z", "cases": [...]}')
    source.reject_if(_not_yet(source, value, made))
    begun = made.started_at.astimezone(UTC)
    runs = tuple(_run(source.file, index, begun, one) for index, one in enumerate(made.cases))
    return RawFile(source.file, source.digest, made.engine, begun, runs, *_misspelt(source.file, made))


def _run(file: str, index: int, session: datetime, one: RawCase) -> Run:
    return Run(
        file,
        index,
        session,
        one.id,
        one.run,
        one.started_at.astimezone(UTC),
        one.role,
        one.critical,
        one.diagnostic,
        one.benchmark,
        one.passed,
        one.output_shape_ok,
        one.corrected,
        one.latency_ms,
        one.write_safety_incident,
    )


def _not_yet(source: Source, value: Any, made: RawResults) -> Iterator[Problem]:
    if source.in_future(made.started_at):
        yield source.problem(f"{made.started_at.isoformat()} {NOT_YET}", "started_at")
    for index, one in enumerate(made.cases):
        if source.in_future(one.started_at):
            yield source.problem(f"{one.started_at.isoformat()} {NOT_YET}", placed(value, ("cases", index, "started_at")))


def _misspelt(file: str, made: RawResults) -> tuple[tuple[str, ...], dict[str, str]]:
    """Fields that are not known are kept; one that looks like a field that is not there was perhaps meant to be it."""
    hints, slips = dict[str, str](), dict[str, str]()
    for index, one in enumerate(made.cases):
        left_out = tuple(name for name in RawCase.model_fields if name not in one.model_fields_set)
        for name, value in (one.model_extra or {}).items():
            if meant := _meant(name, left_out):
                told = f'{file}: cases[{index}] ({one.id}): {shown(name)} is not known, and is not looked at; was "{meant}" meant?'
                hints.setdefault(name, told)
                if _would_count(meant, value):
                    slips.setdefault(meant, told)
    return tuple(hints.values())[:_MOST_HINTS], slips


@lru_cache(maxsize=1000)
def _meant(name: str, left_out: tuple[str, ...]) -> str:
    return next(iter(difflib.get_close_matches(name.casefold(), left_out, n=1, cutoff=_ALIKE)), "")


def _would_count(meant: str, value: Any) -> bool:
    """Whether the value could be one of that field, and would say something else than leaving it out does."""
    default = RawCase.model_fields[meant].default
    return value != default and isinstance(value, bool if isinstance(default, bool) else str)
