"""One rollout in full: the values of its page, in parts of which each is sent again only when it looks different.

Lives here: what a part is made of. Must not live here: facts and their words (`faces.views`), how a part looks (`templates/parts`).
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from rollback_daemon.durations import format_coarse, format_duration
from rollback_daemon.faces import attention, headroom, views
from rollback_daemon.faces.page import timeline
from rollback_daemon.faces.page.home import ladder
from rollback_daemon.faces.page.plots import plots
from rollback_daemon.faces.page.rendering import key
from rollback_daemon.faces.page.urls import Urls
from rollback_daemon.faces.trails import Trails
from rollback_daemon.faces.views_aftercare import hooks_behind
from rollback_daemon.hooks.courier import Backlog
from rollback_daemon.journal.journal import Journal
from rollback_daemon.judge.state import State
from rollback_daemon.rules.model import Rollout
from rollback_daemon.watch import Watch

if TYPE_CHECKING:
    from jinja2 import Environment

PARTS = ("standing", "ladder", "signals", "triggers", "gates", "flags", "people", "evidence", "afterwards", "timeline", "rules")
"""In the order of the page; each has a template of that name."""


class Knows(Protocol):
    """Who knows the rollouts; the guard does."""

    @property
    def journal(self) -> Journal: ...
    @property
    def trails(self) -> Trails: ...
    def watch(self, name: str) -> Watch: ...
    def hooks_behind(self, name: str) -> list[tuple[str, Backlog]]: ...


def parts(guard: Knows, name: str, templates: "Environment", urls: Urls, before: int | None) -> dict[str, str]:
    """Every part as HTML. `before`: which records the timeline shows. Raises OperationRefused without such a rollout."""
    values = {**facts(guard, guard.watch(name)), "history": timeline.records(guard.journal, name, before), "url": urls}
    return {part: templates.get_template(f"parts/{part}.html.j2").render(values) for part in PARTS}


def facts(guard: Knows, watch: Watch) -> dict[str, Any]:
    """What all parts are made of.

    The watch's lock is not taken: a guard that waits for a disk keeps it, and that is when people look. What changes meanwhile is shown next time.
    """
    rollout, state, judgement = watch.ladder, watch.state, watch.judgement
    told, card = views.explanation(watch), views.scorecard(watch)
    drawn = list(plots(watch, guard.trails))
    return {
        "r": {**told, "hooks": hooks_behind(guard.hooks_behind(rollout.name))},
        "card": card,
        "needs": attention.needs(rollout, state, judgement),
        "headroom": headroom.worst(judgement.triggers) if judgement else None,
        "rungs": ladder(watch),
        "soak": soak(rollout, state),
        "plots": drawn,
        "flags": list(flags(rollout, state, told["flags"]["differing"])),
        "people": people(rollout, state),
    }


def soak(rollout: Rollout, state: State) -> dict[str, Any] | None:
    """How far the present stage has soaked; None where it need not, or where it stands is not known."""
    stage = rollout.stage(state.position.stage) if state.position else None
    if stage is None or not stage.soak:
        return None
    share = min(1.0, state.soaked / stage.soak)
    left = stage.soak - state.soaked
    return {
        "soaked": format_coarse(min(state.soaked, stage.soak)),
        "of": format_duration(stage.soak),
        "percent": int(share * 100),
        "left": format_coarse(left) if share < 1 else "",
    }


def flags(rollout: Rollout, state: State, differing: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Each flag as it should be and as it was found. While a transition is under way, it should be as that sets it."""
    position = state.position
    stage = rollout.stage(position.stage) if position else None
    if position is None or stage is None:
        return
    expected = {**stage.flags, **(position.open.flags if position.open else {})}
    for name, value in expected.items():
        found = differing.get(name)
        yield {
            "key": name,
            "expected": found["expected"] if found else value,
            "actual": found["actual"] if found else value,
            "drifted": found is not None,
            "degraded": name in position.degraded,
        }


def people(rollout: Rollout, state: State) -> dict[str, Any]:
    """What people have said for the next stage, and what it asks of them."""
    position, dossier = state.position, state.dossier
    stage = rollout.stage(position.stage) if position else None
    following = rollout.above(stage) if stage else None
    named = list(dict.fromkeys(name for one in rollout.stages for name in one.requires.checkpoints))
    rehearsed = dossier.rehearsed
    return {
        "next": following.name if following else None,
        "approvals": str(following.requires.approvals) if following and following.requires.approvals else "",
        "void": dossier.void,
        "checkpoints": [
            {
                "name": name,
                "asked": following is not None and name in following.requires.checkpoints,
                "go": made.go if made else None,
                "by": made.by if made else "",
                "why": made.why if made else "",
                "at": views.time_of(made.at if made else None),
            }
            for name in named
            for made in (dossier.checkpoints.get(name),)
        ],
        "rehearsed": {
            "passed": rehearsed.passed,
            "stage": rehearsed.stage,
            "at": views.time_of(rehearsed.at),
            "by": rehearsed.by,
            "why": rehearsed.why,
            "seconds": rehearsed.seconds,
        }
        if rehearsed
        else None,
    }


def digests(found: Mapping[str, str]) -> str:
    """What names this state of the parts: a digest of each, in their order."""
    return ".".join(key(html) for html in found.values())


def changed(found: Mapping[str, str], have: str) -> dict[str, str]:
    """The parts that are not those of that state; all of them where it is not known."""
    known = have.split(".")
    if len(known) != len(found):
        return dict(found)
    return {part: html for (part, html), was in zip(found.items(), known, strict=True) if key(html) != was}
