"""Shortening a shipped rule file shortens its waiting, and leaves its limits alone."""

from datetime import timedelta
from pathlib import Path

from rollback_daemon.lab.compress import compress
from rollback_daemon.rules.aftercare import FollowUps, Recovery
from rollback_daemon.rules.load import load_all
from rollback_daemon.rules.model import Rollout
from tests.acceptance import memory_stand
from tests.acceptance.stand import FACTOR, SHIPPED


def loaded(text: str, folder: Path) -> Rollout:
    folder.mkdir()
    (folder / "rules.yml").write_text(text, encoding="utf-8")
    return load_all([folder / "rules.yml"], timedelta(seconds=15))[0]


def test_every_wait_of_the_shipped_file_gets_shorter_and_no_limit_changes(tmp_path: Path) -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    whole, short = loaded(text, tmp_path / "whole"), loaded(compress(text, FACTOR), tmp_path / "short")
    assert [gate.condition for gate in short.gates] == [gate.condition for gate in whole.gates]
    assert [trigger.test.condition for trigger in short.triggers] == [trigger.test.condition for trigger in whole.triggers]
    assert [trigger.for_ * FACTOR for trigger in short.triggers] == [trigger.for_ for trigger in whole.triggers]
    assert [trigger.initial_delay * FACTOR for trigger in short.triggers] == [trigger.initial_delay for trigger in whole.triggers]
    assert [(signal.max_age or timedelta()) * FACTOR for signal in short.signals] == [signal.max_age or timedelta() for signal in whole.signals]
    assert [stage.soak * FACTOR for stage in short.stages] == [stage.soak for stage in whole.stages]
    assert (short.interval * FACTOR, short.max_gap * FACTOR) == (whole.interval, whole.max_gap)
    assert short.flags == whole.flags
    [*_, recovered, _], [*_, real, _] = short.aftercare.verify, whole.aftercare.verify
    assert isinstance(recovered, Recovery)
    assert isinstance(real, Recovery)
    assert (recovered.for_ * FACTOR, recovered.within * FACTOR, recovered.gates) == (real.for_, real.within, real.gates)
    assert short.aftercare.ways[-1].after * FACTOR == whole.aftercare.ways[-1].after == timedelta(minutes=5)
    assert [(one.escalate_after or timedelta()) * FACTOR for one in short.triggers] == [one.escalate_after or timedelta() for one in whole.triggers]


def test_hours_can_be_shortened_more_than_minutes_and_what_people_are_given_stays(tmp_path: Path) -> None:
    text = memory_stand.SHIPPED.read_text(encoding="utf-8")
    whole, short = loaded(text, tmp_path / "whole"), loaded(compress(text, 60, 1440), tmp_path / "short")
    assert [gate.condition for gate in short.gates] == [gate.condition for gate in whole.gates]
    assert [stage.soak * 1440 for stage in short.stages] == [stage.soak for stage in whole.stages]
    assert [trigger.for_ * 60 for trigger in short.triggers] == [trigger.for_ for trigger in whole.triggers]
    assert {gate.name: (gate.for_ * 1440, gate.min_data * 1440) for gate in short.gates} == {
        gate.name: (gate.for_, gate.min_data) for gate in whole.gates
    }
    [cost], [real] = ([signal.baseline for signal in one.signals if signal.baseline] for one in (short, whole))
    assert (cost.window * 1440, cost.at_least * 1440) == (real.window, real.at_least)
    assert [stage.requires for stage in short.stages] == [stage.requires for stage in whole.stages]
    assert (short.rehearsal, short.interval * 60) == (whole.rehearsal, whole.interval)


def test_all_that_follows_a_rollback_gets_shorter_and_what_steps_may_take_stays(tmp_path: Path) -> None:
    text = (SHIPPED.parent / "victor-coordinators.yml").read_text(encoding="utf-8")
    whole, short = loaded(text, tmp_path / "whole"), loaded(compress(text, 60, 1440), tmp_path / "short")
    assert short.aftercare.cooldown * 1440 == whole.aftercare.cooldown
    most, real = short.aftercare.max_rollbacks, whole.aftercare.max_rollbacks
    assert most
    assert real
    assert (most.count, most.within * 1440) == (real.count, real.within)
    assert short.aftercare.escalation.in_ * 60 == whole.aftercare.escalation.in_
    assert [(one.action.in_ or timedelta()) * 60 for one in short.triggers] == [one.action.in_ or timedelta() for one in whole.triggers]
    later, checks = short.aftercare.follow_ups, whole.aftercare.follow_ups
    assert checks
    assert later == FollowUps(tuple(one / 1440 for one in checks.after), checks.checks)
    [*before, recovered, log], [*as_before, _, same_log] = short.aftercare.verify, whole.aftercare.verify
    assert (before, log) == (as_before, same_log)
    assert isinstance(recovered, Recovery)
    assert (recovered.for_, recovered.within) == (timedelta(seconds=30), timedelta(minutes=1))


def test_a_degradation_is_undone_sooner() -> None:
    assert compress("until: clear for 10m}, after: [1d], x[5m]", 60, 1440) == "until: clear for 10s}, after: [1m], x[5s]"
