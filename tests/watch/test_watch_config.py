"""The watch and what stages require of the configuration: on a real file, half written, through a restart, and in every face of it."""

from dataclasses import replace

import pytest

from rollback_daemon.errors import OperationRefused
from rollback_daemon.faces import views
from rollback_daemon.faces.alerts import active
from rollback_daemon.faces.metrics import RolloutCollector
from rollback_daemon.faces.views_past import moment
from rollback_daemon.governance.past import past
from rollback_daemon.judge.transitions import Event
from rollback_daemon.rules.duties import Requires
from rollback_daemon.rules.model import Rollout
from rollback_daemon.watch import Watch
from tests.watch.guarded import BAD, GOOD, QUICK, Desk, content

OFF = 'MODE is "slow", must be "fast" at "half"'


def strict(rollout: Rollout) -> Rollout:
    """From half on, MODE must be fast."""
    fast = Requires(config={"MODE": "fast"})
    return replace(rollout, stages=tuple(replace(one, requires=fast) if one.number > 1 else one for one in rollout.stages))


@pytest.fixture
def at_half(desk: Desk) -> Desk:
    """At half, with the configuration that it requires."""
    desk.restart(stages=strict(desk.rollout).stages)
    desk.climb_to("canary").env.write_text(f"{content('canary')}MODE=fast\n")
    return desk.climb_to("half")


def write(desk: Desk, mode: str) -> None:
    desk.env.write_text(f"{content(desk.position.stage)}MODE={mode}\n")


def metric(desk: Desk, name: str) -> list[tuple[dict[str, str], float]]:
    families = [one for one in RolloutCollector(lambda: [desk.watch]).collect() if one.name == f"rollback_daemon_{name}"]
    return [(sample.labels, sample.value) for family in families for sample in family.samples]


def test_the_next_stage_waits_for_it_and_a_glance_sees_that_it_is_there(desk: Desk) -> None:
    desk.restart(stages=strict(desk.rollout).stages)
    desk.climb_to("canary")
    with pytest.raises(OperationRefused, match='config MODE is missing, must be "fast" at "half"'):
        desk.watch.promote("ann", "go on", GOOD)
    assert metric(desk, "config_as_required") == []  # nothing is required here
    assert views.what_next(desk.watch) == 'promotion to half waits: config MODE is missing, must be "fast" at "half"'
    write(desk, "fast")
    desk.watch.glance()
    assert views.what_next(desk.watch) == "may be promoted to half by a person"
    desk.watch.promote("ann", "go on", GOOD)
    assert desk.settle().flags == f"{content('half')}MODE=fast\n"


def test_the_promotion_looks_at_the_file_once_more(desk: Desk) -> None:
    desk.restart(stages=strict(desk.rollout).stages)
    desk.climb_to("canary")
    write(desk, "fast")
    desk.evaluate()
    write(desk, "slow")
    with pytest.raises(OperationRefused, match='config MODE is "slow", must be "fast"'):
        desk.watch.promote("ann", "go on", GOOD)
    assert desk.position.stage == "canary"


def test_a_glance_sees_it_change_and_every_face_tells_it(at_half: Desk) -> None:
    desk = at_half
    assert metric(desk, "config_as_required") == [({"rollout": "checkout", "key": "MODE"}, 1.0)]
    write(desk, "slow")
    assert desk.watch.glance()
    assert metric(desk, "config_as_required") == [({"rollout": "checkout", "key": "MODE"}, 0.0)]
    assert ({"rollout": "checkout", "check": "config MODE"}, 0.0) in metric(desk, "check_passing")
    assert metric(desk, "drift") == [({"rollout": "checkout"}, 0.0)]
    explained = views.explanation(desk.watch)
    assert explained["next"].startswith(f"CONFIG: {OFF}; ")
    [setting] = explained["config"]
    assert (setting["expected"], setting["actual"], setting["outcome"], setting["sentence"]) == ("fast", "slow", "fail", OFF)
    assert explained["stages"][2]["requires"] == ['config MODE "fast"']
    assert [one["outcome"] for one in views.scorecard(desk.watch)["checks"] if one["check"] == "config MODE"] == ["fail"]
    assert desk.watch.judgement
    alerts = active(desk.rollout, desk.watch.state, desk.watch.judgement, external_url="", external_labels={})
    [alert] = [one for one in alerts if one.labels["alertname"] == "RolloutMisconfigured"]
    assert (alert.annotations["value"], alert.starts_at) == (OFF, desk.hands.time)
    desk.evaluate(times=3)
    assert [body["why"] for body in desk.bodies(Event.MISCONFIGURED)] == [[OFF]]
    assert moment(past(desk.journal, "checkout", desk.hands.time), desk.rollout)["misconfigured"] == [OFF]
    desk.evaluate(BAD)
    assert desk.settle().flags == f"{content('canary')}MODE=slow\n"


def test_a_restart_knows_what_was_wrong_and_does_not_tell_it_again(at_half: Desk) -> None:
    desk = at_half
    write(desk, "slow")
    desk.evaluate()
    since = desk.watch.state.misconfigured_since
    desk.restart()
    desk.evaluate(times=2)
    assert (desk.watch.state.misconfigured, desk.watch.state.misconfigured_since) == ((OFF,), since)
    write(desk, "fast")
    desk.evaluate()
    assert [bool(body["wrong"]) for body in desk.bodies(Event.MISCONFIGURED)] == [True, False]


def test_a_file_that_is_half_written_lacks_nothing_yet(at_half: Desk) -> None:
    """In place: the lines above the key have been written, and its own has not."""
    desk = at_half
    watch = Watch(desk.rollout, desk.watch.store, desk.journal, desk.hands, desk.witness, QUICK, settle=3600.0)
    desk.watch = watch
    watch.recall(None, None)
    desk.evaluate()
    desk.env.write_text(content("half"))
    assert not watch.glance()
    assert watch.unsettled
    desk.evaluate()
    assert watch.state.misconfigured == ()
    assert desk.bodies(Event.MISCONFIGURED) == []
    write(desk, "fast")
    watch.glance()
    assert not watch.unsettled


def test_a_key_that_stays_away_is_told(at_half: Desk) -> None:
    at_half.env.write_text(content("half"))
    at_half.evaluate()
    assert at_half.watch.state.misconfigured == ('MODE is missing, must be "fast" at "half"',)
