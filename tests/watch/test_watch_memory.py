"""What outlives the process: the judge's memory goes through text, and a restart changes no decision."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollback_daemon import memory
from rollback_daemon.judge.drift import Drift
from rollback_daemon.judge.state import State
from rollback_daemon.judge.transitions import Event, Phase
from rollback_daemon.judge.trigger import Active, TriggerState
from rollback_daemon.rules.reading import Health
from tests.watch.guarded import BAD, EMPTY, GOOD, NOON, SLOW, Desk, Look

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (hypothesis adds the zone)
PERHAPS = st.none() | TIMES
LABELS = st.dictionaries(st.text(), st.text(), max_size=3).map(lambda labels: tuple(sorted(labels.items())))
SERIES = st.builds(
    Active,
    labels=LABELS,
    active_since=TIMES,
    seen=TIMES,
    firing_since=PERHAPS,
    missing_since=PERHAPS,
    value=st.none() | st.floats(allow_nan=False),
    alerting=st.booleans(),
    stage=st.text(),
    unbroken_since=PERHAPS,
    acted_in=st.text(),
    spent=st.booleans(),
)
TRIGGERS = st.builds(
    TriggerState,
    active=st.lists(SERIES, max_size=3).map(tuple),
    health=st.sampled_from(Health),
    why=st.text(),
    unknown_since=PERHAPS,
    breaches=st.integers(0),
    no_data=st.integers(0),
    errors=st.integers(0),
    memory=st.just({}) | st.just({"counted_at": NOON.isoformat(), "run": 3, "recent": [True, False]}),
    counted_from=PERHAPS,
)
STATES = st.builds(
    State,
    position=st.none(),
    triggers=st.dictionaries(st.text(min_size=1), TRIGGERS, max_size=3),
    soaked=st.integers(0, 10_000).map(lambda minutes: timedelta(minutes=minutes)),
    stepped=PERHAPS,
    blind_since=PERHAPS,
    blind=st.booleans(),
    drift=st.sampled_from(Drift),
    drift_since=PERHAPS,
)
STORY: tuple[Look, ...] = (GOOD, GOOD, SLOW, SLOW, GOOD, EMPTY, SLOW, SLOW, SLOW, SLOW, GOOD, BAD, EMPTY, EMPTY, BAD, GOOD, SLOW, EMPTY, GOOD)


@unhurried
@given(STATES)
def test_what_is_remembered_comes_back_as_it_was(state: State) -> None:
    assert memory.load(memory.dump(state), State(), state.stepped) == state


def test_the_time_soaked_is_kept_to_the_minute_and_never_rounded_up() -> None:
    soaked = State(soaked=timedelta(minutes=7, seconds=59))
    assert memory.load(memory.dump(soaked), State(), None).soaked == timedelta(minutes=7)


@unhurried
@given(st.text())
def test_text_that_cannot_be_read_is_forgotten(text: str) -> None:
    assert memory.load(text, State(), NOON) == State(stepped=NOON)


def test_text_of_before_a_field_came_to_be_is_read() -> None:
    older = memory.dump(State(blind=True)).replace(',"drift_since":null', "")
    assert "drift_since" not in older
    assert memory.load(older, State(), None).blind


def test_the_text_of_a_quiet_rollout_stays_the_same(desk: Desk) -> None:
    desk.climb_to("canary").evaluate(times=2)
    before = desk.watch.remembered()
    desk.evaluate(times=5)
    assert desk.watch.remembered() == before


def test_a_restart_after_every_evaluation_changes_nothing(tmp_path: Path) -> None:
    told = []
    for restarting in (False, True):
        folder = tmp_path / str(restarting)
        folder.mkdir()
        desk = Desk(folder)
        desk.climb_to("full")
        for look in STORY:
            desk.evaluate(look)
            desk.settle()
            if desk.position.phase is Phase.ROLLED_BACK and look is GOOD:
                desk.watch.resume("ann", "looks well")
            if restarting:
                desk.restart()
        desk.close()
        told.append(_without_places(desk, folder))
    assert told[0] == told[1]
    assert Event.RESUMED in {event for event, _, _ in told[0]}


def _without_places(desk: Desk, folder: Path) -> list[tuple[str, str, str]]:
    """Everything on record, save what is named after the folder."""
    journal = desk.open_journal()
    records = [(record.kind, record.at.isoformat(), str(dict(record.body)).replace(str(folder), "")) for record in journal.records("checkout")]
    journal.close()
    return records
