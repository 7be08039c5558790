"""Names in a test: whether the rollout has them. A misspelt one is a mistake of the file, not a test that fails, and never one that passes.

Lives here: which names there are. Must not live here: reading, comparing.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta

from rollback_daemon.documents import Step
from rollback_daemon.documents.complaints import did_you_mean
from rollback_daemon.durations import format_duration
from rollback_daemon.faces.alerts import ROLLOUT_ALERTS
from rollback_daemon.judge.reasons import Code
from rollback_daemon.lab.testing import figures
from rollback_daemon.lab.testing.act_forms import Act
from rollback_daemon.lab.testing.decisions import words
from rollback_daemon.lab.testing.schema import CasePart, RolloutTest
from rollback_daemon.rules.model import Rollout

Mistake = tuple[tuple[Step, ...], str]
"""Where below the case, and what is wrong."""


def needs_rollout(one: CasePart) -> bool:
    """Whether the case asks for anything that only a rollout has."""
    return bool(one.rollout_test or one.alert_rule_test or one.people or one.endpoints or one.followed or one.stage or one.soaked or one.baselines)


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a rollout, evaluated each `interval`."""

    rollout: Rollout
    interval: timedelta

    def mistakes(self, one: CasePart) -> Iterator[Mistake]:
        """Every name of the case that the rollout does not have."""
        yield from self._unknown(("stage",), "stage", [one.stage] if one.stage else [], self._stages)
        relative = [signal.name for signal in self.rollout.relative_signals() if signal.baseline]
        yield from self._each(("baselines",), "baseline", one.baselines, relative)
        asked = [url for signal in self.rollout.signals for url in signal.endpoints]
        for index, part in enumerate(one.endpoints):
            yield from self._unknown(("endpoints", index, "endpoint"), "endpoint", [part.endpoint], asked)
        followed = [signal.name for signal in self.rollout.signals if signal.followed]
        for index, figure in enumerate(one.followed):
            yield from self._unknown(("followed", index, "signal"), "signal of a followed file", [figure.signal], followed)
        for index, act in enumerate(one.people):
            yield from self._of_act(("people", index), act)
        for index, alert in enumerate(one.alert_rule_test):
            yield from self._unknown(("alert_rule_test", index, "alertname"), "alert", [alert.alertname], self._alerts)
        for index, test in enumerate(one.rollout_test):
            yield from self._of_test(("rollout_test", index), test)

    def _of_act(self, at: tuple[Step, ...], act: Act) -> Iterator[Mistake]:
        if act.rollback and act.rollback.to:
            yield from self._unknown((*at, "rollback"), "stage", [act.rollback.to], self._stages)
        named = {"acknowledge": act.acknowledge, "cancel": act.cancel}
        for key, part in named.items():
            if part and part.alert:
                yield from self._unknown((*at, key), "trigger", [part.alert], self._triggers)
        if act.evidence:
            yield from ((((*at, "evidence", *trail)), text) for trail, text in figures.mistakes(self.rollout, act.evidence))
        yield from self._each((*at, "flags"), "flag", act.flags or {}, self.rollout.keys | self.rollout.config_keys)
        yield from self._listed((*at, "refused"), "reason", act.refused or [], [*Code])

    def _of_test(self, at: tuple[Step, ...], test: RolloutTest) -> Iterator[Mistake]:
        if test.stage is not None:
            yield from self._unknown((*at, "stage"), "stage", [test.stage], self._stages)
        yield from self._each((*at, "triggers"), "trigger", test.triggers, self._triggers)
        yield from self._each((*at, "values"), "signal", test.values, [one.name for one in self.rollout.signals])
        yield from self._each((*at, "gates"), "gate", test.gates, [one.name for one in self.rollout.gates])
        yield from self._each((*at, "flags"), "flag", test.flags, self.rollout.keys | self.rollout.config_keys)
        yield from self._listed((*at, "decisions"), "decision", test.decisions or [], words(self.rollout))
        yield from self._listed((*at, "blocked_by"), "reason", test.blocked_by or [], [*Code])
        yield from self._listed((*at, "alerts"), "alert", test.alerts or [], self._alerts)
        if test.decisions is not None and test.eval_time % self.interval:
            every = format_duration(self.interval)
            yield (*at, "eval_time"), f"lies between two evaluations (each {every}), and decisions are those of one; give the time of one"

    @property
    def _stages(self) -> list[str]:
        return [stage.name for stage in self.rollout.stages]

    @property
    def _triggers(self) -> list[str]:
        return [trigger.name for trigger in self.rollout.triggers]

    @property
    def _alerts(self) -> list[str]:
        return [*self._triggers, *ROLLOUT_ALERTS]

    def _each(self, at: tuple[Step, ...], what: str, given: Collection[str], known: Collection[str]) -> Iterator[Mistake]:
        for name in given:
            yield from self._unknown((*at, name), what, [name], known)

    def _listed(self, at: tuple[Step, ...], what: str, given: Collection[str], known: Collection[str]) -> Iterator[Mistake]:
        for index, name in enumerate(given):
            yield from self._unknown((*at, index), what, [name], known)

    def _unknown(self, at: tuple[Step, ...], what: str, given: Collection[str], known: Collection[str]) -> Iterator[Mistake]:
        nothing = f"{self.rollout.name} has none"
        yield from ((at, f'unknown {what} "{name}"; {did_you_mean(name, sorted(known), nothing)}') for name in given if name not in known)
