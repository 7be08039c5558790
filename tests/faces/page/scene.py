"""One rollout with everything that a page can show, on a real flag file and a real journal, with a clock that is set by hand; and its page.

Lives here: setting up, evaluating, rendering. Must not live here: a daemon, a browser.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rollback_daemon.faces.page import one
from rollback_daemon.faces.page.assets import Assets
from rollback_daemon.faces.page.home import Board, Row, row
from rollback_daemon.faces.page.rendering import environment
from rollback_daemon.faces.page.urls import Urls
from rollback_daemon.faces.trails import Trails
from rollback_daemon.flags.stores import open_store
from rollback_daemon.hooks.courier import Backlog
from rollback_daemon.journal.journal import Journal
from rollback_daemon.judge.act import intended
from rollback_daemon.judge.position import Open, Position
from rollback_daemon.judge.state import Happened
from rollback_daemon.judge.transitions import Event, Kind
from rollback_daemon.rules.load import load
from rollback_daemon.rules.model import Rollout
from rollback_daemon.signals.observation import Failed, Failure, NoData, Observation, Value
from rollback_daemon.watch import Watch

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NASTY = "<script>alert(1)</script>\"'&"
RULES = """
rollout: checkout
owner: '{nasty}'
labels: {{tier: '{nasty}'}}
runbook_url: https://runbooks.example.com/checkout
interval: 15s
flags: {{store: dotenv, path: {flags}}}
baseline: {{NEW: "false", SHARE: "0", LIGHT: "false"}}
stages:
  - {{stage: canary, exposure: 10%, set: {{NEW: "true", SHARE: "10"}}, soak: 1m, requires: {{config: {{REGION: eu}}}}}}
  - {{stage: half, exposure: 50%, set: {{SHARE: "50"}}, soak: 1h, requires: {{checkpoints: [day-1], approvals: {{roles: [lead, security]}}}}}}
signals:
  error_rate: {{expr: errors}}
  latency: {{expr: latency, unit: s}}
  cost: {{expr: cost}}
gates:
  - {{gate: Errors, signal: error_rate, below: 0.5%}}
  - {{gate: Cost, signal: cost, below: 100, blocking: false}}
triggers:
  - {{alert: ErrorRateHigh, signal: error_rate, above: 1%, for: 1m, severity: critical}}
  - {{alert: LatencyHigh, signal: latency, above: 500ms, action: {{degrade: {{LIGHT: "true"}}}}}}
  - {{alert: Pasted, expr: sum by (code) (oops) > 5, action: alert, dry_run: true}}
follow_up: {{after: [1d, 7d]}}
"""
GOOD: dict[str, Observation] = {
    "errors": Value({(): 0.002}),
    "latency": Value({(("pod", "a"),): 0.1, (("pod", NASTY),): 0.2}),
    "cost": Value({(): 12.0}),
    "sum by (code) (oops)": NoData("the query returned nothing"),
}
BAD: Observation = Value({(): 0.031})
AWAY: Observation = Failed(Failure.UNREACHABLE, f"no answer: {NASTY}")


class Hands:
    """A clock whose hands are moved by the test."""

    def __init__(self) -> None:
        self.time = NOON

    def now(self) -> datetime:
        return self.time


class Nobody:
    """A witness who listens to nothing."""

    def happened(self, rollout: Rollout, event: Event, body: Mapping[str, Any], at: datetime, opened: Open | None) -> None:
        """Nothing follows."""


class Scene:
    """At the baseline, and judged once."""

    def __init__(self, folder: Path, rules: str = RULES) -> None:
        self.flags, file = folder / "flags.env", folder / "rules.yml"
        self.flags.write_text("NEW=false\nSHARE=0\nLIGHT=false\nREGION=eu\n", encoding="utf-8")
        file.write_text(rules.format(flags=self.flags, nasty=NASTY.replace("'", "''")), encoding="utf-8")
        self.hands, self.trails = Hands(), Trails()
        self.journal = Journal.open(f"sqlite:///{folder / 'journal.db'}")
        self.rollout = load(file)
        self._watch = Watch(self.rollout, open_store("dotenv", self.flags, 0), self.journal, self.hands, Nobody())
        self._watch.recall(None, None)
        self.templates = environment()
        self.urls = Urls("", Assets.load())
        self.see()

    def close(self) -> None:
        self._watch.close(1)
        self.journal.close()

    # what a page asks

    def watch(self, _name: str) -> Watch:
        return self._watch

    def hooks_behind(self, _name: str) -> list[tuple[str, Backlog]]:
        return []

    # what happens

    @property
    def position(self) -> Position:
        assert self._watch.state.position is not None
        return self._watch.state.position

    def see(self, times: int = 1, **seen: Observation) -> "Scene":
        """So many evaluations, of what is good unless `seen` says otherwise."""
        for _ in range(times):
            self.hands.time += timedelta(seconds=15)
            self._watch.evaluate({**GOOD, **seen}, self.hands.time)
            self.trails.evaluated([self._watch])
        return self

    def happen(self, event: Event, /, **body: Any) -> "Scene":
        """Something goes on record, and nothing is done about it."""
        self.hands.time += timedelta(seconds=1)
        self._watch.happen(Happened(event, body))
        return self

    def intend(self, kind: Kind, target: str, **more: Any) -> "Scene":
        """A transition is on record, and its flags are not touched."""
        stage = self.rollout.stage(target)
        assert stage is not None
        happened = intended(self.rollout, self.position, kind, stage, [f"because {NASTY}"], "ann", self.hands.time)
        return self.happen(Event.INTENDED, **{**happened.body, **more})

    def done(self) -> "Scene":
        """The transition on record is done, and its flags are there."""
        opened = self.position.open
        assert opened is not None
        self._write({key: str(value) for key, value in opened.flags.items()})
        return self.happen(Event.DONE, **{"id": opened.id, "kind": opened.kind, "from": opened.origin, "to": opened.target, "code": opened.code})

    def at(self, stage: str) -> "Scene":
        """Promoted to there, and judged."""
        if stage == "half":
            self.at("canary").see(5)
        return self.intend(Kind.PROMOTE, stage).done().see()

    def rolled_back(self) -> "Scene":
        """From the canary, and judged."""
        return self.at("canary").intend(Kind.ROLLBACK, "baseline").done().see()

    def found(self, **flags: str) -> "Scene":
        """Somebody else changes the flag file, and it is judged."""
        self._write(flags)
        return self.see()

    def _write(self, flags: Mapping[str, str]) -> None:
        text = self.flags.read_text(encoding="utf-8")
        for key, value in flags.items():
            text = re.sub(rf"^{key}=.*$", f"{key}={value}", text, flags=re.MULTILINE)
        self.flags.write_text(text, encoding="utf-8")

    # what is shown

    def line(self) -> tuple[Row, str]:
        """The rollout on the home page: its facts and its HTML."""
        lines = Board(self.templates).look([self._watch], self.urls, self.hands.time)
        return row(self._watch, self.hands.time), lines.lines[0][1]

    def parts(self, before: int | None = None) -> dict[str, str]:
        """The parts of its own page."""
        return one.parts(self, "checkout", self.templates, self.urls, before)
