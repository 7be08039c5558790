"""Made-up records of a rollout, for the report: what the journal would hold, in a line each."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from rollback_daemon.governance.report import report
from rollback_daemon.journal.journal import Head, Record

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LADDER = {"baseline": 0.0, "canary": 0.1, "half": 0.5, "full": 1.0}
SEEN = {"at": "2026-03-01T12:00:00+00:00", "score": 92.5, "verdict": "GO", "checks": {"soak": ["pass", "soaked 1h"], "approvals": ["fail", "none"]}}


@dataclass
class Tale:
    """A record comes each second; `stage` is where the rollout is after what was told so far."""

    records: list[Record] = field(default_factory=list)
    stage: str = "baseline"
    count: int = 0

    def put(self, event: str, **body: Any) -> int:
        """One record; returns its number."""
        seq = len(self.records) + 1
        self.records.append(Record(seq, START + timedelta(seconds=seq), "checkout", event, body, "0" * 64))
        return seq

    def adopted(self, stage: str, **more: Any) -> int:
        self.stage = stage
        return self.put("adopted", stage=stage, phase="soaking", why="the flags were found so", **more)

    def intended(self, kind: str, to: str, *, code: str = "person", by: str = "ann", why: str = "day one", **more: Any) -> str:
        """The intent alone; returns its id."""
        self.count += 1
        body = {"id": f"t{self.count}", "kind": kind, "from": self.stage, "to": to, "flags": {}, "why": [why], "by": by, "code": code}
        self.put("intended", **body, **({"bases": {}} if kind == "promote" and code != "rehearsal" else {}), **more)
        return f"t{self.count}"

    def applied(self, identity: str, kind: str) -> int:
        return self.put("applied", **self.facts(identity, kind), before={"SHARE": "0"}, after={"SHARE": "10"}, backup="flags.bak")

    def done(self, identity: str, kind: str, to: str) -> int:
        facts = self.facts(identity, kind)
        self.stage = to
        return self.put("done", **facts, to=to, flags={})

    def facts(self, identity: str, kind: str) -> dict[str, Any]:
        return {"id": identity, "kind": kind, "from": self.stage}

    def moved(self, kind: str, to: str, **more: Any) -> int:
        """A whole transition; returns the number of its intent."""
        seq = len(self.records) + 1
        identity = self.intended(kind, to, **more)
        self.applied(identity, kind)
        self.done(identity, kind, to)
        return seq

    def proposed(self, to: str, identity: str = "p1", why: str = "it looks good") -> int:
        fixed = {"entered": START.isoformat(), "rules": "a" * 64, "evidence": "b" * 64, "roles": ["lead", "security"], "needed": 2}
        expires = (START + timedelta(days=1)).isoformat()
        return self.put("proposed", id=identity, by="pam", why=why, stage=self.stage, to=to, expires=expires, seen=SEEN, **fixed)

    def voted(self, by: str, role: str, *, go: bool = True, why: str = "tests pass", conditions: tuple[str, ...] = (), identity: str = "p1") -> int:
        return self.put("voted", id=identity, by=by, role=role, go=go, why=why, conditions=list(conditions), to="canary", seen=SEEN)

    def drifted(self, drift: str, stage: str = "", **more: Any) -> int:
        keys = {} if drift == "none" else {"SHARE": {"expected": "0", "actual": "50"}}
        return self.put("drift", drift=drift, keys=keys, why="", stage=stage, **more)

    def report(self, **explained: Any) -> dict[str, Any]:
        """The report of these records."""
        head = Head(len(self.records), len(self.records), "f" * 64)
        return report(self.records, {**EXPLAINED, "stage": self.stage, **explained}, CARD, head, START + timedelta(hours=1))


EXPLAINED: dict[str, Any] = {
    "rollout": "checkout",
    "owner": "deployment-lead",
    "mode": "enforce",
    "stage": "baseline",
    "phase": "soaking",
    "exposure": 0.1,
    "since": "2026-03-01T12:00:00.000Z",
    "why": "",
    "next": "may be promoted by a person",
    "degraded": {},
    "drift": "none",
    "broken_glass": "",
    "proposal": None,
    "evidence": [],
    "file": "rules/checkout.yml",
    "rules_sha256": "a" * 64,
    "stages": [{"stage": name, "exposure": share, "soak": "1h", "flags": {}, "requires": [], "promote": "manual"} for name, share in LADDER.items()],
}
CARD: dict[str, Any] = {
    "rollout": "checkout",
    "stage": "canary",
    "to": "half",
    "at": "2026-03-01T12:00:00.000Z",
    "points": 71.4,
    "verdict": "GO with monitoring",
    "unsure": False,
    "go": 90,
    "monitor": 70,
    "lines": [{"part": "technical", "check": "Errors", "worth": 40.0, "has": 40.0, "outcome": "pass"}],
    "checks": [
        {"check": "Errors", "outcome": "pass", "code": None, "blocking": True, "evidence": "gate Errors: error_rate 0, must be < 0.001"},
        {"check": "soak", "outcome": "fail", "code": "soak", "blocking": True, "evidence": "soaked 1m of 1h"},
    ],
}
