"""What people may ask for on the page, and what each of it means in the case at hand: the ways down and the brakes. What leads up is in `actions_up`.

Must not live here: whether it may be done (the judge), how it is shown (`forms`), the API's own routes (`http.changes`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rollback_daemon.faces.http.changes import Case, Reasoned, RollbackRequest
from rollback_daemon.faces.page.actions_up import ACTIONS_UP
from rollback_daemon.faces.page.confirm import Action, Instead, Told
from rollback_daemon.judge import requests
from rollback_daemon.judge.state import Happened
from rollback_daemon.judge.transitions import Phase
from rollback_daemon.rules.model import Stage


def _rollback(case: Case, body: RollbackRequest) -> Happened:
    return requests.rollback(case.rollout, case.state, case.judgement, body.to, case.person.name, body.reason, case.now)


def _of_rollback(case: Case, body: RollbackRequest, happened: Happened | None) -> Told:
    target = str(happened.body["to"]) if happened else body.to or "the previous stage"
    return Told(
        title=f"Roll {case.rollout.name} back to {target}",
        button=f"Roll back to {target}",
        effects=tuple(_after_rollback(case, happened)),
        rests_on=(target, {key: repr(value) for key, value in happened.body["flags"].items()} if happened else None),
        instead=tuple(_lower(case, body.to)),
        asks={"to": body.to} if body.to else {},
    )


def _after_rollback(case: Case, happened: Happened | None) -> Iterator[str]:
    rollout, position = case.rollout, case.state.position
    if position and position.open_promotion:
        yield f"The promotion to {position.goal} that is under way is stopped."
    yield from (f"{one[:1].upper()}{one[1:]}." for one in (happened.body["why"][1:] if happened else ()))
    if rollout.flags.after_change:
        yield f"Afterwards {' '.join(rollout.flags.after_change.argv)} is run."
    if rollout.aftercare.verify:
        yield "Then it is verified by the steps of the rule file."
    yield "Nobody can promote it again until a person resumes it with a reason."


def _lower(case: Case, to: str | None) -> Iterator[Instead]:
    """Every stage that one may go back to."""
    position = case.state.position
    at = case.rollout.stage(position.stage) if position else None
    yield Instead("the previous stage", {}, chosen=not to)
    for stage in reversed(case.rollout.stages[: at.number] if at else ()):
        yield Instead(_named(stage), {"to": stage.name}, chosen=stage.name == to)


def _named(stage: Stage) -> str:
    return f"{stage.name} ({stage.exposure * 100:g} %)"


def _hold(case: Case, body: Reasoned) -> Happened:
    return requests.halt(case.rollout, case.state, case.person.name, body.reason, case.now)


def _of_hold(case: Case, _body: Reasoned, _happened: Happened | None) -> Told:
    position = case.state.position
    following = _following(case)
    effects = [f"Nobody can promote it{f' to {following.name}' if following else ''} until a person resumes it with a reason."]
    if position and position.rehearsing:
        effects.append("The rehearsal that is under way fails by it, and the rollout stays down.")
    effects.append("No flag is changed. Triggers go on watching, and still take it back when it hurts.")
    return Told(f"Hold {case.rollout.name} at {position.stage if position else 'its stage'}", "Hold it", tuple(effects), ())


def _resume(case: Case, body: Reasoned) -> Happened:
    return requests.resume(case.rollout, case.state, case.person.name, body.reason)


def _of_resume(case: Case, _body: Reasoned, happened: Happened | None) -> Told:
    position = case.state.position
    following = _following(case)
    effects = [f"It was stopped because: {position.why}"] if position and position.why else []
    effects.append(f"It may be promoted again{f' to {following.name}' if following else ''}, when all that asks for is there.")
    effects.append("No flag is changed. Triggers that still fire may act again.")
    if position and position.phase is Phase.FROZEN:
        effects.append("The rollbacks before count no more towards freezing it.")
    if happened and happened.body.get("dropped"):
        effects.append(f"The verification of the rollback ends: {happened.body['dropped']}.")
    rests_on = (position.phase, position.stage, position.why) if position else ()
    return Told(f"Resume {case.rollout.name} at {position.stage if position else 'its stage'}", "Resume it", tuple(effects), rests_on)


def _following(case: Case) -> Stage | None:
    position = case.state.position
    stage = case.rollout.stage(position.stage) if position else None
    return case.rollout.above(stage) if stage else None


def _rolled_back(body: Mapping[str, Any]) -> str:
    return f"The rollback to {body['to']} has begun: transition {body['id']}."


_ALL = (
    Action("rollback", RollbackRequest, _rollback, _of_rollback, _rolled_back, must=False, tone="down"),
    Action("hold", Reasoned, _hold, _of_hold, lambda _: "It is held: nobody can promote it until it is resumed.", must=False),
    Action("resume", Reasoned, _resume, _of_resume, lambda _: "It is resumed."),
    *ACTIONS_UP,
)
ACTIONS: Mapping[str, Action] = {one.name: one for one in _ALL}
"""By name."""
