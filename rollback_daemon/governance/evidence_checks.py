"""The checks of the preflight on evidence: whether what is needed now is on record and tells something, and where it comes from. Pure.

A file that grows is not on record; of it only is asked whether it can be read. Must not live here: looking at folders and files (`program_checks`),
what a stage requires (`requirements`), for how long figures count (`figures`).
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from rollback_daemon.durations import format_coarse, format_duration
from rollback_daemon.governance.finding import Finding
from rollback_daemon.judge import figures, requirements
from rollback_daemon.judge.dossier import Dossier, Evidence
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Outcome
from rollback_daemon.rules.duties import Declared, Followed, Inbox, Scheduled
from rollback_daemon.rules.measures import OnNoData, Signal
from rollback_daemon.rules.model import Rollout, Stage


def evidence(
    rollout: Rollout, position: Position | None, dossier: Dossier, now: datetime, away: Mapping[str, str] | None = None
) -> Iterator[Finding]:
    """One for each that is declared or that some stage requires. What nothing needs where the rollout stands is no failure.

    `away`: by its name, why it cannot come from where it comes from; empty where it can.
    """
    stage = (rollout.stage(position.stage) if position else None) or rollout.stages[0]
    required = {one.name: one.evidence for one in (requirements.checks(rollout, dossier, position, now) if position else ()) if one.code}
    names = [*(one.name for one in rollout.evidence), *(one.name for each in rollout.stages for one in each.requires.evidence)]
    for name in dict.fromkeys(names):
        declared, check, gone = rollout.declared(name), f"evidence {name}", (away or {}).get(name, "")
        made, follows = dossier.evidence.get(name), declared is not None and isinstance(declared.comes, Followed)
        lacking = "" if follows else (made and required.get(check)) or _why_not(rollout, declared, made, position, now)
        if why := "; ".join(filter(None, [lacking.removeprefix(f'evidence "{name}" '), gone])):
            outcome, said = _amiss(rollout, stage, name, why)
        else:
            outcome, said = Outcome.PASS, _well(declared, made, now)
        yield Finding(check, outcome, f"{said}; it comes {_way(declared)}")


def _well(declared: Declared | None, made: Evidence | None, now: datetime) -> str:
    if made is None:
        return "its file is there and can be read"
    counts = f", counts for {format_duration(declared.max_age)}" if declared else ""
    return f"by {made.by}, {format_coarse(max(now - made.made, timedelta()))} old{counts}"


def _amiss(rollout: Rollout, stage: Stage, name: str, why: str) -> tuple[Outcome, str]:
    """It matters where something cannot do without it now."""
    if users := list(dict.fromkeys(_users(rollout, stage, name))):
        return Outcome.FAIL, f"{why}; for {', '.join(users)}"
    later = [one.name for one in rollout.stages if any(_users(rollout, one, name))]
    return Outcome.PASS, f"{why}; {f'nothing at {stage.name} needs it, first {later[0]} does' if later else 'nothing needs it'}"


def _why_not(rollout: Rollout, declared: Declared | None, made: Evidence | None, position: Position | None, now: datetime) -> str:
    """Why it tells nothing; empty where it does."""
    if made is None:
        return "is not on record"
    since = figures.counted_from(declared, position) if declared else None
    return figures.why_untold(declared, made, now, rollout.max_gap, since) if declared else ""


def _users(rollout: Rollout, stage: Stage, name: str) -> Iterator[str]:
    """What cannot do without it at that stage, or on the way from it to the next."""
    target = rollout.above(stage)
    if target and any(one.name == name for one in target.requires.evidence):
        yield f"the promotion to {target.name}"
    for gate in rollout.gates:
        if target and gate.blocking and stage.name in gate.stages and _rests(gate.signal, name):
            yield gate.name
    for trigger in rollout.triggers:
        if not any(_rests(signal, name) for signal in trigger.test.signals()):
            continue
        if stage.name in trigger.stages:
            yield trigger.name
        elif target and target.name in trigger.stages and not (trigger.initial_delay or trigger.dry_run):  # as the promotion asks for it
            yield f"{trigger.name} at {target.name}"


def _rests(signal: Signal, name: str) -> bool:
    """A followed file that cannot be read is a failure, and no lack of data."""
    return signal.evidence == name and (bool(signal.followed) or signal.no_data is not OnNoData.IGNORE)


def _way(declared: Declared | None) -> str:
    match declared.comes if declared else None:
        case Inbox(folder=folder, files=files):
            return f"as {files} in {folder}"
        case Scheduled(command=command, every=every):
            return f"from {command.argv[0]}, every {format_duration(every)}"
        case Followed(path=path):
            return f"from the last lines of {path}"
        case _:
            return "by rollbackd evidence"
