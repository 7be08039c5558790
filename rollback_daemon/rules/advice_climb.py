"""How the way up is understood, in words: the gates, and what each stage asks for. Must not live here: triggers and warnings (`advice`)."""

import json
from collections.abc import Iterator

from rollback_daemon.durations import format_duration, format_number
from rollback_daemon.rules.duties import Fresh, Requires
from rollback_daemon.rules.model import Gate, Rollout


def climbing(rollout: Rollout) -> Iterator[str]:
    """One line for each gate, and one for each stage that asks for more than gates, soak and a person who promotes."""
    for gate in rollout.gates:
        yield f"{gate.name}: {_condition(gate)}; {_which(rollout, gate)}"
    for stage in rollout.stages:
        if wanted := [*_wanted(stage.requires)]:
            how = "promoted automatically" if stage.automatic else "promoted by hand"
            yield f"{stage.name}: {how}; needs {'; '.join(wanted)}"


def _condition(gate: Gate) -> str:
    if gate.quiet:
        names = ", ".join(sorted(gate.quiet))
        return f"none of {names} has fired since the stage began"
    what = f"{gate.signal.subject} {gate.condition}"
    if gate.quorum:
        what += f" on {gate.quorum[0]} of {gate.quorum[1]}"
    if gate.share is not None:
        over = f"the last {format_duration(gate.for_)}" if gate.for_ else "the whole stage"
        what += f" in {_percent(gate.share)} of the evaluations of {over}"
    elif gate.for_:
        what += f" for {format_duration(gate.for_)} without a break"
    return what + (f", seen for {format_duration(gate.min_data)} at the stage" if gate.min_data else "")


def _which(rollout: Rollout, gate: Gate) -> str:
    names = [stage.name for stage in rollout.stages if stage.name in gate.stages]
    where = "of every stage" if len(names) == len(rollout.stages) else f"of {', '.join(names)}"
    return f"gate {where}" + ("" if gate.blocking else ", which is only reported and blocks nothing")


def _wanted(requires: Requires) -> Iterator[str]:
    if requires.approvals:
        of = requires.approvals
        yield f"GO as {of} (within {format_duration(of.expires)})"
    if requires.checkpoints:
        yield f"checkpoint{'s' if len(requires.checkpoints) > 1 else ''} {', '.join(requires.checkpoints)}"
    for fresh in requires.evidence:
        yield f"evidence {_age(fresh)}"
    if requires.rehearsal is not None:
        yield f"a rollback rehearsed in the last {format_duration(requires.rehearsal)}"
    for key, value in requires.config.items():
        yield f"config {key} {json.dumps(value, ensure_ascii=False)}, before and while it is there"


def _age(fresh: Fresh) -> str:
    when = "of the present stage" if fresh.within is None else f"of the last {format_duration(fresh.within)}"
    return f"{fresh.name} {when}" + (f" with {fresh.how_good}" if fresh.good else "")


def _percent(share: float) -> str:
    return f"{format_number(100 * share)}%"
