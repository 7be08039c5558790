"""When a gate that the present stage asks for stops passing, and when it passes again: news for people and hooks. Pure.

Lives here: that a gate's verdict has changed. Must not live here: the verdict (`gates`), what follows from it.
"""

from collections.abc import Iterator, Sequence

from rollback_daemon.judge.gates import gate_sentence
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.state import GateJudgement, Happened, State
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.reading import Verdict


def failing(rollout: Rollout, state: State, position: Position, gates: Sequence[GateJudgement]) -> frozenset[str]:
    """The blocking gates that fail; one that cannot be seen, or is not asked for here, stays as it was, and is forgotten with its rule."""
    known = {gate.name for gate in rollout.gates}
    asked = [one for one in gates if one.counts and not position.open]
    passing = {one.gate.name for one in asked if one.verdict is Verdict.CLEAR}
    return frozenset((state.failing & known) - passing | {one.gate.name for one in asked if one.verdict is Verdict.BREACHED})


def changes(state: State, position: Position, gates: Sequence[GateJudgement]) -> Iterator[Happened]:
    """The record of each gate that has begun to fail, or to pass again."""
    for one in gates:
        name = one.gate.name
        if not one.counts or position.open or one.verdict is Verdict.UNKNOWN or (one.verdict is Verdict.BREACHED) is (name in state.failing):
            continue
        passes = one.verdict is Verdict.CLEAR
        facts = {"gate": name, "passes": passes, "value": one.value, "limit": str(one.gate.condition), "labels": dict(one.labels)}
        yield Happened(Event.GATE, {**facts, "why": gate_sentence(one), "stage": position.stage})
