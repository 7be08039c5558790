"""What is supposed of signals: from `error_rate=2%` to the queries that it means, and the value of their answers. Pure.

Lives here: the notation. Must not live here: laying values over the answers seen last (`laying`), what follows from them.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import promql_parser as pp

from rollback_daemon.documents.complaints import did_you_mean
from rollback_daemon.durations import format_number, parse_quantity
from rollback_daemon.errors import RollbackdError
from rollback_daemon.rules.measures import Signal
from rollback_daemon.rules.model import Rollout
from rollback_daemon.signals.observation import (
    Labels,
    endpoint_labels,
    labels_of,
    show_labels,
)

_FORM = 'write NAME=VALUE, for instance error_rate=2%, latency=700ms, error_rate="no data", error_rate=failed or error_rate{pod="a"}=2%'
_INFINITE = {"+Inf": math.inf, "Inf": math.inf, "-Inf": -math.inf}


class BadSettingError(RollbackdError):
    """What cannot be supposed, each mistake with its remedy."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


class Unseen(StrEnum):
    """What a signal can be instead of a value; the member's value is how it is written."""

    NO_DATA = "no data"
    NAN = "NaN"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Setting:
    """One supposition. `text` is how it was written; `labels`: of one series alone; `signals` are those that it is about, none for a bare query."""

    text: str
    name: str
    queries: tuple[str, ...]
    signals: tuple[Signal, ...]
    value: float | Unseen
    labels: Labels | None = None

    @property
    def shown(self) -> str:
        """The value in the signal's own unit, for people."""
        return str(self.value) if isinstance(self.value, Unseen) else format_number(self.value)


def every_signal(rollout: Rollout) -> tuple[Signal, ...]:
    """Every signal that something of the rollout reads, each once."""
    of_gates = (gate.signal for gate in rollout.gates if not gate.quiet)
    of_triggers = (signal for trigger in rollout.triggers for signal in trigger.test.signals())
    return tuple(dict.fromkeys([*rollout.signals, *of_gates, *of_triggers]))


def understand(texts: Iterable[str], rollout: Rollout) -> tuple[Setting, ...]:
    """What the texts suppose. Raises BadSettingError with every mistake in them."""
    found: list[Setting] = []
    problems: list[str] = []
    known = _Known(rollout)
    for text in texts:
        try:
            one = known.setting(text)
        except BadSettingError as error:
            problems += error.problems
            continue
        again = next((other for other in found if other.labels == one.labels and set(other.queries) & set(one.queries)), None)
        if again is not None:
            problems.append(f'"{text}" sets what "{again.text}" sets already; keep one')
        found.append(one)
    if problems:
        raise BadSettingError(problems)
    return tuple(found)


class _Known:
    """The names that can be set in one rollout."""

    def __init__(self, rollout: Rollout) -> None:
        self._declared = {signal.name for signal in rollout.signals}
        self._signals: dict[str, list[Signal]] = {}
        for signal in every_signal(rollout):
            self._signals.setdefault(signal.name, []).append(signal)
        self._triggers = {trigger.name: tuple(dict.fromkeys(trigger.test.signals())) for trigger in rollout.triggers}
        self._queries = frozenset(rollout.questions())

    def setting(self, text: str) -> Setting:
        left, sign, value = (part.strip() for part in text.rpartition("="))
        if not sign or not left:
            raise BadSettingError([f'"{text}" sets nothing; {_FORM}'])
        if left in self._queries and left not in self._signals:
            return self._made(text, left, self._asking(left), _value(text, value, ""), None, (left,))
        name, labels = _labelled(text, left)
        signals = self._named(text, name)
        units = list(dict.fromkeys(signal.unit for signal in signals))
        number = _value(text, value, units[0])
        if labels is not None and number is Unseen.FAILED:
            raise BadSettingError([f'"{text}": a query fails as a whole, and not for one series; write {name}=failed'])
        return self._made(text, name, signals, number, labels, _places(signals, labels, text))

    @staticmethod
    def _made(text: str, name: str, signals: tuple[Signal, ...], value: float | Unseen, labels: Labels | None, queries: tuple[str, ...]) -> Setting:
        endpoint = any(signal.endpoints for signal in signals)
        return Setting(text, name, queries, signals, value, None if endpoint else labels)

    def _asking(self, query: str) -> tuple[Signal, ...]:
        return tuple(dict.fromkeys(one for signals in self._signals.values() for one in signals if one.expr == query))

    def _named(self, text: str, name: str) -> tuple[Signal, ...]:
        """The signals of that name, or those that the trigger of that name asks of its own accord."""
        if name in self._signals:
            return tuple(self._signals[name])
        if name not in self._triggers:
            names = dict.fromkeys([*self._signals, *self._triggers])
            raise BadSettingError([f'"{text}": there is no signal or trigger "{name}"; {did_you_mean(name, names, "it has none")}'])
        own = tuple(signal for signal in self._triggers[name] if signal.name not in self._declared)
        if own == self._triggers[name]:
            return own
        names = dict.fromkeys(signal.name for signal in self._triggers[name])
        if len(names) != 1:
            raise BadSettingError([f'"{text}": {name} reads several signals; set {" or ".join(names)}'])
        return self._triggers[name]


def _labelled(text: str, left: str) -> tuple[str, Labels | None]:
    name, brace, inner = left.partition("{")
    if not brace:
        return left, None
    try:
        selector = pp.parse(f"x{{{inner}")
    except ValueError as error:
        raise BadSettingError([f'"{text}": {{{inner} names no series ({error}); write them as in PromQL: {{pod="a"}}']) from None
    if not isinstance(selector, pp.VectorSelector) or any(one.op != pp.MatchOp.Equal for one in selector.matchers.matchers):
        raise BadSettingError([f'"{text}": a series is named by label="value" alone; set several series one by one'])
    return name.strip(), labels_of({one.name: one.value for one in selector.matchers.matchers}) or None


def _places(signals: Sequence[Signal], labels: Labels | None, text: str) -> tuple[str, ...]:
    """The queries or endpoints whose answers are set."""
    if labels is not None and any(signal.evidence for signal in signals):
        raise BadSettingError([f'"{text}": a figure of evidence has no series; write {signals[0].name}=VALUE'])
    endpoints = tuple(dict.fromkeys(url for signal in signals for url in signal.endpoints))
    if not endpoints or labels is None:
        return tuple(dict.fromkeys([*endpoints, *(key for signal in signals for key in (signal.expr, signal.figure_key) if key)]))
    chosen = tuple(url for url in endpoints if set(labels) <= set(endpoint_labels(url)))
    if not chosen:
        raise BadSettingError([f'"{text}": no such endpoint; known here: {", ".join(show_labels(endpoint_labels(url)) for url in endpoints)}'])
    return chosen


def _value(text: str, written: str, unit: str) -> float | Unseen:
    bare = written.strip("\"'").strip()
    unseen = {one.value.casefold(): one for one in Unseen} | {"no_data": Unseen.NO_DATA, "nodata": Unseen.NO_DATA}
    if bare.casefold() in unseen:
        return unseen[bare.casefold()]
    if bare in _INFINITE:
        return _INFINITE[bare]
    try:
        return parse_quantity(bare, unit)
    except ValueError as error:
        said = str(error).replace("is no limit", "is no value").removesuffix("; a limit must be one")
        raise BadSettingError([f'"{text}": {said}' + ("" if "write" in said else f"; {_FORM}")]) from None
