"""A shipped rollout of several phases under guard, on shortened times: the assistant's engines, and RingRift's orchestrator; and what they serve.

Lives here: what the daemon reads. Must not live here: asking and waiting (`ground`), what should be true; each test says that itself.
"""

from collections.abc import Mapping
from pathlib import Path

from rollback_daemon.lab.compress import compress
from rollback_daemon.lab.servers import AlertmanagerServer
from tests.acceptance.ground import Ground
from tests.acceptance.victor_service import VictorServices
from tests.faces.http.bench import Ran

SHIPPED = Path(__file__).parents[2] / "rules"
MINUTES, HOURS = 300, 172_800  # five minutes of the rules are a second, and so are two days
SHORT = {"interval: 100ms": "interval: 250ms\nmax_gap: 1500ms"}
"""Four evaluations in a second are as many as a busy machine can keep up with."""


class PhasedStand(Ground):
    """One shipped rollout. As a context manager the daemon runs inside the `with`."""

    def __init__(
        self,
        folder: Path,
        rollout: str,
        shipped: Mapping[str, Path],
        text: str,
        changes: Mapping[str, str],
        prometheus: str,
        alertmanager: AlertmanagerServer,
    ) -> None:
        """`shipped`: what is here for the paths of the rule file, the flag file first, which has this `text`."""
        super().__init__(folder, rollout, next(iter(shipped.values())), prometheus, alertmanager)
        self.flags.write_text(text, encoding="utf-8")
        rules = compress((SHIPPED / f"{rollout}.yml").read_text(encoding="utf-8"), MINUTES, HOURS)
        for path, here in shipped.items():
            rules = rules.replace(path, str(here))
        self.rules.write_text(rules, encoding="utf-8")
        self.change_rules({**SHORT, **changes})
        self.settings(self.rules.name)

    def promote(self) -> Ran:
        """Ask for the next stage."""
        return self.rollbackd("promote", self.rollout, "--reason", "it is time")

    def climb(self, stage: str) -> None:
        """Promoted as soon as nothing blocks it."""
        self.insist(self.promote)
        self.wait(lambda: self.get()["stage"] == stage and self.explain()["evaluated_at"] > self.explain()["entered"], f"an evaluation at {stage}")

    def edit(self, old: str, new: str) -> None:
        """Somebody puts another text in the place of a part of the flag file."""
        assert old in self.flags_now
        fresh = self.flags.with_suffix(".new")
        fresh.write_text(self.flags_now.replace(old, new), encoding="utf-8")
        fresh.replace(self.flags)


class Assistant:
    """Two engines that answer, each well until `failing` says which share of its answers fails."""

    def __init__(self, services: VictorServices) -> None:
        self._services = services
        self.failing = {"control": 0.0, "experiment": 0.0}
        services.increase("assistant_write_safety_incidents_total", 0)
        services.others.append(self._works)

    def _works(self) -> None:
        for side, share in self.failing.items():
            answers = {"control": 500, "experiment": 50}[side]
            self._services.increase("assistant_requests_total", answers, side=side)
            self._services.increase("assistant_errors_total", answers * share, side=side)
            self._services.observe("assistant_request_duration_seconds", [0.4] * answers, side=side)
