"""What is asked for on the command line, as one checked order: which rule files, over which time, against what.

Lives here: reading files and options, every mistake in them. Must not live here: asking a server, running.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from rollback_daemon import config
from rollback_daemon.documents.complaints import did_you_mean
from rollback_daemon.durations import parse_duration
from rollback_daemon.errors import ConfigurationError, Problem
from rollback_daemon.http_client import HTTPClient
from rollback_daemon.lab.backtesting import incidents, times
from rollback_daemon.lab.backtesting.incidents import Incident
from rollback_daemon.lab.backtesting.run import Settings
from rollback_daemon.lab.history import Grid
from rollback_daemon.rules.load import DEFAULT_INTERVAL, load, load_all
from rollback_daemon.rules.model import Rollout


@dataclass(frozen=True, slots=True)
class Wish:
    """The options as they were written. `begin`, `end`, `interval`, `resume_after` and `tolerance` are text still."""

    files: Sequence[Path]
    begin: str
    end: str
    prometheus: str = ""
    config_file: Path | None = None
    interval: str = ""
    compare: Path | None = None
    labels: Path | None = None
    tolerance: str = "5m"
    resume_after: str = "1h"
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True, slots=True)
class Order:
    """The wish, understood. `other`: the version to compare with; `grids`: the evaluations for each interval."""

    client: HTTPClient
    rollouts: tuple[Rollout, ...]
    other: Rollout | None
    grids: dict[timedelta, Grid]
    incidents: tuple[Incident, ...]
    tolerance: timedelta
    settings: Settings

    @property
    def all(self) -> tuple[Rollout, ...]:
        """Every rollout that is run."""
        return (*self.rollouts, *([self.other] if self.other else []))

    @property
    def evaluations(self) -> int:
        """Of all grids."""
        return sum(grid.count for grid in self.grids.values())


def understand(wish: Wish, now: datetime) -> Order:
    """The order. Raises ConfigurationError with every mistake in files and options."""
    problems: list[Problem] = []
    client, default = _client(wish, problems)
    rollouts: list[Rollout] = []
    other: Rollout | None = None
    known: list[Incident] = []
    interval = _duration("--interval", wish.interval, problems) if wish.interval else None
    after = None if wish.resume_after == "never" else _duration("--resume-after", wish.resume_after, problems, " or never")
    tolerance = _duration("--tolerance", wish.tolerance, problems) or timedelta()
    try:
        rollouts = [_every(one, interval) for one in load_all(wish.files, default)]
    except ConfigurationError as error:
        problems += error.problems
    try:
        other = _every(load(wish.compare, default), interval) if wish.compare else None
    except ConfigurationError as error:
        problems += error.problems
    if wish.compare and len(wish.files) > 1:
        problems.append(_option("--compare", "is for one rule file; name only the one that it is another version of"))
    settings = replace(wish.settings, resume_after=after)
    problems += _stage(settings, [*rollouts, *([other] if other else [])])
    grids = _grids(wish, {one.interval for one in (*rollouts, *([other] if other else []))}, now, problems)
    if wish.labels and rollouts:
        try:
            known = incidents.read(wish.labels, [one.name for one in rollouts], now)
        except ConfigurationError as error:
            problems += error.problems
    if problems or client is None:
        raise ConfigurationError(problems)
    return Order(client, tuple(rollouts), other, grids, tuple(known), tolerance, settings)


def _client(wish: Wish, problems: list[Problem]) -> tuple[HTTPClient | None, timedelta]:
    """Whom to ask, and how often a rule file is evaluated that does not say."""
    if bool(wish.prometheus) == bool(wish.config_file):
        missing = "an address is needed, or --config.file with its section prometheus"
        problems.append(_option("--prometheus", "give it or --config.file, not both" if wish.prometheus else missing))
        return None, DEFAULT_INTERVAL
    if wish.config_file:
        try:
            configuration, document = config.read(wish.config_file)
        except ConfigurationError as error:
            problems += error.problems
            return None, DEFAULT_INTERVAL
        client = configuration.prometheus
        problems += [
            document.problem(("prometheus",), f'the file "{name}" does not exist') for name in client.secret_files() if not Path(name).is_file()
        ]
        return client, configuration.global_.evaluation_interval
    try:
        return HTTPClient(url=wish.prometheus), DEFAULT_INTERVAL
    except ValidationError as error:
        problems += [_option("--prometheus", str(one["msg"]).removeprefix("Value error, ")) for one in error.errors()]
        return None, DEFAULT_INTERVAL


def _every(rollout: Rollout, interval: timedelta | None) -> Rollout:
    """The rollout, evaluated so often; what is still no gap is as many evaluations long as before."""
    if interval is None:
        return rollout
    return replace(rollout, interval=interval, max_gap=max(rollout.max_gap, rollout.max_gap / rollout.interval * interval))


def _stage(settings: Settings, rollouts: Sequence[Rollout]) -> list[Problem]:
    if settings.stage is None:
        return []
    if settings.climb:
        return [_option("--stage", "and --climb exclude each other: who climbs begins at the baseline")]
    lacking = [one for one in rollouts if one.stage(settings.stage) is None]
    return [
        _option("--stage", f'{one.file}: no stage "{settings.stage}"; {did_you_mean(settings.stage, [stage.name for stage in one.stages])}')
        for one in lacking
    ]


def _grids(wish: Wish, intervals: set[timedelta], now: datetime, problems: list[Problem]) -> dict[timedelta, Grid]:
    ends: dict[str, datetime] = {}
    for option, text in (("--from", wish.begin), ("--to", wish.end)):
        try:
            ends[option] = times.moment(text, now)
        except ValueError as error:
            problems.append(_option(option, str(error)))
    if len(ends) < 2:
        return {}
    found: dict[timedelta, Grid] = {}
    for interval in sorted(intervals):
        try:
            found[interval] = times.grid(ends["--from"], ends["--to"], interval, now)
        except ValueError as error:
            problems.append(_option("--from, --to", str(error)))
    return found


def _duration(option: str, text: str, problems: list[Problem], more: str = "") -> timedelta | None:
    try:
        return parse_duration(text)
    except ValueError as error:
        problems.append(_option(option, f"{error}{more}"))
        return None


def _option(name: str, text: str) -> Problem:
    return Problem(name, 0, 0, "", text)
