"""Shortening a shipped rule file shortens its waiting, and leaves its limits alone."""

from datetime import timedelta
from pathlib import Path

from rollback_daemon.lab.compress import compress
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
