"""The schedule: a look at once, then at every interval, and again at once when the clock is set back."""

from datetime import UTC, datetime, timedelta

from rollback_daemon.lab.servers import wait_until
from rollback_daemon.schedule import Schedule


class Jumping:
    """A clock that can be set back."""

    def __init__(self) -> None:
        self.back = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) - self.back


class Looks:
    """Stands where a cycle stands, and counts how often it is run."""

    def __init__(self, interval: timedelta) -> None:
        self.interval, self.last = interval, None
        self.runs = 0

    def run(self) -> None:
        self.runs += 1


def test_it_looks_at_once_and_at_every_interval() -> None:
    looks = Looks(timedelta(milliseconds=200))
    schedule = Schedule(Jumping())
    schedule.start([looks])  # type: ignore[list-item]  # all that a schedule needs of a cycle
    wait_until(lambda: looks.runs >= 4, "four looks")
    schedule.stop()
    runs = looks.runs
    schedule.follow_clock()
    assert looks.runs == runs


def test_when_the_clock_is_set_back_it_looks_at_once_and_goes_on_from_there() -> None:
    clock, looks = Jumping(), Looks(timedelta(hours=1))
    schedule = Schedule(clock)
    schedule.start([looks])  # type: ignore[list-item]
    wait_until(lambda: looks.runs == 1, "the first look")
    schedule.follow_clock()
    assert looks.runs == 1
    clock.back = timedelta(minutes=2)
    schedule.follow_clock()
    wait_until(lambda: looks.runs == 2, "a look after the clock was set back")
    schedule.follow_clock()
    schedule.stop()
    assert looks.runs == 2


def test_a_group_that_was_never_evaluated_is_late_since_the_start() -> None:
    clock, looks = Jumping(), Looks(timedelta(minutes=1))
    schedule = Schedule(clock)
    schedule.start([looks])  # type: ignore[list-item]
    schedule.stop()
    assert timedelta(minutes=8) < schedule.lateness(clock.now() + timedelta(minutes=10)) < timedelta(minutes=10)
