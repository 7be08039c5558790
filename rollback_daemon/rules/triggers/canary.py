"""The trigger kind `canary`: a statistical judgement of two groups, an experiment against a control that runs at the same time.

Each `every` a pair of values is taken, the experiment's and the control's, from the beginning of the stage on. A pair is *above* where the experiment
is more than `control + tolerance` (for `decrease`: *below* `control - tolerance`; `either`: both are looked for). The value of the trigger is the
chance `p` of so much evidence where the experiment is no worse than that; it is breached where `p <= error_rate`. Two methods:

`sequential` (the default) may be looked at for ever: the chance that it *ever* fires wrongly at a stage, for one series, is at most `error_rate`.
Formula and source: `statistics.sequential`; `p = 1 / evidence`. It fires as soon as there is evidence; `at_least` is asked for by a promotion only.

`mann_whitney` is the U test over the last `samples` pairs (`statistics.ranks`), shifted by the tolerance, at least `at_least` of them. Its
`error_rate` holds for *one* look: at 1% and a pair every 5m equal groups fired in 18% of simulated streams within two days, in 45% within a
week. Use it to read figures as Kayenta does, with action `alert` or `hold`; not for a rollback in the night.

Units: values in those of the expressions; a tolerance in % is relative to the control's value, any other an amount in the same unit; `p` and
`error_rate` are probabilities (0-1).

Assumed: pairs are independent. So `every` is at least the widest range in the expressions, or neighbouring samples would rest on the same
raw data, and the first pair is taken that long after the stage began, so that none rests on the time before. And under equal treatment the two groups
are interchangeable: of like size and like traffic. When *not* to use it: the control is far larger than the experiment and the value rests on few
events (take a control of the same size, or `needs` more traffic); there is no control at the same time (`increase` has the baseline); a single
event is too much (a threshold on it).

Too few pairs are no blindness: health is `collecting`, the phase stays, the soak counts, and a promotion waits. Must not live here: statistics.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from rollback_daemon.clock import aligned
from rollback_daemon.durations import format_duration
from rollback_daemon.rules.measures import Condition, OnNoData, Op, Signal
from rollback_daemon.rules.reading import Assessment, Health, Memory, Observations, Reading, Verdict, look
from rollback_daemon.rules.statistics import judging
from rollback_daemon.rules.statistics.judging import Tolerance
from rollback_daemon.rules.statistics.pairs import Pairs, paired
from rollback_daemon.signals.observation import Failed, Labels, NoData, Value

MOST_SERIES = 100
"""More label sets are not judged: each of them remembers its pairs, and each may fire wrongly."""


class Method(StrEnum):
    """How the pairs are judged."""

    SEQUENTIAL = "sequential"
    MANN_WHITNEY = "mann_whitney"


@dataclass(frozen=True, slots=True)
class Canary:
    """Breached where the experiment is worse than the control by more than `tolerance`, with so much evidence that chance explains it hardly.

    `window` is the widest range in the expressions. `beyond`: for `mann_whitney`, values so many interquartile ranges outside are left out.
    """

    experiment: Signal
    control: Signal
    tolerance: Tolerance
    method: Method = Method.SEQUENTIAL
    error_rate: float = 0.01
    at_least: int = 20
    samples: int = 200
    every: timedelta = timedelta(minutes=1)
    window: timedelta = timedelta()
    zero: bool = False
    beyond: float | None = None

    @property
    def subject(self) -> str:
        return f"p for {self.experiment.name} {self.tolerance}"

    @property
    def condition(self) -> Condition:
        return Condition(Op.AT_MOST, self.error_rate)

    @property
    def limit(self) -> str:
        return str(self.condition)

    @property
    def expr(self) -> str:
        return self.experiment.expr

    @property
    def alert_expr(self) -> str:
        return ""

    def signals(self) -> Iterator[Signal]:
        yield self.experiment
        yield self.control

    def plotted(self) -> Iterator[tuple[Signal, Condition | None]]:
        yield self.experiment, None
        yield self.control, None

    def questions(self) -> Iterator[str]:
        for signal in self.signals():
            yield from signal.questions()

    def assess(self, observations: Observations, memory: Memory, now: datetime, max_gap: timedelta) -> tuple[Assessment, Memory]:
        if memory.get("of") != self._of:
            memory = {"of": self._of, "began": now.isoformat(), "taken": None, "series": []}
        experiment, control = look(self.experiment, observations, now), look(self.control, observations, now)
        seen, policy = paired(experiment, control, zero=self.zero), self.experiment.no_data
        if isinstance(seen, Failed):
            return Assessment(health=Health.ERROR, why=seen.why), memory
        if isinstance(seen, Pairs) and len(seen.known) > MOST_SERIES:
            seen = NoData(f"{len(seen.known)} series, and at most {MOST_SERIES} are judged; put some together with sum by (…)")
        there = experiment.series if isinstance(experiment, Value) else {}
        if isinstance(seen, NoData):
            return Assessment(health=Health.NO_DATA, why=seen.why, no_data=OnNoData.HOLD if there else policy), memory
        if seen.known and self._is_due(memory, now, max_gap):
            memory = self._taken(seen, memory, now)
        return self._read(seen, memory, there), memory

    @property
    def _of(self) -> str:
        """What the memory is about: evidence for one question is none for another, after the rule was changed."""
        groups = f"{self.experiment.expr} against {self.control.expr}"
        return f"{self.method} {groups} {self.tolerance.direction} {self.tolerance.amount} {self.tolerance.relative} {self.error_rate} {self.zero}"

    def _is_due(self, memory: Memory, now: datetime, max_gap: timedelta) -> bool:
        """Whether a pair is taken now: the first evaluation in each `every` of the clock, none that shares raw data with the last or with the
        time before the stage."""
        began = datetime.fromisoformat(memory["began"])
        if memory["taken"] is None:
            return now - began >= self.window or now < began
        taken = datetime.fromisoformat(memory["taken"])
        if now < taken:  # before a restart that time was counted; only where the clock was set back by more, go on
            return taken - now > max(max_gap, 3 * self.every)
        return aligned(now, self.every) != aligned(taken, self.every) and now - taken >= self.window

    def _taken(self, seen: Pairs, memory: Memory, now: datetime) -> Memory:
        """The memory with one pair more of each series. Series that were gone for as long as all samples take are forgotten."""
        before = {_labels(one["labels"]): one for one in memory["series"]}
        oldest = now - self.samples * self.every
        after = {labels: one for labels, one in before.items() if labels in seen.known or datetime.fromisoformat(one["seen"]) >= oldest}
        for labels, pair in seen.known.items():
            if self.method is Method.SEQUENTIAL:
                judged = judging.sequentially(before.get(labels, {}), pair, self.tolerance, self.error_rate, self.samples)
            else:
                enough = self.at_least, self.samples
                judged = judging.by_ranks(before.get(labels, {}), pair, self.tolerance, enough, self.beyond)
            after[labels] = {"labels": dict(labels), "seen": now.isoformat(), **judged}
        newest = sorted(after.values(), key=lambda one: str(one["seen"]))[-2 * MOST_SERIES :]
        return {**memory, "taken": now.isoformat(), "series": newest}

    def _read(self, seen: Pairs, memory: Memory, there: Collection[Labels]) -> Assessment:
        """`there`: the series of the experiment that have a value. What only the control lacks is never made anything of."""
        known = {_labels(one["labels"]): one for one in memory["series"]}
        readings = {labels: self._reading(known.get(labels, {"pairs": 0})) for labels in seen.known}
        collecting = [one.why for one in readings.values() if one.verdict is Verdict.UNKNOWN]
        readings |= {labels: Reading(Verdict.UNKNOWN, None, why, stays=labels in there) for labels, why in seen.unknown.items()}
        if collecting and not seen.unknown:
            return Assessment(readings, Health.COLLECTING, collecting[0], self.experiment.no_data)
        return Assessment(readings, no_data=self.experiment.no_data)

    def _reading(self, one: Mapping[str, Any]) -> Reading:
        """What is known of one series. `sequential` is breached as soon as there is evidence, and clear only after `at_least` pairs."""
        pairs, p = one["pairs"], one.get("p")
        if p is not None and self.condition.holds(p) and (self.method is Method.SEQUENTIAL or pairs >= self.at_least):
            return Reading(Verdict.BREACHED, p, one["why"])
        if p is None or pairs < self.at_least:
            return Reading(Verdict.UNKNOWN, None, f"has {pairs} of {self.at_least} samples, one each {format_duration(self.every)}", stays=True)
        return Reading(Verdict.CLEAR, p, one["why"])


def _labels(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted(labels.items()))
