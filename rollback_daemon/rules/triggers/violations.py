"""The trigger kind `violations`: a condition violated in several evaluations, in a row or N out of M.

`more_than: 3` is breached by the 4th violation in a row, `at_least: 3` by the 3rd, in the very cycle in which it happens. A clear evaluation
ends the run. An unknown one neither counts nor ends it; a gap longer than `max_gap` (or three times `every`) does. With `out_of: M` the last
M evaluations that were not unknown are looked at. With `every: 1m` the first known evaluation in each minute of the clock counts, and no other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from rollback_daemon.clock import aligned
from rollback_daemon.durations import format_duration, format_number
from rollback_daemon.rules.conditions import OPS
from rollback_daemon.rules.kinds import Kind, Setting
from rollback_daemon.rules.measures import Condition, Op, Signal
from rollback_daemon.rules.reading import Assessment, Health, Memory, Observations, Reading, Verdict, compare, look, quorum, worst
from rollback_daemon.rules.schema_measures import Range
from rollback_daemon.schema import Interval, Limit, Part

_COUNTED = [name for name in OPS if name != "at_least"]  # in `violations` that is a number of them


@dataclass(frozen=True, slots=True)
class Check:
    """What is looked at for a violation: a signal, the condition that is one, and for (`need`, `of`) how many series must be without one."""

    signal: Signal
    violation: Condition
    quorum: tuple[int, int] | None = None

    def verdict(self, assessment: Assessment) -> Verdict:
        """One verdict for all series."""
        return quorum(assessment, self.quorum) if self.quorum else worst(assessment)


@dataclass(frozen=True, slots=True)
class Violations:
    """How often one of `checks` was violated. `what` names them for people: `gates`."""

    what: str
    checks: tuple[Check, ...]
    needed: Condition  # on the number of violations, as written: `> 3` or `>= 3`
    out_of: int | None = None
    every: timedelta | None = None

    @property
    def subject(self) -> str:
        some = [f"out of the last {self.out_of}"] if self.out_of else []
        how = ", ".join([*some, *([f"one each {format_duration(self.every)}"] if self.every else [])])
        return f"violations of {self.what}{'' if some else ' in a row'}" + (f" ({how})" if how else "")

    @property
    def limit(self) -> str:
        return str(self.needed)

    @property
    def condition(self) -> Condition:
        return self.needed

    @property
    def expr(self) -> str:
        return self.checks[0].signal.expr if len(self.checks) == 1 else ""

    @property
    def alert_expr(self) -> str:
        return ""  # a rule of Prometheus sees no evaluation but its own

    def signals(self) -> Iterator[Signal]:
        for check in self.checks:
            yield check.signal

    def plotted(self) -> Iterator[tuple[Signal, Condition | None]]:
        for check in self.checks:  # the trigger's own limit is on how often, and not on a value
            yield check.signal, check.violation

    def questions(self) -> Iterator[str]:
        for signal in self.signals():
            yield from signal.questions()

    def assess(self, observations: Observations, memory: Memory, now: datetime, max_gap: timedelta) -> tuple[Assessment, Memory]:
        memory = memory if "counted_at" in memory else {}  # it may be that of the kind that this trigger was before the file was changed
        counted_at = datetime.fromisoformat(memory["counted_at"]) if memory else now
        recent: list[bool] = list(memory["recent"]) if memory else []
        run: int = memory["run"] if memory else 0
        last: str = memory["last"] if memory else ""
        if abs(now - counted_at) > (max(max_gap, 3 * self.every) if self.every else max_gap):
            recent, run, last = [], 0, ""
        elif memory and now <= counted_at:  # this evaluation was counted already, before a reload or a restart
            return self._read(run, recent, last), memory
        verdict, health, why = self._look(observations, now)
        kept = {"counted_at": counted_at.isoformat(), "run": run, "recent": recent, "last": last} if memory else {}
        if verdict is Verdict.UNKNOWN:
            return Assessment({(): Reading(Verdict.UNKNOWN, None, why)}, health, why), kept
        if memory and self.every and aligned(now, self.every) == aligned(counted_at, self.every):
            return self._read(run, recent, last), kept
        violated = verdict is Verdict.BREACHED
        recent = [*recent, violated][-self.out_of :] if self.out_of else []
        run, last = (run + 1, why) if violated else (0, last)
        return self._read(run, recent, last), {"counted_at": now.isoformat(), "run": run, "recent": recent, "last": last}

    def _read(self, run: int, recent: list[bool], last: str) -> Assessment:
        count = sum(recent) if self.out_of else run
        if self.needed.holds(count):
            return Assessment({(): Reading(Verdict.BREACHED, count, f"last: {last}")})
        return Assessment({(): Reading(Verdict.CLEAR, count)})

    def _look(self, observations: Observations, now: datetime) -> tuple[Verdict, Health, str]:
        """One verdict over all checks, with what was violated or unknown: any violation is one; without any, one unknown makes it unknown."""
        violated: list[str] = []
        unknown: list[tuple[Health, str]] = []
        for check in self.checks:
            assessment = compare(look(check.signal, observations, now), check.violation, check.signal.no_data)
            match check.verdict(assessment):
                case Verdict.BREACHED:
                    violated.append(_violated(check, assessment))
                case Verdict.UNKNOWN:
                    health = assessment.health if assessment.health is not Health.OK else Health.NO_DATA
                    unknown.append((health, f"{check.signal.name}: {assessment.why or 'a series is unknown'}"))
        if violated:
            return Verdict.BREACHED, Health.OK, ", ".join(violated)
        return (Verdict.UNKNOWN, *unknown[0]) if unknown else (Verdict.CLEAR, Health.OK, "")


def _violated(check: Check, assessment: Assessment) -> str:
    """`error_rate 0.031 >= 0.001`: the series that is furthest past the limit."""
    if check.quorum:
        clear = sum(one.verdict is Verdict.CLEAR for one in assessment.series.values())
        return f"{check.signal.subject} {check.violation.negated} on {clear} of {check.quorum[1]}, must be {check.quorum[0]}"
    values = [one for one in assessment.series.values() if one.value is not None]
    furthest = max(values, key=lambda one: check.violation.margin(one.value or 0.0), default=None)
    if furthest is None or furthest.value is None:
        return f"{check.signal.subject} no data {check.violation}"
    note = f" ({furthest.why})" if furthest.why else ""
    return f"{check.signal.subject} {format_number(furthest.value)} {check.violation}{note}"


# how it is written


class ViolationsOf(Part):
    """What is counted, and how many make a breach: `more_than` or `at_least`."""

    of: Literal["gates"] | None = None
    signal: str | None = None
    above: Limit = None
    below: Limit = None
    at_most: Limit = None
    outside: Range | None = None
    within: Range | None = None
    more_than: int | None = Field(default=None, ge=0)
    at_least: int | None = Field(default=None, ge=1)
    out_of: int | None = Field(default=None, ge=1, le=10_000)
    every: Interval | None = None


def _build(of: ViolationsOf, setting: Setting) -> Violations:
    needed = _needed(of, setting)
    if (of.of is None) == (of.signal is None):
        setting.say((), 'needs either "of: gates" or signal' + (", not both" if of.of else ""))
    if of.every is not None and setting.interval is not None and of.every < setting.interval:
        setting.say(("every",), f"is shorter than the interval; there is one evaluation each {format_duration(setting.interval)}")
    what, checks = _of_gates(of, setting) if of.signal is None or of.of is not None else _of_a_signal(of, of.signal, setting)
    return Violations(what, checks, needed, of.out_of, of.every)


def _needed(of: ViolationsOf, setting: Setting) -> Condition:
    if (of.more_than is None) == (of.at_least is None):
        setting.say((), "needs either more_than or at_least" + (", not both" if of.more_than is not None else ""))
    needed = Condition(Op.AT_LEAST, of.at_least or 1) if of.more_than is None else Condition(Op.ABOVE, of.more_than)
    if of.out_of is not None and not needed.holds(of.out_of):
        wanted = f"at least {of.at_least}" if of.more_than is None else f"more than {of.more_than}"
        setting.say(("out_of",), f"{of.out_of} evaluations can never hold {wanted} violations; raise it")
    return needed


def _of_gates(of: ViolationsOf, setting: Setting) -> tuple[str, tuple[Check, ...]]:
    for name in _COUNTED:
        if of.of is not None and of.signal is None and getattr(of, name) is not None:
            setting.say((name,), "is a limit on a signal; gates have their own")
    counted = [gate for gate in setting.gates if gate.blocking and not gate.quiet]
    if of.of and not counted and "gates" not in setting.lost:
        what = "none of the gates is blocking and about a signal; add one" if setting.gates else "there are no gates; add some"
        setting.say(("of",), f"{what}, or count a signal")
    return "gates", tuple(Check(gate.signal, gate.condition.negated, gate.quorum) for gate in counted)


def _of_a_signal(of: ViolationsOf, name: str, setting: Setting) -> tuple[str, tuple[Check, ...]]:
    signal = setting.notes.signal(name, setting.signals, (*setting.at, "signal"))
    condition = setting.notes.condition(of, _COUNTED, signal.unit, setting.at)
    if condition is None:
        setting.say((), f"has no limit on the signal; add one of {', '.join(_COUNTED)}")
        condition = Condition(Op.ABOVE, 0)
    return f"{signal.name} {condition}", (Check(signal, condition),)


KIND = Kind(Violations, ViolationsOf, _build)
