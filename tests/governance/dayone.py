"""What the tests of the preflight share: a rollout whose files are real, and askers that say what a test wants them to.

Lives here: setting up, and looking at findings by their names.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rollback_daemon.config import Configuration
from rollback_daemon.flags.stores import open_store
from rollback_daemon.governance.finding import Finding
from rollback_daemon.governance.preflight import WITHIN, Askers, findings, preflight
from rollback_daemon.governance.sight_checks import ANSWERS
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Outcome
from rollback_daemon.judge.transitions import Phase
from rollback_daemon.rules.duties import Preflight
from rollback_daemon.rules.measures import Condition, Op, Signal
from rollback_daemon.rules.model import FlagSettings, Gate, Rollout, Stage, Trigger
from rollback_daemon.rules.triggers import Threshold
from rollback_daemon.signals.observation import Failed, Failure, NoData, Observation, Value
from rollback_daemon.signals.prometheus import AlertingRule

NOW = datetime.now(UTC)
ALL = frozenset({"baseline", "canary", "half"})
ERRORS = Signal("error_rate", "genesis_error_rate")
PASTED = Signal("Paged", 'rate(http_requests_total{code="500"}[5m]) > 1 or vector(1) > 2')
ONE = Value({(): 1.0})
AWAY = Failed(Failure.UNREACHABLE, "no answer from http://127.0.0.1:9: Connection refused")


def at(stage: str, **more: Any) -> Position:
    """The position of a rollout that stands there."""
    return Position(Phase.SOAKING, stage, NOW, NOW, **more)


@dataclass
class World:
    """What the askers say. `answers` overlays a 1 for every query."""

    services: Mapping[str, Observation] = field(default_factory=dict)
    answers: Mapping[str, Observation] = field(default_factory=dict)
    away: bool = False
    rules: Sequence[AlertingRule] | Failed = ()
    alertmanagers: Mapping[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def ask(self, queries: Sequence[str]) -> Mapping[str, Observation]:
        self.asked += queries
        return dict.fromkeys(queries, AWAY) if self.away else {**dict.fromkeys(queries, ONE), **self.answers}

    def askers(self) -> Askers:
        return Askers(lambda _: self.services, self.ask, lambda: self.rules, lambda: self.alertmanagers)


class DayOne:
    """The rollout "spice" on files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = folder / ".env.production"
        self.write(SPICE="false", SHARE="0")
        self.journal = folder / "journal.db"
        self.world = World()
        stages = [
            Stage("baseline", 0, 0.0, {"SPICE": "false", "SHARE": "0"}),
            Stage("canary", 1, 0.1, {"SPICE": "true", "SHARE": "10"}),
            Stage("half", 2, 0.5, {"SPICE": "true", "SHARE": "50"}),
        ]
        self.rollout = Rollout(
            name="spice",
            file="rules/spice.yml",
            digest="0",
            interval=timedelta(seconds=15),
            max_gap=timedelta(seconds=45),
            flags=FlagSettings("dotenv", str(self.env)),
            stages=tuple(stages),
            gates=(Gate("Errors", ERRORS, Condition(Op.BELOW, 0.001), ALL),),
            triggers=(
                Trigger("ErrorRateHigh", Threshold(ERRORS, Condition(Op.ABOVE, 0.01)), ALL),
                Trigger("Paged", Threshold(PASTED, None), ALL),
            ),
            signals=(ERRORS,),
            preflight=Preflight(disk_free=0.0),
        )

    def write(self, **flags: str) -> None:
        """Flags by hand."""
        self.env.write_text("".join(f"{key}={value}\n" for key, value in flags.items()), encoding="utf-8")

    def backup(self, name: str) -> str:
        """As rollbackd makes it before a change."""
        return open_store("dotenv", self.env).backup(name)

    def wants(self, **wanted: Any) -> None:
        """Other keys of `preflight`."""
        self.rollout = replace(self.rollout, preflight=replace(self.rollout.preflight, **wanted))

    def findings(self, position: Position | None = None) -> list[Finding]:
        """The preflight, with the askers of `world`."""
        store = open_store("dotenv", Path(self.rollout.flags.path))
        return findings(self.rollout, position, store, self.world.askers(), prometheus="http://127.0.0.1:9090", journal=self.journal, now=NOW)

    def finding(self, check: str, position: Position | None = None) -> Finding:
        """The one of that name."""
        found = [one for one in self.findings(position) if one.check == check]
        assert len(found) == 1, [one.check for one in self.findings(position)]
        return found[0]

    def outcome(self, check: str, position: Position | None = None) -> Outcome:
        return self.finding(check, position).outcome

    def preflight(self, prometheus: str, within: timedelta = WITHIN, **configuration: Any) -> dict[str, Any]:
        """The whole of it, with real askers."""
        settings = Configuration.model_validate({"prometheus": {"url": prometheus}, "rule_files": ["rules.yml"], **configuration})
        return preflight(self.rollout, None, settings, self.journal, datetime.now(UTC), within)


def aged(path: Path, age: timedelta, content: str = "dump") -> Path:
    """A file that was written so long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    when = (NOW - age).timestamp()
    os.utime(path, (when, when))
    return path


NOTHING = NoData("the query returned nothing")
__all__ = ["ANSWERS", "AWAY", "NOTHING", "NOW", "DayOne", "World", "aged", "at"]
