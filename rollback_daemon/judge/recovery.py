"""What is due after a rollback: whether its gates have recovered, which way back is taken next, and when there were too many. Pure.

Lives here: those decisions, and the events of a verification. Must not live here: what is on record of them (`aftermath`), running a step
(`verifying`).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rollback_daemon.durations import format_duration
from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge import limits
from rollback_daemon.judge.act import intended
from rollback_daemon.judge.aftermath import Aftermath, Verification, identity, is_current, proof, proofs, way_left
from rollback_daemon.judge.gates import gate_sentence
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Code, Outcome, Reason
from rollback_daemon.judge.refusal import Refusal, known, said
from rollback_daemon.judge.state import GateJudgement, Happened, State, Waited
from rollback_daemon.judge.transitions import Event, Kind, Phase
from rollback_daemon.rules.aftercare import Recovery, Way, WayKind
from rollback_daemon.rules.model import Rollout, Stage
from rollback_daemon.rules.reading import Verdict


@dataclass(frozen=True, slots=True)
class Coming:
    """A way back that is taken at `at`, unless it is verified, stopped or resumed before."""

    number: int
    way: Way
    target: Stage
    at: datetime


def waited(rollout: Rollout, state: State, gates: Sequence[GateJudgement], now: datetime) -> Waited:
    """How the gates do that a verification waits for. A gap is not having looked: it neither counts nor passes."""
    step, known = _awaited(rollout, state), state.aftermath
    if step is None:
        return Waited()
    of = f"{known.transition} {known.since} {known.passed}"
    before = state.waited if state.waited.of == of else Waited(of)
    gap = now - state.stepped if state.stepped is not None and before is state.waited else None
    seen = gap if gap is not None and timedelta() < gap <= rollout.max_gap else timedelta()
    passing = all(gate.verdict is Verdict.CLEAR for gate in _named(step, gates))
    unbroken = before.passed if gap is not None and gap <= rollout.max_gap else None
    return Waited(of, before.watched + seen, (timedelta() if unbroken is None else unbroken + seen) if passing else None)


def decide(rollout: Rollout, state: State, gates: Sequence[GateJudgement], now: datetime) -> Iterator[Happened]:
    """What follows the last rollback at this moment; at most one transition."""
    position, aftermath = state.position, state.aftermath
    if position is None or position.open or position.rehearsing:
        return
    if aftermath.verifying and not is_current(rollout, position, aftermath):
        why = "the rule file asks for other steps now, so it begins again"
        facts = {"id": aftermath.transition, "incident": aftermath.incident, "by": "rollbackd", "why": why, "logs": {}}
        yield Happened(Event.VERIFYING, {**facts, "steps": identity(proofs(rollout, position))})
        return
    if (step := _awaited(rollout, state)) is not None:
        yield from _recovered(rollout, state, step, gates)
    elif aftermath.verifying and aftermath.passed > len(proofs(rollout, position)):  # killed right behind the last step
        yield _verified(rollout, aftermath)
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
    position, known, coming = state.position, state.aftermath, pending(rollout, state)
    if position is None or coming is None or now < coming.at:
        return
    kind = WayKind.FLAGS if coming.way.kind is WayKind.THEN else coming.way.kind
    why = [f"the rollback could not be verified ({known.why}), so the next way back is taken: {coming.way}"]
    more = {"code": Code.UNVERIFIED, "way": coming.number, "way_kind": kind, "way_told": identity([coming.way]), "incident": known.incident}
    activations = [f"{known.incident}/{len(known.tried)}/{coming.number}"]
    yield intended(rollout, position, Kind.ROLLBACK, coming.target, why, "rollbackd", now, {**more, "activations": activations})


def pending(rollout: Rollout, state: State) -> Coming | None:
    """The way back that comes next, and when; None where none does by itself."""
    position, known = state.position, state.aftermath
    if position is None or position.open or not rollout.enforce or known.outcome is not Verification.UNVERIFIED or known.unknown or known.stopped:
        return None
    left = way_left(rollout, position, known.tried)
    return Coming(*left, known.ended + left[1].after) if left is not None and known.ended is not None else None


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
        following = beyond(rollout, position, known.tried, unknown=outcome is Outcome.UNKNOWN)
        yield Happened(Event.UNVERIFIED, {**whole, "step": step, "why": why, **following})
    elif number >= len(proofs(rollout, position)):
        yield _verified(rollout, replace(known, passed=number + 1))


def _verified(rollout: Rollout, known: Aftermath) -> Happened:
    return Happened(Event.VERIFIED, {"id": known.transition, "incident": known.incident, "way": _way(rollout, known), "steps": known.passed})


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
    fresh = logs if after.step.startswith("log ") else {}  # what was found there would be found for ever; what was clean must have stayed so
    body = {"id": after.transition, "incident": after.incident, "by": by, "why": said(by, reason), "logs": dict(fresh)}
    return Happened(Event.VERIFYING, {**body, "steps": identity(proofs(rollout, position))})


def stop(rollout: Rollout, state: State, by: str, reason: str) -> Happened | None:
    """That no further way back is to be taken by itself; None where none would be."""
    if pending(rollout, state) is None:
        return None
    return Happened(Event.CANCELLED, {"alert": "", "incident": state.aftermath.incident, "by": by, "why": said(by, reason)})


def beyond(rollout: Rollout, position: Position, tried: Collection[str], *, unknown: bool) -> dict[str, object]:
    """What comes after a way back that was not verified: what could not be told changes nothing more by itself."""
    left = None if unknown else way_left(rollout, position, tried)
    then = f"{left[1]}" + (f" after {format_duration(left[1].after)}" if left[1].after else "") if left else "a person"
    return {"unknown": unknown, "final": left is None and not unknown, "next": then}


def _way(rollout: Rollout, known: Aftermath) -> str:
    ways = rollout.aftercare.ways
    return str(ways[known.way]) if known.way < len(ways) else ""


def _awaited(rollout: Rollout, state: State) -> Recovery | None:
    """The step that a verification waits at, if it is about gates."""
    position, known = state.position, state.aftermath
    if position is None or not known.verifying or not is_current(rollout, position, known) or known.passed > len(proofs(rollout, position)):
        return None
    step = proof(rollout, position, known)
    return step if isinstance(step, Recovery) else None


def _named(step: Recovery, gates: Sequence[GateJudgement]) -> list[GateJudgement]:
    return [one for one in gates if not one.gate.quiet and (one.gate.name in step.gates if step.gates else one.gate.blocking)]


def _recovered(rollout: Rollout, state: State, step: Recovery, gates: Sequence[GateJudgement]) -> Iterator[Happened]:
    """Passed for long enough; or watched for long enough without that. Gates that pass at the end are given the time to go on passing."""
    known, position, seen = state.aftermath, state.position, state.waited
    if position is None:
        return
    named, name = _named(step, gates), describe(step)
    told, seconds = "; ".join(map(gate_sentence, named)), seen.watched.total_seconds()
    if seen.passed is not None and seen.passed >= step.for_:
        yield from checked(rollout, position, known, name, Outcome.PASS, error="", output=told, seconds=seconds)
    elif seen.passed is None and seen.watched >= step.within:
        bad = [one for one in named if one.verdict is Verdict.BREACHED]
        outcome = Outcome.FAIL if bad else Outcome.UNKNOWN
        unwell = bad or [one for one in named if one.verdict is Verdict.UNKNOWN]
        error = f"not for {format_duration(step.for_)} within {format_duration(step.within)}: {'; '.join(map(gate_sentence, unwell))}"
        yield from checked(rollout, position, known, name, outcome, error=error, output=told, seconds=seconds)


def describe(step: Recovery) -> str:
    """The step for people: `gates pass for 1h`."""
    which = ", ".join(sorted(step.gates)) or "gates"
    return f"{which} pass for {format_duration(step.for_)}"
