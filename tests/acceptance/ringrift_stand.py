"""RingRift's orchestrator under guard on shortened times, and its harnesses as small programs: each leaves what the test says it finds.

Lives here: the programs and their reports. Must not live here: the stand of phased rollouts (`phased_stand`), what should be true.
"""

import json
from pathlib import Path
from typing import Any

from rollback_daemon.lab.servers import AlertmanagerServer
from tests.acceptance.phased_stand import PhasedStand

BOARDS = ("square8", "square19", "hexagonal")
CHANGES = {
    "max_age: 400ms": "max_age: 2s",
    "for: 3s": "for: 500ms",
    "every: 125ms\n      timeout: 1h": "every: 1s\n      timeout: 900ms",
    "every: 125ms, timeout: 30m": "every: 1s, timeout: 900ms",
    "max_age: 167ms": "max_age: 3500ms",
    "every: 500ms, timeout: 10m": "every: 5s, timeout: 4s",
    "max_age: 542ms": "max_age: 30s",
}
"""What is too short for a busy machine once two days are a second."""
SOAK = """#!/bin/sh
# writes its report into the file of results, and exits with 1 where an invariant was violated, as the harness does
[ "$1" = --profile=ci-short ] || exit 64
cd '{folder}' || exit 66
[ -e hangs ] && exec sleep 60
sed "s/NOW/$(date -u +%Y-%m-%dT%H:%M:%S.%6NZ)/" soak.json > orchestrator_soak.new
mv orchestrator_soak.new orchestrator_soak.json
exec grep -q '"violations": \\[\\]' soak.json
"""
PARITY = """#!/bin/sh
[ "$1" = --profile=parity-healthcheck ] || exit 64
exec cat '{folder}/parity.json'
"""
OVERLAY = """#!/bin/sh
# the model of the latency is gone
[ "$1" = --print=win-rate ] && exec echo 0.61
echo 'no such model' >&2
exit 1
"""


class Harnesses:
    """The programs of the schedule, which find nothing wrong until they are told."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        for name, text in (("orchestrator-soak", SOAK), ("parity-healthcheck", PARITY), ("ai-overlay", OVERLAY)):
            (folder / name).write_text(text.format(folder=folder), encoding="utf-8")
            (folder / name).chmod(0o755)
        self.soak()
        self.parity()

    @property
    def shipped(self) -> dict[str, Path]:
        """What is here for the paths of the rule file."""
        results = {"/srv/ringrift/results": self._folder, "/srv/ringrift/bin/restart": Path("/bin/true")}
        return {**results, "/srv/ringrift/bin": self._folder}

    def soak(self, violations: int = 0) -> None:
        """From now on a soak of 15 games on three boards finds so many violated invariants, all on the last board."""
        games = {"totalGames": 5, "completedGames": 5, "maxTurnsGames": 0}
        found = [{"id": "INV-S-MONOTONIC", "boardType": BOARDS[-1], "gameId": f"g{number}", "message": "S fell"} for number in range(violations)]
        report = {
            "timestamp": "NOW",
            "config": {"profile": "ci-short", "boardTypes": list(BOARDS), "gamesPerBoard": 5},
            "overall": {**{name: 3 * count for name, count in games.items()}, "invariantViolations": violations},
            "buckets": [{"boardType": one, **games, "invariantViolations": violations if one == BOARDS[-1] else 0} for one in BOARDS],
            "violations": found,
        }
        self._leave("soak.json", report)

    def parity(self, *mismatches: str) -> None:
        """From now on a parity check finds these cases to differ."""
        samples = [{"suite": "plateau_snapshots", "case_id": one, "mismatch_type": "status"} for one in mismatches]
        suites = ["contract_vectors_v2", "plateau_snapshots"]
        self._leave("parity.json", {"suites": suites, "total_cases": 19, "mismatches_total": len(mismatches), "samples": samples})

    def hang(self, *, hangs: bool) -> None:
        """Whether a soak comes to an end."""
        (self._folder / "hangs").touch() if hangs else (self._folder / "hangs").unlink()

    def _leave(self, name: str, report: dict[str, Any]) -> None:
        fresh = self._folder / f"{name}.new"
        fresh.write_text(json.dumps(report), encoding="utf-8")
        fresh.replace(self._folder / name)


def ringrift(folder: Path, environment: str, harnesses: Harnesses, prometheus: str, alertmanager: AlertmanagerServer) -> PhasedStand:
    """The shipped rollout on an environment file with this text."""
    shipped = {"/srv/ringrift/.env.production": folder / ".env.production", **harnesses.shipped}
    return PhasedStand(folder, "ringrift-orchestrator", shipped, environment, CHANGES, prometheus, alertmanager)
