"""Made-up records of an incident, as the journal would hold them, at given seconds; and its report."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from rollback_daemon.governance.incident_report import incident_report
from rollback_daemon.governance.incidents import Incident, incidents
from rollback_daemon.journal.journal import Record

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LADDER = {"baseline": 0.0, "canary": 0.1, "half": 0.5}
EXPLAINED = {
    "owner": "deployment-lead",
    "runbook_url": "",
    "stages": [{"stage": name, "exposure": share} for name, share in LADDER.items()],
}


@dataclass
class Affair:
    """`at(seconds).put(...)`: one record after the other."""

    rollout: str = "checkout"
    records: list[Record] = field(default_factory=list)
    now: datetime = START
    first: int = 1

    def at(self, seconds: float) -> "Affair":
        self.now = START + timedelta(seconds=seconds)
        return self

    def put(self, event: str, **body: Any) -> "Affair":
        self.records.append(Record(self.first + len(self.records), self.now, self.rollout, event, body, "0" * 64))
        return self

    def adopted(self, stage: str = "half") -> "Affair":
        return self.put("adopted", stage=stage, phase="soaking", why="the flags were found so")

    def trigger(self, phase: str, value: float, alert: str = "ErrorRateHigh", since: float | None = None, **labels: str) -> "Affair":
        begun = (START + timedelta(seconds=since)).isoformat() if since is not None else self.now.isoformat()
        return self.put("trigger", alert=alert, labels=labels, phase=phase, value=value, limit="> 0.01", active_since=begun)

    def intended(self, identity: str = "i1", origin: str = "half", to: str = "canary", **more: Any) -> "Affair":
        why = ["ErrorRateHigh: error_rate 0.031 > 0.01 for 5m (held 5m15s)"]
        facts = {"code": "trigger_firing", "triggers": ["ErrorRateHigh"], "breached_at": self.now.isoformat(), "by": "rollbackd", "why": why}
        return self.put("intended", id=identity, kind="rollback", **{"from": origin, "to": to}, flags={}, **{**facts, **more})

    def applied(self, identity: str = "i1", before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None) -> "Affair":
        facts = {"id": identity, "kind": "rollback", "from": "half"}
        return self.put("applied", **facts, before=before or {"SHARE": "50"}, after=after or {"SHARE": "10"}, backup="flags.env.bak")

    def done(self, identity: str = "i1", to: str = "canary", *, verify: bool = True) -> "Affair":
        return self.put("done", id=identity, kind="rollback", **{"from": "half", "to": to}, flags={}, verify=verify)

    def checked(
        self, number: int, step: str, outcome: str = "pass", identity: str = "i1", error: str = "", output: str = "", seconds: float = 0.2
    ) -> "Affair":
        return self.put("checked", id=identity, incident="i1", number=number, step=step, outcome=outcome, error=error, output=output, seconds=seconds)

    def verified(self, identity: str = "i1") -> "Affair":
        return self.put("verified", id=identity, incident="i1", way="flags", steps=3)

    def unverified(self, identity: str = "i1", why: str = "http: 500", *, final: bool = False) -> "Affair":
        return self.put("unverified", id=identity, incident="i1", way="flags", step="http", why=why, unknown=False, final=final, next="")

    def resumed(self) -> "Affair":
        return self.put("resumed", why="ann: mended", by="ann", code="person")

    def wrote(self, *, complete: bool = False, by: str = "ann", **fields: str) -> "Affair":
        return self.put("postmortem", incident="i1", fields=fields, complete=complete, by=by, why="as we found it")

    def incidents(self) -> list[Incident]:
        return incidents(self.records)

    def report(self, *, number: int = -1, elsewhere: list[dict[str, Any]] | None = None, after: float = 7200) -> dict[str, Any]:
        return incident_report(self.incidents()[number], self.records, EXPLAINED, elsewhere or [], START + timedelta(seconds=after))


def whole() -> Affair:
    """An incident from the first breach to the person who completes its report."""
    affair = Affair().adopted().at(3600).trigger("pending", 0.018, since=3600)
    affair.at(3900).trigger("firing", 0.031, since=3600).intended(breached_at=(START + timedelta(seconds=3900)).isoformat())
    affair.at(3900.4).applied().at(3902).put(
        "ran", id="i1", kind="rollback", **{"from": "half"}, command=["deploy.sh", "--reload"], error="", output="reloaded 4 workers", seconds=1.6
    )
    affair.at(3902.1).done().at(3902.2).checked(0, "flags read back", output="2 flags of flags.env")
    affair.at(3903).put(
        "told",
        incident="i1",
        alerts=[{"alertname": "ErrorRateHigh", "severity": "critical"}, {"alertname": "RolloutRolledBack", "severity": "critical"}],
        alertmanager="http://alertmanager:9093",
    )
    affair.at(3912).checked(1, "GET http://127.0.0.1:8000/health", output="/spice_enabled is false", seconds=9.6)
    affair.at(3960).trigger("inactive", 0.002).put("hooked", hook="ticket", on="rolled_back", error="", attempts=1, seconds=0.4)
    affair.at(4000).put("drift", drift="higher", keys={"SHARE": {"expected": "10", "actual": "50"}}, why="", stage="half", known={"user": "bob"})
    affair.at(4060).put(
        "refused",
        request="promote",
        by="bob",
        reason="it looks fine again",
        why=["checkout stays at canary: it was rolled back, and nobody has resumed it"],
    )
    affair.at(5700).checked(2, "gates pass for 30m", seconds=1788).verified()
    return (
        affair.at(5701)
        .put("plotted", **plotted())
        .at(6000)
        .wrote(root_cause="a query without an index", users_affected="about 1,200 of 10 %; checkout failed on the first try")
    )


def plotted() -> dict[str, Any]:
    """What Prometheus would have said of two signals."""
    begin, end = 1800, 5700
    times = [begin + number * (end - begin) / 239 for number in range(240)]

    def error_rate(at: float) -> float:
        rise = 0.03 / (1 + math.exp(-(at - 3640) / 40)) if at < 3902 else 0.03 * math.exp(-(at - 3902) / 60)
        return round(0.0012 + rise + 0.0006 * math.sin(at / 37), 6)

    def latency(at: float) -> float:
        return round(0.12 + 0.02 * math.sin(at / 90) + (0.25 if 3650 < at < 3930 else 0), 6)

    both: list[dict[str, Any]] = [
        {
            "name": "error_rate",
            "expr": "genesis_error_rate",
            "unit": "",
            "labels": {},
            "limit": "> 0.01",
            "lines": [0.01],
            "alerts": ["ErrorRateHigh"],
        },
        {
            "name": "p95_latency",
            "expr": "histogram_quantile(0.95, x)",
            "unit": "s",
            "labels": {},
            "limit": "must be < 0.2",
            "lines": [0.2],
            "alerts": [],
        },
    ]
    for one, value in zip(both, (error_rate, latency), strict=True):
        one["points"] = [[(START + timedelta(seconds=at)).timestamp(), value(at)] for at in times]
    return {
        "incident": "i1",
        "signals": both,
        "from": (START + timedelta(seconds=begin)).isoformat(),
        "to": (START + timedelta(seconds=end)).isoformat(),
        "why": [],
    }
