"""Whatever a rollout is in, both pages say so in the words of `explain`, and whatever people wrote is text."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rollback_daemon.faces.alerts import ROLLOUT_ALERTS
from rollback_daemon.faces.attention import WORDS
from rollback_daemon.faces.page import one
from rollback_daemon.judge.transitions import Event, Kind, Phase
from rollback_daemon.signals.observation import Value
from tests.faces.page.scene import AWAY, BAD, GOOD, NASTY, Scene

Bring = Callable[[Scene], Scene]
SLOW = Value({(): 0.9})


def _held(scene: Scene) -> Scene:
    scene.at("canary").watch("checkout").hold("ann", f"look {NASTY}")
    return scene.see()


def _failed(scene: Scene) -> Scene:
    opened = scene.at("canary").intend(Kind.ROLLBACK, "baseline").position.open
    assert opened is not None
    return scene.happen(Event.ATTEMPTED, id=opened.id, kind="rollback", error=f"the disk is full {NASTY}", outcome="transient", attempt=1).see()


def _frozen(scene: Scene) -> Scene:
    return scene.rolled_back().happen(Event.FROZEN, why="too often", code="frozen")


def _voting(scene: Scene) -> Scene:
    scene.at("canary").see(5)
    asked = {"stage": "canary", "to": "half", "entered": scene.position.tenure.isoformat(), "rules": scene.rollout.digest, "evidence": ""}
    terms = {"roles": ["lead", "security"], "needed": 2, "expires": "2026-03-02T12:00:00+00:00"}
    scene.happen(Event.PROPOSED, id="p1", by="pam", why=f"as agreed {NASTY}", **asked, **terms)
    scene.happen(Event.VOTED, id="p1", by="bob", role="security", go=False, why=f"not yet {NASTY}", conditions=["tests"], to="half")
    scene.happen(Event.VOTED, id="p1", by="ann", role="lead", go=True, why="fine", conditions=[], to="half")
    return scene.happen(Event.CHECKPOINT, checkpoint="day-1", go=True, by="ann", why="all well", stage="canary")


PHASES: dict[str, tuple[Bring, str, list[str], str]] = {
    "baseline": (lambda scene: scene, "baseline", [], "may be promoted to canary by a person"),
    "soaking": (lambda scene: scene.at("canary"), "soaking", [], "soaked 15s of 1m, 45s to go"),
    "ready": (lambda scene: scene.at("canary").see(5), "ready", ["ready"], "checkpoint &#34;day-1&#34; is not on record"),
    "held": (_held, "held", ["held"], "resume it with a reason first"),
    "promoting": (lambda scene: scene.intend(Kind.PROMOTE, "canary"), "promoting", [], "promote baseline → canary"),
    "rolling back": (
        lambda scene: scene.at("canary").intend(Kind.ROLLBACK, "baseline"),
        "rolling_back",
        ["rolling back"],
        "rollback canary → baseline",
    ),
    "failed": (_failed, "failed", ["rollback failed"], "the disk is full"),
    "rolled back": (lambda scene: scene.rolled_back(), "rolled_back", ["rolled back"], "stays until a person resumes it"),
    "frozen": (
        lambda scene: scene.rolled_back().happen(Event.FROZEN, why="too often", code="frozen"),
        "frozen",
        ["rolled back", "frozen"],
        "too often",
    ),
    "complete": (lambda scene: scene.at("half").see(241), "complete", [], "the follow-up of 1d"),
    "pending": (lambda scene: scene.at("canary").see(2, errors=BAD), "soaking", ["pending"], "fires in 45s"),
    "blind": (lambda scene: scene.at("canary").see(5, errors=AWAY, latency=AWAY), "soaking", ["not guarded"], "NOT GUARDED"),
    "lowered by hand": (lambda scene: scene.at("canary").found(SHARE="5"), "held", ["drift"], ">drift</span>"),
    "unreadable": (lambda scene: scene.at("canary").found(NEW="'").see(), "soaking", ["held"], "They cannot be read"),
    "degraded": (
        lambda scene: scene.at("canary").intend(Kind.DEGRADE, "canary", flags={"LIGHT": "true"}, triggers=["LatencyHigh"]).done().see(latency=SLOW),
        "soaking",
        ["degraded"],
        ">degraded</span>",
    ),
    "misconfigured": (lambda scene: scene.at("canary").found(REGION="us"), "soaking", ["misconfigured"], "REGION"),
    "voting": (_voting, "ready", ["votes asked", "ready"], "on condition: tests"),
}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("name", PHASES)
def test_a_rollout_is_shown_as_what_it_is(scene: Scene, name: str) -> None:
    bring, phase, needs, said = PHASES[name]
    bring(scene)
    row, line = scene.line()
    parts = scene.parts()
    page = "".join(parts.values())
    assert (row.phase, [need.word for need in row.needs if need.word in needs]) == (phase, needs)
    assert all(f">{word}<" in line for word in needs)
    assert said in page
    assert NASTY not in line + page
    assert not re.search(r"<(?!/?[a-z][a-z0-9]*[\s>])", line + page), "something that people wrote opens a tag"
    assert " style=" not in line + page


def test_no_phase_is_left_out() -> None:
    assert {phase for _, phase, _, _ in PHASES.values()} == set(Phase)
    assert WORDS.keys() == ROLLOUT_ALERTS.keys()


def test_what_blocks_the_next_rung_is_said_in_full(scene: Scene) -> None:
    ladder = scene.at("canary").see(errors=BAD).parts()["ladder"]
    for said in ("soaked 15s of 1m", "gate Errors: error_rate 0.031", "trigger ErrorRateHigh is pending", "checkpoint", "nobody has proposed"):
        assert said in ladder
    assert 'aria-current="step"' in ladder


def test_flags_stand_beside_what_they_should_be(scene: Scene) -> None:
    flags = scene.at("canary").found(SHARE="50").parts()["flags"]
    assert re.search(r'class="drifted"><th scope="row"><code>SHARE</code></th><td><code>10</code></td><td><code>50</code>', flags)


def test_signals_are_drawn_against_every_limit_that_is_laid_on_them(scene: Scene) -> None:
    scene.at("canary").see(3).see(2, errors=AWAY).see(errors=BAD)
    signals = scene.parts()["signals"]
    rate = signals[signals.index("error_rate") : signals.index("latency")]
    assert rate.count('class="limit"') == 2
    assert rate.count('class="value"') == 2
    assert rate.count('class="gap"') == 1
    assert "limit &gt; 0.01" in rate
    assert "must be &lt; 0.005" in rate
    assert "not seen in 2 of" in rate


def test_only_parts_that_look_different_are_sent_again(scene: Scene) -> None:
    scene.at("canary")
    before = scene.parts()
    have = one.digests(before)
    assert one.changed(scene.parts(), have) == {}
    scene.see(errors=BAD)
    assert one.changed(scene.parts(), have).keys() == {"standing", "ladder", "signals", "triggers", "gates", "timeline"}
    assert one.changed(scene.parts(), "what nobody knows").keys() == before.keys()


def test_the_timeline_goes_back_page_by_page(scene: Scene) -> None:
    for number in range(60):
        scene.happen(Event.HANDOFF, by="ann", to=f"somebody{number:02}", why="the shift is over", stage="baseline")
    newest = scene.parts()["timeline"]
    assert newest.index("somebody59") < newest.index("somebody58")
    assert "somebody19" not in newest
    older = re.search(r"before=(\d+)#timeline", newest)
    assert older is not None
    earlier = scene.parts(int(older[1]))["timeline"]
    assert all(f"somebody{number:02}" in earlier for number in range(20))
    assert "somebody20" not in earlier
    assert "before=" not in earlier


def test_a_record_that_lacks_what_its_kind_has_spoils_nothing(scene: Scene) -> None:
    scene.journal.append("checkout", Event.VOTED, {"strange": True}, scene.hands.time)
    assert "<b>voted</b>" in scene.parts()["timeline"]


def test_what_is_good_is_not_drawn_as_bad(scene: Scene) -> None:
    assert GOOD.keys() == {"errors", "latency", "cost", "sum by (code) (oops)"}
    row, _ = scene.at("canary").line()
    assert row.headroom is not None
    assert (row.headroom.alert, round(row.headroom.left, 3)) == ("LatencyHigh", 0.6)
