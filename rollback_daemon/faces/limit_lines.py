"""Every signal of a rollout once, with all the limits that are laid on it: what a plot of it shows.

Lives here: that grouping, and which of several series stands for the signal. Pure. Must not live here: values over time (`trails`), drawing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rollback_daemon.rules.measures import Condition, Signal
from rollback_daemon.rules.model import Rollout
from rollback_daemon.signals.observation import Labels, Value


@dataclass(frozen=True, slots=True)
class Limit:
    """What is too much of a signal, or too little. `of` names the trigger or gate; `must`: it is a gate's, so its words say what passes."""

    of: str
    breach: Condition
    words: str
    must: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One signal, with the limits of triggers before those of gates."""

    signal: Signal
    limits: tuple[Limit, ...] = ()

    def worst(self, seen: Value) -> tuple[Labels, float]:
        """The series that is nearest to the first limit, or furthest past it; without a limit the highest."""
        if len(seen.series) == 1 or not self.limits:
            return max(seen.series.items(), key=lambda one: one[1])
        breach = self.limits[0].breach
        return max(seen.series.items(), key=lambda one: breach.margin(one[1]))


def lines(rollout: Rollout) -> tuple[Line, ...]:
    """The named signals in the order of the file, then what triggers and gates ask for themselves."""
    found: dict[tuple[object, ...], Line] = {_key(signal): Line(signal) for signal in rollout.signals}
    for signal, limit in _limits(rollout):
        known = found.setdefault(_key(signal), Line(signal))
        if limit is not None and limit not in known.limits:
            found[_key(signal)] = replace(known, limits=(*known.limits, limit))
    return tuple(found.values())


def _limits(rollout: Rollout) -> Iterator[tuple[Signal, Limit | None]]:
    for trigger in rollout.triggers:
        for signal, breach in trigger.test.plotted():
            yield signal, Limit(trigger.name, breach, str(breach)) if breach else None
    for gate in rollout.gates:
        if not gate.quiet:
            yield gate.signal, Limit(gate.name, gate.condition.negated, str(gate.condition), must=True)


def _key(signal: Signal) -> tuple[object, ...]:
    """What is asked, and what it is held against; the same under two names is one."""
    return signal.expr, signal.endpoints, signal.figure_key, signal.relative, signal.control
