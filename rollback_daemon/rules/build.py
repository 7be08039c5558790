"""From a rule file as written to what it means, with everything that takes two keys to be told.

Lives here: the ladder, its flags, the signals. Must not live here: single keys and their types (`schema`), gates and triggers
(`build_triggers`), YAML.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from rollback_daemon.documents import Document, Step
from rollback_daemon.durations import format_duration, format_number
from rollback_daemon.errors import Problem
from rollback_daemon.flags.store import Scalar
from rollback_daemon.flags.stores import STORES
from rollback_daemon.rules import promql
from rollback_daemon.rules.build_triggers import Conditions
from rollback_daemon.rules.conditions import Notes, pasted
from rollback_daemon.rules.model import BASELINE, Command, FlagSettings, Needs, OnNoData, Rollout, Signal, Stage
from rollback_daemon.rules.salvage import Salvaged, whole
from rollback_daemon.rules.schema import FlagsPart, RuleFile, SignalPart

__all__ = ["Builder", "pasted"]

_WORDS = {**dict.fromkeys(("y", "yes", "on"), "true"), **dict.fromkeys(("n", "no", "off"), "false")}


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

    @property
    def problems(self) -> list[Problem]:
        """What was found to be wrong."""
        return self._notes.problems

    def rollout(self, digest: str) -> Rollout:
        """The rollout, complete as far as the file allows."""
        written = self.written
        stages = tuple(self._stages())
        signals = {name: self._signal(name, part, ("signals", name)) for name, part in written.signals.items()}
        conditions = Conditions(self.usable, signals, stages, self.interval, self._notes)
        gates = tuple(conditions.gates())
        return Rollout(
            name=written.rollout,
            file=self.document.file,
            digest=digest,
            interval=self.interval,
            max_gap=self._max_gap(),
            flags=self._flags(written.flags),
            stages=stages,
            gates=gates,
            triggers=tuple(conditions.triggers(gates)),
            signals=tuple(signals.values()),
            owner=written.owner,
            runbook_url=written.runbook_url or "",
            enforce=written.mode == "enforce",
            labels=written.labels,
            places=self.document.places,
        )

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
        command = Command(tuple(hook.command), hook.timeout) if hook else None
        path = Path(part.path)
        if not path.is_absolute():  # relative to the rule file, as Prometheus does with its rule_files
            path = (Path(self.document.file).resolve().parent / path).resolve()
        return FlagSettings(part.store, str(path), part.backups, command)

    def _stages(self) -> Iterator[Stage]:
        flags = dict(self.written.baseline)
        if "baseline" not in self.usable.lost:
            self._check_flags(flags, ("baseline",))
        yield Stage(BASELINE, 0, 0.0, dict(flags))
        names, below, exposure = {BASELINE}, "the baseline", 0.0
        for index, part in self.usable.entries("stages", self.written.stages):
            trail = ("stages", index)
            if part.stage in names:
                what = "the bottom of every ladder" if part.stage == BASELINE else "the name of another stage"
                self._notes.say((*trail, "stage"), f'"{part.stage}" is {what}; give each stage its own name')
            if part.exposure <= exposure:
                text = f"exposure must rise from stage to stage; {_percent(part.exposure)} is not above {_percent(exposure)} of {below}"
                self._notes.say((*trail, "exposure"), text)
            self._check_known(part.set, flags, (*trail, "set"))
            self._check_flags(part.set, (*trail, "set"))
            names.add(part.stage)
            below, exposure = f'"{part.stage}"', part.exposure
            flags = {**flags, **{key: value for key, value in part.set.items() if key in flags}}
            yield Stage(part.stage, index + 1, part.exposure, dict(flags), part.soak)

    def _check_known(self, sets: Mapping[str, Scalar], baseline: Mapping[str, Scalar], trail: tuple[Step, ...]) -> None:
        if "baseline" in self.usable.lost:
            return
        for key in sets:
            if key not in baseline:
                self._notes.say((*trail, key), f'sets "{key}", which the baseline lacks; say in the baseline what it goes back to')

    def _check_flags(self, flags: Mapping[str, Scalar], trail: tuple[Step, ...]) -> None:
        store = STORES.get(self.written.flags.store)
        for key, value in flags.items():
            place = (*trail, key)
            if place in self.document.broken:
                continue
            if (text := self.document.ambiguous.get(place)) is not None:
                self._notes.say(place, _ambiguous(text, has_booleans=store is None or store.check(key, value=True) is None))
            elif value is None:
                self._notes.say(place, 'has no value; write "" for an empty one')
            elif store is not None and (complaint := store.check(key, value)) is not None:
                self._notes.say(place, complaint)

    # what is measured

    def _signal(self, name: str, part: SignalPart, trail: tuple[Step, ...]) -> Signal:
        if part.max_age is not None and not promql.is_selector(part.expr):
            self._notes.say((*trail, "max_age"), "needs an expression that only selects series; the age of a computed value cannot be told")
        needs = Needs(part.needs.expr, self._notes.number(part.needs.at_least, "", (*trail, "needs", "at_least"))) if part.needs else None
        return Signal(name, part.expr, part.unit, OnNoData(part.no_data), needs, part.max_age)


def _ambiguous(text: str, *, has_booleans: bool) -> str:
    if meaning := _WORDS.get(text.lower()):
        plainly = f", or write {meaning}" if has_booleans else ""
        return f'{text} is {meaning} to some YAML readers and text to others; quote it: "{text}"{plainly}'
    return f'{text} means different things to different YAML readers; quote it: "{text}"'


def _percent(share: float) -> str:
    return f"{format_number(100 * share)}%"
