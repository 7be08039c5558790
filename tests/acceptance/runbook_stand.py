"""The assistant under guard, and its release engineer: raw result files, and the commands of the runbook, run as they stand on its page.

Lives here: what the daemon and the verbs read. Must not live here: asking and waiting (`ground`), what should be true; each test says that itself.
"""

import json
import re
import shlex
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rollback_daemon.lab.servers import AlertmanagerServer
from tests.acceptance.phased_stand import PhasedStand
from tests.faces.http.bench import Ran, rollbackd

ROLLOUT = "assistant-v3"
PAGE = (Path(__file__).parents[2] / "rules" / "ASSISTANT.md").read_text(encoding="utf-8")
SHADOW, DIFF, DIFF_IN, CANARY, GATE, GATE_IN, CLIMB, REHEARSE, GATE_100, GATE_100_IN, ACTIVE, RESUME = re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE)
"""Every command of the page, in its order."""
READER, OPERATOR = "ai.reader", "ai.operator"
SMOKE = ("FIN-01", "SAL-01", "STK-01", "WR-02")
ENGINE = """{
  "site": "erp.example.com",   "assistant_engine": "v2",
  "ai_assistant_v3_canary_percent": 10, "limits": {"tokens": 4000}
}
"""


def engine_of(engine: str, percent: int) -> str:
    """ENGINE with these two values, and not another byte changed."""
    return ENGINE.replace('"v2"', f'"{engine}"').replace('percent": 10', f'percent": {percent}')


class RunbookStand(PhasedStand):
    """The assistant, whose tickets are lines of a file. As a context manager the daemon runs inside the `with`."""

    def __init__(self, folder: Path, text: str, prometheus: str, alertmanager: AlertmanagerServer) -> None:
        """`text`: the flag file."""
        flags = folder / "runtime_config.json"
        ticket = self._program(folder / "ticket.sh", 'cat >> "$0.told"; echo >> "$0.told"')
        smoke = self._program(folder / "smoke.sh", f'grep -q \'"assistant_engine": "v2"\' {shlex.quote(str(flags))}; echo "$* passed at v2"')
        shipped = {
            "/srv/assistant/runtime_config.json": flags,
            "/srv/assistant/bin/smoke": smoke,
            "/etc/rollbackd/hooks/ticket.py": ticket,
        }
        ages = {"max_age: 1s500ms": "max_age: 3d", "max_age: 3s500ms": "max_age: 7d"}  # results are made in real time
        super().__init__(folder, ROLLOUT, shipped, text, ages, prometheus, alertmanager)

    @staticmethod
    def _program(path: Path, script: str) -> Path:
        path.write_text(f"#!/bin/sh\nset -e\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    def type(self, words: str, stage: int = 10) -> Ran:
        """A command as somebody types it in the folder of the results; one that the page shows for 10 %, for another stage."""
        words = words.replace("--stage 10 ", f"--stage {stage} ").replace("stage10.json", f"stage{stage}.json").replace(" 10 %", f" {stage} %")
        program, *rest = shlex.split(words)
        assert program == "rollbackd"
        return rollbackd(*rest, env={"ROLLBACKD_URL": self.daemon.url}, cwd=self.folder)

    def arrives(self, words: str, stage: str, of: int = 10) -> None:
        """A promotion that is typed once the stage is earned, and the first evaluation at the next one."""
        self.insist(lambda: self.type(words, of))
        self.wait(lambda: self.get()["stage"] == stage and self.explain()["evaluated_at"] > self.explain()["entered"], f"an evaluation at {stage}")

    def stays(self, words: str, of: int = 10) -> str:
        """What a promotion is refused with that is typed once the stage has soaked; again as long as that cannot be told."""
        self.wait_for_phase("ready")
        refused = self.wait(lambda: found if (found := self.type(words, of)).code != 3 else None, "an answer that is not unknown")
        assert refused.code == 1, refused
        return str(refused.err)

    def results(
        self,
        name: str,
        role: str | None = READER,
        engine: str = "v3_canary",
        failing: Collection[str] = (),
        later: timedelta = timedelta(),
        **of_each: Any,
    ) -> Path:
        """A raw result file of the smoke scenarios, run just now, or so much later."""
        now = datetime.now(UTC) + later
        good = {"benchmark": "clear", "critical": True, "output_shape_ok": True, "latency_ms": 812, "write_safety_incident": False}
        cases = [{"id": one, "run": 1, "started_at": now.isoformat(), "role": role, "passed": one not in failing, **good, **of_each} for one in SMOKE]
        path = self.folder / name
        path.write_text(json.dumps({"engine": engine, "started_at": now.isoformat(), "cases": cases}), encoding="utf-8")
        return path

    def both_roles(self, **how: Any) -> None:
        """The result files of both roles."""
        self.results("reader.json", READER, **how)
        self.results("operator.json", OPERATOR, **how)

    @property
    def tickets(self) -> list[Mapping[str, Any]]:
        """What the hook was told, event by event."""
        told = self.folder / "ticket.sh.told"
        return [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines() if line] if told.exists() else []
