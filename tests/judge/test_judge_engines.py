"""A ladder of engine modes: where its flags are, when two stages expose as much as one another and a flag has a word for each mode."""

from pathlib import Path

import pytest

from rollback_daemon.judge.drift import Drift, locate
from rollback_daemon.rules.load import load

LADDER = load(Path(__file__).parents[2] / "rules" / "assistant-v3.yml")


@pytest.mark.parametrize(
    ("at", "engine", "percent", "drift", "there"),
    [
        ("shadow", "v3_shadow", 10, Drift.NONE, "shadow"),
        ("shadow", "v2", 10, Drift.LOWER, "baseline"),
        ("baseline", "v3_shadow", 10, Drift.HIGHER, "shadow"),  # nobody is exposed, and it is a climb all the same
        ("shadow", "v3_active", 10, Drift.HIGHER, None),
        ("shadow", "v3_shadow", 50, Drift.HIGHER, None),
        ("canary-25", "v3_canary", 30, Drift.HIGHER, None),
        ("canary-25", "v3_canary", 5, Drift.OTHER, None),
        ("canary-25", "v3_shadow", 25, Drift.OTHER, None),
        ("canary-25", "v2", 25, Drift.OTHER, None),
        ("canary-25", "v2", 100, Drift.OTHER, None),
        ("canary-25", "v4", 25, Drift.OTHER, None),
        ("canary-100", "v3_active", 100, Drift.HIGHER, "active"),
        ("active", "v3_canary", 100, Drift.LOWER, "canary-100"),
        ("active", "v3_canary", 10, Drift.LOWER, "canary-10"),
    ],
)
def test_where_the_flags_are(at: str, engine: str, percent: int, drift: Drift, there: str | None) -> None:
    stage = LADDER.stage(at)
    assert stage
    found = locate(LADDER, stage, {"assistant_engine": engine, "ai_assistant_v3_canary_percent": percent})
    assert (found.drift, found.stage.name if found.stage else None) == (drift, there)


def test_text_in_the_place_of_a_number_is_no_stage() -> None:
    stage = LADDER.stage("canary-25")
    assert stage
    assert locate(LADDER, stage, {"assistant_engine": "v3_canary", "ai_assistant_v3_canary_percent": "25"}).drift is Drift.OTHER
