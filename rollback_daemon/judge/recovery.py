"""What is due after a rollback: whether its gates have recovered, which way back is taken next, and when there were too many. Pure.

Lives here: those decisions, and the events of a verification. Must not live here: what is on record of them (`aftermath`), running a step
(`verifying`).
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from rollback_daemon.durations import format_coarse, format_duration
from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge import limits
from rollback_daemon.judge.act import intended
from rollback_daemon.judge.aftermath import Aftermath, Verification, is_last, proof, way_left
from rollback_daemon.judge.gates import gate_sentence
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Code, Outcome, Reason
from rollback_daemon.judge.refusal import Refusal, known, said
from rollback_daemon.judge.state import GateJudgement, Happened, State
from rollback_daemon.judge.transitions import Event, Kind, Phase
from rollback_daemon.rules.aftercare import Recovery, WayKind
from rollback_daemon.rules.model import Rollout
from rollback_daemon.rules.reading import Verdict


def since(rollout: Rollout, state: State, gates: Sequence[GateJudgement], now: datetime) -> datetime | None:
    """Since when the gates pass that a verification waits for; None where it does not wait, or they do not. A gap is not having looked."""
    waited = _awaited(rollout, state)
    if waited is None or not all(gate.verdict is Verdict.CLEAR for gate in _named(waited, gates)):
        return None
    seen = state.stepped is not None and timedelta() <= now - state.stepped <= rollout.max_gap
    return (state.recovering_since if seen else None) or now


def decide(rollout: Rollout, state: State, gates: Sequence[GateJudgement], now: datetime) -> Iterator[Happened]:
    """What follows the last rollback at this moment; at most one transition."""
    position, aftermath = state.position, state.aftermath
    if position is None or position.open or position.rehearsing:
        return
    if (waited := _awaited(rollout, state)) is not None:
        yield from _recovered(rollout, state, waited, gates, now)
    elif aftermath.verifying and aftermath.passed > len(rollout.aftercare.verify):  # another version of the rule file asks for fewer steps
        body = {"id": aftermath.transition, "incident": aftermath.incident, "way": _way(rollout, aftermath), "steps": aftermath.passed}
        yield Happened(Event.VERIFIED, body)
    yield from freezing(rollout, state, now)
    yield from further(rollout, state, now)


def freezing(rollout: Rollout, state: State, now: datetime) -> Iterator[Happened]:
    """That there were too many rollbacks; to be asked as soon as one is done, so that nobody resumes before it is said."""
    position, most = state.position, rollout.aftercare.max_rollbacks
    if position is None or most is None or position.open or position.phase is not Phase.ROLLED_BACK:
        return
    if (spent := limits.spent(rollout, state.aftermath, now)) >= most.count:
        why = f"{spent} rollbacks by triggers in {format_duration(most.within)}, the last one: {position.why}"
        yield Happened(Event.FROZEN, {"why": why, "code": Code.FROZEN, "count": spent, "in": most.within.total_seconds()})


def further(rollout: Rollout, state: State, now: datetime) -> Iterator[Happened]:
    """The next way back, when the one before could not be verified and the time has come that a person was given."""
    position, known = state.position, state.aftermath
    if position is None or position.open or not rollout.enforce or known.outcome is not Verification.UNVERIFIED or known.unknown:
        return
    left = way_left(rollout, position, known.way)
    if left is None or known.ended is None or now < known.ended + left[1].after:
        return
    number, way, target = left
    kind = WayKind.FLAGS if way.kind is WayKind.THEN else way.kind
    why = [f"the rollback could not be verified ({known.why}), so the next way back is taken: {way}"]
    activations = [f"{known.incident}/{number}"]
    more = {"code": Code.UNVERIFIED, "way": number, "way_kind": kind, "incident": known.incident, "activations": activations}
    yield intended(rollout, position, Kind.ROLLBACK, target, why, "rollbackd", now, more)


def checked(
    rollout: Rollout, position: Position, known: Aftermath, step: str, outcome: Outcome, *, error: str, output: str, seconds: float
) -> Iterator[Happened]:
    """That a step has ended, and with it the verification, if it was the last one or did not pass."""
    number = known.passed
    facts = {"id": known.transition, "incident": known.incident, "number": number, "step": step}
    yield Happened(Event.CHECKED, {**facts, "outcome": outcome, "error": error, "output": output, "seconds": round(seconds, 3)})
    whole = {"id": known.transition, "incident": known.incident, "way": _way(rollout, known)}
    if outcome is not Outcome.PASS:
        why = f"{step}: {error}"
        following = beyond(rollout, position, known.way, unknown=outcome is Outcome.UNKNOWN)
        yield Happened(Event.UNVERIFIED, {**whole, "step": step, "why": why, **following})
    elif is_last(rollout, number):
        yield Happened(Event.VERIFIED, {**whole, "steps": number + 1})


def again(rollout: Rollout, state: State, by: str, reason: str, logs: Mapping[str, object]) -> Happened:
    """Verify the last rollback once more, logs from where they are now. Raises OperationRefused where there is nothing to be verified."""
    position = known(rollout, state)
    after, what = state.aftermath, f"{rollout.name} is not verified again"
    if position.open or after.verifying:
        doing = position.open.kind if position.open else "verification"
        raise Refusal(what, [Reason(Code.IN_TRANSITION, f"a {doing} is under way; ask again when it has ended")])
    if not after.incident or after.done is None:
        raise OperationRefused(f"{rollout.name} was not rolled back since it was last resumed; there is nothing to verify")
    if not rollout.aftercare.verified:
        raise OperationRefused(f"{rollout.name} has no steps to verify a rollback by; add verify to {rollout.file}")
    body = {"id": after.transition, "incident": after.incident, "by": by, "why": said(by, reason), "logs": dict(logs)}
    return Happened(Event.VERIFYING, body)


def beyond(rollout: Rollout, position: Position, way: int, *, unknown: bool) -> dict[str, object]:
    """What comes after a way back that was not verified: what could not be told changes nothing more by itself."""
    left = None if unknown else way_left(rollout, position, way)
    then = f"{left[1]}" + (f" after {format_duration(left[1].after)}" if left[1].after else "") if left else "a person"
    return {"unknown": unknown, "final": left is None and not unknown, "next": then}


def _way(rollout: Rollout, known: Aftermath) -> str:
    ways = rollout.aftercare.ways
    return str(ways[known.way]) if known.way < len(ways) else ""


def _awaited(rollout: Rollout, state: State) -> Recovery | None:
    """The step that a verification waits at, if it is about gates."""
    known = state.aftermath
    if not known.verifying or known.passed > len(rollout.aftercare.verify):
        return None
    waited = proof(rollout, known)
    return waited if isinstance(waited, Recovery) else None


def _named(waited: Recovery, gates: Sequence[GateJudgement]) -> list[GateJudgement]:
    return [one for one in gates if not one.gate.quiet and (one.gate.name in waited.gates if waited.gates else one.gate.blocking)]


def _recovered(rollout: Rollout, state: State, waited: Recovery, gates: Sequence[GateJudgement], now: datetime) -> Iterator[Happened]:
    known, position = state.aftermath, state.position
    if position is None or known.passed_at is None:
        return
    named = _named(waited, gates)
    step, seconds = describe(waited), (now - known.passed_at).total_seconds()
    told = "; ".join(map(gate_sentence, named))
    if state.recovering_since is not None and now - max(state.recovering_since, known.passed_at) >= waited.for_:
        yield from checked(rollout, position, known, step, Outcome.PASS, error="", output=told, seconds=seconds)
    elif now - known.passed_at >= waited.within:
        bad = [one for one in named if one.verdict is Verdict.BREACHED]
        unseen = [one for one in named if one.verdict is Verdict.UNKNOWN]
        outcome = Outcome.UNKNOWN if unseen and not bad else Outcome.FAIL
        passing = f"they pass only since {format_coarse(now - (state.recovering_since or now))}"
        error = f"not for {format_duration(waited.for_)} within {format_duration(waited.within)}: "
        error += "; ".join(map(gate_sentence, bad or unseen)) or passing
        yield from checked(rollout, position, known, step, outcome, error=error, output=told, seconds=seconds)


def describe(waited: Recovery) -> str:
    """The step for people: `gates pass for 1h`."""
    which = ", ".join(sorted(waited.gates)) or "gates"
    return f"{which} pass for {format_duration(waited.for_)}"
