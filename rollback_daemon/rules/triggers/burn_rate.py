"""The trigger kind `burn_rate`: an error budget is being used up too fast, seen over a long and a short window at once.

    error ratio over W = (sum by (L) (rate(errors[W])) or 0 * sum by (L) (rate(total[W]))) / sum by (L) (rate(total[W]))
    burn rate over W   = error ratio over W / (1 - objective)

1 uses up the budget of the period exactly at its end. Breached where for any pair of `windows` the burn rate over the long *and* over the short
window is above the pair's `factor`; the long one proves that it matters, the short one that it still goes on. Judged for each label set of `by`; the
value is, of the pair that is nearest to its factor, the lower of both burn rates as a multiple of that factor, held against `> 1`.

Without a series of errors there was no error yet: that is 0, as long as there is `total`. A pair with one window that is not above the factor is
clear, whatever the other is; it is unknown when it hangs on a window that cannot be told: the query failed, no requests at all (0 / 0), less than it
`needs`. Nothing breached and one pair unknown is unknown.

Default windows, by severity, for a period of 30 days. `critical` or `page`: 14.4 over 1h and 5m (2 % of the budget in an hour), 6 over 6h and 30m (5
% in six hours). Any other (a ticket): 3 over 1d and 2h, 1 over 3d and 6h (10 % each). For another `period` they have to be written out: nothing is
scaled silently. The factor that uses up a share S of the budget within W is S * period / W.

Units: objective, ratios 0-1; factors and burn rates are multiples of the budget; windows are durations. `errors` and `total` are selectors of
counters.

When not to use it: with little traffic, where one error among ten requests is a burn rate of 100 (add `needs`, or use a threshold); for a canary that
gets a small share of a service's traffic without a label of its own, as the rest hides it; windows longer than a stage also look at the time before
it.

Source: Google, The Site Reliability Workbook, chapter 5, "Alerting on SLOs", alert 6 (https://sre.google/workbook/alerting-on-slos/).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from rollback_daemon.durations import format_duration, format_number
from rollback_daemon.rules.measures import Condition, Op, Signal
from rollback_daemon.rules.reading import Assessment, Health, Memory, Observations, Reading, Verdict, look
from rollback_daemon.signals.observation import Failed, Labels, NoData, Observation, Value

_ABOVE = Condition(Op.ABOVE, 1)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two windows, and the burn rate that both must be above."""

    long: timedelta
    short: timedelta
    factor: float

    def __str__(self) -> str:
        return f"{format_number(self.factor)} over {format_duration(self.long)} and {format_duration(self.short)}"


PERIOD = timedelta(days=30)
"""What the default windows are for."""


