"""A soak report: games played by themselves for long, with invariants looked at in each turn.

The format is the summary of RingRift's orchestrator soak harness. Fields that are not named here are kept. Must not live here: how a soak is run.
"""

from collections.abc import Iterator

from pydantic import Field

from rollback_daemon.errors import Problem
from rollback_daemon.evidence.kind import NOT_YET, Figure, Kind, NoSettings, Result, Source, known, ratio
from rollback_daemon.evidence.mistaken import refuse_mistaken
from rollback_daemon.evidence.reading import Instant, Written, bounded, formed, json_of

_COUNTS = {
    "totalGames": "total_games",
    "completedGames": "completed_games",
    "maxTurnsGames": "max_turns_games",
    "invariantViolations": "invariant_violations",
}
_MOST_VIOLATIONS = 50  # in the facts

FIGURES = {
    "games_planned": Figure("count", "boards times games for each board, as the configuration of the run says; without it, the games begun"),
    "games": Figure("count", "games begun"),
    "games_completed": Figure("count", "games played to their end"),
    "completed_ratio": Figure("ratio", "games completed, of those planned"),
    "invariant_violations": Figure("count", "invariants that were violated; not there where no game was played"),
    "max_turns_reached": Figure("count", "games that were stopped at the limit of turns; not there where no game was played"),
    "boards": Figure("count", "kinds of board that were played on"),
}


class Counts(Written):
    """Games, and how they ended."""

    total_games: int = Field(alias="totalGames", ge=0)
    completed_games: int = Field(alias="completedGames", ge=0)
    max_turns_games: int = Field(alias="maxTurnsGames", ge=0)
    invariant_violations: int = Field(alias="invariantViolations", ge=0)


class Board(Counts):
    """The games on one kind of board."""

    board_type: str = Field(alias="boardType", min_length=1)


class Config(Written):
    """How the run was asked for. `gamesPerBoard` is 0 where games are begun from recorded positions instead."""

    profile: str | None = None
    board_types: list[str] = Field(default=[], alias="boardTypes")
    games_per_board: int = Field(default=0, alias="gamesPerBoard", ge=0)


class Violation(Written):
    """One invariant that was violated."""

    id: str
    board_type: str = Field(default="", alias="boardType")
    game_id: str = Field(default="", alias="gameId")
    message: str = ""


class SoakReport(Written):
    """A soak report; `timestamp` is when the run ended."""

    timestamp: Instant
    config: Config
    overall: Counts
    buckets: list[Board]
    violations: list[Violation] = []


def read(source: Source, _settings: NoSettings) -> Result:
    """The figures of a soak report; its parts must agree with its sums."""
    value = json_of(bounded(source))
    refuse_mistaken(source, value, "soak")
    report = formed(source, value, SoakReport, '{"timestamp": "2026-11-20T03:12:00Z", "config": {...}, "overall": {...}}')
    source.reject_if(_contradictions(source, report))
    played, config = report.overall, report.config
    planned = max(len(config.board_types) * config.games_per_board, played.total_games)
    figures = known(
        games_planned=planned,
        games=played.total_games,
        games_completed=played.completed_games,
        completed_ratio=ratio(played.completed_games, planned),
        invariant_violations=played.invariant_violations if played.total_games else None,
        max_turns_reached=played.max_turns_games if played.total_games else None,
        boards=len({one.board_type for one in report.buckets}),
    )
    facts = {
        "profile": config.profile,
        "boards": {one.board_type: f"{one.completed_games} of {one.total_games} completed" for one in report.buckets},
        "violations": [
            f"{one.id} on {one.board_type or '?'}, game {one.game_id or '?'}: {one.message}" for one in report.violations[:_MOST_VIOLATIONS]
        ],
    }
    notes = () if played.total_games else ("no game was played: nothing is known about invariants",)
    return Result(figures, source.digest, report.timestamp, facts, notes=notes)


def _contradictions(source: Source, report: SoakReport) -> Iterator[Problem]:
    overall = report.overall
    if source.in_future(report.timestamp):
        yield source.problem(f"{report.timestamp.isoformat()} {NOT_YET}", "timestamp")
    if overall.completed_games > overall.total_games:
        text = f"{overall.completed_games} games were completed of {overall.total_games}; one of the two is wrong"
        yield source.problem(text, "overall.completedGames")
    for written, name in _COUNTS.items():
        whole, parts = getattr(overall, name), sum(getattr(one, name) for one in report.buckets)
        if whole != parts:
            yield source.problem(f"is {whole}, but the boards come to {parts}; hand in the report as the harness wrote it", f"overall.{written}")
    if len(report.violations) > overall.invariant_violations:
        yield source.problem(f"is {overall.invariant_violations}, but {len(report.violations)} are listed", "overall.invariantViolations")


KIND = Kind("a soak report", FIGURES, read, form=SoakReport)
