"""What people do in a backtest: resume what was rolled back, put it back to where it stood, climb, restore what was degraded.

They say yes to everything that only people or programs could say: approvals, checkpoints, evidence, rehearsals, the report of an incident. They
never act against what is measured: nothing is put back while a gate fails, a trigger fires or the cool-down lasts. Must not live here: any
decision of the judge.
"""

import contextlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge import baselines, postmortem, promotion, requests, requirements
from rollback_daemon.judge.act import intended
from rollback_daemon.judge.reasons import Code, Reason
from rollback_daemon.judge.state import Happened
from rollback_daemon.judge.transitions import Event, Kind, Phase
from rollback_daemon.judge.trigger import TriggerPhase
from rollback_daemon.replay import Replay
from rollback_daemon.rules.duties import Requires
from rollback_daemon.rules.model import ActionKind, Rollout

PERSON = "a person"
_LATCHED = {Phase.ROLLED_BACK, Phase.FROZEN, Phase.HELD}
_NOT_MEASURED = requirements.CODES | {Code.SOAK, Code.AT_TOP}


def granted(rollout: Rollout) -> Rollout:
    """The rollout with nothing asked of people or programs on the way up."""
    return replace(rollout, stages=tuple(replace(one, requires=Requires(), automatic=False) for one in rollout.stages))


@dataclass(slots=True)
class People:
    """Who looks after one rollout. `home`: where it stood, to which it is put back; None: it climbs the ladder instead.

    `resume_after`: how long a rollback, a hold or a degradation is left as it is at least; None: for ever.
    """

    home: str | None
    resume_after: timedelta | None
    _degraded_at: datetime | None = field(default=None)

    def act(self, replay: Replay, now: datetime) -> list[Happened]:
        """What they do after an evaluation, with what follows from it at once."""
        position = replay.state.position
        if position is None or position.open or replay.judgement is None:
            return []
        asked = None
        with contextlib.suppress(OperationRefused):  # asked again after the next evaluation
            if position.phase in _LATCHED:
                asked = self._resumes(replay, now)
            elif position.degraded or self._degraded_at:
                asked = self._restores(replay, now)
            elif position.stage != replay.rollout.stages[-1].name:
                asked = self._climbs(replay, now)
        if asked is None:
            return []
        return [replay.accept(asked, now), *replay.settle(now)]

    def _resumes(self, replay: Replay, now: datetime) -> Happened | None:
        state, position = replay.state, replay.position
        since = position.since or position.entered
        if self.resume_after is None or now - since < self.resume_after or state.aftermath.verifying or _is_taking_back(replay):
            return None
        if postmortem.owed(replay.ladder, state):
            replay.happen(Event.POSTMORTEM, now, incident=state.aftermath.incident, fields={}, complete=True, by=PERSON, why="taken as written")
        return requests.resume(replay.ladder, replay.state, PERSON, "resumed in the backtest")

    def _restores(self, replay: Replay, now: datetime) -> Happened | None:
        position = replay.position
        self._degraded_at = (self._degraded_at or now) if position.degraded else None
        if self._degraded_at is None or self.resume_after is None or now - self._degraded_at < self.resume_after:
            return None
        if _firing(replay) & set(position.degraded_by):
            return None
        return requests.restore(replay.rollout, replay.state, PERSON, "restored in the backtest", now)

    def _climbs(self, replay: Replay, now: datetime) -> Happened | None:
        judgement, position = replay.judgement, replay.position
        if judgement is None or any(reason.code not in _NOT_MEASURED and not _comes_with_a_stage(replay, reason) for reason in judgement.blockers):
            return None
        if self.home is None:
            if position.phase not in {Phase.BASELINE, Phase.READY}:
                return None
            return promotion.promote(replay.ladder, replay.state, judgement, PERSON, "promoted in the backtest", now)
        home, here = replay.ladder.stage(self.home), replay.ladder.stage(position.stage)
        if home is None or here is None or home.number <= here.number or judgement.at < position.entered:
            return None
        why = [f"{PERSON}: put back to where it stood"]
        more = {"code": Code.BREAK_GLASS, "past": [], "bases": baselines.captured(replay.ladder, replay.state.prospects)}
        return intended(replay.ladder, position, Kind.PROMOTE, home, why, PERSON, now, more)


def _comes_with_a_stage(replay: Replay, reason: Reason) -> bool:
    """Whether it is only that a trigger lacks a baseline, which the next stage brings, as history begins too late for the first one."""
    tested = next((one.test for one in replay.rollout.triggers if one.name == reason.subject), None)
    if reason.code is not Code.TRIGGER_UNKNOWN or tested is None:
        return False
    return any(signal.over_baseline and signal.name not in replay.state.dossier.bases for signal in tested.signals())


def _firing(replay: Replay) -> set[str]:
    triggers = replay.judgement.triggers if replay.judgement else ()
    return {one.trigger.name for one in triggers if one.state.phase is TriggerPhase.FIRING}


def _is_taking_back(replay: Replay) -> bool:
    """Whether a trigger fires that would take it back again at once."""
    firing = _firing(replay)
    return any(one.name in firing and one.action.kind is ActionKind.ROLLBACK and not one.dry_run for one in replay.rollout.triggers)