@dataclass(frozen=True, slots=True)
class BurnRate:
    """Breached where both windows of any of `pairs` are above its factor. `ratios`: the signal that gives the error ratio over each window."""

    objective: float
    pairs: tuple[Pair, ...]
    ratios: tuple[tuple[timedelta, Signal], ...]
    period: timedelta = PERIOD

    @property
    def subject(self) -> str:
        return f"burn rate of {percent(self.objective)} / its factor"

    @property
    def limit(self) -> str:
        return str(_ABOVE)

    @property
    def condition(self) -> Condition:
        return _ABOVE

    @property
    def expr(self) -> str:
        return ""

    @property
    def alert_expr(self) -> str:
        ratio = dict(self.ratios)
        both = (
            f"({ratio[pair.long].expr}) > {self.highest(pair)!r}\nand\n({ratio[pair.short].expr}) > {self.highest(pair)!r}" for pair in self.pairs
        )
        return "\nor\n".join(f"(\n{one}\n)" for one in both) if len(self.pairs) > 1 else next(both)

    def highest(self, pair: Pair) -> float:
        """The error ratio at which the burn rate is the factor, without the dust of binary fractions."""
        return float(Decimal(str(pair.factor)) * (1 - Decimal(str(self.objective))))

    def signals(self) -> Iterator[Signal]:
        for _, signal in self.ratios:
            yield signal

    def plotted(self) -> Iterator[tuple[Signal, Condition | None]]:
        for window, signal in self.ratios:
            lowest = min(self.highest(pair) for pair in self.pairs if window in {pair.long, pair.short})
            yield signal, Condition(Op.ABOVE, lowest)

    def questions(self) -> Iterator[str]:
        for signal in self.signals():
            yield from signal.questions()

    def assess(self, observations: Observations, _memory: Memory, now: datetime, _max_gap: timedelta) -> tuple[Assessment, Memory]:
        return self._read({window: look(signal, observations, now) for window, signal in self.ratios}), {}

    def _read(self, seen: Mapping[timedelta, Observation]) -> Assessment:
        policy = self.ratios[0][1].no_data
        series: dict[Labels, None] = {}
        for one in seen.values():
            if isinstance(one, Value):
                series |= dict.fromkeys([*one.series, *one.unknown])
        pairs = [(pair, self.highest(pair)) for pair in self.pairs]
        readings = {labels: self._of_series(pairs, seen, labels) for labels in series}
        blind = not series or any(reading.verdict is Verdict.UNKNOWN for reading in readings.values())
        failed = next((one for one in seen.values() if isinstance(one, Failed)), None)
        if blind and failed:
            return Assessment(readings, Health.ERROR, failed.why, policy)
        if not series:
            why = next((one.why for one in seen.values() if isinstance(one, NoData)), "")
            return Assessment(health=Health.NO_DATA, why=why, no_data=policy)
        return Assessment(readings, no_data=policy)

    def _of_series(self, pairs: Sequence[tuple[Pair, float]], seen: Mapping[timedelta, Observation], labels: Labels) -> Reading:
        """Of the pairs, each with its limit, the one that is nearest to it; unknown where none is breached and one cannot be told."""
        told: list[tuple[bool, float, Pair]] = []
        lost: Reading | None = None
        for pair, limit in pairs:
            known = _known(seen, pair, labels)
            if len(known) < 2 and all(value > limit for value in known):
                lost = lost or Reading(Verdict.UNKNOWN, None, _lost(seen, pair, labels))
            else:
                told.append((min(known) > limit, min(known) / limit, pair))
        if not told:
            return lost or Reading(Verdict.UNKNOWN)
        breached, value, nearest = max(told, key=lambda one: one[:2])
        if lost and not breached:
            return lost
        return Reading(Verdict.BREACHED if breached else Verdict.CLEAR, value, self._rates(nearest, seen, labels))

    def _rates(self, pair: Pair, seen: Mapping[timedelta, Observation], labels: Labels) -> str:
        """`20 over 1h and 16 over 5m, factor 14.4`."""
        windows = [window for window in (pair.long, pair.short) if _has(seen[window], labels)]
        rates = zip(_known(seen, pair, labels), windows, strict=True)
        said = " and ".join(f"{format_number(value / (1 - self.objective))} over {format_duration(window)}" for value, window in rates)
        return f"{said}, factor {format_number(pair.factor)}"


def _has(one: Observation, labels: Labels) -> bool:
    return isinstance(one, Value) and labels in one.series


def _known(seen: Mapping[timedelta, Observation], pair: Pair, labels: Labels) -> list[float]:
    """The error ratios over the long and the short window, as far as they are known."""
    both = (seen[pair.long], seen[pair.short])
    return [one.series[labels] for one in both if isinstance(one, Value) and labels in one.series]


def _lost(seen: Mapping[timedelta, Observation], pair: Pair, labels: Labels) -> str:
    """Why the first window that is not known is not."""
    window = next(one for one in (pair.long, pair.short) if not _has(seen[one], labels))
    one = seen[window]
    why = one.unknown.get(labels, "no such series") if isinstance(one, Value) else one.why
    return f"over {format_duration(window)}: {why}"


def percent(share: float) -> str:
    """`99.9%`, to its last digit."""
    return f"{Decimal(str(share)) * 100:f}".rstrip("0").rstrip(".") + "%"
