"""The JSON that `rollbackd gate` writes, as evidence: a stage can ask for one that says go.

Must not live here: scoring (`scoring.release_gate`), how the document is made (`scoring.gate_report`).
"""

from datetime import datetime
from typing import Literal

from pydantic import Field

from rollback_daemon.evidence.engines import EngineSettings, refuse_others
from rollback_daemon.evidence.kind import NOT_YET, FailedCheck, Figure, Kind, Result, Source, known
from rollback_daemon.evidence.mistaken import refuse_markdown, refuse_mistaken
from rollback_daemon.evidence.reading import Instant, Written, bounded, formed, json_of
from rollback_daemon.evidence.scoring.release_gate import ALWAYS

FIGURES = {
    "overall_go": Figure("ratio", "1 where the gate said go, 0 where it said no or could not tell"),
    "stage": Figure("percent", "the stage that was gated"),
    "checks_failed": Figure("count", "checks that failed"),
    "checks_unknown": Figure("count", "checks that could not be told"),
    "first_runs": Figure("count", "runs that counted"),
    "pass_rate": Figure("ratio", "first runs that passed, critical or not"),
    "latency_limit": Figure("ms", "the limit of the p95 latency that the gate was given"),
}


class _Check(Written):
    check: str = Field(min_length=1, max_length=100)
    outcome: Literal["pass", "fail", "unknown", "not asked"]
    sentence: str


class _Counted(Written):
    first_runs: int = Field(ge=0)
    pass_rate: float | None = Field(default=None, ge=0, le=1)
    first_began: Instant | None


class _Asked(Written):
    latency_p95_sla_ms: float = Field(ge=0)


class _Gate(Written):
    format: Literal["rollbackd release gate 1"]
    label: str
    stage: int
    engine: str | None = None
    decision: Literal["go", "no-go", "cannot tell"]
    overall_go: bool
    checks: list[_Check] = Field(min_length=1, max_length=50)
    asked: _Asked
    counted: _Counted


def read(source: Source, settings: EngineSettings) -> Result:
    """The decision of a gate; the time is that of the oldest run that it rests on. One that contradicts its own checks, or lacks one, is refused."""
    refuse_markdown(source)
    value = json_of(bounded(source))
    refuse_mistaken(source, value, "release_gate")
    gate = formed(source, value, _Gate, "what `rollbackd gate` writes")
    refuse_others(source, gate.engine, settings, "engine")
    failed = [one for one in gate.checks if one.outcome == "fail"]
    unknown = [one for one in gate.checks if one.outcome == "unknown"]
    right = "no-go" if failed else "cannot tell" if unknown else "go"
    if gate.decision != right or gate.overall_go is not (right == "go"):
        source.refuse(
            f'is "{gate.decision}" with overall_go {str(gate.overall_go).lower()}, but its checks come to "{right}"; gate again', "decision"
        )
    made_at: datetime | None = gate.counted.first_began
    if made_at and source.in_future(made_at):
        source.refuse(f"{made_at.isoformat()} {NOT_YET}", "counted.first_began")
    source.reject_if(
        source.problem(f'"{one.check}" stands here twice; gate again', f"checks[{index}].check")
        for index, one in enumerate(gate.checks)
        if one.check in {other.check for other in gate.checks[:index]}
    )
    asked = {one.check for one in gate.checks if one.outcome != "not asked"}
    if lacking := [name for name in ALWAYS if name not in asked]:
        source.refuse(f"does not have what every gate checks: {', '.join(lacking)}; gate again", "checks")
    figures = known(
        overall_go=gate.overall_go,
        stage=gate.stage,
        checks_failed=len(failed),
        checks_unknown=len(unknown),
        first_runs=gate.counted.first_runs,
        pass_rate=gate.counted.pass_rate,
        latency_limit=gate.asked.latency_p95_sla_ms,
    )
    facts = {"label": gate.label, "engine": gate.engine, "decision": gate.decision}
    notes = tuple(f"{one.check} {'failed' if one.outcome == 'fail' else 'cannot be told'}: {one.sentence}" for one in [*failed, *unknown])
    return Result(figures, source.digest, made_at, facts, notes=notes, failed=tuple(FailedCheck(one.check, one.sentence) for one in failed))


KIND = Kind("the JSON of `rollbackd gate`", FIGURES, read, EngineSettings, checks=True)
