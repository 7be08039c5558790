"""The JSON that `rollbackd shadow-diff` writes, as evidence: a first stage can ask for one without a regressed critical case.

Must not live here: the comparison, and how the document is made (`scoring.shadow_diff`).
"""

from typing import Any, Literal

from pydantic import Field

from rollback_daemon.evidence.engines import EngineSettings, refuse_others
from rollback_daemon.evidence.kind import NOT_YET, Figure, Kind, Result, Source, known
from rollback_daemon.evidence.mistaken import refuse_mistaken
from rollback_daemon.evidence.reading import Instant, Written, bounded, formed, json_of

FIGURES = {
    "canary_allowed": Figure("ratio", "1 where no critical case regressed and none is missing, else 0"),
    "regressed_critical": Figure("count", "critical cases that got worse"),
    "regressed": Figure("count", "cases that got worse"),
    "improved": Figure("count", "cases that got better"),
    "new": Figure("count", "cases that only the new engine was given"),
    "missing": Figure("count", "cases that only the old engine was given"),
}


class _Counts(Written):
    regressed: int = Field(ge=0)
    improved: int = Field(ge=0)
    new: int = Field(ge=0)
    missing: int = Field(ge=0)


class _Side(Written):
    engine: str
    started_at: Instant


class _Files(Written):
    v2: _Side
    v3: _Side


class _Diff(Written):
    format: Literal["rollbackd shadow diff 1"]
    decision: Literal["go", "no-go", "cannot tell"]
    canary_allowed: bool
    counts: _Counts
    regressed_critical: list[dict[str, Any]]
    files: _Files


def read(source: Source, settings: EngineSettings) -> Result:
    """The comparison; the time is that of the older of its two sessions. One that contradicts itself is refused."""
    value = json_of(bounded(source))
    refuse_mistaken(source, value, "shadow_diff")
    diff = formed(source, value, _Diff, "what `rollbackd shadow-diff --out` writes")
    refuse_others(source, diff.files.v3.engine, settings, "files.v3.engine")
    if diff.canary_allowed is not (diff.decision == "go") or (diff.regressed_critical and diff.decision != "no-go"):
        source.refuse(f'is "{diff.decision}", which the rest of the file contradicts; compare again', "decision")
    made_at = min(diff.files.v2.started_at, diff.files.v3.started_at)
    if source.in_future(made_at):
        source.refuse(f"{made_at.isoformat()} {NOT_YET}", "files")
    counts = diff.counts
    figures = known(
        canary_allowed=diff.canary_allowed,
        regressed_critical=len(diff.regressed_critical),
        regressed=counts.regressed,
        improved=counts.improved,
        new=counts.new,
        missing=counts.missing,
    )
    named = [f"{one.get('case')} as {one.get('role')}" if one.get("role") else str(one.get("case")) for one in diff.regressed_critical]
    facts = {"decision": diff.decision, "engines": [diff.files.v2.engine, diff.files.v3.engine], "regressed_critical": named}
    return Result(figures, source.digest, made_at, facts, notes=tuple(f"critical case {one} regressed" for one in named))


KIND = Kind("the JSON of `rollbackd shadow-diff`", FIGURES, read, EngineSettings)
