"""Which records of a rollout led to one of its stages, or are about it: the answer to "who raised this to 25 %?". Pure.

Lives here: that choice. Must not live here: reading the journal, how a record is told.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from rollback_daemon.errors import OperationRefused
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge.reasons import Code
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.model import Rollout

KINDS = tuple(event for event in Event if event not in {Event.TRIGGER, Event.SIGHT, Event.BUDGET, Event.OBSERVED})
"""The kinds of records that can be about a stage; what was merely seen is about none, and there is much of it."""
_ASKED_FOR_BELOW = {"promote", "propose", "approve", "reject", "withdraw", "resolve"}


def stage_called(rollout: Rollout, name: str) -> str:
    """A stage by its name or its exposure (`25%`). Raises OperationRefused for one that the rule file does not have."""
    shares = {f"{stage.exposure * 100:g}%": stage.name for stage in reversed(rollout.stages)}
    if rollout.stage(name):
        return name
    if found := shares.get(name.replace(" ", "")):
        return found
    raise OperationRefused(f'there is no stage "{name}" in {rollout.name}; known: {", ".join(stage.name for stage in rollout.stages)}')


def about(rollout: Rollout, records: Iterable[Record], stage: str) -> Iterator[Record]:
    """Those of the rollout's records (oldest first) that led to the stage, or are about it.

    That is: transitions to it and away from it, with their steps; proposals and votes for it; checkpoints and evidence that it asks for, or that
    were made at it; flags that were found or set to its values by others; and what was asked for on the way to it and refused.
    """
    target = rollout.stage(stage)
    below = rollout.stages[target.number - 1].name if target and target.number else None
    asked = {*target.requires.checkpoints, *(one.name for one in target.requires.evidence)} if target else set()
    related: set[str] = set()  # ids of transitions and proposals
    at: str | None = None
    drifted: str | None = None
    for record in records:
        body = record.body
        ids = [str(body[name]) for name in ("id", "proposal") if body.get(name)]
        tried = record.kind == Event.REFUSED and at == below and body.get("request") in _ASKED_FOR_BELOW
        answered = record.kind == Event.INTENDED and body.get("code") == Code.DRIFT and drifted == stage  # taken back from there
        if tried or answered or related.intersection(ids) or _concerns(record.kind, body, stage, asked):
            related.update(ids)
            yield record
        if record.kind in {Event.DONE, Event.ADOPTED}:
            at = body.get("to", body.get("stage"))
        elif record.kind == Event.DRIFT:
            drifted = body.get("stage")


def _concerns(kind: str, body: Mapping[str, Any], stage: str, asked: Collection[str]) -> bool:
    if kind in {Event.PROPOSED, Event.VOTED, Event.VOIDED}:
        return body.get("to") == stage
    named = body.get("checkpoint") if kind == Event.CHECKPOINT else body.get("evidence") if kind == Event.EVIDENCE else None
    return stage in {body.get("to"), body.get("from"), body.get("stage")} or named in asked
