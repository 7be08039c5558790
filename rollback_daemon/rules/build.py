"""From a rule file as written to what it means, with everything that takes two keys to be told.

Lives here: the ladder, and the order in which its parts are built. Must not live here: single keys and their types (`schema`), the parts
themselves (the other `build_…`), YAML.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

from rollback_daemon.documents import Document, Step
from rollback_daemon.durations import format_duration, format_number
from rollback_daemon.errors import Problem
from rollback_daemon.flags.store import FlagValue, same
from rollback_daemon.flags.stores import STORES
from rollback_daemon.rules import build_duties
from rollback_daemon.rules.build_aftercare import AftercareRules
from rollback_daemon.rules.build_commands import command, placed
from rollback_daemon.rules.build_evidence import declared
from rollback_daemon.rules.build_flags import FlagRules
from rollback_daemon.rules.build_gates import Gates
from rollback_daemon.rules.build_signals import signal
from rollback_daemon.rules.build_triggers import Triggers
from rollback_daemon.rules.conditions import Notes
from rollback_daemon.rules.duties import Declared, Scoring
from rollback_daemon.rules.model import BASELINE, FlagSettings, Rollout, Stage
from rollback_daemon.rules.salvage import Salvaged, whole
from rollback_daemon.rules.schema import FlagsPart, RuleFile, StagePart
from rollback_daemon.rules.schema_actions import PREVIOUS

_ROUNDING = 1e-9


class Builder:
    """Builds one rollout; `problems` fills up on the way, and the result counts only if it stays empty.

    `usable` is what can be used of a file that is wrong in places; without it `written` is taken to be the whole file.
    """

    def __init__(self, document: Document, written: RuleFile, default_interval: timedelta, usable: Salvaged | None = None) -> None:
        self.document = document
        self.written = written
        self.usable = usable or whole(written)
        self.interval = written.interval or default_interval
        self._notes = Notes(document, lost=self.usable.names)
        baseline = None if "baseline" in self.usable.lost else written.baseline
        self._flag_rules = FlagRules(document, written.flags.store, baseline, self._notes)

    @property
    def problems(self) -> list[Problem]:
        """What was found to be wrong."""
        return self._notes.problems

    def rollout(self, digest: str) -> Rollout:
        """The rollout, complete as far as the file allows."""
        written = self.written
        evidence = {name: declared(self._notes, self.document, name, part) for name, part in written.evidence.items()}
        readable = None if "evidence" in self.usable.lost else evidence
        stages = tuple(self._stages(readable))
        interval = None if "interval" in self.usable.lost else self.interval
        signals = {name: signal(self._notes, name, part, interval, readable) for name, part in written.signals.items()}
        gates = tuple(Gates(self.usable, signals, stages, self._notes).gates())
        triggers = Triggers(self.usable, signals, stages, self.interval, self._flag_rules, self._notes)
        self._notes.distinct(written.break_glass, ("break_glass",))
        return Rollout(
            name=written.rollout,
            file=self.document.file,
            digest=digest,
            interval=self.interval,
            max_gap=self._max_gap(),
            flags=self._flags(written.flags),
            stages=stages,
            gates=gates,
            triggers=tuple(triggers.triggers(gates)),
            signals=tuple(signals.values()),
            owner=written.owner,
            runbook_url=written.runbook_url or "",
            enforce=written.mode == "enforce",
            labels=written.labels,
            break_glass=tuple(written.break_glass),
            max_growth=written.max_growth,
            rehearsal=build_duties.rehearsal(self._notes, written.rehearsal, stages),
            preflight=build_duties.preflight(self._notes, written.preflight, self._placed),
            scoring=self._scoring(),
            evidence=tuple(evidence.values()),
            aftercare=AftercareRules(self._notes, self.usable, stages, gates, self.interval, self._placed).aftercare(),
            places=self.document.places,
        )

    def _scoring(self) -> Scoring:
        gates = {part.gate: index for index, part in self.usable.entries("gates", self.written.gates)}
        return build_duties.scoring(self._notes, self.written.scorecard, gates, whole="scorecard" not in self.usable.lost)

    def _placed(self, path: str) -> str:
        return placed(self.document, path)

    def _max_gap(self) -> timedelta:
        given = self.written.max_gap
        if given is not None and given < self.interval and "interval" not in self.usable.lost:
            why = f"is shorter than the interval ({format_duration(self.interval)}), so that nothing could stay pending"
            self._notes.say(("max_gap",), f"{why}; leave it out for three intervals")
        return given or 3 * self.interval

    # the ladder

    def _flags(self, part: FlagsPart) -> FlagSettings:
        if part.store not in STORES and "flags" not in self.usable.lost:
            self._notes.unknown("flag store", part.store, STORES, ("flags", "store"))
        hook = part.after_change
        program = command(self.document, hook.command, hook.timeout, hook.env) if hook else None
        drift = build_duties.on_drift(part.on_drift)
        return FlagSettings(part.store, self._placed(part.path), part.backups, program, drift)

    def _stages(self, evidence: Mapping[str, Declared] | None) -> Iterator[Stage]:
        flags: dict[str, FlagValue] = dict(self.written.baseline)
        self._flag_rules.values(flags, ("baseline",))
        stage = Stage(BASELINE, 0, 0.0, dict(flags))
        yield stage
        names = {BASELINE}
        config: dict[str, FlagValue] = {}
        for index, part in self.usable.entries("stages", self.written.stages):
            trail = ("stages", index)
            if part.stage in names:
                what = "the bottom of every ladder" if part.stage == BASELINE else "the name of another stage"
                self._notes.say((*trail, "stage"), f'"{part.stage}" is {what}; give each stage its own name')
            elif part.stage == PREVIOUS:
                self._notes.say((*trail, "stage"), f'"{PREVIOUS}" is what actions call the stage below the present one; give the stage another name')
            names.add(part.stage)
            self._check_exposure(part, stage, index, flags)
            self._flag_rules.known(part.set, (*trail, "set"))
            self._flag_rules.values(part.set, (*trail, "set"))
            flags = {**flags, **{key: value for key, value in part.set.items() if key in flags}}
            config = {**config, **self._flag_rules.of_config(part.requires.config, (*trail, "requires", "config"))}
            requires = replace(build_duties.requires(self._notes, part.requires, evidence, (*trail, "requires")), config=config)
            if part.requires.rehearsal is not None:
                self._check_rehearsal(index, (*trail, "requires", "rehearsal"))
            automatic = self._automatic(part, trail)
            stage = Stage(part.stage, index + 1, part.exposure, dict(flags), part.soak, requires, automatic)
            yield stage

    def _check_exposure(self, part: StagePart, below: Stage, index: int, flags: Mapping[str, FlagValue]) -> None:
        """Exposure rises, save where nobody is exposed yet (a shadow), or everybody is already; then the flags have to be others."""
        trail = ("stages", index, "exposure")
        name = f'"{below.name}"' if below.number else "the baseline"
        growth = self.written.max_growth
        if part.exposure == below.exposure and part.exposure in {0, 1}:
            if all(key in flags and same(value, flags[key]) for key, value in part.set.items()):
                text = f"it exposes as much as {name}, {_percent(part.exposure)}, and sets no flag to another value; set one, or leave the stage out"
                self._notes.say(("stages", index, "set"), text)
        elif part.exposure <= below.exposure:
            text = f"exposure must rise from stage to stage; {_percent(part.exposure)} is not above {_percent(below.exposure)} of {name}"
            self._notes.say(trail, text)
        elif growth and below.exposure and below.number == index and part.exposure > growth * below.exposure * (1 + _ROUNDING):
            times = f"{part.exposure / below.exposure:.3g}"
            what = f"{_percent(part.exposure)} is {times} times the {_percent(below.exposure)} of {name}"
            self._notes.say(trail, f"{what}, and max_growth is {format_number(growth)}; put a stage between them")

    def _check_rehearsal(self, index: int, trail: tuple[Step, ...]) -> None:
        if index == 0:
            self._notes.say(trail, "cannot be required by the first stage: at the baseline there is nothing to rehearse; require it higher up")
        elif self.written.rehearsal is None and "rehearsal" not in self.usable.lost:
            self._notes.say(trail, "needs to be told how it is made; add rehearsal: {steps: […]} to the file")

    def _automatic(self, part: StagePart, trail: tuple[Step, ...]) -> bool:
        if (part.promote or self.written.promote) != "automatic":
            return False
        if part.requires.approvals is None:
            text = "automatic needs requires.approvals at this stage, as only an approved promotion raises exposure; add them, or say manual"
            self._notes.say((*trail, "promote"), text)
        return True


def _percent(share: float) -> str:
    return f"{format_number(100 * share)}%"
